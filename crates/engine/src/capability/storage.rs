//! Values that outlive a call: a store of them, and the transactions of one call.
//!
//! A value is a stream of integers under a key of 32 bytes. A guest begins a store, hands over integers one by one, and
//! ends it; what was begun and not ended, because the guest trapped or ran out of time, was never stored. A load reads
//! the whole value at its beginning, so that its integers are of one moment. A key is looked up in the function's own
//! name space: knowing another function's key leads nowhere, where in 2020 it led to its values.
//!
//! Facts of the original: second-state/WasmEdge-storage, and the guest crate `rust_storage_interface_library`. Reading a
//! key that holds nothing, or past the end of a value, ended the call there too.

use crate::limits::{LimitExceeded, Limits};
use crate::tape::HostCallTape;
use async_trait::async_trait;
use bytes::{Buf as _, Bytes};
use iof_fault::{Fault, FaultKind};
use std::time::Duration;

/// A store of functions' values. The engine knows no database: its embedder brings one.
#[async_trait]
pub trait Storage: Send + Sync {
    /// The value that a function keeps under a key.
    ///
    /// # Errors
    /// A fault of source `host` when the store fails.
    async fn load(&self, function: i64, key: &[u8; KEY]) -> Result<Option<Bytes>, Fault>;

    /// Keeps a value under a key, which may be the digest of a name; when this returns, it is on the disk. `false`: all
    /// values of the function would take more than `total` bytes, and nothing was changed.
    ///
    /// # Errors
    /// As [`Storage::load`].
    async fn save(
        &self,
        function: i64,
        key: ([u8; KEY], Option<Bytes>),
        value: Bytes,
        total: u64,
    ) -> Result<bool, Fault>;

    /// Removes the value under a key, and all that it takes. `false`: there was none.
    ///
    /// # Errors
    /// As [`Storage::load`].
    async fn remove(&self, function: i64, key: [u8; KEY]) -> Result<bool, Fault>;

    /// Makes all changes of a batch, or none. All values of the function take at most `total` bytes behind them.
    ///
    /// # Errors
    /// As [`Storage::load`].
    async fn commit(
        &self,
        function: i64,
        batch: StorageBatch,
        total: u64,
    ) -> Result<Committed, Fault>;

    /// Replaces a value by what `change` makes of it, and lets no other change come between.
    ///
    /// # Errors
    /// As [`Storage::load`].
    async fn update(
        &self,
        function: i64,
        key: ([u8; KEY], Bytes),
        change: ValueChange,
        total: u64,
    ) -> Result<Updated, Fault>;

    /// Names of values that begin with `prefix` and come after `after`, in the order of their bytes, at most `limit`.
    ///
    /// # Errors
    /// As [`Storage::load`].
    async fn names(
        &self,
        function: i64,
        prefix: &[u8],
        after: &[u8],
        limit: u32,
    ) -> Result<Vec<Bytes>, Fault>;
}

/// Changes of values that are made together, or not at all.
#[derive(Clone, Debug, Default)]
pub struct StorageBatch {
    /// Values as they have to be; `None`: there is none.
    pub expected: Vec<([u8; KEY], Option<Bytes>)>,
    /// The changes, each of another key.
    pub writes: Vec<StorageWrite>,
}

/// One change of a batch.
#[derive(Clone, Debug)]
pub struct StorageWrite {
    /// Its key.
    pub key: [u8; KEY],
    /// The name that the key is the digest of.
    pub name: Bytes,
    /// The value to be kept; `None` removes what is there.
    pub value: Option<Bytes>,
    /// How long it is kept; `None`: until it is changed.
    pub lifetime: Option<Duration>,
}

/// The outcome of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It is on the disk.
    Stored,
    /// A value is not as it has to be; nothing was changed.
    Conflict,
    /// It does not fit; nothing was changed.
    NoRoom,
}

/// A new value made of the old one; `None` leaves it.
pub type ValueChange = Box<dyn Fn(Option<Bytes>) -> Option<Bytes> + Send + Sync>;

/// The outcome of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Updated {
    /// This value is on the disk.
    Stored(Bytes),
    /// The change made none.
    Unchanged,
    /// It does not fit; nothing was changed.
    NoRoom,
}

/// Bytes of a key: a UUID in hexadecimal digits, as `createUUID` makes them, or any others.
pub(crate) const KEY: usize = 32;

/// A key of a value.
pub(crate) type Key = [u8; KEY];

/// The values of one function as one call reaches them: in the store, or on the call's tape.
pub(crate) struct FunctionValues<'a> {
    pub(crate) store: &'a dyn Storage,
    pub(crate) function: i64,
    pub(crate) limits: &'a Limits,
    pub(crate) tape: Option<&'a HostCallTape>,
}

impl FunctionValues<'_> {
    /// The value under a key.
    ///
    /// # Errors
    /// As [`Storage::load`].
    pub(crate) async fn load(&self, key: &Key) -> Result<Option<Bytes>, Fault> {
        let value = match self.tape.and_then(|tape| tape.play_load(key)) {
            Some(played) => played,
            None => self.store.load(self.function, key).await?,
        };
        if let Some(tape) = self.tape {
            tape.note_load(key, value.as_ref());
        }
        Ok(value)
    }

    /// Keeps a value under a key, which may be the digest of a name.
    ///
    /// # Errors
    /// `storage`, and as [`Storage::save`].
    pub(crate) async fn save(
        &self,
        (key, name): (Key, Option<Bytes>),
        value: Bytes,
    ) -> Result<(), Fault> {
        let saved = match self.tape.and_then(|tape| tape.play_save(&key, &value)) {
            Some(played) => played,
            None => {
                let total = self.limits.storage.as_u64();
                let key = (key, name);
                self.store
                    .save(self.function, key, value.clone(), total)
                    .await?
            }
        };
        if let Some(tape) = self.tape {
            tape.note_save(&key, value, saved);
        }
        if saved {
            Ok(())
        } else {
            Err(LimitExceeded::Storage.fault(self.limits))
        }
    }

    /// Removes a value; on a tape that is a value without bytes.
    ///
    /// # Errors
    /// As [`Storage::remove`].
    pub(crate) async fn remove(&self, key: Key) -> Result<(), Fault> {
        let nothing = Bytes::new();
        let played = self.tape.and_then(|tape| tape.play_save(&key, &nothing));
        if played.is_none() {
            self.store.remove(self.function, key).await?;
        }
        if let Some(tape) = self.tape {
            tape.note_save(&key, nothing, true);
        }
        Ok(())
    }

    /// Makes a batch; `text` is it as the guest wrote it down, by which a tape knows it.
    ///
    /// # Errors
    /// As [`Storage::commit`].
    pub(crate) async fn commit(
        &self,
        text: &Bytes,
        batch: StorageBatch,
    ) -> Result<Committed, Fault> {
        let played = self.tape.and_then(|tape| tape.play_commit(text, &batch));
        let noted = self.tape.map(|_| batch.clone());
        let committed = match played {
            Some(true) => Committed::Stored,
            Some(false) => Committed::Conflict,
            None => {
                let total = self.limits.storage.as_u64();
                self.store.commit(self.function, batch, total).await?
            }
        };
        if let (Some(tape), Some(batch)) = (self.tape, noted) {
            tape.note_commit(text, &batch, committed == Committed::Stored);
        }
        Ok(committed)
    }

    /// Adds to a number by `change`, which makes the new value.
    ///
    /// # Errors
    /// As [`Storage::update`].
    pub(crate) async fn add(
        &self,
        (key, name): (Key, Bytes),
        delta: i64,
        change: impl Fn(Option<Bytes>) -> Option<Bytes> + Send + Sync + 'static,
    ) -> Result<Updated, Fault> {
        let played = self
            .tape
            .and_then(|tape| tape.play_add(&key, delta, &change));
        let updated = match played {
            Some(Some(value)) => Updated::Stored(value),
            Some(None) => Updated::Unchanged,
            None => {
                let total = self.limits.storage.as_u64();
                let change = Box::new(change);
                let key = (key, name);
                self.store.update(self.function, key, change, total).await?
            }
        };
        if let Some(tape) = self.tape {
            let value = match &updated {
                Updated::Stored(value) => Some(value),
                Updated::Unchanged | Updated::NoRoom => None,
            };
            tape.note_add(&key, delta, value);
        }
        Ok(updated)
    }

    /// Names of values that begin with `prefix` and come after `after`, at most `limit`.
    ///
    /// # Errors
    /// As [`Storage::names`].
    pub(crate) async fn names(
        &self,
        prefix: &Bytes,
        after: &Bytes,
        limit: u32,
    ) -> Result<Vec<Bytes>, Fault> {
        let names = match self.tape.and_then(|tape| tape.play_list(prefix, after)) {
            Some(played) => played,
            None => {
                self.store
                    .names(self.function, prefix, after, limit)
                    .await?
            }
        };
        if let Some(tape) = self.tape {
            tape.note_list(prefix, after, &names);
        }
        Ok(names)
    }
}

/// The transactions of one call.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    storing: Option<(Key, Vec<u8>)>,
    loading: Option<Bytes>,
    /// The answer that the guest has not read yet ([`super::values`]).
    unread: Option<Bytes>,
    /// Accesses that were begun.
    begun: u32,
}

impl Transactions {
    /// Counts an access to the storage, if the function was granted one.
    ///
    /// # Errors
    /// `storage-not-granted`, `storage-transactions`
    pub(crate) fn begin(&mut self, granted: bool, limits: &Limits) -> Result<(), Fault> {
        self.begin_many(granted, 1, limits)
    }

    /// Counts several accesses.
    ///
    /// # Errors
    /// Those of [`begin`](Self::begin).
    pub(crate) fn begin_many(
        &mut self,
        granted: bool,
        count: u32,
        limits: &Limits,
    ) -> Result<(), Fault> {
        if !granted {
            return Err(Fault::new(
                FaultKind::StorageNotGranted,
                "The function was not granted storage. Add `storage = true` to its function.toml.",
            ));
        }
        self.begun = self.begun.saturating_add(count);
        if self.begun > limits.storage_transactions {
            return Err(LimitExceeded::StorageTransactions.fault(limits));
        }
        Ok(())
    }

    pub(crate) fn begin_store(&mut self, key: Key) {
        self.storing = Some((key, Vec::new()));
    }

    /// Adds an integer to the value that is being stored.
    ///
    /// # Errors
    /// `storage-order`, `storage-value`
    pub(crate) fn store(&mut self, integer: &[u8], limits: &Limits) -> Result<(), Fault> {
        let Some((_, value)) = &mut self.storing else {
            return Err(out_of_order("stored an integer before it began a store"));
        };
        if (value.len() + integer.len()) as u64 > limits.storage_value.as_u64() {
            return Err(LimitExceeded::StorageValue.fault(limits));
        }
        value.extend_from_slice(integer);
        Ok(())
    }

    /// Keeps the value whose store was begun.
    ///
    /// # Errors
    /// `storage-order`, and as [`FunctionValues::save`].
    pub(crate) async fn end_store(&mut self, values: FunctionValues<'_>) -> Result<(), Fault> {
        let Some((key, value)) = self.storing.take() else {
            return Err(out_of_order("ended a store that it had not begun"));
        };
        values.save((key, None), value.into()).await
    }

    /// Reads a value, whose integers are then loaded.
    ///
    /// # Errors
    /// `storage-missing`, and as [`FunctionValues::load`].
    pub(crate) async fn begin_load(
        &mut self,
        key: Key,
        values: FunctionValues<'_>,
    ) -> Result<(), Fault> {
        let value = values.load(&key).await?.ok_or_else(|| {
            let key: String = String::from_utf8_lossy(&key).escape_debug().collect();
            Fault::new(
                FaultKind::StorageMissing,
                format!("The function loaded `{key}`, under which it has stored nothing."),
            )
        })?;
        self.loading = Some(value);
        Ok(())
    }

    /// The next integer of the value that is being loaded.
    ///
    /// # Errors
    /// `storage-order`
    pub(crate) fn load<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let Some(value) = &mut self.loading else {
            return Err(out_of_order("loaded an integer before it began a load"));
        };
        let Some(bytes) = value.first_chunk::<N>().copied() else {
            return Err(out_of_order("loaded more than it had stored"));
        };
        value.advance(N);
        Ok(bytes)
    }

    pub(crate) fn end_load(&mut self) {
        self.loading = None;
    }

    /// Keeps an answer until the guest reads it, in place of the one before.
    pub(crate) fn answer(&mut self, answer: Option<Bytes>) {
        self.unread = answer;
    }

    /// Takes the answer that the guest reads.
    ///
    /// # Errors
    /// `storage-order`
    pub(crate) fn read(&mut self) -> Result<Bytes, Fault> {
        let unread = self.unread.take();
        unread.ok_or_else(|| out_of_order("read a value that it had not got"))
    }
}

fn out_of_order(what: &str) -> Fault {
    Fault::new(FaultKind::StorageOrder, format!("The function {what}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::Shelf;
    use bytesize::ByteSize;

    const A_KEY: Key = [b'k'; KEY];

    fn limits() -> Limits {
        Limits {
            storage_transactions: 2,
            storage_value: ByteSize::b(12),
            ..Limits::default()
        }
    }

    fn code<T: std::fmt::Debug>(done: Result<T, Fault>) -> String {
        done.unwrap_err().code().to_owned()
    }

    #[test]
    fn accesses_are_granted_and_counted() {
        let (mut transactions, limits) = (Transactions::default(), limits());
        let refused = transactions.begin(false, &limits);
        assert_eq!(code(refused), "storage-not-granted");
        transactions.begin(true, &limits).unwrap();
        transactions.begin(true, &limits).unwrap();
        let refused = transactions.begin(true, &limits);
        assert_eq!(code(refused), "storage-transactions");
    }

    #[tokio::test]
    async fn a_value_is_stored_when_its_store_ends() {
        let (shelf, limits) = (Shelf::default(), limits());
        let values = || FunctionValues {
            store: &shelf,
            function: 1,
            limits: &limits,
            tape: None,
        };
        let mut transactions = Transactions::default();
        assert_eq!(code(transactions.store(&[1], &limits)), "storage-order");
        assert_eq!(
            code(transactions.end_store(values()).await),
            "storage-order"
        );
        transactions.begin_store(A_KEY);
        transactions.store(&7i32.to_le_bytes(), &limits).unwrap();
        transactions.store(&(-8i64).to_le_bytes(), &limits).unwrap();
        let refused = transactions.store(&[1], &limits);
        assert_eq!(code(refused), "storage-value");
        let missing = transactions.begin_load(A_KEY, values()).await;
        assert_eq!(code(missing), "storage-missing");
        transactions.end_store(values()).await.unwrap();

        assert_eq!(code(transactions.load::<4>()), "storage-order");
        transactions.begin_load(A_KEY, values()).await.unwrap();
        assert_eq!(transactions.load().map(i32::from_le_bytes).unwrap(), 7);
        assert_eq!(transactions.load().map(i64::from_le_bytes).unwrap(), -8);
        assert_eq!(code(transactions.load::<4>()), "storage-order");
        transactions.end_load();
        assert_eq!(code(transactions.load::<4>()), "storage-order");
    }

    #[test]
    fn an_answer_is_read_once() {
        let mut transactions = Transactions::default();
        transactions.answer(Some(Bytes::from_static(b"a")));
        assert_eq!(transactions.read().unwrap(), "a");
        assert_eq!(code(transactions.read()), "storage-order");
    }
}
