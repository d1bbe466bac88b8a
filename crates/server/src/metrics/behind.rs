//! Metrics of the parts behind calls: connections, the compiler, the store, logs and jobs.

use super::exposition::{Families, NONE};
use crate::app::App;
use crate::outbound_log::unix_ms;
use iof_store::JobFigures;
use prometheus_client::registry::Unit;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Writes these metrics. Those of jobs, which come from the database, are left out if `jobs` is `None`.
pub(super) fn write(
    families: &mut Families<'_, '_>,
    app: &App,
    jobs: Option<JobFigures>,
) -> fmt::Result {
    connections(families, app)?;
    compiler(families, app)?;
    store(families, app)?;
    logs(families, app)?;
    traces(families, app)?;
    schedules(families, app)?;
    match jobs {
        Some(figures) => self::jobs(families, figures),
        None => Ok(()),
    }
}

fn gauge(families: &mut Families<'_, '_>, described: (&str, &str), value: u64) -> fmt::Result {
    families.gauges(described, None, [(NONE, value as f64)])
}

fn seconds(
    families: &mut Families<'_, '_>,
    described: (&str, &str),
    time: Duration,
) -> fmt::Result {
    families.counters(described, Some(Unit::Seconds), [(NONE, time.as_secs_f64())])
}

fn connections(families: &mut Families<'_, '_>, app: &App) -> fmt::Result {
    // The server holds the count as well.
    let open = Arc::strong_count(&app.connections) - 1;
    let described = ("connections_open", "Connections of clients");
    gauge(families, described, open as u64)?;
    let described = ("connections_limit", "Connections that there may be");
    gauge(families, described, u64::from(app.settings.connections))
}

fn compiler(families: &mut Families<'_, '_>, app: &App) -> fmt::Result {
    let figures = app.engine.compiler();
    for (name, help, value) in [
        (
            "compiles_running",
            "Modules that are being compiled",
            figures.running,
        ),
        (
            "compiles_waiting",
            "Modules that wait to be compiled",
            figures.waiting,
        ),
        (
            "compiles_limit",
            "Modules that may be compiled at once",
            figures.limit,
        ),
    ] {
        gauge(families, (name, help), value as u64)?;
    }
    let outcomes = [
        ("ok", figures.compiled),
        ("refused", figures.refused),
        ("failed", figures.failed),
    ];
    families.counters(
        (
            "compiles",
            "Compiles that ended: refused for what the module is, or failed at a limit",
        ),
        None,
        outcomes.map(|(outcome, times)| ([("outcome", outcome)], times as f64)),
    )?;
    let described = (
        "compile_time",
        "Time of compiles that ended, their wait included",
    );
    seconds(families, described, figures.time)
}

fn store(families: &mut Families<'_, '_>, app: &App) -> fmt::Result {
    let figures = app.store.write_figures();
    let waiting = ("store_changes_waiting", "Changes that wait for a commit");
    gauge(families, waiting, figures.waiting as u64)?;
    let outcomes = [("ok", figures.committed), ("failed", figures.failed)];
    families.counters(
        ("store_commits", "Transactions of the store"),
        None,
        outcomes.map(|(outcome, times)| ([("outcome", outcome)], times as f64)),
    )?;
    let described = ("store_commit_time", "Time of the store's transactions");
    seconds(families, described, figures.time)
}

fn schedules(families: &mut Families<'_, '_>, app: &App) -> fmt::Result {
    let (queued, missed) = app.scheduling.figures();
    let outcomes = [("queued", queued), ("missed", missed)];
    families.counters(
        (
            "schedule_times",
            "Times of schedules that became jobs, or had passed and were left out",
        ),
        None,
        outcomes.map(|(outcome, times)| ([("outcome", outcome)], times as f64)),
    )
}

fn logs(families: &mut Families<'_, '_>, app: &App) -> fmt::Result {
    let logs = [
        ("calls", app.call_log.backlog()),
        ("outbound", app.outbound_log.backlog()),
    ];
    families.gauges(
        ("log_waiting", "Records of a log that wait to be written"),
        Some(Unit::Bytes),
        logs.map(|(log, backlog)| ([("log", log)], backlog.held() as f64)),
    )?;
    families.counters(
        ("log_dropped", "Records of a log that were dropped"),
        None,
        logs.map(|(log, backlog)| ([("log", log)], backlog.dropped() as f64)),
    )
}

fn jobs(families: &mut Families<'_, '_>, figures: JobFigures) -> fmt::Result {
    let states = [("queued", figures.queued), ("running", figures.running)];
    families.gauges(
        ("jobs", "Jobs that wait and that run"),
        None,
        states.map(|(state, jobs)| ([("state", state)], jobs as f64)),
    )?;
    families.gauges(
        ("jobs_kept", "Bytes that all jobs keep, with outcomes"),
        Some(Unit::Bytes),
        [(NONE, figures.bytes as f64)],
    )?;
    let age = figures.oldest_queued.map_or(0, |accepted| {
        unix_ms(SystemTime::now()).saturating_sub(accepted).max(0)
    });
    families.gauges(
        ("jobs_oldest", "Age of the oldest job that waits"),
        Some(Unit::Seconds),
        [(NONE, age as f64 / 1e3)],
    )
}

/// The traces of calls, if they are exported.
fn traces(families: &mut Families<'_, '_>, app: &App) -> fmt::Result {
    let Some(figures) = app.traces.figures() else {
        return Ok(());
    };
    let outcomes = [
        ("sent", figures.sent),
        ("failed", figures.failed),
        ("dropped", figures.dropped),
    ];
    families.counters(
        (
            "traces",
            "Traces of calls: those that the collector took, did not take, and that had no room",
        ),
        None,
        outcomes.map(|(outcome, times)| ([("outcome", outcome)], times as f64)),
    )?;
    families.gauges(
        ("traces_waiting", "Traces of calls that wait to be sent"),
        Some(Unit::Bytes),
        [(NONE, figures.waiting as f64)],
    )
}
