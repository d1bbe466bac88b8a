//! Jobs, as rows.
//!
//! More than 400 lines: the states of a job, and each change between them.

use bytes::Bytes;
use sqlx::Row as _;
use uuid::Uuid;

use super::change::{Change, Locks};
use super::column::damaged;
use super::database::Database;
use super::driver::{SqlConnection, SqlPool, SqlRow, as_text, skip_locked, text};
use super::error::{Failure, Result};
use super::job_changes::{CancelJob, RetryJob};
use crate::clock::unix_ms;
use crate::error::Error;
use crate::model::{
    Author, CancelledJob, Finished, Job, JobFigures, JobHead, JobRoom, JobState, NewJob, NewRecord,
    RetriedJob, Submitted, job_exists,
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

    async fn take_jobs(&self, limit: u32) -> Result<Vec<Job>, Error> {
        self.write(TakeJobs { limit }).await
    }

    async fn finish_job(&self, id: Uuid, finished: Finished, room: JobRoom) -> Result<bool, Error> {
        self.write(FinishJob { id, finished, room }).await
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

    async fn requeue_running(&self, most_attempts: u32, outcome: Bytes) -> Result<u64, Error> {
        self.write(RequeueJobs {
            most_attempts,
            outcome,
        })
        .await
    }

    async fn job(&self, id: Uuid) -> Result<Option<Job>, Error> {
        Ok(get(&self.readers, id).await?)
    }

    async fn job_figures(&self) -> Result<JobFigures, Error> {
        Ok(figures(&self.readers).await?)
    }

    async fn jobs(&self, function_id: i64, limit: u32) -> Result<Vec<JobHead>, Error> {
        Ok(of_function(&self.readers, function_id, limit).await?)
    }

    async fn expire_jobs(&self, done_before_ms: i64, limit: u32) -> Result<u64, Error> {
        self.write(ExpireJobs {
            done_before_ms,
            limit,
        })
        .await
    }
}

async fn figures(readers: &SqlPool) -> Result<JobFigures> {
    let row = sqlx::query(
        "SELECT w.jobs AS waiting, w.bytes AS bytes,
                (SELECT count(*) FROM jobs WHERE state = 'running') AS running,
                (SELECT min(accepted_at) FROM jobs WHERE state = 'queued') AS oldest
           FROM jobs_waiting w",
    )
    .fetch_one(readers)
    .await?;
    let number = |column: &str| {
        let number: i64 = row.try_get(column)?;
        u64::try_from(number).map_err(|_| damaged("jobs"))
    };
    let (waiting, running) = (number("waiting")?, number("running")?);
    Ok(JobFigures {
        queued: waiting.saturating_sub(running),
        running,
        bytes: number("bytes")?,
        oldest_queued: row.try_get("oldest")?,
    })
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
        let new = &self.new;
        let (id, function_id, number) = (new.id, new.function_id, new.version);
        let there = sqlx::query(
            "SELECT EXISTS (SELECT 1 FROM versions WHERE function_id = $1 AND number = $2) AS version,
                    EXISTS (SELECT 1 FROM jobs WHERE id = $3) AS taken, w.jobs AS waiting, w.bytes AS kept,
                    coalesce((SELECT bytes FROM jobs_kept WHERE function_id = $1), 0) AS kept_of_function
               FROM functions f, jobs_waiting w WHERE f.function_id = $1",
        )
        .bind(function_id)
        .bind(number)
        .bind(&id.as_bytes()[..])
        .fetch_optional(&mut *connection)
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
            return Ok(Err(job_exists(id)));
        }
        if there.try_get::<i64, _>("waiting")? >= i64::from(self.most_waiting) {
            return Ok(Ok(Submitted::TooMany));
        }
        let size = ROW + (new.export.len() + new.request.len()) as u64;
        if let Some(of_function) = beyond(self.room, &there, size)? {
            return Ok(Ok(Submitted::NoRoom { of_function }));
        }
        sqlx::query(
            "INSERT INTO jobs (id, function_id, version, export, state, attempts, accepted_at, request, schedule, due_at)
             VALUES ($1, $2, $3, $4, 'queued', 0, $5, $6, $7, $8)",
        )
        .bind(&id.as_bytes()[..])
        .bind(function_id)
        .bind(number)
        .bind(as_text(&new.export))
        .bind(unix_ms())
        .bind(&new.request[..])
        .bind(self.of_schedule.as_ref().map(|(name, _)| name))
        .bind(self.of_schedule.as_ref().map(|(_, due_at)| due_at))
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

/// Takes jobs that are queued, oldest first.
struct TakeJobs {
    limit: u32,
}

impl Change for TakeJobs {
    type Output = Vec<Job>;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let rows = sqlx::query(concat!(
            "UPDATE jobs SET state = 'running', attempts = attempts + 1, started_at = $1
              WHERE id IN (SELECT id FROM jobs WHERE state = 'queued' ORDER BY accepted_at, id LIMIT $2", skip_locked!(), ")
             RETURNING id, function_id, version, export, state, attempts, accepted_at, started_at, finished_at, schedule, due_at, request, outcome",
        ))
        .bind(unix_ms())
        .bind(i64::from(self.limit))
        .fetch_all(connection)
        .await?;
        let mut jobs: Vec<Job> = rows.iter().map(read).collect::<Result<_, _>>()?;
        // RETURNING has no order (https://www.sqlite.org/lang_returning.html, 3).
        jobs.sort_by_key(|job| (job.accepted_at, job.id));
        Ok(jobs)
    }

    fn record(&self, _: &Self::Output) -> Option<NewRecord> {
        None
    }
}

/// Keeps the outcome of a job. Its output is `false` if the job is not running.
struct FinishJob {
    id: Uuid,
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
              WHERE j.id = $1 AND j.state = 'running'",
        )
        .bind(&self.id.as_bytes()[..])
        .fetch_optional(&mut *connection)
        .await?;
        let Some(updated) = updated else {
            return Ok(false);
        };
        let finished = &self.finished;
        let mut request: &[u8] = &[];
        if finished.failed {
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
            "UPDATE jobs SET state = 'done', finished_at = $1, outcome = $2, request = $3
              WHERE id = $4 AND state = 'running'",
        )
        .bind(unix_ms())
        .bind(&outcome[..])
        .bind(request)
        .bind(&self.id.as_bytes()[..])
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

pub(super) fn state(row: &SqlRow) -> Result<JobState> {
    JobState::parse(row.try_get("state")?).ok_or_else(|| damaged("state"))
}

/// Queues the running jobs again, or ends them if they were taken too often. Its output is the number of jobs that were
/// queued.
struct RequeueJobs {
    most_attempts: u32,
    outcome: Bytes,
}

impl Change for RequeueJobs {
    type Output = u64;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        sqlx::query(
            "UPDATE jobs SET state = 'done', finished_at = $1, outcome = $2, request = $3
              WHERE state = 'running' AND attempts >= $4",
        )
        .bind(unix_ms())
        .bind(&self.outcome[..])
        .bind(&[0_u8; 0][..])
        .bind(i64::from(self.most_attempts))
        .execute(&mut *connection)
        .await?;
        let queued = sqlx::query("UPDATE jobs SET state = 'queued' WHERE state = 'running'")
            .execute(connection)
            .await?;
        Ok(queued.rows_affected())
    }

    fn locks(&self, locks: &mut Locks) {
        locks.jobs = true;
    }

    fn record(&self, _: &Self::Output) -> Option<NewRecord> {
        None
    }
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

async fn get(readers: &SqlPool, id: Uuid) -> Result<Option<Job>> {
    let row = sqlx::query(
        "SELECT id, function_id, version, export, state, attempts, accepted_at, started_at, finished_at, schedule, due_at, request, outcome
           FROM jobs WHERE id = $1",
    )
    .bind(&id.as_bytes()[..])
    .fetch_optional(readers)
    .await?;
    row.map(|row| read(&row)).transpose()
}

async fn of_function(readers: &SqlPool, function_id: i64, limit: u32) -> Result<Vec<JobHead>> {
    let rows = sqlx::query(
        "SELECT id, version, export, state, attempts, accepted_at, finished_at, schedule, due_at,
                state = 'done' AND length(request) > 0 AS retriable
           FROM jobs WHERE function_id = $1 ORDER BY accepted_at DESC, id DESC LIMIT $2",
    )
    .bind(function_id)
    .bind(i64::from(limit))
    .fetch_all(readers)
    .await?;
    rows.iter().map(read_head).collect()
}

fn read_head(row: &SqlRow) -> Result<JobHead> {
    let attempts: i64 = row.try_get("attempts")?;
    Ok(JobHead {
        id: Uuid::from_slice(row.try_get("id")?).map_err(|_| damaged("id"))?,
        version: row.try_get("version")?,
        export: text(row, "export")?,
        state: state(row)?,
        attempts: attempts.try_into().map_err(|_| damaged("attempts"))?,
        accepted_at: row.try_get("accepted_at")?,
        finished_at: row.try_get("finished_at")?,
        schedule: row.try_get("schedule")?,
        due_at: row.try_get("due_at")?,
        retriable: row.try_get("retriable")?,
    })
}

fn read(row: &SqlRow) -> Result<Job> {
    let attempts: i64 = row.try_get("attempts")?;
    let outcome: Option<Vec<u8>> = row.try_get("outcome")?;
    Ok(Job {
        id: Uuid::from_slice(row.try_get("id")?).map_err(|_| damaged("id"))?,
        function_id: row.try_get("function_id")?,
        version: row.try_get("version")?,
        export: text(row, "export")?,
        state: JobState::parse(row.try_get("state")?).ok_or_else(|| damaged("state"))?,
        attempts: attempts.try_into().map_err(|_| damaged("attempts"))?,
        accepted_at: row.try_get("accepted_at")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
        schedule: row.try_get("schedule")?,
        due_at: row.try_get("due_at")?,
        request: row.try_get::<Vec<u8>, _>("request")?.into(),
        outcome: outcome.map(Bytes::from),
    })
}
