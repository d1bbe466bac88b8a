//! Calls whose answer is fetched later.
//!
//! A job is accepted once it is on the disk, and is then run at least once: what was running when the process died is
//! queued again at the next start, so a job may be begun more often than it ends, and its guest has to bear that.
//! Leases with a time limit were rejected: this directory has one process, and when that is gone, so is everything that
//! it ran.
//!
//! The request of a job is dropped when the job is done: nothing needs it any more, and it may be as large as the
//! answer. A done job never changes.

use bytes::Bytes;
use uuid::Uuid;

use super::Store;
use crate::error::Error;
use crate::model::{Finished, Job, JobRoom, NewJob, Submitted};
use crate::rows::Jobs as _;

/// Done jobs that one transaction removes: each may hold an answer of megabytes, whose pages the database reads.
const EXPIRED: u32 = 32;

impl Store {
    /// Accepts a job. When this returns [`Submitted::Accepted`], it is on the disk. [`Submitted::TooMany`]:
    /// `most_waiting` jobs, of all functions, are not done.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NoVersion`]; [`Error::Invalid`] if there is a job of this call already; and those
    /// of [`Store::delete_function`]. It was not accepted.
    pub async fn submit_job(
        &self,
        new: NewJob,
        most_waiting: u32,
        room: JobRoom,
    ) -> Result<Submitted, Error> {
        self.finish(
            move |inner| async move { inner.rows.submit_job(new, most_waiting, room).await },
        )
        .await
    }

    /// Up to `limit` of the jobs that are queued, those accepted first, oldest first: from now on they are running, and
    /// are not handed out again. Await it to the end: jobs that were taken for a caller that went away are nobody's
    /// until [`Store::requeue_running`].
    ///
    /// # Errors
    /// As [`Store::delete_function`]; none was taken.
    pub async fn take_jobs(&self, limit: u32) -> Result<Vec<Job>, Error> {
        self.finish(move |inner| async move { inner.rows.take_jobs(limit).await })
            .await
    }

    /// Keeps the outcome of a job that is running, or the one in its place if it does not fit. When this returns
    /// `Ok(true)`, it is on the disk. `false`: there is no such job (any more: its function may be gone), or it is not
    /// running, and nothing was changed.
    ///
    /// # Errors
    /// As [`Store::delete_function`]; nothing was changed.
    pub async fn finish_job(
        &self,
        id: Uuid,
        finished: Finished,
        room: JobRoom,
    ) -> Result<bool, Error> {
        self.finish(move |inner| async move { inner.rows.finish_job(id, finished, room).await })
            .await
    }

    /// Queues again what is running, and says how many that are: for a start, when nothing runs yet and what the rows
    /// call running was cut off. A job that was taken `most_attempts` times is not queued again; it is done, and
    /// `outcome` is what came of it.
    ///
    /// # Errors
    /// As [`Store::delete_function`]; nothing was changed.
    pub async fn requeue_running(&self, most_attempts: u32, outcome: Bytes) -> Result<u64, Error> {
        self.finish(
            move |inner| async move { inner.rows.requeue_running(most_attempts, outcome).await },
        )
        .await
    }

    /// A job, at this moment. `None`: there is none of this call, or not any more.
    ///
    /// # Errors
    /// As [`Store::function`].
    pub async fn job(&self, id: Uuid) -> Result<Option<Job>, Error> {
        self.rows().job(id).await
    }

    /// Removes jobs that were done before this time (Unix milliseconds), and says how many those were. In transactions
    /// of a few each, so that others need not wait; what a failure leaves, the next call removes.
    ///
    /// # Errors
    /// As [`Store::delete_function`].
    pub async fn expire_jobs(&self, done_before_ms: i64) -> Result<u64, Error> {
        let mut removed = 0;
        loop {
            let rows = self
                .finish(move |inner| async move {
                    inner.rows.expire_jobs(done_before_ms, EXPIRED).await
                })
                .await?;
            removed += rows;
            if rows < u64::from(EXPIRED) {
                return Ok(removed);
            }
        }
    }
}
