//! Values that outlive a call, under text keys.
//!
//! These values lie in the storage of 2020, in the function's name space there and under the same limits. That storage
//! has keys of 32 bytes: a text key becomes the SHA-256 of a prefix and the text, so that no text is the key of a 2020
//! value. Stored bytes begin with [`THERE`], so that a value of 2020 under the same digest is not mistaken for one of
//! these. A removed value takes nothing of `limits.storage`; an earlier release kept an empty value in its place, which
//! the next removal deletes.

use super::storage::{self, FunctionValues};
use crate::limits::{LimitExceeded, Limits};
use bytes::{BufMut, Bytes, BytesMut};
use iof_fault::{Fault, FaultKind};
use sha2::{Digest, Sha256};

/// The longest key, in bytes.
const LONGEST: u32 = 512;
/// The bytes before the text of a key.
const PREFIX: &[u8] = b"iof storage\0";
/// The byte before a value.
pub(super) const THERE: u8 = 1;
/// The most keys in one answer of [`list`]; fewer mean that no more follow.
const LISTED: u32 = 1000;

/// The text of a key, and the storage key that is its digest.
pub(crate) struct NamedKey {
    pub(super) text: Bytes,
    pub(super) digest: storage::Key,
}

impl NamedKey {
    pub(crate) fn new(text: Bytes) -> Self {
        let digest = Sha256::new().chain_update(PREFIX).chain_update(&text);
        Self {
            digest: digest.finalize().into(),
            text,
        }
    }
}

/// Checks the length of a key before it is read.
///
/// # Errors
/// `storage-key`
pub(crate) fn check_key(length: u32) -> Result<(), Fault> {
    match length {
        0 => Err(not_a_key(length)),
        _ => check_part(length),
    }
}

/// Checks the length of a part of a key, which may be empty, before it is read.
///
/// # Errors
/// `storage-key`
pub(crate) fn check_part(length: u32) -> Result<(), Fault> {
    if length > LONGEST {
        return Err(not_a_key(length));
    }
    Ok(())
}

/// Checks the length of a value before it is read.
///
/// # Errors
/// [`LimitExceeded::StorageValue`]
pub(crate) fn check_value(length: u32, limits: &Limits) -> Result<(), LimitExceeded> {
    if u64::from(length) > limits.storage_value.as_u64() {
        return Err(LimitExceeded::StorageValue);
    }
    Ok(())
}

/// The value under a key.
///
/// # Errors
/// The errors of [`FunctionValues::load`].
pub(crate) async fn get(
    values: &FunctionValues<'_>,
    key: &NamedKey,
) -> Result<Option<Bytes>, Fault> {
    let value = values.load(&key.digest).await?;
    Ok(value.filter(is_there).map(|value| value.slice(1..)))
}

/// Stores a value under a key.
///
/// # Errors
/// The errors of [`FunctionValues::save`].
pub(crate) async fn set(
    values: &FunctionValues<'_>,
    key: NamedKey,
    bytes: &[u8],
) -> Result<(), Fault> {
    let key = (key.digest, Some(key.text));
    values.save(key, with_mark(bytes)).await
}

/// A value in its stored form.
pub(super) fn with_mark(bytes: &[u8]) -> Bytes {
    let mut value = BytesMut::with_capacity(bytes.len() + 1);
    value.put_u8(THERE);
    value.put_slice(bytes);
    value.freeze()
}

/// Removes the value under a key; `false` if there was none.
///
/// # Errors
/// The errors of [`FunctionValues::remove`].
pub(crate) async fn remove(values: &FunctionValues<'_>, key: NamedKey) -> Result<bool, Fault> {
    let Some(value) = values.load(&key.digest).await? else {
        return Ok(false);
    };
    values.remove(key.digest).await?;
    Ok(is_there(&value))
}

/// A page of keys that begin with `prefix` and come after `after`, in byte order: for each key its length in four
/// bytes, little-endian, and the key.
///
/// # Errors
/// The errors of [`FunctionValues::names`].
pub(crate) async fn list(
    values: &FunctionValues<'_>,
    prefix: &Bytes,
    after: &Bytes,
) -> Result<Bytes, Fault> {
    let mut page = BytesMut::new();
    for name in values.names(prefix, after, LISTED).await? {
        page.put_u32_le(u32::try_from(name.len()).unwrap_or(u32::MAX));
        page.put_slice(&name);
    }
    Ok(page.freeze())
}

/// The keys that come after `after`, in byte order, and whether more may follow them.
///
/// # Errors
/// The errors of [`FunctionValues::names`].
pub(crate) async fn keys(
    values: &FunctionValues<'_>,
    after: &Bytes,
) -> Result<(Vec<Bytes>, bool), Fault> {
    let names = values.names(&Bytes::new(), after, LISTED).await?;
    let is_full = names.len() >= LISTED as usize;
    Ok((names, is_full))
}

/// The key under which the store keeps the value of a text key.
#[must_use]
pub fn stored_key(text: &Bytes) -> [u8; storage::KEY] {
    NamedKey::new(text.clone()).digest
}

/// The bytes that a function stored under a text key, of the value as the store keeps it; `None` if it is not the value of
/// a text key.
#[must_use]
pub fn stored_bytes(value: &Bytes) -> Option<Bytes> {
    is_there(value).then(|| value.slice(1..))
}

/// Returns whether stored bytes are a value of this kind.
fn is_there(value: &Bytes) -> bool {
    value.first() == Some(&THERE)
}

fn not_a_key(length: u32) -> Fault {
    Fault::new(
        FaultKind::StorageKey,
        format!("The function named a key of {length} bytes; a key has 1 to {LONGEST}."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::Shelf;

    #[tokio::test]
    async fn a_value_is_set_listed_and_removed() {
        let (shelf, limits) = (Shelf::default(), Limits::default());
        let values = FunctionValues {
            store: &shelf,
            function: 1,
            limits: &limits,
            tape: None,
            trace: None,
        };
        let key = |text: &'static str| NamedKey::new(Bytes::from_static(text.as_bytes()));
        assert_eq!(get(&values, &key("a")).await.unwrap(), None);
        set(&values, key("a"), b"").await.unwrap();
        set(&values, key("ab"), b"two").await.unwrap();
        assert_eq!(get(&values, &key("a")).await.unwrap().unwrap(), "");
        assert_eq!(get(&values, &key("ab")).await.unwrap().unwrap(), "two");
        let a = Bytes::from_static(b"a");
        let page = list(&values, &a, &a);
        assert_eq!(page.await.unwrap(), &b"\x02\0\0\0ab"[..]);
        assert!(remove(&values, key("ab")).await.unwrap());
        assert!(!remove(&values, key("ab")).await.unwrap());
    }

    #[test]
    fn lengths_are_checked() {
        for (length, key, part) in [(0, false, true), (512, true, true), (513, false, false)] {
            assert_eq!(check_key(length).is_ok(), key);
            assert_eq!(check_part(length).is_ok(), part);
        }
    }
}
