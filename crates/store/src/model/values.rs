//! A value of a function's storage.

use bytes::Bytes;

/// The key of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueKey {
    /// The key itself.
    pub digest: [u8; 32],
    /// The name that it is the digest of; `None` for a key of 2020.
    pub name: Option<Bytes>,
}

impl From<[u8; 32]> for ValueKey {
    fn from(digest: [u8; 32]) -> Self {
        Self { digest, name: None }
    }
}

impl ValueKey {
    /// Bytes that it takes.
    pub(crate) fn len(&self) -> usize {
        self.digest.len() + self.name.as_ref().map_or(0, Bytes::len)
    }
}

/// The outcome of a save that is bounded by a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a value that does not fit was not saved"]
pub enum Saved {
    /// It is on the disk.
    Stored,
    /// It would take the function over its limit; nothing was changed.
    QuotaExceeded,
}
