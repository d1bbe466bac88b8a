//! A value of a function's storage.

use bytes::Bytes;

/// The key of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueKey {
    /// The key itself.
    pub digest: [u8; 32],
    /// The name whose digest it is; `None` for a key of 2020.
    pub name: Option<Bytes>,
}

impl From<[u8; 32]> for ValueKey {
    fn from(digest: [u8; 32]) -> Self {
        Self { digest, name: None }
    }
}

impl ValueKey {
    /// The bytes that it takes.
    pub(crate) fn len(&self) -> usize {
        self.digest.len() + self.name.as_ref().map_or(0, Bytes::len)
    }
}

/// A value with a name, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueHead {
    /// Its name.
    pub name: Bytes,
    /// The bytes of the value, as it is kept.
    pub size: u64,
    /// The time at which it ends, in Unix milliseconds; `None`: never.
    pub expires_at: Option<i64>,
}

/// The outcome of a save that is bounded by a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a value that does not fit was not saved"]
pub enum Saved {
    /// It is on the disk.
    Stored,
    /// The value would exceed the function's limit; nothing was changed.
    QuotaExceeded,
}

/// Changes of values that are made together, or not at all.
#[derive(Clone, Debug, Default)]
pub struct ValueBatch {
    /// The required current values; `None` requires that there is none. An empty value counts as none.
    pub expected: Vec<([u8; 32], Option<Bytes>)>,
    /// The changes, each of another key.
    pub writes: Vec<ValueWrite>,
}

/// One change of a batch.
#[derive(Clone, Debug)]
pub struct ValueWrite {
    /// Its key.
    pub key: ValueKey,
    /// The new value; `None` removes the current one.
    pub value: Option<Bytes>,
    /// The time at which the value ends, in Unix milliseconds; `None`: never.
    pub expires_at: Option<i64>,
}

/// The outcome of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a batch may not have been made"]
pub enum Committed {
    /// The batch is on the disk.
    Stored,
    /// A value is not the required one; nothing was changed.
    Conflict,
    /// The batch would exceed the function's limit; nothing was changed.
    QuotaExceeded,
}

/// A new value made from the old one; `None` leaves it unchanged. It may be called again, if its transaction fails.
pub type ValueChange = Box<dyn Fn(Option<Bytes>) -> Option<Bytes> + Send + Sync>;

/// The outcome of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an update may not have been made"]
pub enum Updated {
    /// This value is on the disk.
    Stored(Bytes),
    /// The change returned no value; nothing was changed.
    Unchanged,
    /// The new value would exceed the function's limit; nothing was changed.
    QuotaExceeded,
}
