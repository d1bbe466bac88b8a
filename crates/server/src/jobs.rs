//! Jobs: calls that run later, and whose outcome clients fetch.
//!
//! A job is on the disk before it is acknowledged. A few jobs run at a time, beside the calls whose clients wait, and
//! under the same limit. A job that a crash interrupted is started again, up to [`ATTEMPTS`] times: jobs run at least
//! once, not exactly once.
//!
//! More than 400 lines: the life of a job from its acceptance to its outcome.

use crate::app::App;
use crate::arguments;
use crate::calls::{
    CallRequest, CallerKind, FunctionRef, PreparedCall, StatedTypes, execute, log_refused,
};
use crate::envelope::SentHead;
use crate::memory::MemoryReservation;
use crate::parsing::blocking;
use crate::recording::RecordedArg;
use crate::reply;
use crate::runtime::MigratingRequest;
use crate::time::unix_ms_before;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use iof_engine::{Arg, Blob};
use iof_fault::{Fault, FaultKind};
use iof_store::{Finished, Job, JobRoom, JobState, NewJob, RetriedJob, Store, Submitted};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The most times that a job is started.
const ATTEMPTS: u32 = 3;
/// The interval between two removals of expired outcomes.
const SWEEP: Duration = Duration::from_secs(60);
/// The pause after a failure of the store.
const PAUSE: Duration = Duration::from_secs(1);

/// The task that runs jobs. Dropping this ends the task, and with it the jobs in progress.
pub(crate) struct JobWorker {
    stop: CancellationToken,
    task: JoinSet<()>,
}

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

/// Accepts a call to be run later. It waits in the store until a [`JobWorker`] takes it.
///
/// # Errors
/// `jobs` when too many wait; `jobs-size` and `jobs-function-size` when jobs take too many bytes.
pub(crate) async fn submit(
    app: &App,
    prepared: &PreparedCall,
    export: &str,
    request: JobRequest,
) -> Result<Uuid, Fault> {
    let id = prepared.context.call;
    let room = room(app);
    if request.size() as u64 > room.function {
        return Err(no_room(app, true));
    }
    let request = blocking(move || serde_json::to_vec(&request)).await?;
    let request = request.map_err(|error| Fault::host("The job could not be written.", error))?;
    let most = app.settings.jobs;
    let job = NewJob {
        id,
        function_id: prepared.function.id,
        version: prepared.function.version,
        export: export.to_owned(),
        request: request.into(),
    };
    let submitted = app.store.submit_job(job, most, room).await;
    accepted(app, id, submitted?)
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
        RetriedJob::Submitted(submitted) => accepted(app, as_job, submitted).map(Ok),
        other => Ok(Err(other)),
    }
}

fn accepted(app: &App, id: Uuid, submitted: Submitted) -> Result<Uuid, Fault> {
    match refusal(app, submitted) {
        None => {
            app.job_accepted.notify_one();
            Ok(id)
        }
        Some(fault) => Err(fault),
    }
}

/// The fault of a job that was not accepted.
pub(crate) fn refusal(app: &App, submitted: Submitted) -> Option<Fault> {
    match submitted {
        Submitted::Accepted => None,
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

fn no_room(app: &App, of_function: bool) -> Fault {
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

impl JobWorker {
    /// Starts the task. CPU-bound jobs move to `compute`.
    pub(crate) fn start(app: Arc<App>, compute: Handle) -> Self {
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(work(app, compute, stop.clone()));
        Self { stop, task }
    }

    /// Ends the task. Jobs in progress run again after the next start.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        // An error is the task's panic, which is already printed.
        while self.task.join_next().await.is_some() {}
    }
}

async fn work(app: Arc<App>, compute: Handle, stop: CancellationToken) {
    // This runs before any job is taken, so jobs whose rows say `running` were interrupted.
    match app.store.requeue_running(ATTEMPTS, lost()).await {
        Ok(0) => {}
        Ok(jobs) => tracing::info!(jobs, "interrupted jobs run again"),
        Err(error) => {
            tracing::error!(%error, "interrupted jobs could not be queued again; the next start tries again");
        }
    }
    let mut under_way = JoinSet::new();
    stop.run_until_cancelled(run_jobs(&app, &compute, &mut under_way))
        .await;
    under_way.shutdown().await;
}

/// Runs jobs until the store is closed.
async fn run_jobs(app: &Arc<App>, compute: &Handle, under_way: &mut JoinSet<()>) {
    let running = app.settings.jobs_running.max(1);
    let permits = Arc::new(Semaphore::new(running as usize));
    let mut swept: Option<Instant> = None;
    loop {
        while under_way.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        if swept.is_none_or(|at| at.elapsed() > SWEEP) {
            swept = Some(Instant::now());
            expire(&app.store, app.settings.job_time).await;
        }
        let taken = match app.stopping.load(Ordering::Relaxed) {
            true => Ok(vec![]),
            false => app.store.take_jobs(1).await,
        };
        match taken.map(|mut jobs| jobs.pop()) {
            Ok(Some(job)) => {
                let app = Arc::clone(app);
                let job = async move {
                    run(&app, job).await;
                    drop(permit);
                };
                under_way.spawn(MigratingRequest::new(job, compute.clone()));
                continue;
            }
            Ok(None) => {}
            Err(iof_store::Error::Closed) => return,
            Err(error) => {
                tracing::error!(%error, "no job could be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
        drop(permit);
        // Nothing wakes the worker when an outcome expires or after a failure, so it also polls at intervals.
        let _ = tokio::time::timeout(SWEEP, app.job_accepted.notified()).await;
    }
}

async fn expire(store: &Store, kept: Duration) {
    if let Err(error) = store.expire_jobs(unix_ms_before(kept)).await {
        tracing::warn!(%error, "expired outcomes of jobs could not be removed yet");
    }
}

async fn run(app: &App, job: Job) {
    debug_assert_eq!(job.state, JobState::Running);
    let kept = outcome(app, &job).await;
    let kept = kept.unwrap_or_else(|fault| JobOutcome::failed(&fault));
    let failed = kept.fault.is_some();
    let written = blocking(move || serde_json::to_vec(&kept).unwrap_or_default()).await;
    let finished = Finished {
        outcome: written.unwrap_or_default().into(),
        failed,
        without_room: JobOutcome::failed(&no_room(app, false)).written(),
        without_room_of_function: JobOutcome::failed(&no_room(app, true)).written(),
    };
    if let Err(error) = app.store.finish_job(job.id, finished, room(app)).await {
        tracing::error!(%error, job = %job.id, "the outcome of a job is lost; the job runs again after the next start");
    }
}

async fn outcome(app: &App, job: &Job) -> Result<JobOutcome, Fault> {
    let caller = match job.schedule {
        Some(_) => CallerKind::Schedule,
        None => CallerKind::Client,
    };
    let of = (job.function_id, job.version);
    let prepared = PreparedCall::accepted(app, job.id, of, caller).await?;
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

impl JobOutcome {
    fn failed(fault: &Fault) -> Self {
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

    fn written(&self) -> Bytes {
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
fn lost() -> Bytes {
    let message =
        format!("The server ended {ATTEMPTS} times while the job ran. It is not started again.");
    let fault = Fault::new(FaultKind::JobLost, message);
    JobOutcome::failed(&fault).written()
}
