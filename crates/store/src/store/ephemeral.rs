//! Texts that anyone may keep for a while, under a key of the server's.
//!
//! Time is the server's clock, because a life may outlast the process. Set back, the clock lengthens lives.

use std::time::Duration;

use super::Store;
use crate::error::Error;
use crate::model::{EphemeralPut, EphemeralShare, NewEphemeral};
use crate::rows::Ephemeral as _;

impl Store {
    /// Keeps `value` under `key` for `life` (in whole milliseconds) from now, in place of what was there. When this
    /// returns [`EphemeralPut::Done`], it is on the disk.
    ///
    /// `total_limit` bounds the keys and values of all rows that have not expired, in bytes, and `share` those of one
    /// owner, to whom the row belongs from now on. Where it does not fit, what was there under `key` still is.
    ///
    /// # Errors
    /// As [`Store::delete_function`]; nothing was changed.
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
    /// As [`Store::function`].
    pub async fn ephemeral(&self, key: &str) -> Result<Option<String>, Error> {
        self.rows().ephemeral(key).await
    }

    /// Forgets what is kept under `key`. `false`: there was nothing, or it had expired.
    ///
    /// # Errors
    /// As [`Store::delete_function`]; nothing was changed.
    pub async fn delete_ephemeral(&self, key: String) -> Result<bool, Error> {
        self.finish(move |inner| async move { inner.rows.delete_ephemeral(key).await })
            .await
    }
}
