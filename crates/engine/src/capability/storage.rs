//! Values that outlive a call: a store of values, and one function's part of it.
//!
//! A key is looked up in the function's own name space: the key of another function finds nothing, while in 2020 it
//! found that function's values.

use crate::limits::{LimitExceeded, Limits};
use crate::tape::HostCallTape;
use async_trait::async_trait;
use bytes::Bytes;
use iof_fault::Fault;
use iof_trace::{CallTrace, Span, SpanId};
use std::time::{Duration, Instant, SystemTime};

/// A store of functions' values. The engine knows no database: the embedding program provides one.
#[async_trait]
pub trait Storage: Send + Sync {
    /// The value that a function keeps under a key.
    ///
    /// # Errors
    /// A fault of source `host` when the store fails.
    async fn load(&self, function: i64, key: &[u8; KEY]) -> Result<Option<Bytes>, Fault>;

    /// Stores a value under a key, which may be the digest of a name; when this returns, the value is on the disk.
    /// Returns `false`, and changes nothing, if all values of the function would take more than `total` bytes.
    ///
    /// # Errors
    /// The errors of [`Storage::load`].
    async fn save(
        &self,
        function: i64,
        key: ([u8; KEY], Option<Bytes>),
        value: Bytes,
        total: u64,
    ) -> Result<bool, Fault>;

    /// Removes the value under a key, and frees its bytes. Returns `false` if there was none.
    ///
    /// # Errors
    /// The errors of [`Storage::load`].
    async fn remove(&self, function: i64, key: [u8; KEY]) -> Result<bool, Fault>;

    /// Makes all changes of a batch, or none. After the changes, all values of the function take at most `total` bytes.
    ///
    /// # Errors
    /// The errors of [`Storage::load`].
    async fn commit(
        &self,
        function: i64,
        batch: StorageBatch,
        total: u64,
    ) -> Result<Committed, Fault>;

    /// Replaces a value by the result of `change` atomically.
    ///
    /// # Errors
    /// The errors of [`Storage::load`].
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
    /// The errors of [`Storage::load`].
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
    /// The required current values; `None` requires that the key has no value.
    pub expected: Vec<([u8; KEY], Option<Bytes>)>,
    /// The changes, each of another key.
    pub writes: Vec<StorageWrite>,
}

/// One change of a batch.
#[derive(Clone, Debug)]
pub struct StorageWrite {
    /// The key of the value.
    pub key: [u8; KEY],
    /// The name whose digest the key is.
    pub name: Bytes,
    /// The new value; `None` removes the current one.
    pub value: Option<Bytes>,
    /// The time after which the value ends; `None` keeps it until it is changed.
    pub lifetime: Option<Duration>,
}

/// The outcome of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// The batch is on the disk.
    Stored,
    /// A value is not the required one; nothing was changed.
    Conflict,
    /// The batch does not fit; nothing was changed.
    NoRoom,
}

/// A new value made from the old one; `None` leaves it unchanged.
pub type ValueChange = Box<dyn Fn(Option<Bytes>) -> Option<Bytes> + Send + Sync>;

/// The outcome of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Updated {
    /// This value is on the disk.
    Stored(Bytes),
    /// The change returned no value.
    Unchanged,
    /// The new value does not fit; nothing was changed.
    NoRoom,
}

/// Bytes of a key: a UUID in hexadecimal digits, as `createUUID` makes them, or any others.
pub(crate) const KEY: usize = 32;

/// A key of a value.
pub(crate) type Key = [u8; KEY];

/// The values of one function for one call: in the store, or on the call's tape.
pub(crate) struct FunctionValues<'a> {
    pub(crate) store: &'a dyn Storage,
    pub(crate) function: i64,
    pub(crate) limits: &'a Limits,
    pub(crate) tape: Option<&'a HostCallTape>,
    pub(crate) trace: Option<&'a CallTrace>,
}

impl FunctionValues<'_> {
    /// Waits for the store, and adds the wait to the trace of the call.
    async fn timed<T>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let Some(trace) = self.trace else {
            return work.await;
        };
        let (at, began) = (SystemTime::now(), Instant::now());
        let done = work.await;
        trace.add(Span {
            id: SpanId::random(),
            name: name.into(),
            is_client: false,
            at,
            took: began.elapsed(),
            failed: done.as_ref().err().map(|fault| fault.kind.as_str()),
            attributes: vec![],
        });
        done
    }

    /// The value under a key.
    ///
    /// # Errors
    /// The errors of [`Storage::load`].
    pub(crate) async fn load(&self, key: &Key) -> Result<Option<Bytes>, Fault> {
        let value = match self.tape.and_then(|tape| tape.play_load(key)) {
            Some(played) => played,
            None => {
                self.timed("storage load", self.store.load(self.function, key))
                    .await?
            }
        };
        if let Some(tape) = self.tape {
            tape.note_load(key, value.as_ref());
        }
        Ok(value)
    }

    /// Stores a value under a key, which may be the digest of a name.
    ///
    /// # Errors
    /// `storage`, and the errors of [`Storage::save`].
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
                let saved = self.store.save(self.function, key, value.clone(), total);
                self.timed("storage save", saved).await?
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

    /// Removes a value; a tape records the removal as a value without bytes.
    ///
    /// # Errors
    /// The errors of [`Storage::remove`].
    pub(crate) async fn remove(&self, key: Key) -> Result<(), Fault> {
        let nothing = Bytes::new();
        let played = self.tape.and_then(|tape| tape.play_save(&key, &nothing));
        if played.is_none() {
            let removed = self.store.remove(self.function, key);
            self.timed("storage remove", removed).await?;
        }
        if let Some(tape) = self.tape {
            tape.note_save(&key, nothing, true);
        }
        Ok(())
    }

    /// Commits a batch; `text` is the batch as the guest wrote it, by which a tape identifies it.
    ///
    /// # Errors
    /// The errors of [`Storage::commit`].
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
                let committed = self.store.commit(self.function, batch, total);
                self.timed("storage commit", committed).await?
            }
        };
        if let (Some(tape), Some(batch)) = (self.tape, noted) {
            tape.note_commit(text, &batch, committed == Committed::Stored);
        }
        Ok(committed)
    }

    /// Adds to a number; `change` computes the new value.
    ///
    /// # Errors
    /// The errors of [`Storage::update`].
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
                let updated = self.store.update(self.function, key, change, total);
                self.timed("storage update", updated).await?
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
    /// The errors of [`Storage::names`].
    pub(crate) async fn names(
        &self,
        prefix: &Bytes,
        after: &Bytes,
        limit: u32,
    ) -> Result<Vec<Bytes>, Fault> {
        let names = match self.tape.and_then(|tape| tape.play_list(prefix, after)) {
            Some(played) => played,
            None => {
                let names = self.store.names(self.function, prefix, after, limit);
                self.timed("storage list", names).await?
            }
        };
        if let Some(tape) = self.tape {
            tape.note_list(prefix, after, &names);
        }
        Ok(names)
    }
}
