//! A job: a call that is run later.

use std::fmt;

use bytes::Bytes;
use uuid::Uuid;

use crate::error::Error;

/// A call to be run later.
#[derive(Clone, PartialEq, Eq)]
pub struct NewJob {
    /// The id of the call.
    pub id: Uuid,
    /// The function.
    pub function_id: i64,
    /// The number of the version that runs it, whichever is active by then.
    pub version: i64,
    /// The export that is called.
    pub export: String,
    /// The request, as the server needs it to run the call. Opaque to the store, which does not limit it.
    pub request: Bytes,
}

/// Omits the data of the function's callers.
impl fmt::Debug for NewJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewJob")
            .field("id", &self.id)
            .field("function_id", &self.function_id)
            .field("version", &self.version)
            .field("export", &self.export)
            .field("size", &self.request.len())
            .finish_non_exhaustive()
    }
}

/// The bytes that jobs may keep: their requests and outcomes, and about a kilobyte each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobRoom {
    /// The bytes of all jobs.
    pub all: u64,
    /// The bytes of one function's jobs.
    pub function: u64,
}

/// The outcome of [`Store::submit_job`](crate::Store::submit_job).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a job that does not fit was not accepted"]
pub enum Submitted {
    /// The job is on the disk.
    Accepted,
    /// Too many jobs are not done.
    TooMany,
    /// The job does not fit into the [`JobRoom`].
    NoRoom {
        /// `true` for the room of its function; `false` for the room of all.
        of_function: bool,
    },
}

/// The outcome of a job, and two replacements, at most a kilobyte each, for when it does not fit.
#[derive(Clone)]
pub struct Finished {
    /// In a form that the server understands.
    pub outcome: Bytes,
    /// `true` if the call failed: its request is then kept, if it has room, so that the call can be made once more.
    pub failed: bool,
    /// The replacement if all jobs have no room left.
    pub without_room: Bytes,
    /// The replacement if the jobs of its function have none.
    pub without_room_of_function: Bytes,
}

/// The outcome of [`Store::cancel_job`](crate::Store::cancel_job).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelledJob {
    /// It is done, and its function did not run.
    Cancelled,
    /// It runs, or is done: nothing was changed.
    Is(JobState),
    /// There is no such job.
    Unknown,
}

/// The outcome of [`Store::retry_job`](crate::Store::retry_job).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetriedJob {
    /// The same call waits as a job of its own.
    Submitted(Submitted),
    /// It waits or runs: nothing was changed.
    Is(JobState),
    /// Its request is not kept: it succeeded, or the request had no room.
    NoRequest,
    /// There is no such job.
    Unknown,
}

/// The jobs that there are at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobFigures {
    /// Jobs that wait to be taken.
    pub queued: u64,
    /// Jobs that were taken and have no outcome.
    pub running: u64,
    /// Bytes that all jobs keep, with those that are done.
    pub bytes: u64,
    /// The time at which the oldest queued job was accepted, in Unix milliseconds.
    pub oldest_queued: Option<i64>,
}

/// The state of a job.
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

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Queued, Self::Running, Self::Done]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// A call that is run later, at one moment.
#[derive(Clone, PartialEq, Eq)]
pub struct Job {
    /// The id of the call.
    pub id: Uuid,
    /// The function.
    pub function_id: i64,
    /// The number of the version that runs it.
    pub version: i64,
    /// The export that is called.
    pub export: String,
    /// Its state.
    pub state: JobState,
    /// The number of times that it was taken.
    pub attempts: u32,
    /// The time at which it was accepted, in Unix milliseconds.
    pub accepted_at: i64,
    /// The time at which it was last taken, in Unix milliseconds.
    pub started_at: Option<i64>,
    /// The time at which it was done, in Unix milliseconds.
    pub finished_at: Option<i64>,
    /// The name of the schedule that made it.
    pub schedule: Option<String>,
    /// The time that its schedule made it for, in Unix milliseconds.
    pub due_at: Option<i64>,
    /// The request, as the server needs it; empty when the job is done, unless it failed.
    pub request: Bytes,
    /// The outcome, in a form that the server understands; `None` until the job is done.
    pub outcome: Option<Bytes>,
}

/// Omits the data of the function's callers.
impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("id", &self.id)
            .field("function_id", &self.function_id)
            .field("version", &self.version)
            .field("export", &self.export)
            .field("state", &self.state)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

/// A job without its request and its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobHead {
    /// The id of the call.
    pub id: Uuid,
    /// The number of the version that runs it.
    pub version: i64,
    /// The export that is called.
    pub export: String,
    /// Its state.
    pub state: JobState,
    /// The number of times that it was taken.
    pub attempts: u32,
    /// The time at which it was accepted, in Unix milliseconds.
    pub accepted_at: i64,
    /// The time at which it was done, in Unix milliseconds.
    pub finished_at: Option<i64>,
    /// The name of the schedule that made it.
    pub schedule: Option<String>,
    /// The time that its schedule made it for, in Unix milliseconds.
    pub due_at: Option<i64>,
    /// `true` if it is done and its request is still kept.
    pub retriable: bool,
}

/// The refusal of a second job of one call.
pub(crate) fn job_exists(id: Uuid) -> Error {
    Error::Invalid {
        what: format!("call {id} has a job already"),
    }
}
