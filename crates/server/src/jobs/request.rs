//! The stored form of a call that runs later, and of its outcome; and its acceptance.

use crate::app::App;
use crate::calls::PreparedCall;
use crate::grants::JobGrants;
use crate::parsing::blocking;
use crate::recording::RecordedArg;
use crate::reply;
use crate::time::unix_ms_now;
use bytes::Bytes;
use iof_engine::{Arg, Blob};
use iof_fault::{Fault, FaultKind};
use iof_store::{JobRoom, JobTerms, NewJob, RetriedJob, Store, Submitted};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The arguments of a job, as they are stored.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum JobRequest {
    Args(Vec<RecordedArg>),
    /// Arguments with the types that the caller stated.
    Stated {
        args: Vec<RecordedArg>,
        signature: String,
    },
    /// The body of a schedule's call, as JSON. It becomes arguments when the job runs.
    Body {
        body: String,
    },
}

impl JobRequest {
    /// Bytes of the arguments.
    fn size(&self) -> usize {
        match self {
            Self::Args(args) | Self::Stated { args, .. } => {
                args.iter().map(RecordedArg::size).sum()
            }
            Self::Body { body } => body.len(),
        }
    }

    /// The request of a schedule's call; `body` is JSON, or empty for none.
    pub(crate) fn of_schedule(body: String) -> Self {
        Self::Body { body }
    }

    pub(crate) fn of(args: &[Arg], stated: Option<&str>) -> Self {
        let args = args.iter().map(RecordedArg::of).collect();
        match stated {
            None => Self::Args(args),
            Some(signature) => Self::Stated {
                args,
                signature: signature.to_owned(),
            },
        }
    }
}

/// The outcome of a job, as it is stored.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct JobOutcome {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fault: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// The end of its stderr.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) printed: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) exit_status: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stdout: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<Blob>,
}

/// Accepts a call to be run later. It waits in the store until a [`JobWorker`](super::JobWorker) takes it. Returns its id,
/// and `true` if it was accepted before, under the same idempotency key.
///
/// # Errors
/// `jobs` when too many wait, `jobs-queue` when too many of the function do; `jobs-size` and `jobs-function-size` when jobs
/// take too many bytes; `idempotency-key`.
pub(crate) async fn submit(
    app: &App,
    prepared: &PreparedCall,
    export: &str,
    request: JobRequest,
    terms: JobTerms,
) -> Result<(Uuid, bool), Fault> {
    let id = prepared.context.call;
    let room = room(app);
    if request.size() as u64 > room.function {
        return Err(no_room(app, true));
    }
    let request = blocking(move || serde_json::to_vec(&request)).await?;
    let request = request.map_err(|error| Fault::host("The job could not be written.", error))?;
    let (most, most_in_queue) = (app.settings.jobs, terms.most_in_queue);
    let job = NewJob {
        id,
        function_id: prepared.function.id,
        version: prepared.function.version,
        export: export.to_owned(),
        request: request.into(),
        terms,
    };
    match app.store.submit_job(job, most, room).await? {
        Submitted::Known(known) => Ok((known, true)),
        submitted => Ok((accepted(app, id, submitted, most_in_queue)?, false)),
    }
}

/// The most jobs of a function that wait.
pub(crate) fn most_in_queue(app: &App, granted: &JobGrants) -> u32 {
    let declared = granted.length.map(|length| length.min(app.settings.jobs));
    declared.unwrap_or(match app.jobs.length {
        0 => app.settings.jobs - app.settings.jobs / 5,
        length => length,
    })
}

/// The terms of the jobs of schedules: a time that comes is not refused because many others wait.
pub(crate) fn scheduled_terms(app: &App) -> JobTerms {
    JobTerms {
        expires_at: Some(expiry(app)),
        most_attempts: app.jobs.attempts,
        ..JobTerms::default()
    }
}

/// The time by which a job that is accepted now has to begin, unless its version declares another.
fn expiry(app: &App) -> i64 {
    let ttl = i64::try_from(app.jobs.ttl.as_millis()).unwrap_or(i64::MAX);
    unix_ms_now().saturating_add(ttl)
}

/// Accepts the call of a job that failed once more, as a job of its own, whose id is returned; or says why it cannot.
///
/// # Errors
/// `jobs`, `jobs-size`, `jobs-function-size`, and those of the store.
pub(crate) async fn retry(
    app: &App,
    by: &Store,
    function_id: i64,
    id: Uuid,
) -> Result<Result<Uuid, RetriedJob>, Fault> {
    let as_job = reply::new_id();
    let most = app.settings.jobs;
    let retried = by.retry_job((function_id, id), as_job, most, room(app));
    match retried.await? {
        RetriedJob::Submitted(submitted) => accepted(app, as_job, submitted, u32::MAX).map(Ok),
        other => Ok(Err(other)),
    }
}

fn accepted(app: &App, id: Uuid, submitted: Submitted, most_in_queue: u32) -> Result<Uuid, Fault> {
    match refusal(app, submitted, most_in_queue) {
        None => {
            app.job_accepted.notify_one();
            Ok(id)
        }
        Some(fault) => Err(fault),
    }
}

/// The fault of a job that was not accepted.
pub(crate) fn refusal(app: &App, submitted: Submitted, most_in_queue: u32) -> Option<Fault> {
    match submitted {
        Submitted::Accepted | Submitted::Known(_) => None,
        Submitted::QueueFull => Some(Fault::new(
            FaultKind::JobsQueue,
            format!(
                "{most_in_queue} jobs of this function wait (jobs.length, or length in the table jobs of its function.toml). Try again soon."
            ),
        )),
        Submitted::OtherRequest => Some(Fault::new(
            FaultKind::IdempotencyKey,
            "Another request was accepted under this Idempotency-Key. Send a new key with a new request, or the same request again.",
        )),
        Submitted::TooMany => Some(Fault::new(
            FaultKind::Jobs,
            format!(
                "{} jobs are not done (server.jobs). Try again soon.",
                app.settings.jobs
            ),
        )),
        Submitted::NoRoom { of_function } => Some(no_room(app, of_function)),
    }
}

/// The bytes that jobs may take in the store.
pub(crate) fn room(app: &App) -> JobRoom {
    JobRoom {
        all: app.settings.jobs_size.as_u64(),
        function: app.settings.jobs_function_size.as_u64(),
    }
}

pub(super) fn no_room(app: &App, of_function: bool) -> Fault {
    let (kind, whose, setting, size) = match of_function {
        true => (
            FaultKind::JobsFunctionSize,
            "the jobs of this function",
            "server.jobs_function_size",
            app.settings.jobs_function_size,
        ),
        false => (
            FaultKind::JobsSize,
            "all jobs",
            "server.jobs_size",
            app.settings.jobs_size,
        ),
    };
    let kept = humantime_serde::re::humantime::format_duration(app.settings.job_time);
    Fault::new(
        kind,
        format!(
            "Requests and outcomes of {whose} would take more than {setting} = {size}. Outcomes are removed after server.job_time = {kept}; call without Prefer: respond-async until then."
        ),
    )
}

impl JobOutcome {
    pub(super) fn failed(fault: &Fault) -> Self {
        let ending = fault.ending.as_ref();
        Self {
            fault: Some(fault.code().to_owned()),
            error: Some(fault.message.clone()),
            printed: fault.printed().map(str::to_owned),
            exit_status: ending.and_then(|ending| ending.exit_status),
            stdout: ending.and_then(|ending| ending.stdout.clone()),
            ..Self::default()
        }
    }

    pub(super) fn written(&self) -> Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

/// The outcome of a job that was cancelled.
pub(crate) fn cancelled() -> Bytes {
    let message =
        "The job was cancelled before its function ran. Call the function again, or retry the job.";
    JobOutcome::failed(&Fault::new(FaultKind::JobCancelled, message)).written()
}

/// The outcome of a job that was interrupted too often.
pub(super) fn lost(app: &App) -> Bytes {
    let message = format!(
        "The server ended while the job ran, {} times or more (jobs.attempts). It is not started again.",
        app.jobs.attempts
    );
    let fault = Fault::new(FaultKind::JobLost, message);
    JobOutcome::failed(&fault).written()
}

/// The outcome of a job that did not begin in time.
pub(super) fn expired() -> Bytes {
    let message = "The job did not begin within its time (jobs.ttl, or ttl in the table jobs of its function.toml). Call the function again, or retry the job.";
    JobOutcome::failed(&Fault::new(FaultKind::JobExpired, message)).written()
}
