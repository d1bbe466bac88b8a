//! `/console`: the whole server at a glance.

use super::chart::{self, Line, Mark};
use super::frame::{self, Page, Place};
use super::history::{Point, STEPS, sum};
use super::viewer::{Viewer, redirect};
use super::{Console, events, words};
use axum::body::Body;
use axum::extract::State;
use http::Response;
use iof_fault::Fault;
use iof_store::{Deploy, Scope};
use maud::{Markup, html};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Rows of each table.
const ROWS: usize = 8;

/// Shows the overview; a viewer of one function is led to that.
pub(super) async fn show(State(console): State<Arc<Console>>, viewer: Viewer) -> Response<Body> {
    if let Some(function) = viewer.rights.bound_to() {
        return redirect(&words::function_href(function));
    }
    if viewer.server(&console, &[Scope::Read]).await.is_err()
        && viewer.rights.may_all(Scope::Deploy)
    {
        return redirect("/console/functions/new");
    }
    match page(&console, &viewer).await {
        Ok(page) => frame::page(Some(&viewer), &page),
        Err(fault) => frame::failure(Some(&viewer), &fault),
    }
}

async fn page(console: &Console, viewer: &Viewer) -> Result<Page, Fault> {
    viewer.server(console, &[Scope::Read]).await?;
    let app = &console.app;
    let deploys = app.store.deploys(50).await?;
    let points = console.history.all();
    let step = console.history.step;
    let health = match app.store.ready().await {
        Ok(()) => app.store.has_room().await,
        Err(error) => Err(error),
    };
    let marks = marks(&deploys);
    let body = html! {
        header class="title" {
            h1 { "Overview" }
            @if app.dev { span class="tag" { "iof dev" } }
        }
        div class="live" id="overview" data-live {
            (figures(console, &points, health.err().as_ref()))
            div class="charts" {
                (chart::lines("Calls", &calls(&points, step.as_secs_f64()), &marks, step, words::rate))
                (chart::map("Latency", &points, step))
            }
            div class="columns" {
                div {
                    section class="sheet" aria-labelledby="top" {
                        h2 id="top" { "Busiest functions" }
                        (top(console))
                    }
                    section class="sheet" aria-labelledby="deploys" {
                        h2 id="deploys" { "Newest deploys" }
                        (deploy_table(&deploys))
                    }
                }
                section class="sheet" aria-labelledby="faults" {
                    h2 id="faults" { "Newest faults" }
                    (faults(console))
                }
            }
        }
    };
    Ok(Page {
        title: "Overview".to_owned(),
        place: Place::Overview,
        events: Some(events::address(None, false)),
        body,
    })
}

fn figures(console: &Console, points: &[Point], ill: Option<&iof_store::Error>) -> Markup {
    let app = &console.app;
    // The figures are of the last minute, or of the last step where one takes longer.
    let seconds = console.history.step.as_secs_f64();
    let recent = ((60.0 / seconds).ceil() as usize).clamp(1, STEPS);
    let of = points
        .get(points.len().saturating_sub(recent)..)
        .unwrap_or_default();
    let last = sum(of);
    let time = seconds * of.len().max(1) as f64;
    let loaded = app.functions.figures();
    html! {
        dl class="figures" {
            @match ill {
                None => div class="figure good" { dt { "Health" } dd { "ready" small { "up " (words::seconds(app.metrics.uptime())) } } },
                Some(error) => div class="figure bad" { dt { "Health" } dd { "not ready" small { (error.code()) } } },
            }
            (words::figure("Calls", &words::rate(last.calls as f64 / time), "last minute"))
            (words::figure("Faults", &words::percent(last.faults, last.calls), &words::calls(last.faults)))
            (words::figure("Median", &words::seconds_or_none(last.quantile(0.5)), "last minute"))
            (words::figure("99th percentile", &words::seconds_or_none(last.quantile(0.99)), "last minute"))
            (words::figure("Running", &words::count(app.limiter.running() as u64), &format!("of {}", words::count(app.limiter.limit() as u64))))
            (words::figure("Waiting", &words::count(app.limiter.waiting() as u64), &format!("of {}", words::count(app.settings.queue.into()))))
            (words::figure("In memory", &words::count(loaded.functions), &words::bytes(loaded.bytes)))
        }
    }
}

/// The lines of calls and faults, each second.
pub(super) fn calls(points: &[Point], seconds: f64) -> Vec<Line> {
    let each = |count: fn(&Point) -> u64| {
        let values = points.iter();
        values
            .map(|point| Some(count(point) as f64 / seconds))
            .collect()
    };
    vec![
        Line {
            name: "calls",
            class: "calls",
            values: each(|point| point.calls),
        },
        Line {
            name: "faults",
            class: "faults",
            values: each(|point| point.faults),
        },
    ]
}

/// Marks of deploys on a chart.
pub(super) fn marks(deploys: &[Deploy]) -> Vec<Mark> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let deploys = deploys.iter();
    deploys
        .map(|deploy| Mark {
            ago: (now.as_secs_f64() - deploy.created_at as f64 / 1000.0).max(0.0),
            text: format!(
                "{} version {}",
                words::label(deploy.name.as_deref(), deploy.function_id),
                deploy.number
            ),
        })
        .collect()
}

fn top(console: &Console) -> Markup {
    let span = console.history.step.as_secs_f64();
    let versions = console.history.busiest(ROWS);
    let rows: Vec<_> = versions
        .iter()
        .map(|of| {
            let all = sum(&of.points);
            let time = span * of.points.len().max(1) as f64;
            html! {
                tr {
                    td {
                        // The name of all others together is not one of a function.
                        @if of.version == 0 { (of.function) } @else { a href=(format!("/console/functions/{}", of.function)) { (of.function) } " " small { "v" (of.version) } }
                    }
                    td class="wide" { (chart::spark(&of.points)) }
                    td class="n" { (words::rate(all.calls as f64 / time)) }
                    td class="n" { (words::percent(all.faults, all.calls)) }
                    td class="n" { (words::seconds_or_none(all.quantile(0.99))) }
                }
            }
        })
        .collect();
    let empty = html! {
        p { "No function was called in the last " (words::seconds(span * STEPS as f64)) "." }
        p class="note" { "Call one with " code { "iof call hello greet" } " or with the form on its page." }
    };
    let heads = ["Function", "Calls", ">Rate", ">Faults", ">p99"];
    words::table("top-table", "Busiest functions", &heads, &rows, &empty)
}

fn faults(console: &Console) -> Markup {
    let faults = console.app.recent_faults.newest(ROWS);
    let rows: Vec<_> = faults
        .iter()
        .map(|of| {
            let href = format!("/console/functions/{}/log#call-{}", of.function, of.call);
            html! {
                tr {
                    td class="time" { (words::recent_time(of.at)) }
                    td { a href=(href) { (words::label(of.name.as_deref(), of.function)) } " " small { "v" (of.version) } div class="sub" { (of.export) } }
                    td { (words::outcome(Some(&of.fault))) div class="sub clip" title=(of.message) { (of.message) } }
                }
            }
        })
        .collect();
    let empty = html! {
        p { "No call has failed since the server started." }
        p class="note" { "Older faults are in the log of each function." }
    };
    words::table(
        "fault-table",
        "Newest faults",
        &["Time", "Function", "Fault"],
        &rows,
        &empty,
    )
}

fn deploy_table(deploys: &[Deploy]) -> Markup {
    let rows: Vec<_> = deploys
        .iter()
        .take(ROWS)
        .map(|of| {
            html! {
                tr {
                    td class="time" { (words::recent_time(of.created_at)) }
                    td { a href=(words::function_href(of.function_id)) { (words::label(of.name.as_deref(), of.function_id)) } }
                    td class="n" { (of.number) }
                    td { @if of.active { span class="state good" { "active" } } }
                }
            }
        })
        .collect();
    let empty = html! {
        p { "Nothing is deployed yet." }
        p class="note" { a href="/console/functions/new" { "Deploy a module" } ", or: " code { "iof new hello && cd hello && iof deploy" } }
    };
    words::table(
        "deploy-table",
        "Newest deploys",
        &["Time", "Function", ">Version", ""],
        &rows,
        &empty,
    )
}
