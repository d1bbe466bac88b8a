//! `/v1/jobs`: the outcome of a call that was answered 202; and the jobs of a function, listed, cancelled and retried.

use super::access::{self, Admin, AuthorizedFunction, FunctionPath, Read};
use super::answer::{Created, ErrorResponse, NoContent, Problem};
use super::query::{Query, RowLimit};
use crate::app::App;
use crate::caller;
use crate::http::truncate;
use crate::jobs::{self, JobOutcome};
use crate::parsing::blocking;
use crate::reply;
use axum::body::Body;
use axum::extract::{Path, State};
use http::{HeaderMap, Response, StatusCode};
use iof_engine::json::Scanner;
use iof_fault::{Fault, FaultKind};
use iof_store::{CancelledJob, Job, JobState, RetriedJob, Scope};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

/// A call whose outcome is fetched later.
#[derive(Serialize, ToSchema)]
pub(super) struct JobInfo {
    job: String,
    function: i64,
    version: i64,
    export: String,
    /// `queued`, `running` or `done`.
    state: &'static str,
    accepted_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<String>,
    /// The name of the schedule that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    /// The time that its schedule made it for.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<String>,
    /// The code of the fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    /// The message of the fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The exit status of a program or function that ended itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_status: Option<i32>,
    /// The beginning of the output of a failed program.
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout: Option<String>,
    /// The content type of the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    /// The result: JSON unchanged, text as a string, other bytes as `{"base64": "…"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value, required = false)]
    result: Option<Json>,
}

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
    let written = blocking(move || shown(job, reads_log)).await?;
    let json = written.map_err(|error| Fault::host("The job could not be written.", error))?;
    Ok(reply::ok(StatusCode::OK, reply::JSON, json))
}

/// Jobs without their outcomes, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct JobList {
    jobs: Vec<JobSummary>,
}

/// A job without its outcome.
#[derive(Serialize, ToSchema)]
struct JobSummary {
    job: String,
    version: i64,
    export: String,
    /// `queued`, `running` or `done`.
    state: &'static str,
    /// Number of times that it was begun.
    attempts: u32,
    accepted_at: String,
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

/// The query of a list of jobs.
#[derive(Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct JobPage {
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
) -> Result<super::answer::Json<JobList>, ErrorResponse> {
    let id = function.function_id;
    let jobs = app.store.jobs(id, page.limit.get()).await?;
    let jobs = jobs.into_iter().map(|job| JobSummary {
        job: job.id.to_string(),
        version: job.version,
        export: job.export,
        state: job.state.as_str(),
        attempts: job.attempts,
        accepted_at: crate::time::time(job.accepted_at),
        finished_at: job.finished_at.map(crate::time::time),
        schedule: job.schedule,
        due_at: job.due_at.map(crate::time::time),
        retriable: job.retriable,
    });
    Ok(super::answer::Json(JobList {
        jobs: jobs.collect(),
    }))
}

/// Cancel a job
///
/// One that waits ends with the fault `job-cancelled`, and its function does not run. A job that runs goes on to its end or
/// its time limit. It takes scope `admin`.
#[utoipa::path(post, path = "/functions/{function}/jobs/{job}/cancel", operation_id = "cancelJob", tag = "calls",
    params(FunctionPath, JobPath),
    responses((status = 204, description = "It is cancelled."), (status = "default", body = Problem)))]
pub(super) async fn cancel(
    AuthorizedFunction(function, by): AuthorizedFunction<Admin>,
    Path(JobPath { job }): Path<JobPath>,
) -> Result<NoContent, ErrorResponse> {
    let id = function.function_id;
    let Ok(job_id) = Uuid::try_parse(&job) else {
        return Err(unknown(&job).into());
    };
    let cancelled = by.store.cancel_job(id, job_id, jobs::cancelled()).await?;
    let state = match cancelled {
        CancelledJob::Cancelled => return Ok(NoContent),
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

/// A job as JSON; `reads_log` is true for a reader who may read the log of its function. A JSON result is inserted as
/// it was returned, because a tree would take a hundred times its memory.
fn shown(job: Job, reads_log: bool) -> serde_json::Result<String> {
    let kept = job.outcome.as_deref();
    let kept: Option<JobOutcome> = kept.and_then(|kept| serde_json::from_slice(kept).ok());
    let kept = kept.unwrap_or_default();
    let error = kept.error.map(|error| match (kept.printed, reads_log) {
        (None, _) => error,
        (Some(printed), true) => iof_fault::with_printed(&error, &printed),
        (Some(_), false) => iof_fault::without_printed(&error),
    });
    let json = kept
        .content_type
        .as_deref()
        .is_some_and(|of| of.starts_with("application/json"));
    let as_it_is = kept.body.as_ref().and_then(|body| {
        let text = std::str::from_utf8(&body.0).ok().filter(|_| json)?;
        let mut scanner = Scanner::new(text);
        while scanner.token().ok()?.is_some() {}
        Some(text)
    });
    let result = kept.body.as_ref().filter(|_| as_it_is.is_none());
    let info = JobInfo {
        job: job.id.to_string(),
        function: job.function_id,
        version: job.version,
        export: job.export,
        state: job.state.as_str(),
        accepted_at: crate::time::time(job.accepted_at),
        finished_at: job.finished_at.map(crate::time::time),
        schedule: job.schedule,
        due_at: job.due_at.map(crate::time::time),
        fault: kept.fault,
        error,
        exit_status: kept.exit_status,
        stdout: kept.stdout,
        content_type: kept.content_type,
        result: result.map(|body| serde_json::to_value(body).unwrap_or_default()),
    };
    let mut written = serde_json::to_string(&info)?;
    if let (Some(result), Some('}')) = (as_it_is, written.pop()) {
        written.push_str(",\"result\":");
        written.push_str(result);
    }
    written.push('}');
    Ok(written)
}
