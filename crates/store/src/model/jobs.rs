//! A job: a call that is run later.
//!
//! More than 400 lines: the types of jobs, in the words of both databases.

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
    /// Its place in its queue, and how it is run.
    pub terms: JobTerms,
}

/// The place of a job in its function's queue, and how it is run and answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobTerms {
    /// Jobs of a higher priority come first.
    pub priority: i32,
    /// The time before which it is not taken, in Unix milliseconds.
    pub not_before: Option<i64>,
    /// The time from which it is not taken any more, in Unix milliseconds.
    pub expires_at: Option<i64>,
    /// The most times that it is taken, counting only those that an end of its owner interrupted.
    pub most_attempts: u32,
    /// The most jobs of its function that wait.
    pub most_in_queue: u32,
    /// The URL that its outcome is sent to, and the id of the job that will send it.
    pub callback: Option<(String, Uuid)>,
    /// The key under which its caller may send it again.
    pub idempotency: Option<IdempotencyKey>,
}

impl Default for JobTerms {
    fn default() -> Self {
        Self {
            priority: 0,
            not_before: None,
            expires_at: None,
            most_attempts: 3,
            most_in_queue: u32::MAX,
            callback: None,
            idempotency: None,
        }
    }
}

/// A caller's name for a job, by which the same request is accepted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// SHA-256 of the key.
    pub key: [u8; 32],
    /// SHA-256 of what is asked under it.
    pub request: [u8; 32],
}

/// The right to change a job that was taken: the token of its last taking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The job.
    pub id: Uuid,
    /// The token, which no other taking of the job has.
    pub token: i64,
}

/// The terms on which jobs are taken.
#[derive(Debug, Clone)]
pub struct Taking {
    /// The most jobs.
    pub limit: u32,
    /// Milliseconds until the leases end.
    pub lease: i64,
    /// The most jobs of a function that run at once, unless the function declares another number.
    pub concurrency: u32,
    /// Leases that the taker has: their jobs are not abandoned, whatever the clock says.
    pub held: Vec<Lease>,
    /// The room of jobs. Those that end without being taken keep their request in half of it.
    pub room: JobRoom,
    /// The outcome of a job that was taken too often.
    pub lost: Bytes,
    /// The outcome of a job that was not taken in time.
    pub expired: Bytes,
}

/// The jobs that were taken, and what was found on the way.
#[derive(Debug, Default)]
pub struct Taken {
    /// The jobs, the first to be run first.
    pub jobs: Vec<Job>,
    /// Jobs that were leased to an owner that is gone, and are queued again.
    pub abandoned: u64,
    /// Jobs that ended without being taken: their function, and how they ended.
    pub ended: Vec<(i64, JobEnd)>,
}

/// Another attempt at a job, later.
#[derive(Debug, Clone)]
pub struct Postponed {
    /// The time before which it is not taken, in Unix milliseconds; `None` for at once.
    pub not_before: Option<i64>,
    /// The code of the fault that ended this attempt; `None` if it was not begun, and does not count.
    pub fault: Option<String>,
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
    /// Too many jobs of its function wait.
    QueueFull,
    /// The same was accepted before, under the same idempotency key: this job.
    Known(Uuid),
    /// Something else was accepted before under the same idempotency key.
    OtherRequest,
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
    /// The code of the fault if the call failed: its request is then kept, if it has room, so that the call can be made
    /// once more.
    pub fault: Option<String>,
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
    /// Jobs that wait to be taken and are due.
    pub queued: u64,
    /// Jobs that wait until they are due.
    pub delayed: u64,
    /// Jobs that were taken and have no outcome.
    pub running: u64,
    /// Bytes that all jobs keep, with those that are done.
    pub bytes: u64,
    /// The time at which the oldest job that waits was accepted, in Unix milliseconds.
    pub oldest_queued: Option<i64>,
    /// The time at which the job that has run for the longest time was taken, in Unix milliseconds.
    pub oldest_running: Option<i64>,
}

/// The end of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobEnd {
    /// Its function returned.
    Ok,
    /// Its last attempt failed.
    Failed,
    /// It was cancelled before its function ran.
    Cancelled,
    /// It waited for too long.
    Expired,
    /// Its owner ended too often while it ran.
    Lost,
}

impl JobEnd {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Ok,
        Self::Failed,
        Self::Cancelled,
        Self::Expired,
        Self::Lost,
    ];

    /// Its name, as it is stored: `ok`, `failed`, `cancelled`, `expired`, `lost`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Lost => "lost",
        }
    }

    /// The end of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|end| end.as_str() == text)
    }
}

/// The kind of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobKind {
    /// A call of a function.
    Call,
    /// The outcome of another job, to be sent.
    Callback,
}

impl JobKind {
    /// Its name, as it is stored: `call`, `callback`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Callback => "callback",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let all = [Self::Call, Self::Callback];
        all.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The jobs of a list.
#[derive(Debug, Clone, Default)]
pub struct JobQuery {
    /// Those of this function.
    pub function_id: Option<i64>,
    /// Those in this state.
    pub state: Option<JobState>,
    /// Those that ended in this way.
    pub ended: Option<JobEnd>,
    /// Those of this priority.
    pub priority: Option<i32>,
    /// Those that were accepted at this time or later, in Unix milliseconds.
    pub since: Option<i64>,
    /// Those that were accepted before this time, in Unix milliseconds.
    pub until: Option<i64>,
    /// Those that come after this one in the list: the time of its acceptance, and its id.
    pub after: Option<(i64, Uuid)>,
    /// The most jobs.
    pub limit: u32,
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

    /// The state of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
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
    /// Its kind.
    pub kind: JobKind,
    /// Jobs of a higher priority come first.
    pub priority: i32,
    /// The time before which it is not taken, in Unix milliseconds, if it is not due.
    pub not_before: Option<i64>,
    /// The time from which it is not taken any more, in Unix milliseconds.
    pub expires_at: Option<i64>,
    /// The most times that it is taken after interruptions.
    pub most_attempts: u32,
    /// The token of its last taking.
    pub token: i64,
    /// Its end; `None` if it has not, or if an earlier release ended it.
    pub ended: Option<JobEnd>,
    /// The code of the fault of its last attempt that failed.
    pub fault: Option<String>,
    /// The URL that its outcome is sent to, and the id of the job that sends it.
    pub callback: Option<(String, Option<Uuid>)>,
    /// The job whose outcome it sends.
    pub of_job: Option<Uuid>,
}

impl Job {
    /// The right to change it.
    #[must_use]
    pub fn lease(&self) -> Lease {
        Lease {
            id: self.id,
            token: self.token,
        }
    }
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
    /// The function.
    pub function_id: i64,
    /// Its kind.
    pub kind: JobKind,
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
    /// Jobs of a higher priority come first.
    pub priority: i32,
    /// The time before which it is not taken, in Unix milliseconds, if it is not due.
    pub not_before: Option<i64>,
    /// Its end; `None` if it has not, or if an earlier release ended it.
    pub ended: Option<JobEnd>,
    /// The code of the fault of its last attempt that failed.
    pub fault: Option<String>,
    /// `true` if it is done and its request is still kept.
    pub retriable: bool,
}

/// The refusal of a second job of one call.
pub(crate) fn job_exists(id: Uuid) -> Error {
    Error::Invalid {
        what: format!("call {id} has a job already"),
    }
}
