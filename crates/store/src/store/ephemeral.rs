//! Ephemeral texts, stored for a time under a key.
//!
//! Time is the server's clock, because a lifetime may outlast the process. A clock that is set back lengthens
//! lifetimes.

use std::time::Duration;

use super::Store;
use crate::error::Error;
use crate::model::{EphemeralPut, EphemeralShare, NewEphemeral};
use crate::rows::Ephemeral as _;

impl Store {
    /// Stores `value` under `key` for `life` (in whole milliseconds) from now, and replaces the text that was there.
    /// When this returns [`EphemeralPut::Done`], it is on the disk.
    ///
    /// `total_limit` bounds the keys and values of all rows that have not expired, in bytes, and `share` those of one
    /// owner, to whom the row belongs from now on. If it does not fit, the text that was under `key` stays.
    ///
    /// # Errors
    /// The errors of [`Store::delete_function`]; nothing was changed.
    pub async fn put_ephemeral(
        &self,
        key: String,
        value: String,
        life: Duration,
        total_limit: u64,
        share: Option<EphemeralShare>,
    ) -> Result<EphemeralPut, Error> {
        let new = NewEphemeral {
            key,
            value,
            life,
            total_limit,
            share,
        };
        self.finish(move |inner| async move { inner.rows.put_ephemeral(new).await })
            .await
    }

    /// The text under `key`, unless it expired.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn ephemeral(&self, key: &str) -> Result<Option<String>, Error> {
        self.rows().ephemeral(key).await
    }

    /// Removes the text under `key`. Returns `false` if there was none, or if it had expired.
    ///
    /// # Errors
    /// The errors of [`Store::delete_function`]; nothing was changed.
    pub async fn delete_ephemeral(&self, key: String) -> Result<bool, Error> {
        self.finish(move |inner| async move { inner.rows.delete_ephemeral(key).await })
            .await
    }
}
