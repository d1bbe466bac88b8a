//! The first page of a function: figures, charts, and its rollout.

use super::Seen;
use crate::console::chart::{self, Line};
use crate::console::history::{Point, STEPS, sum};
use crate::console::overview;
use crate::console::words;
use crate::deploy::secrets_not_set;
use crate::grants::Declaration;
use iof_fault::Fault;
use iof_store::{Deploy, Scope, Version};
use maud::{Markup, html};

pub(super) async fn page(seen: &Seen<'_>) -> Result<Markup, Fault> {
    let Seen {
        console, function, ..
    } = seen;
    let app = &console.app;
    let id = function.function_id;
    let declaration = function.version.declaration.as_deref();
    let missing = secrets_not_set(app, id, declaration).await?;
    // A version that cannot be loaded says so when it is called.
    let warnings = app.functions.warnings(id, &function.version).await;
    let mut warnings = warnings.unwrap_or_default();
    if !missing.is_empty() {
        warnings.insert(
            0,
            format!("Secrets are declared but not set: {}.", missing.join(", ")),
        );
    }
    let figures = match seen.may(Scope::Read) {
        true => figures(seen).await?,
        false => html! {},
    };
    Ok(html! {
        @for warning in &warnings { p class="alert warn" { (warning) } }
        (figures)
        div class="columns" {
            (rollout(seen))
            (grants(&function.version))
        }
    })
}

async fn figures(seen: &Seen<'_>) -> Result<Markup, Fault> {
    let Seen {
        console, function, ..
    } = seen;
    let app = &console.app;
    let points = console.history.of(&seen.counted());
    let step = console.history.step;
    let seconds = step.as_secs_f64();
    let all = sum(&points);
    let time = seconds * points.len().clamp(1, STEPS) as f64;
    app.call_log.flush().await;
    let usage = app.store.usage(function.function_id).await?;
    let versions = app.store.versions(function.function_id).await?;
    let deploys: Vec<_> = versions
        .iter()
        .take(50)
        .map(|version| Deploy {
            function_id: function.function_id,
            name: function.name.clone(),
            number: version.number,
            created_at: version.created_at,
            active: false,
        })
        .collect();
    let marks = overview::marks(&deploys);
    let span = format!("last {}", words::seconds(seconds * STEPS as f64));
    Ok(html! {
        div class="live" id="summary" data-live {
            dl class="figures" {
                (words::figure("Calls", &words::rate(all.calls as f64 / time), &span))
                (words::figure("Faults", &words::percent(all.faults, all.calls), &words::calls(all.faults)))
                (words::figure("Client faults", &words::percent(all.client_faults, all.calls), &words::calls(all.client_faults)))
                (words::figure("Median", &words::seconds_or_none(all.quantile(0.5)), &span))
                (words::figure("99th percentile", &words::seconds_or_none(all.quantile(0.99)), &span))
                (words::figure("All calls", &words::count(usage.invocations), "since the first one"))
                (words::figure("CPU time", &words::seconds(usage.guest_ns as f64 / 1e9), "of all calls"))
            }
            div class="charts three" {
                (chart::lines("Calls", &overview::calls(&points, seconds), &marks, step, words::rate))
                (chart::lines("Time of a call", &latencies(&points), &marks, step, words::seconds))
                (chart::map("Latency", &points, step))
            }
        }
    })
}

fn latencies(points: &[Point]) -> Vec<Line> {
    [("99th percentile", "p99", 0.99), ("median", "p50", 0.5)]
        .map(|(name, class, part)| Line {
            name,
            class,
            values: points.iter().map(|point| point.quantile(part)).collect(),
        })
        .into()
}

/// The versions that run now, side by side.
fn rollout(seen: &Seen<'_>) -> Markup {
    let function = seen.function;
    let canary = function.canary.as_ref();
    let percent = canary.map_or(0, |canary| canary.percent.get());
    let deploys = seen.may(Scope::Deploy);
    let mut rows = vec![version_row(
        seen,
        &function.version,
        "active",
        100 - percent,
    )];
    if let Some(canary) = canary {
        rows.push(version_row(seen, &canary.version, "canary", percent));
    }
    let heads = ["Version", "", ">Share", ">Calls", ">Faults", ">p99"];
    html! {
        section class="sheet" aria-labelledby="rollout-title" {
            h2 id="rollout-title" { "Rollout" }
            div class="live" id="rollout" data-live { (words::table("rollout-table", "Running versions", &heads, &rows, &html! {})) }
            @if let (Some(canary), true) = (canary, deploys) {
                (canary_form(seen, canary.version.number, percent))
                div class="act row-of-buttons" {
                    (action(&seen.api("/active"), "PUT", &format!("{{\"version\":{}}}", canary.version.number), "Promote the canary", ""))
                    (action(&seen.api("/canary"), "DELETE", "", "End the canary", "quiet"))
                }
            } @else if canary.is_none() {
                p class="note" { "All calls run version " (function.version.number) ". A canary sends a share of them to another version: choose one under " a href=(seen.href("versions")) { "Versions" } "." }
            }
        }
    }
}

fn version_row(seen: &Seen<'_>, version: &Version, state: &str, share: u8) -> Markup {
    let all = sum(&seen
        .console
        .history
        .of_version(&seen.counted(), version.number));
    html! {
        tr {
            td { (version.number) }
            td { span class=(format!("state {}", if state == "active" { "good" } else { "warn" })) { (state) } }
            td class="n" { (share) " %" }
            td class="n" { (words::count(all.calls)) }
            td class="n" { (words::percent(all.faults, all.calls)) }
            td class="n" { (words::seconds_or_none(all.quantile(0.99))) }
        }
    }
}

/// The form that sets the part of the calls that a version gets.
pub(super) fn canary_form(seen: &Seen<'_>, version: i64, percent: u8) -> Markup {
    html! {
        form class="slider" data-action="PUT" data-path=(seen.api("/canary")) data-json=(format!("{{\"version\":{version}}}")) {
            label for="percent" { "Version " (version) " runs " output for="percent" { (percent) } " % of the calls" }
            input id="percent" name="percent" data-type="number" type="range" min="1" max="99" value=(percent);
            button class="quiet" type="submit" { "Set" }
            div class="outcome" role="status" {}
        }
    }
}

/// A button that asks the API for something, and shows the page again.
pub(super) fn action(path: &str, method: &str, json: &str, label: &str, class: &str) -> Markup {
    html! {
        form data-action=(method) data-path=(path) data-json=(json) {
            button class=(class) type="submit" { (label) }
            div class="outcome" role="status" {}
        }
    }
}

fn grants(version: &Version) -> Markup {
    let declared = version.declaration.as_deref();
    let declaration: Option<Declaration> =
        declared.and_then(|text| serde_json::from_str(text).ok());
    let list = |title: &str, of: Vec<String>| {
        html! {
            dt { (title) }
            dd { @if of.is_empty() { span class="note" { "none" } } @else { ul class="plain" { @for one in &of { li { code { (one) } } } } } }
        }
    };
    html! {
        section class="sheet" aria-labelledby="grants-title" {
            h2 id="grants-title" { "Grants of version " (version.number) }
            @match &declaration {
                None => p class="note" { "It has no function.toml and gets the default grants of the server." },
                Some(of) => dl class="facts" {
                    (list("Outbound", of.outbound.0.iter().map(ToString::to_string).collect()))
                    (list("Commands", of.commands.iter().cloned().collect()))
                    (list("Secrets", of.secret_names().into_iter().map(str::to_owned).collect()))
                    dt { "Storage" } dd { (if of.storage { "yes" } else { "no" }) }
                    dt { "Recorded" } dd { (format!("{:?}", of.record).to_lowercase()) }
                },
            }
        }
    }
}
