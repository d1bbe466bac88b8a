//! Metrics of the parts behind calls: connections, the compiler, the store, logs and jobs.

use super::families::{Families, NONE};
use crate::app::App;
use crate::time::unix_ms;
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
    exports(families, app)?;
    schedules(families, app)?;
    job_ends(families, app)?;
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
    let described = ("connections_open", "Open connections of clients");
    gauge(families, described, open as u64)?;
    let described = ("connections_limit", "Maximum number of open connections");
    gauge(families, described, u64::from(app.settings.connections))
}

fn compiler(families: &mut Families<'_, '_>, app: &App) -> fmt::Result {
    let figures = app.engine.compiler();
    for (name, help, value) in [
        (
            "compiles_running",
            "Modules being compiled",
            figures.running,
        ),
        (
            "compiles_waiting",
            "Modules waiting to be compiled",
            figures.waiting,
        ),
        (
            "compiles_limit",
            "Maximum number of modules compiled at once",
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
            "Compilations that ended: ok, refused (the module is not valid here), or failed (at a limit, or inside the server)",
        ),
        None,
        outcomes.map(|(outcome, times)| ([("outcome", outcome)], times as f64)),
    )?;
    let described = (
        "compile_time",
        "Time of compilations that ended, including their wait",
    );
    seconds(families, described, figures.time)
}

fn store(families: &mut Families<'_, '_>, app: &App) -> fmt::Result {
    let figures = app.store.write_figures();
    let waiting = (
        "store_changes_waiting",
        "Changes waiting to be committed to the disk",
    );
    gauge(families, waiting, figures.waiting as u64)?;
    let outcomes = [("ok", figures.committed), ("failed", figures.failed)];
    families.counters(
        ("store_commits", "Transactions of the store, by outcome"),
        None,
        outcomes.map(|(outcome, times)| ([("outcome", outcome)], times as f64)),
    )?;
    let described = (
        "store_commit_time",
        "Time spent in transactions of the store",
    );
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
        ("log_waiting", "Size of log records waiting to be written"),
        Some(Unit::Bytes),
        logs.map(|(log, backlog)| ([("log", log)], backlog.held() as f64)),
    )?;
    families.counters(
        ("log_dropped", "Log records that were dropped"),
        None,
        logs.map(|(log, backlog)| ([("log", log)], backlog.dropped() as f64)),
    )
}

fn job_ends(families: &mut Families<'_, '_>, app: &App) -> fmt::Result {
    let counts = app.job_ends.counts();
    families.counters(
        (
            "job_ends",
            "Jobs that ended: ok, failed, cancelled, expired (not begun in time) or lost (interrupted too often)",
        ),
        None,
        counts.iter().map(|(function, end, count)| {
            ([("function", &**function), ("outcome", *end)], *count as f64)
        }),
    )?;
    families.counters(
        (
            "jobs_fenced",
            "Changes of jobs that were refused because their lease had another owner",
        ),
        None,
        [(NONE, app.job_ends.fenced() as f64)],
    )
}

fn jobs(families: &mut Families<'_, '_>, figures: JobFigures) -> fmt::Result {
    let states = [
        ("queued", figures.queued),
        ("delayed", figures.delayed),
        ("running", figures.running),
    ];
    families.gauges(
        (
            "jobs",
            "Jobs that are queued, delayed (queued for a later time) or running",
        ),
        None,
        states.map(|(state, jobs)| ([("state", state)], jobs as f64)),
    )?;
    families.gauges(
        (
            "jobs_kept",
            "Size of all kept jobs, including their outcomes",
        ),
        Some(Unit::Bytes),
        [(NONE, figures.bytes as f64)],
    )?;
    let age = |since: Option<i64>| {
        let now = unix_ms(SystemTime::now());
        since.map_or(0, |since| now.saturating_sub(since).max(0)) as f64 / 1e3
    };
    let ages = [
        ("queued", age(figures.oldest_queued)),
        ("running", age(figures.oldest_running)),
    ];
    families.gauges(
        (
            "jobs_oldest",
            "Age of the oldest queued job, and of the attempt that has run for the longest time",
        ),
        Some(Unit::Seconds),
        ages.map(|(state, age)| ([("state", state)], age)),
    )
}

/// The signals that are exported, if any are.
fn exports(families: &mut Families<'_, '_>, app: &App) -> fmt::Result {
    let figures = app.otlp.figures();
    if figures.is_empty() {
        return Ok(());
    }
    let outcomes = figures.iter().flat_map(|of| {
        let outcomes = [
            ("sent", of.sent),
            ("failed", of.failed),
            ("dropped", of.dropped),
        ];
        outcomes.map(|(outcome, records)| {
            let labels = [("signal", of.signal), ("outcome", outcome)];
            (labels, records as f64)
        })
    });
    families.counters(
        (
            "exports",
            "Traces, log records and metric snapshots for the OTLP collector: sent, failed (not accepted), or dropped (no room in otlp.memory)",
        ),
        None,
        outcomes,
    )?;
    families.gauges(
        (
            "exports_waiting",
            "Size of traces and log records waiting to be sent to the OTLP collector",
        ),
        Some(Unit::Bytes),
        figures
            .iter()
            .map(|of| ([("signal", of.signal)], of.waiting as f64)),
    )
}
