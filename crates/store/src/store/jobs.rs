//! Jobs: calls whose outcome is fetched later.
//!
//! A job is accepted once it is on the disk, and is then run at least once: its owner has a lease, and when that ends
//! without the owner, the job is queued again. So a job may be begun more often than it ends, and its guest has to tolerate
//! that. Each taking has a token of its own, which everything that the owner changes names: an owner that was taken for gone
//! changes nothing.
//!
//! Each function has a queue. Queues take turns by weight, so that a million jobs of one do not hold up the first of
//! another ([`take_jobs`](Store::take_jobs)).
//!
//! The request of a job is dropped when the job is done and has not failed: nothing needs it any more, and it may be as
//! large as the answer. A done job never changes: the call of one that failed can be made once more, as another job.

use bytes::Bytes;
use uuid::Uuid;

use super::Store;
use crate::clock::unix_ms;
use crate::error::Error;
use crate::model::{
    CancelledJob, Finished, Job, JobFigures, JobHead, JobQuery, JobRoom, Lease, NewJob, Postponed,
    RetriedJob, Submitted, Taken, Taking,
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

    /// Takes queued jobs, the first to be run first: from now on they are leased to the caller. Await it to the end: jobs that
    /// were taken for a caller that went away wait until their leases end.
    ///
    /// # Errors
    /// The errors of [`Store::delete_function`]; none was taken.
    pub async fn take_jobs(&self, taking: Taking) -> Result<Taken, Error> {
        self.finish(move |inner| async move { inner.rows.take_jobs(taking).await })
            .await
    }

    /// Renews leases for `lease` milliseconds from now, and returns those that are not the caller's any more.
    ///
    /// # Errors
    /// The errors of [`Store::delete_function`]; nothing was changed.
    pub async fn keep_leases(&self, leases: Vec<Lease>, lease: i64) -> Result<Vec<Lease>, Error> {
        self.finish(move |inner| async move { inner.rows.keep_leases(leases, lease).await })
            .await
    }

    /// Stores the outcome of a job, or its replacement if it does not fit. When this returns `Ok(true)`, it is on the disk.
    /// Returns `false` if the lease is not the job's (its function may have been deleted, or it was taken again); nothing
    /// was changed.
    ///
    /// # Errors
    /// The errors of [`Store::delete_function`]; nothing was changed.
    pub async fn finish_job(
        &self,
        lease: Lease,
        finished: Finished,
        room: JobRoom,
    ) -> Result<bool, Error> {
        self.finish(move |inner| async move { inner.rows.finish_job(lease, finished, room).await })
            .await
    }

    /// Queues a job again, for another attempt. Returns `false` if the lease is not the job's; nothing was changed.
    ///
    /// # Errors
    /// The errors of [`Store::delete_function`]; nothing was changed.
    pub async fn postpone_job(&self, lease: Lease, postponed: Postponed) -> Result<bool, Error> {
        self.finish(move |inner| async move { inner.rows.postpone_job(lease, postponed).await })
            .await
    }

    /// Queues jobs again that were taken and not begun, as if they had not been taken, and returns their number.
    ///
    /// # Errors
    /// The errors of [`Store::delete_function`]; nothing was changed.
    pub async fn return_jobs(&self, leases: Vec<Lease>) -> Result<u64, Error> {
        self.finish(move |inner| async move { inner.rows.return_jobs(leases).await })
            .await
    }

    /// The next time at which a job can be taken that cannot be now, in Unix milliseconds: it is due, its function's rate
    /// lets it begin, or its lease ends. `None` if there is none.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn next_job(&self) -> Result<Option<i64>, Error> {
        self.rows().next_job(unix_ms()).await
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

    /// Queues jobs again that no process runs: for a start, when this process runs none. A job that was taken too often
    /// is done, with `outcome` as its outcome. No job is taken.
    ///
    /// # Errors
    /// The errors of [`Store::delete_function`]; nothing was changed.
    pub async fn requeue_running(&self, outcome: Bytes, room: JobRoom) -> Result<Taken, Error> {
        self.finish(move |inner| async move { inner.rows.requeue_running(outcome, room).await })
            .await
    }

    /// The number of due jobs that are before this one in its queue, up to `most`. `None` if it is not due, or does not
    /// wait.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn job_position(&self, id: Uuid, most: u32) -> Result<Option<u32>, Error> {
        self.rows().job_position(id, most).await
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

    /// Jobs without their requests and outcomes, the newest first.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn jobs(&self, query: &JobQuery) -> Result<Vec<JobHead>, Error> {
        self.rows().jobs(query).await
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
