//! A job as JSON, for readers and for callbacks.

use super::request::JobOutcome;
use iof_engine::json::Scanner;
use iof_store::{Job, JobEnd, JobKind, JobState};
use serde::Serialize;
use serde_json::Value as Json;
use utoipa::ToSchema;

/// A call whose outcome is fetched later.
#[derive(Serialize, ToSchema)]
pub(crate) struct JobInfo {
    job: String,
    function: i64,
    version: i64,
    export: String,
    /// `call`, or `callback` for the sending of an outcome.
    kind: &'static str,
    /// The job whose outcome a callback sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<String>,
    /// `queued`, `running` or `done`.
    state: &'static str,
    /// The end of one that is done: `ok`, or why it is a dead letter: `failed`, `cancelled`, `expired`, `lost`.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    /// Number of times that it was begun.
    attempts: u32,
    /// Jobs of a higher priority come first.
    priority: i32,
    /// The number of jobs before it in its function's queue, up to 10000; absent if it does not wait for its turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u32>,
    accepted_at: String,
    /// The time before which it does not begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<String>,
    /// The time by which it has to begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<String>,
    /// The name of the schedule that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    /// The time that its schedule made it for.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<String>,
    /// The job that sends the outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    callback_job: Option<String>,
    /// The code of the fault of the last attempt, of a job that is attempted again.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_fault: Option<String>,
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

/// A job as JSON; `reads_log` is true for a reader who may read the log of its function. A JSON result is inserted as
/// it was returned, because a tree would take a hundred times its memory.
///
/// `position` is its place in its queue. Without `with_result`, its result is left out.
pub(crate) fn job_json(
    job: Job,
    reads_log: bool,
    position: Option<u32>,
    with_result: bool,
) -> serde_json::Result<String> {
    let kept = job.outcome.as_deref();
    let kept: Option<JobOutcome> = kept.and_then(|kept| serde_json::from_slice(kept).ok());
    let mut kept = kept.unwrap_or_default();
    if !with_result {
        kept.body = None;
    }
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
    let waits = job.state == JobState::Queued;
    let callback_job = match job.kind {
        JobKind::Call => job.callback.and_then(|(_, id)| id),
        JobKind::Callback => None,
    };
    let info = JobInfo {
        job: job.id.to_string(),
        function: job.function_id,
        version: job.version,
        export: job.export,
        kind: job.kind.as_str(),
        of: job.of_job.map(|id| id.to_string()),
        state: job.state.as_str(),
        outcome: job.ended.map(JobEnd::as_str),
        attempts: job.attempts,
        priority: job.priority,
        position,
        accepted_at: crate::time::time(job.accepted_at),
        not_before: job.not_before.map(crate::time::time),
        expires_at: waits
            .then_some(job.expires_at)
            .flatten()
            .map(crate::time::time),
        callback_job: callback_job.map(|id| id.to_string()),
        finished_at: job.finished_at.map(crate::time::time),
        schedule: job.schedule,
        due_at: job.due_at.map(crate::time::time),
        last_fault: job.fault.filter(|_| job.state != JobState::Done),
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
