//! The versions of a function: all that there are, and how the next one is added.
//!
//! A version never changes and is deleted only with its function, so facts about one stay true: a call that began under
//! an earlier version can still be explained, and run again, from that version.

use super::Store;
use crate::error::Error;
use crate::model::{Deploy, Version};
use crate::rows::Versions as _;

impl Store {
    /// One version of a function, active or not; `None` if there is no such version, or no such function.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn version(&self, function_id: i64, number: i64) -> Result<Option<Version>, Error> {
        let mut found = self.rows().versions(function_id, number..=number).await?;
        Ok(found.pop())
    }

    /// The versions of a function, newest first, and no more than the 1000 newest. Empty if there is no such function.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn versions(&self, function_id: i64) -> Result<Vec<Version>, Error> {
        self.rows().versions(function_id, 1..=i64::MAX).await
    }

    /// Up to `limit` versions of all functions, the newest first.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn deploys(&self, limit: u32) -> Result<Vec<Deploy>, Error> {
        self.rows().deploys(limit).await
    }
}
