//! Changes of several keys that are made together, or not at all.

use std::time::Duration;

use serde::Serialize;

use super::{Error, check, host, invalid};

/// Changes of several keys, with conditions on current values. Either all conditions hold and all changes are made, or
/// none is.
///
/// It has at most 100 entries and 8 MiB, and changes a key once; each change counts as an access for the limit
/// `storage_transactions`.
#[derive(Clone, Debug, Default)]
#[must_use = "a batch changes nothing until it is committed"]
pub struct Batch {
    /// The entries in the form that the server reads.
    written: Vec<u8>,
}

impl Batch {
    /// A batch without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requires the value under a key to be this, written as JSON as by [`set`](super::set); `None` requires that there
    /// is none.
    ///
    /// # Errors
    /// An error for an invalid key, and for a value that JSON cannot express.
    pub fn expect<T: Serialize + ?Sized>(
        self,
        key: &str,
        value: Option<&T>,
    ) -> Result<Self, Error> {
        let value = value.map(serde_json::to_vec).transpose();
        let value = value.map_err(|source| invalid(key, source))?;
        self.expect_bytes(key, value.as_deref())
    }

    /// Requires the bytes under a key to be these; `None` requires that there are none.
    ///
    /// # Errors
    /// An error for an invalid key.
    pub fn expect_bytes(self, key: &str, value: Option<&[u8]>) -> Result<Self, Error> {
        match value {
            None => self.entry(0, key, None),
            Some(value) => self.entry(1, key, Some(value)),
        }
    }

    /// Stores a value under a key, as JSON.
    ///
    /// # Errors
    /// An error for an invalid key, and for a value that JSON cannot express.
    pub fn set<T: Serialize + ?Sized>(self, key: &str, value: &T) -> Result<Self, Error> {
        let value = serde_json::to_vec(value).map_err(|source| invalid(key, source))?;
        self.set_bytes(key, &value)
    }

    /// Stores bytes under a key, unchanged.
    ///
    /// # Errors
    /// An error for an invalid key.
    pub fn set_bytes(self, key: &str, value: &[u8]) -> Result<Self, Error> {
        self.entry(2, key, Some(value))
    }

    /// Stores a value for a time, as JSON.
    ///
    /// # Errors
    /// The errors of [`set`](Self::set).
    pub fn set_for<T: Serialize + ?Sized>(
        self,
        key: &str,
        value: &T,
        lifetime: Duration,
    ) -> Result<Self, Error> {
        let value = serde_json::to_vec(value).map_err(|source| invalid(key, source))?;
        let mut batch = self.entry(3, key, Some(&value))?;
        let milliseconds = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        batch.written.extend(milliseconds.to_le_bytes());
        Ok(batch)
    }

    /// Removes the value under a key, if there is one.
    ///
    /// # Errors
    /// An error for an invalid key.
    pub fn remove(self, key: &str) -> Result<Self, Error> {
        self.entry(4, key, None)
    }

    /// Makes the changes; they are on the disk when this returns `true`. `false` means that a condition does not hold,
    /// and nothing was changed.
    #[must_use = "a batch may not have been made"]
    pub fn commit(self) -> bool {
        host::commit(&self.written)
    }

    fn entry(mut self, kind: u8, key: &str, value: Option<&[u8]>) -> Result<Self, Error> {
        check(key)?;
        self.written.push(kind);
        for bytes in [Some(key.as_bytes()), value].into_iter().flatten() {
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            self.written.extend(length.to_le_bytes());
            self.written.extend(bytes);
        }
        Ok(self)
    }
}
