//! `/console/server`: what the server has: limits in use, commands, models, settings and where they come from.

use super::frame::{self, Page, Place};
use super::viewer::Viewer;
use super::{Console, words};
use crate::inventory::SettingSource;
use axum::body::Body;
use axum::extract::State;
use http::Response;
use iof_store::Scope;
use maud::{Markup, html};
use std::sync::Arc;

/// Shows the server.
pub(super) async fn show(State(console): State<Arc<Console>>, viewer: Viewer) -> Response<Body> {
    match viewer.server(&console, &[Scope::Read]).await {
        Ok(()) => frame::page(Some(&viewer), &page(&viewer, "Server", &about(&console))),
        Err(fault) => frame::failure(Some(&viewer), &fault),
    }
}

/// Shows its settings, to operators: they say where things are.
pub(super) async fn settings(
    State(console): State<Arc<Console>>,
    viewer: Viewer,
) -> Response<Body> {
    match viewer.operator(&console).await {
        Ok(()) => frame::page(Some(&viewer), &page(&viewer, "Settings", &table(&console))),
        Err(fault) => frame::failure(Some(&viewer), &fault),
    }
}

fn page(viewer: &Viewer, title: &str, body: &Markup) -> Page {
    let mut tabs = vec![("/console/server", "Server")];
    if viewer.rights.operates() {
        tabs.push(("/console/server/settings", "Settings"));
    }
    Page {
        title: title.to_owned(),
        place: Place::Server,
        events: None,
        body: html! {
            header class="title" { h1 { "Server" } span class="note" { "iof " (env!("CARGO_PKG_VERSION")) } }
            @if tabs.len() > 1 {
                nav class="tabs" aria-label="Server" {
                    @for (href, name) in tabs { a href=(href) aria-current=[(name == title).then_some("page")] { (name) } }
                }
            }
            (body)
        },
    }
}

/// A bound with how much of it is in use.
fn bound(name: &str, used: &str, limit: &str, part: f64) -> Markup {
    html! {
        tr {
            td { (name) }
            td class="n" { (used) }
            td class="n" { (limit) }
            td class="wide" { meter min="0" max="1" low="0.7" high="0.9" optimum="0" value=(format!("{part:.3}")) aria-label=(format!("{name} in use")) {} }
        }
    }
}

fn about(console: &Console) -> Markup {
    let app = &console.app;
    let capacity = app.engine.capacity();
    let loaded = app.functions.figures();
    let pool = app.engine.pool();
    let slots = pool.map_or(0, |pool| pool.used + pool.warm);
    let part = |used: u64, limit: u64| used as f64 / limit.max(1) as f64;
    let counts = |name: &str, used: u64, limit: u64| {
        bound(
            name,
            &words::count(used),
            &words::count(limit),
            part(used, limit),
        )
    };
    let (running, limit) = (app.limiter.running() as u64, app.limiter.limit() as u64);
    let rows = [
        counts("Running calls (server.concurrency)", running, limit),
        counts(
            "Waiting calls (server.queue)",
            app.limiter.waiting() as u64,
            app.settings.queue.into(),
        ),
        counts(
            "Functions in memory",
            loaded.functions,
            capacity.functions.into(),
        ),
        bound(
            "Code in memory (server.loaded_memory)",
            &words::bytes(loaded.bytes),
            &words::bytes(capacity.code),
            part(loaded.bytes, capacity.code),
        ),
        counts("Memory slots", slots, capacity.slots.into()),
    ];
    let commands: Vec<_> = app
        .inventory
        .commands
        .iter()
        .map(|of| html! { tr { td { code { (of.name) } } td { (of.kind.as_str()) } } })
        .collect();
    let models: Vec<_> = app
        .inventory
        .models
        .iter()
        .map(|name| html! { tr { td { code { (name) } } } })
        .collect();
    html! {
        section class="sheet" aria-labelledby="bounds" {
            h2 id="bounds" { "In use" }
            (words::table("bounds-table", "Limits and their use", &["Limit", ">Used", ">Of", ""], &rows, &html! {}))
            p class="note" { "To keep more functions in memory, the server needs more " (capacity.bound) ". docs/LIMITS.md lists all limits with their settings and fault codes." }
        }
        div class="columns" {
            section class="sheet" aria-labelledby="commands" {
                h2 id="commands" { "Commands" }
                (words::table("command-table", "Commands", &["Command", "Kind"], &commands, &html! { p { "This server has no commands." } }))
            }
            section class="sheet" aria-labelledby="models" {
                h2 id="models" { "Models" }
                (words::table("model-table", "Models", &["Model"], &models, &html! { p { "This server has no models." } p class="note" { "Add one: " code { "iof models add NAME FILE" } } }))
            }
        }
    }
}

fn table(console: &Console) -> Markup {
    let settings = &console.app.inventory.settings;
    let set = settings
        .iter()
        .filter(|line| line.source != SettingSource::Default)
        .count();
    let rows: Vec<_> = settings
        .iter()
        .map(|line| {
            let class = if line.source == SettingSource::Default {
                "note"
            } else {
                "state warn"
            };
            html! {
                tr {
                    td { code { (line.name) } }
                    td class="wide value" { code { (line.value) } }
                    td { span class=(class) { (line.source.as_str()) } }
                }
            }
        })
        .collect();
    html! {
        section class="sheet" aria-label="Settings" {
            p class="note" { (set) " of " (settings.len()) " are not at their default. Secrets are not shown." }
            (words::table("settings", "Settings", &["Setting", "Value", "Source"], &rows, &html! { p { "The settings are not known here." } }))
        }
    }
}
