//! The API keys of the server: who may deploy, call, read, or all of it, for one function or for all.
//!
//! These are not the two keys of a function (`key`), which the API of 2020 hands out and which are columns of the
//! function. API keys are made and deleted one by one, have a label that identifies them, and may expire. Of both kinds
//! only the SHA-256 is stored; an index looks it up, and its comparisons leak nothing: digests cannot be chosen, so
//! measuring how far two of them agree reveals nothing about a key.
//!
//! A key begins with `iof_`, so that scanners for leaked secrets find it.

use super::Store;
use crate::clock::unix_ms;
use crate::error::Error;
use crate::key::{Key, KeyHash};
use crate::model::{ApiKey, NewKey, check_key};
use crate::rows::ApiKeys as _;

impl Store {
    /// Makes a key, and returns it beside its stored form: only here does it exist in the clear. When this returns
    /// `Ok`, it is on the disk.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the label is too long, if there are no scopes, if the key would have expired already, or
    /// if there are [`MAX_API_KEYS`](crate::MAX_API_KEYS) that have not expired; [`Error::NotFound`] if there is no
    /// such function; and the errors of [`Store::delete_function`]. No key was made.
    pub async fn create_key(&self, new: NewKey) -> Result<(ApiKey, Key), Error> {
        let by = self.author();
        let created_at = unix_ms();
        check_key(&new, created_at)?;
        let key = Key::random_of_api();
        let (stored, hash) = (new.clone(), key.hash());
        let id = self
            .finish(move |inner| async move {
                inner.rows.create_key(by, stored, hash, created_at).await
            })
            .await?;
        let made = ApiKey {
            id,
            label: new.label,
            scopes: new.scopes,
            function_id: new.function_id,
            created_at,
            expires_at: new.expires_at,
        };
        Ok((made, key))
    }

    /// The key that equals `candidate`, exactly as a client sent it; `None` if it is not a key, or not any more. One
    /// query by an index, and none for a text without the prefix of a key, or for a key that a node of a fleet has seen
    /// since the last change.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn key(&self, candidate: &str) -> Result<Option<ApiKey>, Error> {
        if !candidate.starts_with(Key::API_PREFIX) {
            return Ok(None);
        }
        let (hash, now) = (KeyHash::of(candidate), unix_ms());
        if !self.0.shared {
            return self.rows().key(&hash, now).await;
        }
        match self.0.keys.get(&hash, now) {
            Ok(key) => Ok(Some(key)),
            Err(before) => {
                let key = self.rows().key(&hash, now).await?;
                if let Some(key) = &key {
                    self.0.keys.keep(before, &hash, key);
                }
                Ok(key)
            }
        }
    }

    /// The key that equals `candidate`, whether it has expired or not: for the reason of a refusal.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn key_ever(&self, candidate: &str) -> Result<Option<ApiKey>, Error> {
        if !candidate.starts_with(Key::API_PREFIX) {
            return Ok(None);
        }
        // Every expiry is after this time.
        self.rows().key(&KeyHash::of(candidate), i64::MIN).await
    }

    /// The keys for one function only, or all keys (`None`), by number. Expired keys are included until their room is
    /// needed.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn keys(&self, function_id: Option<i64>) -> Result<Vec<ApiKey>, Error> {
        self.rows().keys(function_id).await
    }

    /// Deletes a key, which is invalid from now on. Returns `false` if there was no key of this number.
    ///
    /// # Errors
    /// The errors of [`Store::delete_function`]; nothing was changed.
    pub async fn delete_key(&self, id: i64) -> Result<bool, Error> {
        let by = self.author();
        self.finish(move |inner| async move { inner.rows.delete_key(by, id).await })
            .await
    }
}
