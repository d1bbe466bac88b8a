//! The task that takes jobs and runs them, and its stop.

use super::held::HeldJobs;
use super::request::{expired, lost, room};
use super::run;
use crate::app::App;
use crate::runtime::MigratingRequest;
use crate::time::{unix_ms_before, unix_ms_now};
use iof_store::{Job, Postponed, Store, Taking};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The interval between two removals of expired outcomes, and the longest time between two looks at the store.
const SWEEP: Duration = Duration::from_secs(60);
/// The pause after a failure of the store.
const PAUSE: Duration = Duration::from_secs(1);
/// The least time between two looks at the store without a notice.
const LEAST: Duration = Duration::from_millis(20);

/// The task that runs jobs. Dropping this ends the task, and with it the jobs in progress.
pub(crate) struct JobWorker {
    drain: CancellationToken,
    stop: CancellationToken,
    task: JoinSet<()>,
}

impl JobWorker {
    /// Starts the task. CPU-bound jobs move to `compute`.
    pub(crate) fn start(app: Arc<App>, compute: Handle) -> Self {
        let (drain, stop) = (CancellationToken::new(), CancellationToken::new());
        let mut task = JoinSet::new();
        task.spawn(work(app, compute, drain.clone(), stop.clone()));
        Self { drain, stop, task }
    }

    /// Takes no more jobs, and hands back those that have not begun.
    pub(crate) fn drain(&self) {
        self.drain.cancel();
    }

    /// Waits until `deadline` for the jobs in progress, hands back the others, and ends the task.
    pub(crate) async fn stop(mut self, deadline: Instant) {
        self.drain();
        let stop = self.stop.clone();
        let ended = async {
            // An error is the task's panic, which is already printed.
            while self.task.join_next().await.is_some() {}
        };
        tokio::pin!(ended);
        if tokio::time::timeout_at(deadline, &mut ended).await.is_err() {
            stop.cancel();
            ended.await;
        }
    }
}

async fn work(app: Arc<App>, compute: Handle, drain: CancellationToken, stop: CancellationToken) {
    // This runs before any job is taken, so this process runs none.
    match app.store.requeue_running(lost(&app), room(&app)).await {
        Ok(gone) => {
            if gone.abandoned > 0 {
                tracing::info!(jobs = gone.abandoned, "interrupted jobs run again");
            }
            app.job_ends.count_all(&app, &gone.ended).await;
        }
        Err(error) => {
            tracing::error!(%error, "interrupted jobs could not be queued again; they are when their leases end");
        }
    }
    let held = Arc::<HeldJobs>::default();
    let mut under_way = JoinSet::new();
    let beat = async {
        let lease = app.jobs.lease;
        loop {
            tokio::time::sleep(lease / 3).await;
            held.keep(&app.store, lease, &app.job_ends).await;
        }
    };
    let running = async {
        run_jobs(&app, &compute, &held, &mut under_way, &drain).await;
        held.return_waiting(&app.store).await;
        while under_way.join_next().await.is_some() {}
    };
    tokio::select! {
        () = running => {}
        () = beat => {}
        () = stop.cancelled() => {}
    }
    under_way.shutdown().await;
    give_back(&app.store, &held).await;
}

/// Queues the jobs again whose attempts were ended by the stop.
async fn give_back(store: &Store, held: &HeldJobs) {
    let leases = held.leases();
    if leases.is_empty() {
        return;
    }
    tracing::warn!(
        jobs = leases.len(),
        "jobs did not end within server.stop_wait, and run again"
    );
    for lease in leases {
        let postponed = Postponed {
            not_before: None,
            fault: Some(iof_fault::FaultKind::Stopping.as_str().to_owned()),
        };
        if let Err(error) = store.postpone_job(lease, postponed).await {
            tracing::error!(%error, job = %lease.id, "a job could not be handed back");
        }
    }
}

/// Takes jobs and runs them, until the server drains or the store is closed.
async fn run_jobs(
    app: &Arc<App>,
    compute: &Handle,
    held: &Arc<HeldJobs>,
    under_way: &mut JoinSet<()>,
    drain: &CancellationToken,
) {
    let running = app.settings.jobs_running.max(1);
    let permits = Arc::new(Semaphore::new(running as usize));
    let mut swept: Option<Instant> = None;
    loop {
        while under_way.try_join_next().is_some() {}
        let first = Arc::clone(&permits).acquire_owned();
        let Some(Ok(first)) = drain.run_until_cancelled(first).await else {
            return;
        };
        let mut free = vec![first];
        while let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
            free.push(permit);
        }
        if swept.is_none_or(|at| at.elapsed() > SWEEP) {
            swept = Some(Instant::now());
            expire(&app.store, app.settings.job_time).await;
        }
        let wanted = free.len();
        // To its end: what is taken and not known would wait for the end of its lease.
        let taken = app.store.take_jobs(taking(app, held, wanted)).await;
        let taken = match taken {
            Ok(taken) => taken,
            Err(iof_store::Error::Closed) => return,
            Err(error) => {
                tracing::error!(%error, "no job could be taken");
                drop(free);
                drain.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
                continue;
            }
        };
        if taken.abandoned > 0 {
            tracing::warn!(jobs = taken.abandoned, "jobs whose owner is gone run again");
        }
        app.job_ends.count_all(app, &taken.ended).await;
        let more = taken.jobs.len() == wanted || !taken.ended.is_empty();
        for (job, permit) in taken.jobs.into_iter().zip(free) {
            spawn(app, compute, held, under_way, (job, permit));
        }
        if drain.is_cancelled() {
            return;
        }
        if !more {
            let wait = wait(app).await;
            let notified = tokio::time::timeout(wait, app.job_accepted.notified());
            let _ = drain.run_until_cancelled(notified).await;
        }
    }
}

fn taking(app: &App, held: &HeldJobs, jobs: usize) -> Taking {
    Taking {
        limit: u32::try_from(jobs).unwrap_or(u32::MAX),
        lease: i64::try_from(app.jobs.lease.as_millis()).unwrap_or(i64::MAX),
        concurrency: app.settings.function_jobs_running(),
        held: held.leases(),
        lost: lost(app),
        expired: expired(),
        room: room(app),
    }
}

fn spawn(
    app: &Arc<App>,
    compute: &Handle,
    held: &Arc<HeldJobs>,
    under_way: &mut JoinSet<()>,
    (job, permit): (Job, OwnedSemaphorePermit),
) {
    let (app, held, lease) = (Arc::clone(app), Arc::clone(held), job.lease());
    let (start, end) = held.add(lease);
    let attempt = async move {
        end.run_until_cancelled(Box::pin(run::attempt(&app, job, &start, &held)))
            .await;
        held.remove(lease);
        drop(permit);
        // Its function may have another one run now.
        app.job_accepted.notify_one();
    };
    under_way.spawn(MigratingRequest::new(attempt, compute.clone()));
}

/// The time until a job may be there without a notice.
async fn wait(app: &App) -> Duration {
    match app.store.next_job().await {
        Ok(Some(next)) => {
            let wait = next.saturating_sub(unix_ms_now()).max(0).unsigned_abs();
            Duration::from_millis(wait).clamp(LEAST, SWEEP)
        }
        Ok(None) | Err(_) => SWEEP,
    }
}

async fn expire(store: &Store, kept: Duration) {
    if let Err(error) = store.expire_jobs(unix_ms_before(kept)).await {
        tracing::warn!(%error, "expired outcomes of jobs could not be removed yet");
    }
}
