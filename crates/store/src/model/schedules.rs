//! Schedules: the times at which a function is called by the server itself.

use bytes::Bytes;
use uuid::Uuid;

use super::jobs::{JobState, JobTerms, Submitted};

/// The progress of a schedule of the active version. Its meaning is in the version's declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Its name, unique within the function.
    pub name: String,
    /// The number of the version that declares it.
    pub version: i64,
    /// True if it makes no jobs until it is resumed.
    pub paused: bool,
    /// The newest job that it made and that is still kept.
    pub last: Option<ScheduledJob>,
}

/// A job that a schedule made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledJob {
    /// The id of the call.
    pub id: Uuid,
    /// The time that it was made for, in Unix milliseconds.
    pub due_at: i64,
    /// Its state.
    pub state: JobState,
}

/// A schedule to be looked at now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueSchedule {
    /// The function.
    pub function_id: i64,
    /// The name of the schedule.
    pub name: String,
    /// The number of the active version.
    pub version: i64,
    /// Its declaration, as JSON.
    pub declaration: Option<String>,
    /// Times until this one are settled, in Unix milliseconds.
    pub settled_at: i64,
}

/// The times of a schedule that are settled together: each with its job, or left out.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The schedule, as it was read. If it has changed since, nothing is settled.
    pub due: DueSchedule,
    /// The export that the jobs call.
    pub export: String,
    /// The request of the jobs.
    pub request: Bytes,
    /// The jobs: the id of each call, and the time that it is made for, in Unix milliseconds, ascending.
    pub jobs: Vec<(Uuid, i64)>,
    /// The place of the jobs in their queue.
    pub terms: JobTerms,
    /// Times until this one are settled by it, in Unix milliseconds.
    pub until: i64,
    /// The time at which to look at the schedule next, in Unix milliseconds; `None` if it has no further time.
    pub next: Option<i64>,
}

/// The outcome of [`Store::settle_schedule`](crate::Store::settle_schedule).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "jobs that do not fit were not accepted"]
pub struct Settled {
    /// The number of jobs that were accepted.
    pub jobs: usize,
    /// The refusal of the next job, and the time that it was to be made for. Times before that are settled, and the
    /// schedule is still due.
    pub refused: Option<(Submitted, i64)>,
}
