//! Changes of several keys that are made together, or not at all.

use std::time::Duration;

use serde::Serialize;

use super::{Error, check, host, invalid};

/// Changes of several keys, and what they count on. Either all that it expects is so and all its changes are made, or none
/// is.
///
/// It has at most 100 entries and 8 MiB, and changes a key once; each change counts as an access for the limit
/// `storage_transactions`.
#[derive(Clone, Debug, Default)]
#[must_use = "a batch changes nothing until it is committed"]
pub struct Batch {
    /// Entry behind entry, as the server reads them.
    written: Vec<u8>,
}

impl Batch {
    /// A batch without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects the value under a key to be this, written as JSON as [`set`](super::set) writes it; `None`: there is none.
    ///
    /// # Errors
    /// For a key that cannot be, and a value that JSON cannot express.
    pub fn expect<T: Serialize + ?Sized>(
        self,
        key: &str,
        value: Option<&T>,
    ) -> Result<Self, Error> {
        let value = value.map(serde_json::to_vec).transpose();
        let value = value.map_err(|source| invalid(key, source))?;
        self.expect_bytes(key, value.as_deref())
    }

    /// Expects the bytes under a key to be these; `None`: there are none.
    ///
    /// # Errors
    /// For a key that cannot be.
    pub fn expect_bytes(self, key: &str, value: Option<&[u8]>) -> Result<Self, Error> {
        match value {
            None => self.entry(0, key, None),
            Some(value) => self.entry(1, key, Some(value)),
        }
    }

    /// Keeps a value under a key, as JSON.
    ///
    /// # Errors
    /// For a key that cannot be, and a value that JSON cannot express.
    pub fn set<T: Serialize + ?Sized>(self, key: &str, value: &T) -> Result<Self, Error> {
        let value = serde_json::to_vec(value).map_err(|source| invalid(key, source))?;
        self.set_bytes(key, &value)
    }

    /// Keeps bytes as they are.
    ///
    /// # Errors
    /// For a key that cannot be.
    pub fn set_bytes(self, key: &str, value: &[u8]) -> Result<Self, Error> {
        self.entry(2, key, Some(value))
    }

    /// Keeps a value for a time, as JSON.
    ///
    /// # Errors
    /// As [`set`](Self::set).
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

    /// Forgets the value under a key, if there is one.
    ///
    /// # Errors
    /// For a key that cannot be.
    pub fn remove(self, key: &str) -> Result<Self, Error> {
        self.entry(4, key, None)
    }

    /// Makes the changes; they are on the disk when this returns `true`. `false`: something is not as it was expected to
    /// be, and nothing was changed.
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
