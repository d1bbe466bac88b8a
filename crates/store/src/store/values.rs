//! Values that the guests of a function store under keys of 32 bytes: the storage of 2020, and that of today, whose
//! keys are digests of names by which they are listed.
//!
//! A function's values are bounded together. A save that does not make the total larger is always accepted: after an
//! operator lowers the limit, a function must still be able to overwrite its values, because the guests of 2020 cannot
//! remove any. A removed value counts no more, nor does one whose lifetime is over: a later change removes its row.

use bytes::Bytes;

use super::Store;
use crate::error::Error;
use crate::model::{Committed, Saved, Updated, ValueBatch, ValueChange, ValueHead, ValueKey};
use crate::rows::Values as _;

impl Store {
    /// The value of the function under `key`; `None` if there is no such value, or no such function.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn load_value(
        &self,
        function_id: i64,
        key: &[u8; 32],
    ) -> Result<Option<Bytes>, Error> {
        self.rows().load_value(function_id, key).await
    }

    /// Stores `value` under `key`, and replaces the value there. When this returns [`Saved::Stored`], it is on the
    /// disk.
    ///
    /// `total_limit` bounds the function's keys and values together, in bytes. [`Saved::QuotaExceeded`] means that the
    /// value would exceed it, and nothing was changed. A value no longer than the one that it replaces always fits.
    ///
    /// # Errors
    /// [`Error::NotFound`], and the errors of [`Store::delete_function`]; nothing was changed.
    pub async fn save_value(
        &self,
        function_id: i64,
        key: impl Into<ValueKey>,
        value: Bytes,
        total_limit: u64,
    ) -> Result<Saved, Error> {
        let key = key.into();
        self.finish(move |inner| async move {
            inner
                .rows
                .save_value(function_id, key, value, total_limit)
                .await
        })
        .await
    }

    /// Removes the function's value under `key`, and frees its room. Returns `false` if there was none.
    ///
    /// # Errors
    /// The errors of [`Store::delete_function`]; nothing was changed.
    pub async fn remove_value(&self, function_id: i64, key: [u8; 32]) -> Result<bool, Error> {
        self.finish(move |inner| async move { inner.rows.remove_value(function_id, key).await })
            .await
    }

    /// Removes a value of a function for a person who manages the function, and records it. Returns `false` if there was
    /// none.
    ///
    /// # Errors
    /// The errors of [`Store::remove_value`].
    pub async fn delete_value(&self, function_id: i64, key: ValueKey) -> Result<bool, Error> {
        let by = self.author();
        self.finish(move |inner| async move { inner.rows.delete_value(by, function_id, key).await })
            .await
    }

    /// Makes all changes of `batch`, if the current values are the expected ones. When this returns
    /// [`Committed::Stored`], they are on the disk, all together.
    ///
    /// # Errors
    /// The errors of [`Store::save_value`].
    pub async fn commit_values(
        &self,
        function_id: i64,
        batch: ValueBatch,
        total_limit: u64,
    ) -> Result<Committed, Error> {
        self.finish(move |inner| async move {
            inner
                .rows
                .commit_values(function_id, batch, total_limit)
                .await
        })
        .await
    }

    /// Replaces the value under `key` by the result of `change`, without another change in between. Its end stays the
    /// same.
    ///
    /// # Errors
    /// The errors of [`Store::save_value`].
    pub async fn update_value(
        &self,
        function_id: i64,
        key: ValueKey,
        change: ValueChange,
        total_limit: u64,
    ) -> Result<Updated, Error> {
        self.finish(move |inner| async move {
            inner
                .rows
                .update_value(function_id, key, change, total_limit)
                .await
        })
        .await
    }

    /// The names of the function's values that begin with `prefix` and come after `after`, in byte order, at most
    /// `limit`.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn value_names(
        &self,
        function_id: i64,
        prefix: &[u8],
        after: &[u8],
        limit: u32,
    ) -> Result<Vec<Bytes>, Error> {
        self.rows()
            .value_names(function_id, prefix, after, limit)
            .await
    }

    /// The same values as [`Store::value_names`], with their sizes and ends.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn value_heads(
        &self,
        function_id: i64,
        prefix: &[u8],
        after: &[u8],
        limit: u32,
    ) -> Result<Vec<ValueHead>, Error> {
        self.rows()
            .value_heads(function_id, prefix, after, limit)
            .await
    }
}
