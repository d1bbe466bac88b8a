//! `/v1/jobs`: calls whose outcome is fetched later.
//!
//! A job is on the disk before it is acknowledged. A few run at a time, beside the calls that somebody waits for and
//! through the same gate. One that a crash cut off is begun again, up to [`ATTEMPTS`] times: at least once, not exactly.

use super::answer::{ErrorResponse, Problem};
use super::{access, call};
use crate::app::App;
use crate::call::Wish;
use crate::functions::Loaded;
use crate::parsing::blocking;
use crate::replay::RecordedArg;
use crate::reply;
use crate::text::truncate;
use axum::body::Body;
use axum::extract::{Path, State};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use iof_engine::json::Scanner;
use iof_engine::{Arg, Blob, StatedSignature};
use iof_fault::{Fault, FaultKind};
use iof_store::{Finished, Job, JobRoom, JobState, NewJob, Scope, Store, Submitted};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

/// How often a job is begun.
const ATTEMPTS: u32 = 3;
/// Between two looks at what is too old.
const SWEEP: Duration = Duration::from_secs(60);
/// After a store that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Refuses a caller without a key a job of a function that does not declare `jobs`: what a job leaves stays on the disk,
/// and anybody could fill that.
///
/// # Errors
/// `jobs-undeclared`
pub(super) async fn admit(app: &App, function: &Loaded, headers: &HeaderMap) -> Result<(), Fault> {
    let keys = (function.usage_key.as_ref(), &function.admin_key);
    if access::shows_key(app, function.id, keys, headers).await? {
        return Ok(());
    }
    let message = "This function takes jobs (Prefer: respond-async) from holders of a key only: send its admin key or a key of scope `call` as `Authorization: Bearer KEY`, declare `jobs = true` in its function.toml, or call it without Prefer.";
    Err(Fault::new(FaultKind::JobsUndeclared, message))
}

/// Takes jobs and runs them.
#[derive(Default)]
pub(crate) struct Jobs {
    wake: Arc<Notify>,
    /// Ends with the server. Started once there is a server to run calls.
    task: OnceLock<JoinSet<()>>,
}

/// What a job is asked, as it is kept.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum JobRequest {
    Args(Vec<RecordedArg>),
    /// With the types that the caller stated.
    Stated {
        args: Vec<RecordedArg>,
        signature: String,
    },
}

impl JobRequest {
    /// Bytes of the arguments.
    fn size(&self) -> usize {
        let (Self::Args(args) | Self::Stated { args, .. }) = self;
        args.iter().map(RecordedArg::size).sum()
    }

    pub(super) fn of(args: &[Arg], stated: Option<&str>) -> Self {
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

/// What came of a job, as it is kept.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exit_status: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stdout: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Blob>,
}

/// A call whose outcome is fetched.
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
    /// The code of what went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    /// What went wrong, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The status with which a program or function ended itself, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_status: Option<i32>,
    /// The beginning of what a program had printed when it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout: Option<String>,
    /// The type of what it returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    /// What it returned: JSON as it is, text as a string, bytes that are no text as `{"base64": "…"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value, required = false)]
    result: Option<Json>,
}

impl Jobs {
    /// Starts the task.
    pub(crate) fn start(&self, app: &Arc<App>) {
        self.task.get_or_init(|| {
            let mut task = JoinSet::new();
            task.spawn(work(Arc::downgrade(app), Arc::clone(&self.wake)));
            task
        });
    }

    /// Accepts a call.
    ///
    /// # Errors
    /// `jobs` when too many wait.
    pub(super) async fn submit(
        &self,
        app: &App,
        id: Uuid,
        function: &Loaded,
        export: &str,
        request: JobRequest,
    ) -> Result<Uuid, Fault> {
        let room = room(app);
        if request.size() as u64 > room.function {
            return Err(no_room(app, true));
        }
        let request = blocking(move || serde_json::to_vec(&request)).await?;
        let request =
            request.map_err(|error| Fault::host("The job could not be written.", error))?;
        let most = app.settings.jobs;
        let job = NewJob {
            id,
            wasm_id: function.id,
            version: function.version,
            export: export.to_owned(),
            request: request.into(),
        };
        let submitted = app.store.submit_job(job, most, room).await;
        match submitted? {
            Submitted::Accepted => {
                self.wake.notify_one();
                Ok(id)
            }
            Submitted::TooMany => Err(Fault::new(
                FaultKind::Jobs,
                format!("{most} jobs are not done (server.jobs). Try again soon."),
            )),
            Submitted::NoRoom { of_function } => Err(no_room(app, of_function)),
        }
    }
}

/// How much jobs may keep.
fn room(app: &App) -> JobRoom {
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
            "Requests and outcomes of {whose} would take more than {setting} = {size}. Outcomes go after server.job_time = {kept}; call without Prefer: respond-async until then."
        ),
    )
}

/// Show a job
///
/// Its outcome, once it is done. It takes what calling the function takes, or a key of scope `read`.
#[utoipa::path(get, path = "/jobs/{job}", operation_id = "readJob", tag = "calls",
    params(("job" = String, Path, description = "What the answer 202 said", format = "uuid")),
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
    let unknown = || {
        let message = format!(
            "There is no job {}; outcomes are kept for server.job_time.",
            truncate(&id)
        );
        Fault::new(FaultKind::NoSuchJob, message)
    };
    let job = found.ok_or_else(unknown)?;
    let function = app.store.function(job.wasm_id).await?;
    let function = function.ok_or_else(unknown)?;
    let keys = (function.usage_key_hash.as_ref(), &function.admin_key_hash);
    let number = job.wasm_id.to_string();
    if let Err(refused) = access::call(&app, job.wasm_id, keys, &headers).await
        && access::function(&app, &number, &headers, Scope::Read)
            .await
            .is_err()
    {
        return Err(refused.into());
    }
    let written = blocking(move || shown(job)).await?;
    let json = written.map_err(|error| Fault::host("The job could not be written.", error))?;
    Ok(reply::ok(StatusCode::OK, reply::JSON, json))
}

/// A job as JSON. A result that is JSON stands in it as it was returned: a tree of it would take a hundred times as much.
fn shown(job: Job) -> serde_json::Result<String> {
    let kept = job.outcome.as_deref();
    let kept: Option<Kept> = kept.and_then(|kept| serde_json::from_slice(kept).ok());
    let kept = kept.unwrap_or_default();
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
        function: job.wasm_id,
        version: job.version,
        export: job.export,
        state: job.state.as_str(),
        accepted_at: super::time(job.accepted_at),
        finished_at: job.finished_at.map(super::time),
        fault: kept.fault,
        error: kept.error,
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

async fn work(app: Weak<App>, wake: Arc<Notify>) {
    let Some((store, running, kept)) = app.upgrade().map(|app| {
        let settings = &app.settings;
        (
            app.store.clone(),
            settings.jobs_running.max(1),
            settings.job_time,
        )
    }) else {
        return;
    };
    // Before anything is taken: what the rows call running was cut off.
    match store.requeue_running(ATTEMPTS, lost()).await {
        Ok(0) => {}
        Ok(jobs) => tracing::info!(jobs, "jobs that were cut off begin again"),
        Err(error) => {
            tracing::error!(%error, "jobs that were cut off stay so until the next start");
        }
    }
    let places = Arc::new(Semaphore::new(running as usize));
    let mut under_way = JoinSet::new();
    let mut swept: Option<Instant> = None;
    loop {
        while under_way.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Some(strong) = app.upgrade() else { return };
        if swept.is_none_or(|at| at.elapsed() > SWEEP) {
            swept = Some(Instant::now());
            expire(&store, kept).await;
        }
        let stopping = strong.stopping.load(std::sync::atomic::Ordering::Relaxed);
        let taken = match stopping {
            true => Ok(vec![]),
            false => store.take_jobs(1).await,
        };
        match taken.map(|mut jobs| jobs.pop()) {
            Ok(Some(job)) => {
                under_way.spawn(async move {
                    run(&strong, job).await;
                    drop(place);
                });
                continue;
            }
            Ok(None) => {}
            Err(iof_store::Error::Closed) => return,
            Err(error) => {
                tracing::error!(%error, "no job could be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
        drop((strong, place));
        // Nobody tells of the time, so it is looked at now and then.
        let _ = tokio::time::timeout(SWEEP, wake.notified()).await;
    }
}

async fn expire(store: &Store, kept: Duration) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let before = i64::try_from(now.saturating_sub(kept).as_millis()).unwrap_or(i64::MAX);
    if let Err(error) = store.expire_jobs(before).await {
        tracing::warn!(%error, "outcomes of jobs that are too old stay for now");
    }
}

async fn run(app: &Arc<App>, job: Job) {
    debug_assert_eq!(job.state, JobState::Running);
    let came = outcome(app, &job).await;
    let kept = match came {
        Ok((content_type, body)) => Kept {
            content_type,
            body: body.map(Blob),
            ..Kept::default()
        },
        Err(fault) => Kept::failed(&fault),
    };
    let written = blocking(move || serde_json::to_vec(&kept).unwrap_or_default()).await;
    let finished = Finished {
        outcome: written.unwrap_or_default().into(),
        without_room: Kept::failed(&no_room(app, false)).written(),
        without_room_of_function: Kept::failed(&no_room(app, true)).written(),
    };
    if let Err(error) = app.store.finish_job(job.id, finished, room(app)).await {
        tracing::error!(%error, job = %job.id, "the outcome of a job is lost; it begins again with the next start");
    }
}

type Came = (Option<String>, Option<Bytes>);

async fn outcome(app: &Arc<App>, job: &Job) -> Result<Came, Fault> {
    let function = app.functions.exactly(job.wasm_id, job.version).await?;
    let request = job.request.clone();
    let request = blocking(move || serde_json::from_slice::<JobRequest>(&request)).await?;
    let request = request.map_err(|error| Fault::host("The job cannot be read.", error))?;
    let (args, stated) = match &request {
        JobRequest::Args(args) => (args, None),
        JobRequest::Stated { args, signature } => (args, Some(signature.as_str())),
    };
    let signature = stated.map(StatedSignature::parse).transpose()?;
    let wish = Wish {
        export: &job.export,
        args: args.iter().map(RecordedArg::to_arg).collect(),
        stated,
        signature: signature.as_ref(),
    };
    let deadline = Instant::now() + function.granted.limits.wall_time;
    let context = crate::call::context(&function, job.id, 0, deadline);
    let outcome = crate::call::run(app, &function, context, wish, ()).await?;
    let (content_type, body) = call::typed(outcome.result?);
    let content_type = content_type.and_then(|value| Some(value.to_str().ok()?.to_owned()));
    Ok(match content_type {
        None => (None, None),
        of => (of, Some(body)),
    })
}

impl Kept {
    fn failed(fault: &Fault) -> Self {
        let ending = fault.ending.as_ref();
        Self {
            fault: Some(fault.code().to_owned()),
            error: Some(fault.message.clone()),
            exit_status: ending.and_then(|ending| ending.exit_status),
            stdout: ending.and_then(|ending| ending.stdout.clone()),
            ..Self::default()
        }
    }

    fn written(&self) -> Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

/// What is kept of a job that was cut off too often.
fn lost() -> Bytes {
    let message =
        format!("The server ended {ATTEMPTS} times while the job ran. It is not begun again.");
    let fault = Fault::new(FaultKind::JobLost, message);
    Kept::failed(&fault).written()
}
