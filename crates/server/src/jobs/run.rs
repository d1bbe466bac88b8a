//! One attempt at a job, and what follows from its end: its outcome, or another attempt.

use super::held::HeldJobs;
use super::request::{JobOutcome, JobRequest, no_room, room};
use super::{callback, ends};
use crate::app::App;
use crate::arguments;
use crate::calls::{
    CallRequest, CallStart, CallerKind, FunctionRef, PreparedCall, StatedTypes, execute,
    log_refused,
};
use crate::envelope::SentHead;
use crate::functions::LoadedFunction;
use crate::memory::MemoryReservation;
use crate::parsing::blocking;
use crate::recording::RecordedArg;
use crate::reply;
use crate::time::unix_ms_now;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use iof_engine::{Arg, Blob};
use iof_fault::{Fault, FaultKind, Source};
use iof_store::{Finished, Job, JobEnd, JobKind, JobState, Postponed};
use std::sync::Arc;
use std::time::Duration;

/// Runs a job once, and stores what came of it.
pub(super) async fn attempt(app: &App, job: Job, start: &Arc<CallStart>, held: &HeldJobs) {
    debug_assert_eq!(job.state, JobState::Running);
    let outcome = match job.kind {
        JobKind::Call => call(app, &job, start).await,
        JobKind::Callback => callback::send(app, &job, start).await,
    };
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(fault) => {
            if let Some(postponed) = again(app, &job, start, &fault).await {
                let code = fault.code();
                tracing::info!(job = %job.id, attempt = job.attempts, fault = code, "a job is attempted again later");
                held.remove(job.lease());
                let stored = app.store.postpone_job(job.lease(), postponed).await;
                settled(app, &job, None, stored).await;
                return;
            }
            JobOutcome::failed(&fault)
        }
    };
    let fault = outcome.fault.clone();
    let end = match fault {
        None => JobEnd::Ok,
        Some(_) => JobEnd::Failed,
    };
    let written = blocking(move || serde_json::to_vec(&outcome).unwrap_or_default()).await;
    let finished = Finished {
        outcome: written.unwrap_or_default().into(),
        fault,
        without_room: JobOutcome::failed(&no_room(app, false)).written(),
        without_room_of_function: JobOutcome::failed(&no_room(app, true)).written(),
    };
    // From here on, a lease that is not renewed is one that has ended.
    held.remove(job.lease());
    let stored = app.store.finish_job(job.lease(), finished, room(app)).await;
    settled(app, &job, Some(end), stored).await;
}

/// Counts what was stored, or was not.
async fn settled(
    app: &App,
    job: &Job,
    end: Option<JobEnd>,
    stored: Result<bool, iof_store::Error>,
) {
    match (stored, end) {
        (Ok(true), Some(end)) => {
            let function = ends::name(app, job.function_id).await;
            app.job_ends.count(&function, end);
        }
        (Ok(true), None) => {}
        (Ok(false), _) => {
            if let Ok(Some(_)) = app.store.job(job.id).await {
                tracing::warn!(job = %job.id, "a job has another owner; its outcome here is dropped");
                app.job_ends.fence();
            }
        }
        (Err(error), _) => {
            tracing::error!(%error, job = %job.id, "the outcome of a job is lost; the job runs again when its lease ends");
        }
    }
}

/// Another attempt at a job that failed, if there is to be one.
async fn again(app: &App, job: &Job, start: &CallStart, fault: &Fault) -> Option<Postponed> {
    use FaultKind as F;
    // It waited for its turn among calls, and its function has not begun.
    let not_begun = !start.begun()
        && matches!(
            fault.kind,
            F::Queue | F::QueueWait | F::Concurrency | F::FunctionConcurrency
        );
    if not_begun {
        let pause = pause(app, 1);
        return Some(Postponed {
            not_before: Some(later(pause)),
            fault: None,
        });
    }
    let most = match job.kind {
        JobKind::Call => function(app, job).await?.granted.jobs.attempts,
        JobKind::Callback => app.jobs.callback_attempts,
    };
    if job.attempts >= most || fault.kind.source() == Source::Client || is_final(fault.kind) {
        return None;
    }
    let time = later(pause(app, job.attempts));
    // What is due too late is not attempted, and its fault says more than its expiry.
    let in_time = job.expires_at.is_none_or(|expires_at| time < expires_at);
    in_time.then(|| Postponed {
        not_before: Some(time),
        fault: Some(fault.code().to_owned()),
    })
}

/// Faults that another attempt ends with, too, because only people change their cause.
fn is_final(kind: FaultKind) -> bool {
    use FaultKind as F;
    matches!(kind, F::EgressDenied | F::EgressUrl | F::EgressHeader)
}

async fn function(app: &App, job: &Job) -> Option<Arc<LoadedFunction>> {
    let loaded = app.functions.exactly(job.function_id, job.version).await;
    loaded.ok()
}

/// The pause after an attempt: twice as long as the one before, less up to a half by chance, so that jobs that failed
/// together do not come together again.
fn pause(app: &App, attempts: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1).min(31));
    let longest = app.jobs.backoff.saturating_mul(doubled);
    let longest = longest.min(app.jobs.backoff_limit);
    longest.mul_f64(rand::random_range(0.5..=1.0))
}

fn later(pause: Duration) -> i64 {
    let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
    unix_ms_now().saturating_add(pause)
}

async fn call(app: &App, job: &Job, start: &Arc<CallStart>) -> Result<JobOutcome, Fault> {
    let caller = match job.schedule {
        Some(_) => CallerKind::Schedule,
        None => CallerKind::Client,
    };
    let of = (job.function_id, job.version);
    let prepared = PreparedCall::accepted(app, job.id, of, caller).await?;
    let prepared = prepared.started_by(Arc::clone(start));
    let request = job.request.clone();
    let request = blocking(move || serde_json::from_slice::<JobRequest>(&request)).await?;
    let request = request.map_err(|error| Fault::host("The job cannot be read.", error))?;
    let (args, stated, memory) = match &request {
        JobRequest::Args(args) => (recorded(args), None, MemoryReservation::default()),
        JobRequest::Stated { args, signature } => {
            let stated = StatedTypes::read(signature)?;
            (recorded(args), Some(stated), MemoryReservation::default())
        }
        JobRequest::Body { body } => {
            let (args, memory) = match of_body(app, &prepared, &job.export, body).await {
                Ok(read) => read,
                Err(fault) => {
                    let function = FunctionRef::Number(job.function_id);
                    log_refused(app, job.id, function, &job.export, &fault).await;
                    return Err(fault);
                }
            };
            (args, None, memory)
        }
    };
    let request = CallRequest {
        export: &job.export,
        args,
        stated: stated.as_ref(),
    };
    let outcome = execute(app, prepared, request, memory).await?;
    let (content_type, body) = reply::typed(outcome.result?);
    let content_type = content_type.and_then(|value| Some(value.to_str().ok()?.to_owned()));
    Ok(JobOutcome {
        body: content_type.is_some().then_some(Blob(body)),
        content_type,
        ..JobOutcome::default()
    })
}

fn recorded(args: &[RecordedArg]) -> Vec<Arg> {
    args.iter().map(RecordedArg::to_arg).collect()
}

/// The arguments of a schedule's call, read as those of a client's call with this body would be.
async fn of_body(
    app: &App,
    prepared: &PreparedCall,
    export: &str,
    body: &str,
) -> Result<(Vec<Arg>, MemoryReservation), Fault> {
    let mut headers = HeaderMap::new();
    if !body.is_empty() {
        headers.insert(CONTENT_TYPE, reply::JSON);
    }
    let sent = SentHead {
        method: &Method::POST,
        path: "",
        query: "",
        headers: &headers,
    };
    let (function, deadline) = (&prepared.function, prepared.context.deadline);
    let body = Bytes::copy_from_slice(body.as_bytes());
    arguments::read(app, function, export, sent, &body, deadline).await
}
