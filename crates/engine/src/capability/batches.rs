//! Changes of stored values that depend on the current values: batches that are all made or none, and additions to
//! numbers.
//!
//! A guest writes a batch in one piece, entry by entry, with lengths in little-endian order:
//!
//! | byte | entry | what follows |
//! |---|---|---|
//! | 0 | there is no value | key length (4), key |
//! | 1 | the value is this | key length (4), key, value length (4), value |
//! | 2 | set | the same |
//! | 3 | set, to end | the same, milliseconds (8) |
//! | 4 | remove | key length (4), key |
//!
//! Either all conditions on values hold and all changes are made, or no change is. Each change counts as an access. A
//! number is a value whose text is a decimal integer, as the guest crate writes one in JSON, so that both can read it.

use super::storage::{Committed, FunctionValues, StorageBatch, StorageWrite, Updated};
use super::values::{NamedKey, THERE, check_key, check_value, with_mark};
use crate::limits::{LimitExceeded, Limits};
use bytes::{Buf as _, Bytes};
use iof_fault::{Fault, FaultKind};
use std::collections::HashSet;
use std::time::Duration;

/// The most bytes of a batch, and the most entries.
pub(crate) const BATCH: u32 = 8 << 20;
const ENTRIES: usize = 100;

/// A batch: the guest's bytes, and the changes that they encode.
pub(crate) struct EncodedBatch {
    text: Bytes,
    batch: StorageBatch,
}

impl EncodedBatch {
    /// Reads a batch.
    ///
    /// # Errors
    /// `storage-batch`, `storage-key`, `storage-value`
    pub(crate) fn read(text: Bytes, limits: &Limits) -> Result<Self, Fault> {
        let mut reader = Reader {
            rest: text.clone(),
            limits,
        };
        let (mut batch, mut entries) = (StorageBatch::default(), 0);
        let mut written = HashSet::new();
        while let Some(kind) = reader.byte() {
            entries += 1;
            if entries > ENTRIES {
                return Err(refused(format_args!("has more than {ENTRIES} entries")));
            }
            let key = reader.key()?;
            if kind <= 1 {
                let value = match kind {
                    0 => None,
                    _ => Some(reader.value()?),
                };
                batch.expected.push((key.digest, value));
                continue;
            }
            if !written.insert(key.digest) {
                return Err(refused("changes one key twice"));
            }
            let (value, lifetime) = match kind {
                2 => (Some(reader.value()?), None),
                3 => (Some(reader.value()?), Some(reader.milliseconds()?)),
                4 => (None, None),
                _ => {
                    return Err(refused(format_args!(
                        "has an entry of the unknown kind {kind}"
                    )));
                }
            };
            batch.writes.push(StorageWrite {
                key: key.digest,
                name: key.text,
                value,
                lifetime,
            });
        }
        Ok(Self { text, batch })
    }

    /// The number of accesses that the batch counts as: its changes, or one if it makes none.
    pub(crate) fn accesses(&self) -> u32 {
        u32::try_from(self.batch.writes.len())
            .unwrap_or(u32::MAX)
            .max(1)
    }

    /// Commits the batch. Returns `false` if a value does not meet its condition.
    ///
    /// # Errors
    /// `storage`, and the errors of the store.
    pub(crate) async fn commit(self, values: &FunctionValues<'_>) -> Result<bool, Fault> {
        match values.commit(&self.text, self.batch).await? {
            Committed::Stored => Ok(true),
            Committed::Conflict => Ok(false),
            Committed::NoRoom => Err(LimitExceeded::Storage.fault(values.limits)),
        }
    }
}

/// Adds to the number under a key, which is 0 if there is none, and returns the text of the sum; `None` if the value is
/// not a number, or the sum does not fit into 64 bits.
///
/// # Errors
/// `storage`, and the errors of the store.
pub(crate) async fn add(
    values: &FunctionValues<'_>,
    key: NamedKey,
    delta: i64,
) -> Result<Option<Bytes>, Fault> {
    let key = (key.digest, key.text);
    match values
        .add(key, delta, move |value| sum(value, delta))
        .await?
    {
        Updated::Stored(value) => Ok(Some(value.slice(1..))),
        Updated::Unchanged => Ok(None),
        Updated::NoRoom => Err(LimitExceeded::Storage.fault(values.limits)),
    }
}

/// The sum of a stored number and `delta`.
pub(crate) fn sum(value: Option<Bytes>, delta: i64) -> Option<Bytes> {
    let number: i64 = match value {
        None => 0,
        Some(value) => {
            let text = value.strip_prefix(&[THERE])?;
            std::str::from_utf8(text).ok()?.trim().parse().ok()?
        }
    };
    let sum = number.checked_add(delta)?;
    Some(with_mark(sum.to_string().as_bytes()))
}

struct Reader<'a> {
    rest: Bytes,
    limits: &'a Limits,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        self.rest.try_get_u8().ok()
    }

    fn length(&mut self) -> Result<u32, Fault> {
        self.rest.try_get_u32_le().map_err(|_| cut_off())
    }

    fn take(&mut self, length: u32) -> Result<Bytes, Fault> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        match length <= self.rest.len() {
            true => Ok(self.rest.split_to(length)),
            false => Err(cut_off()),
        }
    }

    fn key(&mut self) -> Result<NamedKey, Fault> {
        let length = self.length()?;
        check_key(length)?;
        Ok(NamedKey::new(self.take(length)?))
    }

    /// A value in its stored form.
    fn value(&mut self) -> Result<Bytes, Fault> {
        let length = self.length()?;
        check_value(length, self.limits).map_err(|limit| limit.fault(self.limits))?;
        Ok(with_mark(&self.take(length)?))
    }

    fn milliseconds(&mut self) -> Result<Duration, Fault> {
        let milliseconds = self.rest.try_get_u64_le().map_err(|_| cut_off())?;
        Ok(Duration::from_millis(milliseconds))
    }
}

fn cut_off() -> Fault {
    refused("ends within an entry")
}

fn refused(problem: impl std::fmt::Display) -> Fault {
    Fault::new(
        FaultKind::StorageBatch,
        format!("A batch of changes in the storage {problem}."),
    )
}

/// The fault of a batch that is too large to read.
pub(crate) fn too_large(length: u32) -> Fault {
    refused(format_args!("has more than {BATCH} bytes: got {length}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::Shelf;

    fn entry(kind: u8, key: &str, value: Option<&str>, milliseconds: Option<u64>) -> Vec<u8> {
        let mut entry = vec![kind];
        for text in [Some(key), value].into_iter().flatten() {
            entry.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
            entry.extend(text.as_bytes());
        }
        entry.extend(milliseconds.into_iter().flat_map(u64::to_le_bytes));
        entry
    }

    fn read(text: Vec<u8>) -> Result<EncodedBatch, String> {
        let read = EncodedBatch::read(text.into(), &Limits::default());
        read.map_err(|fault| fault.code().to_owned())
    }

    #[test]
    fn a_batch_is_entries() {
        let text = [
            entry(0, "a", None, None),
            entry(1, "b", Some("1"), None),
            entry(2, "c", Some(""), None),
            entry(3, "d", Some("x"), Some(1500)),
            entry(4, "b", None, None),
        ];
        let read = read(text.concat()).unwrap();
        assert_eq!((read.accesses(), read.batch.expected.len()), (3, 2));
        assert_eq!(read.batch.expected[1].1.as_deref(), Some(&b"\x011"[..]));
        let writes = &read.batch.writes;
        assert_eq!(writes[0].value.as_deref(), Some(&b"\x01"[..]));
        assert_eq!(writes[1].lifetime, Some(Duration::from_millis(1500)));
        assert_eq!(
            (&writes[2].name[..], writes[2].value.clone()),
            (&b"b"[..], None)
        );
    }

    #[test]
    fn what_is_not_a_batch_is_refused() {
        let twice = [entry(2, "a", Some(""), None), entry(4, "a", None, None)].concat();
        let many = entry(0, "a", None, None).repeat(101);
        for (text, code) in [
            (twice, "storage-batch"),
            (many, "storage-batch"),
            (entry(5, "a", None, None), "storage-batch"),
            (entry(255, "a", None, None), "storage-batch"),
            (vec![0], "storage-batch"),
            (vec![0, 9, 0, 0, 0, b'a'], "storage-batch"),
            (entry(2, "a", None, None), "storage-batch"),
            (entry(3, "a", Some("b"), None), "storage-batch"),
            (entry(0, "", None, None), "storage-key"),
            (entry(0, &"k".repeat(513), None, None), "storage-key"),
            (
                vec![2, 1, 0, 0, 0, b'a', 255, 255, 255, 255],
                "storage-value",
            ),
        ] {
            assert_eq!(read(text.clone()).err().as_deref(), Some(code), "{text:?}");
        }
        assert!(read(entry(0, "a", None, None).repeat(100)).is_ok());
        assert!(read(vec![]).is_ok());
    }

    #[test]
    fn a_number_is_added_to() {
        let value = |text: &str| Some(with_mark(text.as_bytes()));
        for (before, delta, after) in [
            (None, 1, value("1")),
            (value("41"), 1, value("42")),
            (value("-1"), -1, value("-2")),
            (value(" 7 "), 0, value("7")),
            (value("\"7\""), 1, None),
            (value("7.5"), 1, None),
            (value(""), 1, None),
            (value("9223372036854775807"), 1, None),
            (value("-9223372036854775808"), -1, None),
        ] {
            assert_eq!(sum(before.clone(), delta), after, "{before:?} {delta}");
        }
    }

    #[tokio::test]
    async fn a_batch_is_made_or_not() {
        let (shelf, limits) = (Shelf::default(), Limits::default());
        let values = FunctionValues {
            store: &shelf,
            function: 1,
            limits: &limits,
            tape: None,
            trace: None,
        };
        let first = [entry(0, "a", None, None), entry(2, "a", Some("1"), None)].concat();
        assert!(read(first.clone()).unwrap().commit(&values).await.unwrap());
        assert!(!read(first).unwrap().commit(&values).await.unwrap());
        let key = || NamedKey::new(Bytes::from_static(b"a"));
        assert_eq!(add(&values, key(), 41).await.unwrap().unwrap(), "42");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_safe(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..100)) {
            let _ = EncodedBatch::read(bytes.into(), &Limits::default());
        }
    }
}
