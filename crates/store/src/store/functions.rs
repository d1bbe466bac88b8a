//! Functions: created, found by number or by name, listed, changed and deleted.
//!
//! A function's identity is its number. A name is a second way to refer to it, for people and for addresses
//! (`/fn/<name>/…`, `<name>.<domain>`), and therefore a DNS label that begins with a letter: no text is both a number
//! and a name. A name never changes, because others have written it down. Unlike a number it is free again when its
//! function is deleted.

use uuid::Uuid;

use super::Store;
use crate::error::Error;
use crate::key::Key;
use crate::model::{
    Created, Function, FunctionFilter, FunctionRow, NewFunction, Summary, VersionId, check_name,
};
use crate::rows::Functions as _;

impl Store {
    /// Stores a function and its first version. When this returns `Ok`, both are on the disk.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `sha256` is not the source's, or if the name is not a lower-case letter and up to 62
    /// lower-case letters, digits and hyphens, of which a hyphen is not the last; [`Error::NameTaken`]; and
    /// [`Error::Busy`], [`Error::DiskFull`], [`Error::Unavailable`]. After any of them the function does not exist.
    pub async fn create_function(&self, new: NewFunction) -> Result<Created, Error> {
        let by = self.author();
        if let Some(name) = &new.name {
            check_name(name)?;
        }
        let admin_key = Key::random();
        let usage_key = new.private.then(Key::random);
        let function = FunctionRow {
            name: new.name,
            description: new.description,
            storage_key: Uuid::new_v4().simple().to_string(),
            usage_key: usage_key.as_ref().map(Key::hash),
            admin_key: admin_key.hash(),
        };
        let version = VersionId::now();
        let function_id = self
            .upload(version, new.version, |inner, version| async move {
                inner.rows.create_function(by, function, version).await
            })
            .await?;
        Ok(Created {
            function_id,
            version,
            number: 1,
            admin_key,
            usage_key,
        })
    }

    /// Everything that a call needs, in one query; `None` if there is no such function.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Damaged`], [`Error::Closed`], [`Error::Unavailable`].
    pub async fn function(&self, function_id: i64) -> Result<Option<Function>, Error> {
        self.rows().function(function_id).await
    }

    /// The number of the function of this name, exactly as it was given; `None` if there is none.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn named(&self, name: &str) -> Result<Option<i64>, Error> {
        self.rows().named(name).await
    }

    /// Up to `limit` functions of these with numbers greater than `after`, ascending. All pages together, each read
    /// after the last number of the one before, have every function that is there all the while.
    ///
    /// # Errors
    /// As [`Store::function`].
    pub async fn functions(
        &self,
        which: &FunctionFilter,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Summary>, Error> {
        self.rows().functions(which, after, limit).await
    }

    /// The numbers of all functions, ascending.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn list(&self) -> Result<Vec<i64>, Error> {
        self.rows().list().await
    }

    /// Deletes a function, its versions, the objects to which no other version refers, its stored values, its secrets,
    /// its recordings, its keys, its jobs, and its call log, but not its rows in [`Store::outbound`] and in
    /// [`Store::changes`]. Returns `false` if there was none.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::DiskFull`], [`Error::Closed`], [`Error::Unavailable`]; the function then still exists.
    pub async fn delete_function(&self, function_id: i64) -> Result<bool, Error> {
        let by = self.author();
        self.finish(move |inner| async move {
            let Some(sources) = inner.rows.delete_function(by, function_id).await? else { return Ok(false) };
            let _alone = inner.uploads.write().await;
            for sha256 in sources {
                // The function is deleted, whatever happens here; the next start sweeps the objects that stay behind.
                if let Err(error) = inner.remove_unused(sha256).await {
                    tracing::warn!(function_id, %error, "a deleted function's source could not be removed yet");
                }
            }
            Ok(true)
        })
        .await
    }

    /// Makes a function private under a new usage key, which replaces the one before, or public (`None`).
    ///
    /// # Errors
    /// [`Error::NotFound`], and the errors of [`Store::delete_function`].
    pub async fn set_usage_key(
        &self,
        function_id: i64,
        private: bool,
    ) -> Result<Option<Key>, Error> {
        let by = self.author();
        let key = private.then(Key::random);
        let hash = key.as_ref().map(Key::hash);
        self.finish(
            move |inner| async move { inner.rows.set_usage_key(by, function_id, hash).await },
        )
        .await?;
        Ok(key)
    }

    /// Makes another admin key for a function, and returns it: only here does it exist in the clear. The key before
    /// opens nothing from now on.
    ///
    /// # Errors
    /// The errors of [`Store::set_usage_key`].
    pub async fn rotate_admin_key(&self, function_id: i64) -> Result<Key, Error> {
        let by = self.author();
        let key = Key::random();
        let hash = key.hash();
        self.finish(
            move |inner| async move { inner.rows.set_admin_key(by, function_id, hash).await },
        )
        .await?;
        Ok(key)
    }

    /// Replaces a function's state with any text.
    ///
    /// # Errors
    /// The errors of [`Store::set_usage_key`].
    pub async fn set_state(&self, function_id: i64, state: String) -> Result<(), Error> {
        let by = self.author();
        self.finish(move |inner| async move { inner.rows.set_state(by, function_id, state).await })
            .await
    }

    /// Replaces a function's callback with JSON text that the server understands.
    ///
    /// # Errors
    /// The errors of [`Store::set_usage_key`].
    pub async fn set_callback(&self, function_id: i64, callback: String) -> Result<(), Error> {
        let by = self.author();
        self.finish(
            move |inner| async move { inner.rows.set_callback(by, function_id, callback).await },
        )
        .await
    }
}
