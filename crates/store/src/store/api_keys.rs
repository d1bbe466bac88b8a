//! The keys of the server's own API: who may deploy, call, read, or all of it, for one function or for all.
//!
//! They are not the two keys of a function (`key`), which the API of 2020 hands out and which are the function's own
//! columns. These are made and deleted one by one, have a label to be told apart by, and may end by themselves. As of
//! those, only the SHA-256 is stored; it is looked up by an index, which compares what nobody can choose: whoever could
//! measure how far two digests agree would learn nothing about a key that has one.
//!
//! A key begins with `iof_`, so that programs that look for keys in places where none belong find it.

use super::Store;
use crate::clock::unix_ms;
use crate::error::Error;
use crate::key::{Key, KeyHash};
use crate::model::{ApiKey, NewKey, check_key};
use crate::rows::ApiKeys as _;

impl Store {
    /// Makes a key, and returns it beside what is kept of it: the only time that it exists in the clear. When this
    /// returns `Ok`, it is on the disk.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the label is too long, if there are no scopes, if it would have ended already, or if there
    /// are [`MAX_API_KEYS`](crate::MAX_API_KEYS) that have not; [`Error::NotFound`] if there is no such function; and
    /// those of [`Store::delete_function`]. No key was made.
    pub async fn create_key(&self, new: NewKey) -> Result<(ApiKey, Key), Error> {
        let created_at = unix_ms();
        check_key(&new, created_at)?;
        let key = Key::random_of_api();
        let (stored, hash) = (new.clone(), key.hash());
        let id = self
            .finish(
                move |inner| async move { inner.rows.create_key(stored, hash, created_at).await },
            )
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

    /// The key that `candidate` is, exactly as a client sent it. `None`: it is not a key, or not any more. One query by
    /// an index, and none for what does not begin as a key does.
    ///
    /// # Errors
    /// As [`Store::function`].
    pub async fn key(&self, candidate: &str) -> Result<Option<ApiKey>, Error> {
        if !candidate.starts_with(Key::API_PREFIX) {
            return Ok(None);
        }
        self.rows().key(&KeyHash::of(candidate), unix_ms()).await
    }

    /// The key that `candidate` is or was, whether it has ended or not: for the reason of a refusal.
    ///
    /// # Errors
    /// As [`Store::function`].
    pub async fn key_ever(&self, candidate: &str) -> Result<Option<ApiKey>, Error> {
        if !candidate.starts_with(Key::API_PREFIX) {
            return Ok(None);
        }
        // Every end is after the beginning of time.
        self.rows().key(&KeyHash::of(candidate), i64::MIN).await
    }

    /// The keys that are for one function only, or all keys there are (`None`), by number. Those that have ended are
    /// among them until their place is needed.
    ///
    /// # Errors
    /// As [`Store::function`].
    pub async fn keys(&self, function_id: Option<i64>) -> Result<Vec<ApiKey>, Error> {
        self.rows().keys(function_id).await
    }

    /// Deletes a key: from now on it is none. `false`: there was none of this number.
    ///
    /// # Errors
    /// As [`Store::delete_function`]; nothing was changed.
    pub async fn delete_key(&self, id: i64) -> Result<bool, Error> {
        self.finish(move |inner| async move { inner.rows.delete_key(id).await })
            .await
    }
}
