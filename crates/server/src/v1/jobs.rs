//! `/v1/jobs`: the outcome of a call that was answered 202; and the jobs of a function, listed, cancelled and retried.
//!
//! More than 400 lines: the routes of jobs, and the types of their answers.

use super::access::{self, Admin, AuthorizedFunction, FunctionPath, Read};
use super::answer::{Created, ErrorResponse, Json, NoContent, Problem};
use super::query::{Query, RowLimit};
use crate::app::App;
use crate::caller;
use crate::http::truncate;
use crate::jobs::{self, JobInfo, job_json};
use crate::parsing::blocking;
use crate::reply;
use crate::time::unix_ms_of;
use axum::body::Body;
use axum::extract::{Path, State};
use http::{HeaderMap, Response, StatusCode};
use iof_fault::{Fault, FaultKind};
use iof_store::{CancelledJob, JobEnd, JobHead, JobQuery, JobState, RetriedJob, Scope};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

/// The most jobs before a job that are counted.
const MOST_BEFORE: u32 = 10_000;

/// Show a job
///
/// The answer has the outcome once the job is done. The request takes the same key as a call of the function, or a key
/// of scope `read`.
#[utoipa::path(get, path = "/jobs/{job}", operation_id = "readJob", tag = "calls",
    params(("job" = String, Path, description = "The id from the answer 202", format = "uuid")),
    security((), ("key" = [])),
    responses((status = 200, body = JobInfo), (status = "default", body = Problem)))]
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response<Body>, ErrorResponse> {
    let found = match Uuid::try_parse(&id) {
        Ok(id) => app.store.job(id).await?,
        Err(_) => None,
    };
    let job = found.ok_or_else(|| unknown(&id))?;
    let function = app.store.function(job.function_id).await?;
    let function = function.ok_or_else(|| unknown(&id))?;
    let keys = (function.usage_key_hash.as_ref(), &function.admin_key_hash);
    let number = job.function_id.to_string();
    if let Err(refused) = caller::admit(&app, job.function_id, keys, &headers).await
        && access::function(&app, &number, &headers, &[Scope::Read])
            .await
            .is_err()
    {
        return Err(refused.into());
    }
    let reads_log = app.dev || caller::reads_log(&app, &number, &headers).await;
    let position = app.store.job_position(job.id, MOST_BEFORE).await?;
    let written = blocking(move || job_json(job, reads_log, position, true)).await?;
    let json = written.map_err(|error| Fault::host("The job could not be written.", error))?;
    Ok(reply::ok(StatusCode::OK, reply::JSON, json))
}

/// Jobs without their results, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct JobList {
    jobs: Vec<JobSummary>,
    /// The parameter `before` for those that follow; absent if none do.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A job without its result.
#[derive(Serialize, ToSchema)]
struct JobSummary {
    job: String,
    function: i64,
    version: i64,
    export: String,
    /// `call`, or `callback` for the sending of an outcome.
    kind: &'static str,
    /// `queued`, `running` or `done`.
    state: &'static str,
    /// The end of one that is done: `ok`, or why it is a dead letter: `failed`, `cancelled`, `expired`, `lost`.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    /// The code of the fault of its last attempt, or of its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    /// Number of times that it was begun.
    attempts: u32,
    /// Jobs of a higher priority come first.
    priority: i32,
    accepted_at: String,
    /// The time before which it does not begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<String>,
    /// The name of the schedule that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    /// The time that its schedule made it for.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<String>,
    /// True if it failed and its request is kept, so that it can be retried.
    retriable: bool,
}

impl JobSummary {
    fn of(job: JobHead) -> Self {
        let of_end = match job.ended {
            Some(JobEnd::Cancelled) => Some(FaultKind::JobCancelled),
            Some(JobEnd::Expired) => Some(FaultKind::JobExpired),
            Some(JobEnd::Lost) => Some(FaultKind::JobLost),
            _ => None,
        };
        Self {
            job: job.id.to_string(),
            function: job.function_id,
            version: job.version,
            export: job.export,
            kind: job.kind.as_str(),
            state: job.state.as_str(),
            outcome: job.ended.map(JobEnd::as_str),
            fault: of_end.map(|kind| kind.as_str().to_owned()).or(job.fault),
            attempts: job.attempts,
            priority: job.priority,
            accepted_at: crate::time::time(job.accepted_at),
            not_before: job.not_before.map(crate::time::time),
            finished_at: job.finished_at.map(crate::time::time),
            schedule: job.schedule,
            due_at: job.due_at.map(crate::time::time),
            retriable: job.retriable,
        }
    }
}

/// The query of a list of jobs of one function.
#[derive(Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct JobPage {
    /// Only those in this state: `queued`, `running` or `done`
    #[param(required = false, value_type = String)]
    state: Option<String>,
    /// Only those that ended so: `ok`, `failed`, `cancelled`, `expired` or `lost`
    #[param(required = false, value_type = String)]
    outcome: Option<String>,
    /// Only those of this priority
    #[param(required = false, value_type = i64)]
    priority: Option<i64>,
    /// Only those that were accepted at this time or later, as in 2027-01-01T00:00:00Z
    #[param(required = false, value_type = String, format = DateTime)]
    since: Option<String>,
    /// Only those that were accepted before this time
    #[param(required = false, value_type = String, format = DateTime)]
    until: Option<String>,
    /// Only those that follow in the list: `next` of an earlier answer
    #[param(required = false, value_type = String)]
    before: Option<String>,
    /// Number of rows; 100 by default
    #[param(inline)]
    limit: RowLimit,
}

/// The query of a list of jobs.
#[derive(Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct JobsPage {
    /// Only those of this function, by number or name
    #[param(required = false, value_type = String)]
    function: Option<String>,
    /// Only those in this state: `queued`, `running` or `done`
    #[param(required = false, value_type = String)]
    state: Option<String>,
    /// Only those that ended so: `ok`, `failed`, `cancelled`, `expired` or `lost`
    #[param(required = false, value_type = String)]
    outcome: Option<String>,
    /// Only those of this priority
    #[param(required = false, value_type = i64)]
    priority: Option<i64>,
    /// Only those that were accepted at this time or later, as in 2027-01-01T00:00:00Z
    #[param(required = false, value_type = String, format = DateTime)]
    since: Option<String>,
    /// Only those that were accepted before this time
    #[param(required = false, value_type = String, format = DateTime)]
    until: Option<String>,
    /// Only those that follow in the list: `next` of an earlier answer
    #[param(required = false, value_type = String)]
    before: Option<String>,
    /// Number of rows; 100 by default
    #[param(inline)]
    limit: RowLimit,
}

/// List the jobs of a function
///
/// The newest first. It takes a key of scope `read`.
#[utoipa::path(get, path = "/functions/{function}/jobs", operation_id = "listJobs", tag = "calls",
    params(FunctionPath, JobPage),
    responses((status = 200, body = JobList), (status = "default", body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, _): AuthorizedFunction<Read>,
    Query(page): Query<JobPage>,
) -> Result<Json<JobList>, ErrorResponse> {
    listed(&app, Some(function.function_id), page).await
}

/// List jobs
///
/// Those of all functions, the newest first. It takes a key of scope `read`; a key of one function asks for that function.
#[utoipa::path(get, path = "/jobs", operation_id = "listAllJobs", tag = "calls",
    params(JobsPage),
    responses((status = 200, body = JobList), (status = "default", body = Problem)))]
pub(super) async fn list_all(
    State(app): State<Arc<App>>,
    Query(wanted): Query<JobsPage>,
    headers: HeaderMap,
) -> Result<Json<JobList>, ErrorResponse> {
    let function_id = match &wanted.function {
        Some(id) => {
            let function = access::function(&app, id, &headers, &[Scope::Read]).await?;
            Some(function.function_id)
        }
        None => {
            access::server(&app, &headers, &[Scope::Read]).await?;
            None
        }
    };
    let page = JobPage {
        state: wanted.state,
        outcome: wanted.outcome,
        priority: wanted.priority,
        since: wanted.since,
        until: wanted.until,
        before: wanted.before,
        limit: wanted.limit,
    };
    listed(&app, function_id, page).await
}

async fn listed(
    app: &App,
    function_id: Option<i64>,
    page: JobPage,
) -> Result<Json<JobList>, ErrorResponse> {
    let limit = page.limit.get();
    let priority = page.priority.map(|priority| {
        // No job has a priority that does not fit.
        i32::try_from(priority).unwrap_or(i32::MAX)
    });
    let query = JobQuery {
        function_id,
        state: named("state", page.state.as_deref(), JobState::parse, STATES)?,
        ended: named("outcome", page.outcome.as_deref(), JobEnd::parse, ENDS)?,
        priority,
        since: time("since", page.since.as_deref())?,
        until: time("until", page.until.as_deref())?,
        after: named(
            "before",
            page.before.as_deref(),
            cursor,
            "next of an earlier answer",
        )?,
        // One more tells whether there are more.
        limit: limit + 1,
    };
    let mut jobs = app.store.jobs(&query).await?;
    let more = jobs.len() > limit as usize;
    jobs.truncate(limit as usize);
    let last = jobs.last().filter(|_| more);
    Ok(Json(JobList {
        next: last.map(|last| format!("{}.{}", last.accepted_at, last.id)),
        jobs: jobs.into_iter().map(JobSummary::of).collect(),
    }))
}

const STATES: &str = "queued, running or done";
const ENDS: &str = "ok, failed, cancelled, expired or lost";

/// The place after a job of a list: the time of its acceptance, and its id.
fn cursor(text: &str) -> Option<(i64, Uuid)> {
    let (time, id) = text.split_once('.')?;
    Some((time.parse().ok()?, id.parse().ok()?))
}

/// A parameter that is one of a few texts.
///
/// # Errors
/// `query`
fn named<T>(
    name: &str,
    text: Option<&str>,
    parse: impl Fn(&str) -> Option<T>,
    wanted: &str,
) -> Result<Option<T>, Fault> {
    let read = |text: &str| {
        parse(text).ok_or_else(|| {
            let message = format!(
                "The parameter {name} must be {wanted}: got {:?}.",
                truncate(text)
            );
            Fault::new(FaultKind::Query, message)
        })
    };
    text.map(read).transpose()
}

fn time(name: &str, text: Option<&str>) -> Result<Option<i64>, Fault> {
    named(
        name,
        text,
        unix_ms_of,
        "a time in UTC, as in 2027-01-01T00:00:00Z",
    )
}

/// Cancel a job
///
/// One that waits ends with the fault `job-cancelled`, and its function does not run. A job that runs goes on to its end or
/// its time limit. It takes scope `admin`.
#[utoipa::path(post, path = "/functions/{function}/jobs/{job}/cancel", operation_id = "cancelJob", tag = "calls",
    params(FunctionPath, JobPath),
    responses((status = 204, description = "It is cancelled."), (status = "default", body = Problem)))]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, by): AuthorizedFunction<Admin>,
    Path(JobPath { job }): Path<JobPath>,
) -> Result<NoContent, ErrorResponse> {
    let id = function.function_id;
    let Ok(job_id) = Uuid::try_parse(&job) else {
        return Err(unknown(&job).into());
    };
    let cancelled = by.store.cancel_job(id, job_id, jobs::cancelled()).await?;
    let state = match cancelled {
        CancelledJob::Cancelled => {
            app.job_ends
                .count_all(&app, &[(id, JobEnd::Cancelled)])
                .await;
            // Its callback is due.
            app.job_accepted.notify_one();
            return Ok(NoContent);
        }
        CancelledJob::Unknown => return Err(unknown(&job).into()),
        CancelledJob::Is(state) => state,
    };
    let next = match state {
        JobState::Running => "It ends by itself, at the latest with its limit of time.",
        _ => "Fetch its outcome at /v1/jobs/ID.",
    };
    let message = format!(
        "Job {job_id} cannot be cancelled: only one that waits can, and it is {}. {next}",
        state.as_str()
    );
    Err(Fault::new(FaultKind::JobConflict, message).into())
}

/// A job that was accepted once more.
#[derive(Serialize, ToSchema)]
pub(super) struct Retried {
    /// The id of the new job.
    job: String,
}

/// Retry a job
///
/// The same call, on the same version, as a job of its own. Requests are kept of jobs that failed, while
/// `server.jobs_size` has room. It takes scope `admin`.
#[utoipa::path(post, path = "/functions/{function}/jobs/{job}/retry", operation_id = "retryJob", tag = "calls",
    params(FunctionPath, JobPath),
    responses((status = 201, body = Retried), (status = "default", body = Problem)))]
pub(super) async fn retry(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, by): AuthorizedFunction<Admin>,
    Path(JobPath { job }): Path<JobPath>,
) -> Result<Created<Retried>, ErrorResponse> {
    let Ok(job_id) = Uuid::try_parse(&job) else {
        return Err(unknown(&job).into());
    };
    match jobs::retry(&app, &by.store, function.function_id, job_id).await? {
        Ok(id) => Ok(Created(Retried {
            job: id.to_string(),
        })),
        Err(RetriedJob::Is(state)) => {
            let message = format!(
                "Job {job_id} cannot be retried: it is {}. Wait until it is done.",
                state.as_str()
            );
            Err(Fault::new(FaultKind::JobConflict, message).into())
        }
        Err(RetriedJob::NoRequest) => {
            let message = format!(
                "Job {job_id} cannot be retried: its request is not kept, because it succeeded, or because server.jobs_size had no room. Call the function again."
            );
            Err(Fault::new(FaultKind::JobConflict, message).into())
        }
        Err(_) => Err(unknown(&job).into()),
    }
}

/// The part of a path that names a job.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct JobPath {
    /// The id of the job, as the answer 202 gave it
    #[param(format = "uuid")]
    job: String,
}

fn unknown(id: &str) -> Fault {
    let message = format!(
        "There is no job {}; outcomes are kept for server.job_time.",
        truncate(id)
    );
    Fault::new(FaultKind::NoSuchJob, message)
}
