//! Schedules: calls that the server makes at the times that active versions declare.
//!
//! A time becomes a job ([`crate::jobs`]) of the active version, in the transaction that settles the time, so each has one
//! job at most; a time that has passed meanwhile follows its schedule's policy. The job is on the disk before it runs, and
//! runs like any other, under the grants and limits of its version.

mod state;
mod timetable;
mod view;

pub(crate) use state::Scheduling;
pub(crate) use timetable::Timetable;
pub(crate) use view::{ScheduleView, schedules_of};

use crate::app::App;
use crate::calls::{FunctionRef, log_refused};
use crate::grants::{Declaration, DeclaredSchedule, MissedTimes};
use crate::jobs::{self, JobRequest};
use crate::reply;
use crate::time::unix_ms_now;
use iof_store::{DueSchedule, JobTerms, Settlement, Submitted};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The age from which a time has passed, and its schedule's policy decides. A restart takes less.
const LATE: i64 = 60;
/// The schedules that one pass looks at.
const PASS: u32 = 100;
/// The longest time between two passes: the clock may have been set, and the notice of a change may be lost.
const WAIT: Duration = Duration::from_secs(30);
/// The pause while there is no room for jobs, and after the first failure of the store; each further one in a row doubles
/// it, up to [`WAIT`], which is less than [`LATE`]: a time that was due in the meantime has not passed.
const PAUSE: Duration = Duration::from_secs(1);

/// The task that makes jobs of times. Dropping this ends it.
pub(crate) struct ScheduleWorker {
    stop: CancellationToken,
    task: JoinSet<()>,
}

impl ScheduleWorker {
    /// Starts the task.
    pub(crate) fn start(app: Arc<App>) -> Self {
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        let stopped = stop.clone();
        task.spawn(async move {
            stopped.run_until_cancelled(work(&app)).await;
        });
        Self { stop, task }
    }

    /// Ends the task. Times from now on have passed at the next start.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        // An error is the task's panic, which is already printed.
        while self.task.join_next().await.is_some() {}
    }
}

async fn work(app: &App) {
    let (mut failures, mut refusals) = (Repeats::default(), Repeats::default());
    loop {
        let wait = match pass(app, &mut refusals).await {
            Ok(wait) => {
                if failures.count > 0 {
                    let failures = failures.count;
                    tracing::info!(failures, "schedules are settled again");
                }
                failures = Repeats::default();
                wait
            }
            Err(iof_store::Error::Closed) => return,
            Err(error) => {
                // With a full disk each pass fails until someone makes room.
                let is_reported = failures.next();
                let pause = failures.pause();
                if is_reported {
                    let (failures, next_s) = (failures.count, pause.as_secs());
                    tracing::error!(%error, failures, next_s, "schedules cannot be read or settled");
                }
                pause
            }
        };
        // A pass is complete without the notice: it only comes sooner.
        let _ = tokio::time::timeout(wait, app.scheduling.changed.notified()).await;
    }
}

/// The number of passes in a row that ended in the same way.
#[derive(Default)]
struct Repeats {
    count: u32,
}

impl Repeats {
    /// Counts one more, and returns whether it is to be reported: the first, the second, the fourth and so on.
    fn next(&mut self) -> bool {
        self.count = self.count.saturating_add(1);
        self.count.is_power_of_two()
    }

    /// The pause after that many.
    fn pause(&self) -> Duration {
        let doublings = self.count.saturating_sub(1).min(16);
        (PAUSE * (1 << doublings)).min(WAIT)
    }
}

/// Settles the schedules that are due, and returns the time until the next are. `refusals` are the passes in a row that
/// ended for lack of room.
async fn pass(app: &App, refusals: &mut Repeats) -> Result<Duration, iof_store::Error> {
    let now = unix_ms_now();
    let due = app.store.due_schedules(now, PASS).await?;
    let more = due.len() == PASS as usize;
    for schedule in due {
        if !settle(app, schedule, now, refusals).await? {
            return Ok(PAUSE);
        }
    }
    *refusals = Repeats::default();
    if more {
        return Ok(Duration::ZERO);
    }
    let next = app.store.next_schedule().await?;
    let wait = next.map(|next| next.saturating_sub(unix_ms_now()).max(0).unsigned_abs());
    Ok(wait.map_or(WAIT, Duration::from_millis).min(WAIT))
}

/// Settles one schedule. Returns `false` if there is no room for jobs now.
async fn settle(
    app: &App,
    due: DueSchedule,
    now: i64,
    refusals: &mut Repeats,
) -> Result<bool, iof_store::Error> {
    let (function, name) = (due.function_id, due.name.clone());
    let declared = declared(due.declaration.as_deref(), &name);
    let timed = declared.and_then(|declared| Some((declared.timetable().ok()?, declared)));
    let Some((timetable, declared)) = timed else {
        // A release of other rules stored it.
        tracing::error!(
            function,
            schedule = name,
            "a schedule cannot be read, and makes no calls"
        );
        let settled = settlement(due, None, vec![], (now, None), JobTerms::default());
        return store(app, settled, refusals).await;
    };
    let most = app.settings.schedule_missed.max(1) as usize;
    let passed = timetable.passed(due.settled_at.div_euclid(1000), now.div_euclid(1000), most);
    let times = chosen(declared.missed, &passed.times, now.div_euclid(1000));
    let terms = jobs::scheduled_terms(app);
    let missed = passed.times.len() - times.len();
    if missed > 0 {
        tracing::info!(
            function,
            schedule = name,
            missed,
            "times of a schedule have passed and are left out"
        );
        let missed = u64::try_from(missed).unwrap_or(u64::MAX);
        app.scheduling.missed.fetch_add(missed, Ordering::Relaxed);
    }
    let next = passed.next;
    let settlement = settlement(due, Some(&declared), times, (now, next), terms);
    store(app, settlement, refusals).await
}

fn settlement(
    due: DueSchedule,
    declared: Option<&DeclaredSchedule>,
    times: Vec<i64>,
    (until, next): (i64, Option<i64>),
    terms: JobTerms,
) -> Settlement {
    let request = declared.map(|declared| JobRequest::of_schedule(declared.body()));
    // Serializing a text cannot fail.
    let request = request.and_then(|request| serde_json::to_vec(&request).ok());
    Settlement {
        due,
        export: declared
            .map(|declared| declared.export.clone())
            .unwrap_or_default(),
        request: request.unwrap_or_default().into(),
        jobs: times
            .into_iter()
            .map(|time| (reply::new_id(), time * 1000))
            .collect(),
        terms,
        until,
        next: next.map(|next| next * 1000),
    }
}

/// Stores a settlement. Returns `false` if there is no room for its jobs now.
async fn store(
    app: &App,
    mut settlement: Settlement,
    refusals: &mut Repeats,
) -> Result<bool, iof_store::Error> {
    loop {
        let (function, export) = (settlement.due.function_id, settlement.export.clone());
        let room = jobs::room(app);
        let settled = app
            .store
            .settle_schedule(settlement.clone(), app.settings.jobs, room);
        let Some(settled) = settled.await? else {
            // It has changed, and the next pass reads it again.
            return Ok(true);
        };
        if settled.jobs > 0 {
            let jobs = u64::try_from(settled.jobs).unwrap_or(u64::MAX);
            app.scheduling.queued.fetch_add(jobs, Ordering::Relaxed);
            app.job_accepted.notify_one();
        }
        let Some((refused, due_at)) = settled.refused else {
            return Ok(true);
        };
        let schedule = &settlement.due.name;
        let Some(fault) = jobs::refusal(app, refused, u32::MAX) else {
            return Ok(true);
        };
        if refused != (Submitted::NoRoom { of_function: true }) {
            if refusals.next() {
                let (fault, passes) = (fault.code(), refusals.count);
                tracing::warn!(
                    function,
                    schedule,
                    fault,
                    passes,
                    "a time of a schedule waits for room"
                );
            }
            return Ok(false);
        }
        // Others must not wait for one function, so its own times are left out.
        let reference = FunctionRef::Number(function);
        log_refused(app, reply::new_id(), reference, &export, &fault).await;
        app.scheduling.missed.fetch_add(1, Ordering::Relaxed);
        settlement.due.settled_at = due_at - 1;
        settlement.jobs.clear();
    }
}

/// The times that get a job: the newest if it has not passed, and of the others as many as the policy has.
fn chosen(missed: MissedTimes, times: &[i64], now: i64) -> Vec<i64> {
    let newest = times.last().copied();
    match missed {
        MissedTimes::All => times.to_vec(),
        MissedTimes::Once => newest.into_iter().collect(),
        MissedTimes::Skip => newest
            .filter(|time| now - time <= LATE)
            .into_iter()
            .collect(),
    }
}

/// A schedule of a declaration that this server stored.
fn declared(declaration: Option<&str>, name: &str) -> Option<DeclaredSchedule> {
    let declaration: Declaration = serde_json::from_str(declaration?).ok()?;
    let mut schedules = declaration.schedule.into_iter();
    schedules.find(|schedule| schedule.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_are_further_apart_and_reported_less_often() {
        let mut failures = Repeats::default();
        let (mut pauses, mut reported) = (vec![], vec![]);
        for _ in 0..40 {
            if failures.next() {
                reported.push(failures.count);
            }
            pauses.push(failures.pause().as_secs());
        }
        assert_eq!(pauses[..7], [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(reported, [1, 2, 4, 8, 16, 32]);
        let most = Repeats { count: u32::MAX };
        assert_eq!(most.pause(), WAIT);
        assert!(i64::try_from(WAIT.as_secs()).unwrap() < LATE);
    }
}
