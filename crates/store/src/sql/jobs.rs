//! Jobs, as rows: accepted, ended and removed. How they are taken is in `job_leases`, how they are read in `job_rows`, and
//! what people change of them in `job_changes`.
//!
//! More than 400 lines: the statements of jobs, for both databases.

use bytes::Bytes;
use sqlx::Row as _;
use uuid::Uuid;

use super::change::{Change, Locks};
use super::column::{bytes, damaged};
use super::database::Database;
use super::driver::{SqlConnection, SqlRow, as_text};
use super::error::{Failure, Result};
use super::job_changes::{CancelJob, RetryJob};
use super::job_leases::{self, KeepLeases, PostponeJob, RequeueJobs, ReturnJobs, TakeJobs};
use super::job_rows;
use crate::clock::unix_ms;
use crate::error::Error;
use crate::model::{
    Author, CancelledJob, Finished, IdempotencyKey, Job, JobFigures, JobHead, JobQuery, JobRoom,
    Lease, NewJob, NewRecord, Postponed, RetriedJob, Submitted, Taken, Taking, job_exists,
};
use crate::rows::Jobs;

/// The bytes that a row counts beside its names, request and outcome (migrations/sqlite/0006_jobs_size.sql).
const ROW: u64 = 1024;

impl Jobs for Database {
    async fn submit_job(
        &self,
        new: NewJob,
        most_waiting: u32,
        room: JobRoom,
    ) -> Result<Submitted, Error> {
        self.write(SubmitJob {
            new,
            of_schedule: None,
            most_waiting,
            room,
        })
        .await?
    }

    async fn take_jobs(&self, taking: Taking) -> Result<Taken, Error> {
        self.write(TakeJobs(taking)).await
    }

    async fn keep_leases(&self, leases: Vec<Lease>, lease: i64) -> Result<Vec<Lease>, Error> {
        self.write(KeepLeases { leases, lease }).await
    }

    async fn finish_job(
        &self,
        lease: Lease,
        finished: Finished,
        room: JobRoom,
    ) -> Result<bool, Error> {
        self.write(FinishJob {
            lease,
            finished,
            room,
        })
        .await
    }

    async fn postpone_job(&self, lease: Lease, postponed: Postponed) -> Result<bool, Error> {
        self.write(PostponeJob { lease, postponed }).await
    }

    async fn return_jobs(&self, leases: Vec<Lease>) -> Result<u64, Error> {
        self.write(ReturnJobs(leases)).await
    }

    async fn next_job(&self, now: i64) -> Result<Option<i64>, Error> {
        Ok(job_leases::next(&self.readers, now).await?)
    }

    async fn cancel_job(
        &self,
        by: Author,
        function_id: i64,
        id: Uuid,
        outcome: Bytes,
    ) -> Result<CancelledJob, Error> {
        self.write(CancelJob {
            by,
            function_id,
            id,
            outcome,
        })
        .await
    }

    async fn retry_job(
        &self,
        by: Author,
        (function_id, id): (i64, Uuid),
        as_job: Uuid,
        most_waiting: u32,
        room: JobRoom,
    ) -> Result<RetriedJob, Error> {
        self.write(RetryJob {
            by,
            function_id,
            id,
            as_job,
            most_waiting,
            room,
        })
        .await?
    }

    async fn requeue_running(&self, outcome: Bytes, room: JobRoom) -> Result<Taken, Error> {
        self.write(RequeueJobs { outcome, room }).await
    }

    async fn job_position(&self, id: Uuid, most: u32) -> Result<Option<u32>, Error> {
        Ok(job_rows::position(&self.readers, id, most).await?)
    }

    async fn job(&self, id: Uuid) -> Result<Option<Job>, Error> {
        Ok(job_rows::get(&self.readers, id).await?)
    }

    async fn job_figures(&self) -> Result<JobFigures, Error> {
        Ok(job_rows::figures(&self.readers).await?)
    }

    async fn jobs(&self, query: &JobQuery) -> Result<Vec<JobHead>, Error> {
        Ok(job_rows::list(&self.readers, query).await?)
    }

    async fn expire_jobs(&self, done_before_ms: i64, limit: u32) -> Result<u64, Error> {
        self.write(ExpireJobs {
            done_before_ms,
            limit,
        })
        .await
    }
}

/// Accepts a job, if there is room for it.
pub(super) struct SubmitJob {
    pub(super) new: NewJob,
    /// The name of the schedule that makes it, and the time that it is made for.
    pub(super) of_schedule: Option<(String, i64)>,
    pub(super) most_waiting: u32,
    pub(super) room: JobRoom,
}

impl Change for SubmitJob {
    type Output = Result<Submitted, Error>;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let (new, terms) = (&self.new, &self.new.terms);
        if let Some(key) = &terms.idempotency
            && let Some(known) = known(connection, new.function_id, key).await?
        {
            return Ok(Ok(known));
        }
        let acceptance = Acceptance {
            id: new.id,
            of: (new.function_id, new.version),
            size: ROW + (new.export.len() + new.request.len()) as u64,
            most_waiting: self.most_waiting,
            most_in_queue: terms.most_in_queue,
            room: self.room,
        };
        match acceptance.check(connection).await? {
            Ok(Submitted::Accepted) => {}
            refused => return Ok(refused),
        }
        let now = unix_ms();
        let not_before = terms.not_before.filter(|&time| time > now);
        let (callback, callback_job) = terms.callback.clone().unzip();
        sqlx::query(
            "INSERT INTO jobs (id, function_id, version, export, state, attempts, accepted_at, request, schedule, due_at,
                               rank, delayed, not_before, expires_at, most_attempts, callback, callback_job,
                               idempotency_key, idempotency_body)
             VALUES ($1, $2, $3, $4, 'queued', 0, $5, $6, $7, $8, $9, CASE WHEN $10 IS NULL THEN 0 ELSE 1 END, $10, $11, $12, $13, $14, $15, $16)",
        )
        .bind(&new.id.as_bytes()[..])
        .bind(new.function_id)
        .bind(new.version)
        .bind(as_text(&new.export))
        .bind(now)
        .bind(&new.request[..])
        .bind(self.of_schedule.as_ref().map(|(name, _)| name))
        .bind(self.of_schedule.as_ref().map(|(_, due_at)| due_at))
        .bind(-i64::from(terms.priority))
        .bind(not_before)
        .bind(terms.expires_at)
        .bind(i64::from(terms.most_attempts))
        .bind(callback)
        .bind(callback_job.map(|id: Uuid| id.as_bytes().to_vec()))
        .bind(terms.idempotency.map(|of| of.key.to_vec()))
        .bind(terms.idempotency.map(|of| of.request.to_vec()))
        .execute(connection)
        .await?;
        Ok(Ok(Submitted::Accepted))
    }

    fn locks(&self, locks: &mut Locks) {
        locks.jobs = true;
    }

    fn record(&self, _: &Self::Output) -> Option<NewRecord> {
        None
    }
}

/// The job that was accepted under an idempotency key, or the refusal of another request under it.
async fn known(
    connection: &mut SqlConnection,
    function_id: i64,
    key: &IdempotencyKey,
) -> Result<Option<Submitted>> {
    let row = sqlx::query(
        "SELECT id, idempotency_body FROM jobs WHERE function_id = $1 AND idempotency_key = $2",
    )
    .bind(function_id)
    .bind(&key.key[..])
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    Ok(Some(
        match bytes(&row, "idempotency_body")? == key.request {
            true => {
                Submitted::Known(Uuid::from_slice(row.try_get("id")?).map_err(|_| damaged("id"))?)
            }
            false => Submitted::OtherRequest,
        },
    ))
}

/// A job that is to be accepted, and the limits for it.
pub(super) struct Acceptance {
    pub(super) id: Uuid,
    /// The function and the version.
    pub(super) of: (i64, i64),
    pub(super) size: u64,
    pub(super) most_waiting: u32,
    pub(super) most_in_queue: u32,
    pub(super) room: JobRoom,
}

impl Acceptance {
    /// Checks that there is room, and a version that runs it.
    pub(super) async fn check(
        &self,
        connection: &mut SqlConnection,
    ) -> Result<Result<Submitted, Error>> {
        let (function_id, number) = self.of;
        let there = sqlx::query(
            "SELECT EXISTS (SELECT 1 FROM versions WHERE function_id = $1 AND number = $2) AS version,
                    EXISTS (SELECT 1 FROM jobs WHERE id = $3) AS taken, w.jobs AS waiting, w.bytes AS kept,
                    coalesce((SELECT bytes FROM jobs_kept WHERE function_id = $1), 0) AS kept_of_function,
                    coalesce((SELECT ready + delayed FROM job_queues WHERE function_id = $1), 0) AS in_queue
               FROM functions f, jobs_waiting w WHERE f.function_id = $1",
        )
        .bind(function_id)
        .bind(number)
        .bind(&self.id.as_bytes()[..])
        .fetch_optional(connection)
        .await?;
        let Some(there) = there else {
            return Ok(Err(Error::NotFound { function_id }));
        };
        if !there.try_get::<bool, _>("version")? {
            return Ok(Err(Error::NoVersion {
                function_id,
                number,
            }));
        }
        if there.try_get("taken")? {
            return Ok(Err(job_exists(self.id)));
        }
        if there.try_get::<i64, _>("waiting")? >= i64::from(self.most_waiting) {
            return Ok(Ok(Submitted::TooMany));
        }
        if there.try_get::<i64, _>("in_queue")? >= i64::from(self.most_in_queue) {
            return Ok(Ok(Submitted::QueueFull));
        }
        Ok(Ok(match beyond(self.room, &there, self.size)? {
            Some(of_function) => Submitted::NoRoom { of_function },
            None => Submitted::Accepted,
        }))
    }
}

/// Keeps the outcome of a job. Its output is `false` if the lease is not the job's.
struct FinishJob {
    lease: Lease,
    finished: Finished,
    room: JobRoom,
}

impl Change for FinishJob {
    type Output = bool;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        // Without its own request, which is removed.
        let updated = sqlx::query(
            "SELECT w.bytes - length(j.request) AS kept, j.request,
                    coalesce(k.bytes, 0) - length(j.request) AS kept_of_function
               FROM jobs j LEFT JOIN jobs_kept k ON k.function_id = j.function_id, jobs_waiting w
              WHERE j.id = $1 AND j.state = 'running' AND j.token = $2",
        )
        .bind(&self.lease.id.as_bytes()[..])
        .bind(self.lease.token)
        .fetch_optional(&mut *connection)
        .await?;
        let Some(updated) = updated else {
            return Ok(false);
        };
        let finished = &self.finished;
        let mut request: &[u8] = &[];
        if finished.fault.is_some() {
            let kept: &[u8] = updated.try_get("request")?;
            // Half of the room stays for jobs that are not done.
            let half = JobRoom {
                all: self.room.all / 2,
                function: self.room.function / 2,
            };
            if beyond(half, &updated, (finished.outcome.len() + kept.len()) as u64)?.is_none() {
                request = kept;
            }
        }
        let outcome = match beyond(self.room, &updated, finished.outcome.len() as u64)? {
            None => &finished.outcome,
            Some(true) => &finished.without_room_of_function,
            Some(false) => &finished.without_room,
        };
        let updated = sqlx::query(
            "UPDATE jobs SET state = 'done', lease_until = NULL, finished_at = $1, outcome = $2, request = $3, fault = $4,
                    ended = CASE WHEN $4 IS NULL THEN 'ok' ELSE 'failed' END
              WHERE id = $5 AND state = 'running' AND token = $6",
        )
        .bind(unix_ms())
        .bind(&outcome[..])
        .bind(request)
        .bind(&finished.fault)
        .bind(&self.lease.id.as_bytes()[..])
        .bind(self.lease.token)
        .execute(connection)
        .await?;
        Ok(updated.rows_affected() > 0)
    }

    fn locks(&self, locks: &mut Locks) {
        locks.jobs = true;
    }

    fn record(&self, _: &Self::Output) -> Option<NewRecord> {
        None
    }
}

/// The limit that `more` bytes would exceed: that of the function (`true`) or that of all (`false`); `None` for
/// neither.
fn beyond(room: JobRoom, used: &SqlRow, more: u64) -> Result<Option<bool>> {
    let is_beyond = |column: &str, most: u64| {
        let used: i64 = used.try_get(column)?;
        let used = u64::try_from(used).map_err(|_| damaged("bytes"))?;
        Ok::<_, Failure>(used.saturating_add(more) > most)
    };
    Ok(match is_beyond("kept_of_function", room.function)? {
        true => Some(true),
        false => is_beyond("kept", room.all)?.then_some(false),
    })
}

/// Removes some of the jobs that were done before a time. Its output is their number.
struct ExpireJobs {
    done_before_ms: i64,
    limit: u32,
}

impl Change for ExpireJobs {
    type Output = u64;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let removed = sqlx::query(
            "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE finished_at < $1 LIMIT $2)",
        )
        .bind(self.done_before_ms)
        .bind(i64::from(self.limit))
        .execute(connection)
        .await?;
        Ok(removed.rows_affected())
    }

    fn locks(&self, locks: &mut Locks) {
        locks.jobs = true;
    }

    fn record(&self, _: &Self::Output) -> Option<NewRecord> {
        None
    }

    fn may_use_reserve(&self) -> bool {
        true
    }
}
