//! Jobs: calls whose outcome is fetched later.
//!
//! A job is accepted once it is on the disk, and is then run at least once: a job that was running when the process
//! died is queued again at the next start, so a job may be begun more often than it ends, and its guest has to tolerate
//! that. Leases with a time limit were rejected: this directory has one process, and when that is gone, so is
//! everything that it ran.
//!
//! The request of a job is dropped when the job is done and has not failed: nothing needs it any more, and it may be as
//! large as the answer. A done job never changes: the call of one that failed can be made once more, as another job.

use bytes::Bytes;
use uuid::Uuid;

use super::Store;
use crate::error::Error;
use crate::model::{
    CancelledJob, Finished, Job, JobFigures, JobHead, JobRoom, NewJob, RetriedJob, Submitted,
};
use crate::rows::Jobs as _;

/// The done jobs that one transaction removes: each may hold an answer of megabytes, whose pages the database reads.
const EXPIRED: u32 = 32;

impl Store {
    /// Accepts a job. When this returns [`Submitted::Accepted`], it is on the disk. [`Submitted::TooMany`] means that
    /// `most_waiting` jobs, of all functions, are not done.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NoVersion`]; [`Error::Invalid`] if there is a job of this call already; and the
    /// errors of [`Store::delete_function`]. The job was not accepted.
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

    /// Up to `limit` of the queued jobs, the oldest first: from now on they are running, and are not handed out again.
    /// Await it to the end: jobs that were taken for a caller that went away stay running until
    /// [`Store::requeue_running`].
    ///
    /// # Errors
    /// The errors of [`Store::delete_function`]; none was taken.
    pub async fn take_jobs(&self, limit: u32) -> Result<Vec<Job>, Error> {
        self.finish(move |inner| async move { inner.rows.take_jobs(limit).await })
            .await
    }

    /// Stores the outcome of a running job, or its replacement if it does not fit. When this returns `Ok(true)`, it is
    /// on the disk. Returns `false` if there is no such job (its function may have been deleted) or it is not running;
    /// nothing was changed.
    ///
    /// # Errors
    /// The errors of [`Store::delete_function`]; nothing was changed.
    pub async fn finish_job(
        &self,
        id: Uuid,
        finished: Finished,
        room: JobRoom,
    ) -> Result<bool, Error> {
        self.finish(move |inner| async move { inner.rows.finish_job(id, finished, room).await })
            .await
    }

    /// Ends a job that waits, with `outcome`, before its function runs. When this returns
    /// [`CancelledJob::Cancelled`], it is on the disk, and in the audit log.
    ///
    /// # Errors
    /// The errors of [`Store::delete_function`]; nothing was changed.
    pub async fn cancel_job(
        &self,
        function_id: i64,
        id: Uuid,
        outcome: Bytes,
    ) -> Result<CancelledJob, Error> {
        let by = self.author();
        self.finish(move |inner| async move {
            inner.rows.cancel_job(by, function_id, id, outcome).await
        })
        .await
    }

    /// Accepts the call of a done job once more, as the job `as_job`, which is recorded. `most_waiting` and `room` are
    /// those of [`Store::submit_job`].
    ///
    /// # Errors
    /// The errors of [`Store::submit_job`].
    pub async fn retry_job(
        &self,
        (function_id, id): (i64, Uuid),
        as_job: Uuid,
        most_waiting: u32,
        room: JobRoom,
    ) -> Result<RetriedJob, Error> {
        let by = self.author();
        self.finish(move |inner| async move {
            let job = (function_id, id);
            inner
                .rows
                .retry_job(by, job, as_job, most_waiting, room)
                .await
        })
        .await
    }

    /// Queues the running jobs again, and returns their number: for a start, when no job runs yet and those marked
    /// running were interrupted. A job that was taken `most_attempts` times is not queued again; it is done, with
    /// `outcome` as its outcome.
    ///
    /// # Errors
    /// The errors of [`Store::delete_function`]; nothing was changed.
    pub async fn requeue_running(&self, most_attempts: u32, outcome: Bytes) -> Result<u64, Error> {
        self.finish(
            move |inner| async move { inner.rows.requeue_running(most_attempts, outcome).await },
        )
        .await
    }

    /// A job, at this moment; `None` if there is none of this call, or not any more.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn job(&self, id: Uuid) -> Result<Option<Job>, Error> {
        self.rows().job(id).await
    }

    /// The numbers of jobs that wait and run, and the bytes that all of them keep.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn job_figures(&self) -> Result<JobFigures, Error> {
        self.rows().job_figures().await
    }

    /// Up to `limit` jobs of a function, without their requests and outcomes, the newest first.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn jobs(&self, function_id: i64, limit: u32) -> Result<Vec<JobHead>, Error> {
        self.rows().jobs(function_id, limit).await
    }

    /// Removes jobs that were done before this time (Unix milliseconds), and returns their number. It uses transactions
    /// of a few jobs each, so that others need not wait; jobs that a failure leaves are removed by the next call.
    ///
    /// # Errors
    /// The errors of [`Store::delete_function`].
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
