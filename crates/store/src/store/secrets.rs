//! The secrets of functions: set from outside, read only by calls, encrypted at rest.
//!
//! A user who sets a secret can replace it, delete it, and see its name; listing secrets never decrypts one. A value is
//! encrypted before it is queued for the writer, so neither the one task that touches the file nor the database, its
//! log, or a temporary file ever has a value in the clear.
//!
//! Keys are passed with each call rather than kept in [`Store`]: a server without keys still opens its data directory
//! and serves every function without secrets, and a new list of keys needs no restart.
//!
//! A rotation re-encrypts a row only if it is still the row that was read, which its nonce shows, so it neither stops
//! others from setting secrets nor undoes what they set. It keeps no state: the rows under an earlier key are the work
//! that is left, so a rotation that was killed is finished by starting it again. One transaction around all of it was
//! rejected, because it would keep every other write waiting.

use super::Store;
use crate::error::Error;
use crate::model::{Reseal, SealedSecret, SecretName, check_secret};
use crate::rows::Secrets as _;
use crate::secret_keys::SecretKeys;
use crate::secret_value::SecretValue;

/// Rows that a rotation re-encrypts in one transaction.
const BATCH: u32 = 64;

impl Store {
    /// Stores a secret of a function, and replaces the one of that name. When this returns `Ok`, it is on the disk,
    /// encrypted under the current key.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the name is not a capital letter and up to 63 capital letters, digits and `_`, if the
    /// value is empty or longer than [`MAX_SECRET_VALUE`](crate::MAX_SECRET_VALUE), or if the function has
    /// [`MAX_SECRETS`](crate::MAX_SECRETS) others; [`Error::NotFound`]; and the errors of [`Store::delete_function`].
    /// Nothing was changed.
    pub async fn set_secret(
        &self,
        keys: &SecretKeys,
        function_id: i64,
        name: String,
        value: SecretValue,
    ) -> Result<(), Error> {
        let by = self.author();
        check_secret(&name, &value)?;
        let sealed = SealedSecret::seal(keys, function_id, name, &value)?;
        drop(value);
        self.finish(move |inner| async move { inner.rows.set_secret(by, sealed).await })
            .await
    }

    /// All secrets of a function in the clear, by name: for its calls. Empty if it has none, or does not exist.
    ///
    /// # Errors
    /// [`Error::MissingKey`], [`Error::Damaged`] if a row was changed from outside, and the errors of
    /// [`Store::function`]. One secret that cannot be read fails them all: a call without it would behave differently.
    pub async fn secrets(
        &self,
        keys: &SecretKeys,
        function_id: i64,
    ) -> Result<Vec<(String, SecretValue)>, Error> {
        self.rows()
            .secrets(function_id)
            .await?
            .into_iter()
            .map(|row| Ok((row.name.clone(), row.open(keys)?)))
            .collect()
    }

    /// The names of a function's secrets, in their order; never the values. Needs no key.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn secret_names(&self, function_id: i64) -> Result<Vec<SecretName>, Error> {
        self.rows().secret_names(function_id).await
    }

    /// The id of a key under which some secret is encrypted; `None` if there are no secrets. Needs no key.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn secret_key_in_use(&self) -> Result<Option<String>, Error> {
        self.rows().secret_key_in_use().await
    }

    /// Deletes a secret. Returns `false` if there was none.
    ///
    /// # Errors
    /// The errors of [`Store::delete_function`]; nothing was changed.
    pub async fn delete_secret(&self, function_id: i64, name: String) -> Result<bool, Error> {
        let by = self.author();
        self.finish(
            move |inner| async move { inner.rows.delete_secret(by, function_id, name).await },
        )
        .await
    }

    /// Re-encrypts every secret that is under an earlier key, under the current one, and returns their number. May be
    /// killed, or fail, at any moment: no secret is lost, and the next rotation does the rest. When this returns `Ok`,
    /// no secret that was stored before it began needs an earlier key.
    ///
    /// # Errors
    /// [`Error::MissingKey`] and [`Error::Damaged`] for the first secret that cannot be read, after all others were
    /// rotated; and the errors of [`Store::delete_function`].
    pub async fn rotate_secrets(&self, keys: &SecretKeys) -> Result<u64, Error> {
        let mut rotated = 0;
        let mut unreadable = None;
        let mut after = (i64::MIN, String::new());
        loop {
            let rows = self
                .rows()
                .stale_secrets(keys.current_id(), &after, BATCH)
                .await?;
            let Some(last) = rows.last() else { break };
            after = (last.function_id, last.name.clone());
            let mut batch = Vec::with_capacity(rows.len());
            for row in rows {
                match row.open(keys) {
                    Ok(value) => batch.push(Reseal {
                        read: row.sealed.nonce,
                        secret: SealedSecret::seal(keys, row.function_id, row.name, &value)?,
                    }),
                    // A damaged row of one function must not keep the old key in use for all others.
                    Err(error) => drop(unreadable.get_or_insert(error)),
                }
            }
            rotated += self
                .finish(move |inner| async move { inner.rows.reseal_secrets(batch).await })
                .await?;
        }
        unreadable.map_or(Ok(rotated), Err)
    }
}
