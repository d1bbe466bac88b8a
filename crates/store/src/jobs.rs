//! Calls whose answer is fetched later.
//!
//! A job is accepted once it is on the disk, and is then run at least once: what was running when the process died is
//! queued again at the next start, so a job may be begun more often than it ends, and its guest has to bear that. Leases
//! with a time limit were rejected: this directory has one process, and when that is gone, so is everything that it ran.
//!
//! What a job was asked is dropped when it is done: nothing needs it any more, and it may be as large as the answer.
//! A done job never changes.

use std::fmt;

use bytes::Bytes;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, SqlitePool};
use uuid::Uuid;

use crate::change::Change;
use crate::database::{damaged, integer};
use crate::{Error, Store, unix_ms};

/// Done jobs that one transaction removes: each may hold an answer of megabytes, whose pages SQLite reads.
const EXPIRED: i64 = 32;

/// What a row counts beside its names, request and outcome (migrations/sqlite/0006_jobs_size.sql).
const ROW: u64 = 1024;

/// A call to be run later.
#[derive(Clone, PartialEq, Eq)]
pub struct NewJob {
    /// The call.
    pub id: Uuid,
    /// The function.
    pub wasm_id: i64,
    /// The number of the version that runs it, whatever is active by then.
    pub version: i64,
    /// What of it is called.
    pub export: String,
    /// What the server needs to run it. Opaque to the store, which does not limit it.
    pub request: Bytes,
}

/// Leaves out what belongs to the function's callers.
impl fmt::Debug for NewJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewJob")
            .field("id", &self.id)
            .field("wasm_id", &self.wasm_id)
            .field("version", &self.version)
            .field("export", &self.export)
            .field("size", &self.request.len())
            .finish_non_exhaustive()
    }
}

/// How many bytes jobs may keep: their requests and outcomes, and about a kilobyte each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobRoom {
    /// All of them together.
    pub all: u64,
    /// Those of one function.
    pub function: u64,
}

/// What became of a job that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a job that does not fit was not accepted"]
pub enum Submitted {
    /// It is on the disk.
    Accepted,
    /// Too many are not done.
    TooMany,
    /// It does not fit into the [`JobRoom`].
    NoRoom {
        /// That of its function, rather than that of all.
        of_function: bool,
    },
}

/// What came of a job, and what is kept in its place, at most a kilobyte, where that does not fit.
#[derive(Clone)]
pub struct Finished {
    /// In a form that the server understands.
    pub outcome: Bytes,
    /// Where all jobs have no room left.
    pub without_room: Bytes,
    /// Where those of its function have none.
    pub without_room_of_function: Bytes,
}

/// Where a job is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// It waits to be taken, for the first time or again.
    Queued,
    /// It was taken.
    Running,
    /// It has its outcome.
    Done,
}

impl JobState {
    /// Its name, as it is stored: `queued`, `running`, `done`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Queued, Self::Running, Self::Done]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// A call that is run later, at one moment.
#[derive(Clone, PartialEq, Eq)]
pub struct Job {
    /// The call.
    pub id: Uuid,
    /// The function.
    pub wasm_id: i64,
    /// The number of the version that runs it.
    pub version: i64,
    /// What of it is called.
    pub export: String,
    /// Where it is on its way.
    pub state: JobState,
    /// How often it was taken.
    pub attempts: u32,
    /// When it was accepted, in Unix milliseconds.
    pub accepted_at: i64,
    /// When it was last taken, in Unix milliseconds.
    pub started_at: Option<i64>,
    /// When it was done, in Unix milliseconds.
    pub finished_at: Option<i64>,
    /// What the server needs to run it; empty when it is done.
    pub request: Bytes,
    /// What came of it, in a form that the server understands; `None` until it is done.
    pub outcome: Option<Bytes>,
}

/// Leaves out what belongs to the function's callers.
impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("id", &self.id)
            .field("wasm_id", &self.wasm_id)
            .field("version", &self.version)
            .field("export", &self.export)
            .field("state", &self.state)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

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
        self.write(SubmitJob {
            new,
            most_waiting,
            room,
        })
        .await?
    }

    /// Up to `limit` of the jobs that are queued, those accepted first, oldest first: from now on they are running, and
    /// are not handed out again. Await it to the end: jobs that were taken for a caller that went away are nobody's
    /// until [`Store::requeue_running`].
    ///
    /// # Errors
    /// As [`Store::delete_function`]; none was taken.
    pub async fn take_jobs(&self, limit: u32) -> Result<Vec<Job>, Error> {
        self.write(TakeJobs { limit }).await
    }

    /// Keeps what came of a job that is running, or what stands for it where that does not fit. When this returns
    /// `Ok(true)`, it is on the disk. `false`: there is no such job (any more: its function may be gone), or it is not running, and nothing was changed.
    ///
    /// # Errors
    /// As [`Store::delete_function`]; nothing was changed.
    pub async fn finish_job(
        &self,
        id: Uuid,
        finished: Finished,
        room: JobRoom,
    ) -> Result<bool, Error> {
        self.write(FinishJob { id, finished, room }).await
    }

    /// Queues again what is running, and says how many that are: for a start, when nothing runs yet and what the rows
    /// call running was cut off. A job that was taken `most_attempts` times is not queued again; it is done, and
    /// `outcome` is what came of it.
    ///
    /// # Errors
    /// As [`Store::delete_function`]; nothing was changed.
    pub async fn requeue_running(&self, most_attempts: u32, outcome: Bytes) -> Result<u64, Error> {
        self.write(RequeueJobs {
            most_attempts,
            outcome,
        })
        .await
    }

    /// A job, at this moment. `None`: there is none of this call, or not any more.
    ///
    /// # Errors
    /// As [`Store::function`].
    pub async fn job(&self, id: Uuid) -> Result<Option<Job>, Error> {
        get(self.readers(), id).await
    }

    /// Removes jobs that were done before this time (Unix milliseconds), and says how many those were. In transactions
    /// of a few each, so that others need not wait; what a failure leaves, the next call removes.
    ///
    /// # Errors
    /// As [`Store::delete_function`].
    pub async fn expire_jobs(&self, done_before_ms: i64) -> Result<u64, Error> {
        let mut removed = 0;
        loop {
            let rows = self.write(ExpireJobs { done_before_ms }).await?;
            removed += rows;
            if integer(rows) < EXPIRED {
                return Ok(removed);
            }
        }
    }
}

/// Accepts a job, if there is room for it.
struct SubmitJob {
    new: NewJob,
    most_waiting: u32,
    room: JobRoom,
}

impl Change for SubmitJob {
    type Output = Result<Submitted, Error>;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
        let new = &self.new;
        let (id, wasm_id, number) = (new.id, new.wasm_id, new.version);
        let there = sqlx::query(
            "SELECT EXISTS (SELECT 1 FROM versions WHERE function_id = $1 AND number = $2) AS version,
                    EXISTS (SELECT 1 FROM jobs WHERE id = $3) AS taken, w.jobs AS waiting, w.bytes AS kept,
                    coalesce((SELECT bytes FROM jobs_kept WHERE wasm_id = $1), 0) AS kept_of_function
               FROM functions f, jobs_waiting w WHERE f.wasm_id = $1",
        )
        .bind(wasm_id)
        .bind(number)
        .bind(&id.as_bytes()[..])
        .fetch_optional(&mut *connection)
        .await?;
        let Some(there) = there else {
            return Ok(Err(Error::NotFound { wasm_id }));
        };
        if !there.try_get::<bool, _>("version")? {
            return Ok(Err(Error::NoVersion { wasm_id, number }));
        }
        if there.try_get("taken")? {
            return Ok(Err(Error::Invalid {
                what: format!("there is a job of call {id} already"),
            }));
        }
        if there.try_get::<i64, _>("waiting")? >= i64::from(self.most_waiting) {
            return Ok(Ok(Submitted::TooMany));
        }
        let size = ROW + (new.export.len() + new.request.len()) as u64;
        if let Some(of_function) = beyond(self.room, &there, size)? {
            return Ok(Ok(Submitted::NoRoom { of_function }));
        }
        sqlx::query(
            "INSERT INTO jobs (id, wasm_id, version, export, state, attempts, accepted_at, request)
             VALUES ($1, $2, $3, $4, 'queued', 0, $5, $6)",
        )
        .bind(&id.as_bytes()[..])
        .bind(wasm_id)
        .bind(number)
        .bind(&new.export)
        .bind(unix_ms())
        .bind(&new.request[..])
        .execute(connection)
        .await?;
        Ok(Ok(Submitted::Accepted))
    }
}

/// Takes jobs that are queued, oldest first.
struct TakeJobs {
    limit: u32,
}

impl Change for TakeJobs {
    type Output = Vec<Job>;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
        let rows = sqlx::query(
            "UPDATE jobs SET state = 'running', attempts = attempts + 1, started_at = $1
              WHERE id IN (SELECT id FROM jobs WHERE state = 'queued' ORDER BY accepted_at, id LIMIT $2)
             RETURNING id, wasm_id, version, export, state, attempts, accepted_at, started_at, finished_at, request, outcome",
        )
        .bind(unix_ms())
        .bind(i64::from(self.limit))
        .fetch_all(connection)
        .await?;
        let mut jobs: Vec<Job> = rows.iter().map(read).collect::<Result<_, _>>()?;
        // RETURNING has no order (https://www.sqlite.org/lang_returning.html, 3).
        jobs.sort_by_key(|job| (job.accepted_at, job.id));
        Ok(jobs)
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

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
        // Without its own request, which goes.
        let kept = sqlx::query(
            "SELECT w.bytes - length(j.request) AS kept,
                    coalesce(k.bytes, 0) - length(j.request) AS kept_of_function
               FROM jobs j LEFT JOIN jobs_kept k ON k.wasm_id = j.wasm_id, jobs_waiting w
              WHERE j.id = $1 AND j.state = 'running'",
        )
        .bind(&self.id.as_bytes()[..])
        .fetch_optional(&mut *connection)
        .await?;
        let Some(kept) = kept else { return Ok(false) };
        let finished = &self.finished;
        let outcome = match beyond(self.room, &kept, finished.outcome.len() as u64)? {
            None => &finished.outcome,
            Some(true) => &finished.without_room_of_function,
            Some(false) => &finished.without_room,
        };
        let done = sqlx::query(
            "UPDATE jobs SET state = 'done', finished_at = $1, outcome = $2, request = $3
              WHERE id = $4 AND state = 'running'",
        )
        .bind(unix_ms())
        .bind(&outcome[..])
        .bind(&[][..])
        .bind(&self.id.as_bytes()[..])
        .execute(connection)
        .await?;
        Ok(done.rows_affected() > 0)
    }
}

/// Whether so many bytes more are beyond what may be kept, of a function (`true`) or of all.
fn beyond(room: JobRoom, kept: &SqliteRow, more: u64) -> Result<Option<bool>, Error> {
    let is_beyond = |column: &str, most: u64| {
        let kept: i64 = kept.try_get(column)?;
        let kept = u64::try_from(kept).map_err(|_| damaged("bytes"))?;
        Ok::<_, Error>(kept.saturating_add(more) > most)
    };
    Ok(match is_beyond("kept_of_function", room.function)? {
        true => Some(true),
        false => is_beyond("kept", room.all)?.then_some(false),
    })
}

/// Queues the jobs that are running, or ends them if they were taken too often. Its output is the number of those queued.
struct RequeueJobs {
    most_attempts: u32,
    outcome: Bytes,
}

impl Change for RequeueJobs {
    type Output = u64;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
        sqlx::query(
            "UPDATE jobs SET state = 'done', finished_at = $1, outcome = $2, request = $3
              WHERE state = 'running' AND attempts >= $4",
        )
        .bind(unix_ms())
        .bind(&self.outcome[..])
        .bind(&[][..])
        .bind(i64::from(self.most_attempts))
        .execute(&mut *connection)
        .await?;
        let queued = sqlx::query("UPDATE jobs SET state = 'queued' WHERE state = 'running'")
            .execute(connection)
            .await?;
        Ok(queued.rows_affected())
    }
}

/// Removes some of the jobs that were done before a time. Its output is their number.
struct ExpireJobs {
    done_before_ms: i64,
}

impl Change for ExpireJobs {
    type Output = u64;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
        let gone = sqlx::query(
            "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE finished_at < $1 LIMIT $2)",
        )
        .bind(self.done_before_ms)
        .bind(EXPIRED)
        .execute(connection)
        .await?;
        Ok(gone.rows_affected())
    }
}

async fn get(readers: &SqlitePool, id: Uuid) -> Result<Option<Job>, Error> {
    let row = sqlx::query(
        "SELECT id, wasm_id, version, export, state, attempts, accepted_at, started_at, finished_at, request, outcome
           FROM jobs WHERE id = $1",
    )
    .bind(&id.as_bytes()[..])
    .fetch_optional(readers)
    .await?;
    row.map(|row| read(&row)).transpose()
}

fn read(row: &SqliteRow) -> Result<Job, Error> {
    let attempts: i64 = row.try_get("attempts")?;
    let outcome: Option<Vec<u8>> = row.try_get("outcome")?;
    Ok(Job {
        id: Uuid::from_slice(row.try_get("id")?).map_err(|_| damaged("id"))?,
        wasm_id: row.try_get("wasm_id")?,
        version: row.try_get("version")?,
        export: row.try_get("export")?,
        state: JobState::parse(row.try_get("state")?).ok_or_else(|| damaged("state"))?,
        attempts: attempts.try_into().map_err(|_| damaged("attempts"))?,
        accepted_at: row.try_get("accepted_at")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
        request: row.try_get::<Vec<u8>, _>("request")?.into(),
        outcome: outcome.map(Bytes::from),
    })
}
