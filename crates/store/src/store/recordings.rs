//! Recordings of calls, from which they can be run again.
//!
//! A recording never changes, and the first of a call stays: a server that hands over the same list again, because it
//! did not hear that it was kept, does no harm.
//!
//! The newest are kept, by three limits: so many of a function, so many bytes of all functions, and none from before a
//! time. The bytes are one limit for all, because the disk is one; so many of a function keeps a busy one from being
//! all that there is. As with what left (`sent`), one transaction removes no more than it can without making others
//! wait.

use uuid::Uuid;

use super::Store;
use crate::error::Error;
use crate::model::{Recording, RecordingHead, RecordingsKept};
use crate::rows::Recordings as _;

impl Store {
    /// Keeps recordings, in one transaction, and removes those that `keep` leaves no place for. Passed over are
    /// recordings of functions that no longer exist, of calls that are recorded already, from before `keep.from`, and
    /// those that by themselves are longer than `keep.total_bytes`. When this returns `Ok`, the rest is on the disk.
    ///
    /// One call removes at least as much as it adds, and then up to a hundred more and up to 16 MiB more. `true`: there
    /// are more to be removed, which the next call does; without recordings, it looks after age and bytes only.
    ///
    /// # Errors
    /// As [`Store::delete_function`]; nothing was kept.
    pub async fn put_recordings(
        &self,
        recordings: Vec<Recording>,
        keep: RecordingsKept,
    ) -> Result<bool, Error> {
        self.finish(move |inner| async move { inner.rows.put_recordings(recordings, keep).await })
            .await
    }

    /// The recording of a call. `None`: there is none, or not any more.
    ///
    /// # Errors
    /// As [`Store::function`].
    pub async fn recording(&self, call: Uuid) -> Result<Option<Recording>, Error> {
        self.rows().recording(call).await
    }

    /// Up to `limit` recordings of a function, the newest first. Empty if it has none, or does not exist.
    ///
    /// # Errors
    /// As [`Store::function`].
    pub async fn recordings(
        &self,
        function_id: i64,
        limit: u32,
    ) -> Result<Vec<RecordingHead>, Error> {
        self.rows().recordings(function_id, limit).await
    }
}
