//! Recordings of calls, from which these can be run again.
//!
//! A recording never changes, and the first of a call stays: passing the same list again, because the answer was lost,
//! does no harm.
//!
//! The newest are kept, within three limits: a number for each function, bytes for all functions, and an age. The bytes
//! are one limit for all, because there is one disk; the number for each function keeps a busy one from filling it. As
//! in the outbound log, one transaction removes no more than it can without making others wait.

use uuid::Uuid;

use super::Store;
use crate::error::Error;
use crate::model::{Recording, RecordingHead, RecordingLimits};
use crate::rows::Recordings as _;

impl Store {
    /// Stores recordings, in one transaction, and removes those that exceed `keep`. It skips recordings of functions
    /// that no longer exist, of calls that are recorded already, from before `keep.from`, and those that by themselves
    /// are larger than `keep.total_bytes`. When this returns `Ok`, the rest is on the disk.
    ///
    /// One call removes at least as much as it adds, and then up to a hundred more and up to 16 MiB more. Returns
    /// `true` if there are more to be removed, which the next call does; without recordings, it checks only age and
    /// bytes.
    ///
    /// # Errors
    /// The errors of [`Store::delete_function`]; nothing was stored.
    pub async fn put_recordings(
        &self,
        recordings: Vec<Recording>,
        keep: RecordingLimits,
    ) -> Result<bool, Error> {
        self.finish(move |inner| async move { inner.rows.put_recordings(recordings, keep).await })
            .await
    }

    /// The recording of a call; `None` if there is none, or not any more.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn recording(&self, call: Uuid) -> Result<Option<Recording>, Error> {
        self.rows().recording(call).await
    }

    /// Up to `limit` recordings of a function, the newest first. Empty if it has none, or does not exist.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn recordings(
        &self,
        function_id: i64,
        limit: u32,
    ) -> Result<Vec<RecordingHead>, Error> {
        self.rows().recordings(function_id, limit).await
    }
}
