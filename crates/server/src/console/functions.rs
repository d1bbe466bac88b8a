//! `/console/functions`: the functions of the server, page by page, and the deploy of a new one.

use super::chart;
use super::frame::{self, Page, Place};
use super::history::{STEPS, sum};
use super::viewer::{Viewer, query};
use super::{Console, events, words};
use crate::http::truncate;
use axum::body::Body;
use axum::extract::State;
use http::{Response, Uri};
use iof_fault::Fault;
use iof_store::{FunctionFilter, Scope, Summary};
use maud::{Markup, html};
use serde::Deserialize;
use std::sync::Arc;

/// Functions on one page.
const ROWS: u32 = 50;

/// The query of the list.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    /// A part of the names.
    name: String,
    /// The number after which the page begins.
    after: i64,
}

/// Lists the functions.
pub(super) async fn list(
    State(console): State<Arc<Console>>,
    uri: Uri,
    viewer: Viewer,
) -> Response<Body> {
    let page = async { page(&console, &viewer, &query(&uri)?).await };
    match page.await {
        Ok(page) => frame::page(Some(&viewer), &page),
        Err(fault) => frame::failure(Some(&viewer), &fault),
    }
}

async fn page(console: &Console, viewer: &Viewer, wanted: &Wanted) -> Result<Page, Fault> {
    viewer.server(console, &[Scope::Read]).await?;
    let app = &console.app;
    app.call_log.flush().await;
    let part = wanted.name.trim().to_lowercase();
    let which = FunctionFilter {
        name_has: (!part.is_empty()).then(|| part.clone()),
        private: None,
    };
    // One more tells whether there are more.
    let mut found = app.store.functions(&which, wanted.after, ROWS + 1).await?;
    let more = found.len() > ROWS as usize;
    found.truncate(ROWS as usize);
    let name: String = url::form_urlencoded::byte_serialize(part.as_bytes()).collect();
    let next = found.last().filter(|_| more).map(|last| last.function_id);
    let rows: Vec<_> = found.iter().map(|of| row(console, of)).collect();
    let span = words::seconds(console.history.step.as_secs_f64() * STEPS as f64);
    let last = format!("Last {span}");
    let heads = [
        "Function",
        last.as_str(),
        ">Rate",
        ">Faults",
        ">p99",
        ">Calls",
        ">Version",
        "",
    ];
    let body = html! {
        header class="title" {
            h1 { "Functions" }
            form class="search" method="get" action="/console/functions" role="search" {
                input type="search" name="name" value=(truncate(&wanted.name)) aria-label="Part of the name" placeholder="Part of the name"
                    autocomplete="off" spellcheck="false";
                button class="quiet" type="submit" { "Search" }
            }
            @if viewer.rights.may_all(Scope::Deploy) {
                a class="button" href="/console/functions/new" { "Deploy" }
            }
        }
        section class="sheet" aria-label="Functions" {
            div class="live" id="function-list" data-live {
                (words::table("function-table", "Functions", &heads, &rows, &empty(&part)))
            }
            @if wanted.after > 0 || next.is_some() {
                nav class="pager" aria-label="Pages" {
                    @if wanted.after > 0 { a href=(format!("/console/functions?name={name}")) { "First page" } } @else { span {} }
                    @if let Some(next) = next { a rel="next" href=(format!("/console/functions?name={name}&after={next}")) { "Next page" } }
                }
            }
        }
    };
    Ok(Page {
        title: "Functions".to_owned(),
        place: Place::Functions,
        events: Some(events::address(None, false)),
        body,
    })
}

fn row(console: &Console, of: &Summary) -> Markup {
    let label = of
        .name
        .clone()
        .unwrap_or_else(|| of.function_id.to_string());
    let points = console.history.of(&label);
    let all = sum(&points);
    let seconds = console.history.step.as_secs_f64() * points.len().clamp(1, STEPS) as f64;
    html! {
        tr {
            td {
                a href=(words::function_href(of.function_id)) { (words::label(of.name.as_deref(), of.function_id)) }
                // The API of 2020 writes this where no description was sent.
                @if !of.description.is_empty() && of.description != "undefined" { div class="sub clip" title=(of.description) { (of.description) } }
            }
            td class="wide" { (chart::spark(&points)) }
            td class="n" { (words::rate(all.calls as f64 / seconds)) }
            td class="n" { (words::percent(all.faults, all.calls)) }
            td class="n" { (words::seconds_or_none(all.quantile(0.99))) }
            td class="n" { (words::count(of.invocations)) }
            td class="n" { (of.version) }
            td {
                @if of.private { span class="tag" { "private" } " " }
                @if let Some((version, percent)) = &of.canary { span class="tag" { "canary " (version) ": " (percent.get()) " %" } }
            }
        }
    }
}

fn empty(part: &str) -> Markup {
    html! {
        @if part.is_empty() {
            p { "Nothing is deployed yet." }
            p class="note" { a href="/console/functions/new" { "Deploy a module" } ", or: " code { "iof new hello && cd hello && iof deploy" } }
        } @else {
            p { "No function has a name with “" (truncate(part)) "” in it." }
            p class="note" { a href="/console/functions" { "Show all functions" } }
        }
    }
}

/// Shows the form of a new function.
pub(super) async fn new(State(console): State<Arc<Console>>, viewer: Viewer) -> Response<Body> {
    if let Err(fault) = viewer.server(&console, &[Scope::Deploy]).await {
        return frame::failure(Some(&viewer), &fault);
    }
    let fields = html! {
        div class="fields" {
            div class="field" {
                label for="name" { "Name" small { "optional" } }
                input id="name" data-query="name" autocomplete="off" spellcheck="false" pattern="[a-z]([a-z0-9\\-]{0,61}[a-z0-9])?" aria-describedby="name-hint";
                p class="hint" id="name-hint" { "Lowercase letters, digits and hyphens. It cannot be changed later." }
            }
            div class="field" {
                label for="description" { "Description" small { "optional" } }
                input id="description" data-query="description" maxlength="255" autocomplete="off";
            }
            label class="check wide" { input type="checkbox" data-query="private" value="true"; "Private: callers need a key" }
        }
    };
    let body = html! {
        header class="title" { h1 { "Deploy a function" } }
        (deploy_form("/v1/functions", &fields))
    };
    let page = Page {
        title: "Deploy".to_owned(),
        place: Place::Functions,
        events: None,
        body,
    };
    frame::page(Some(&viewer), &page)
}

/// The form by which a module is deployed: files are dropped on it or chosen.
pub(super) fn deploy_form(path: &str, fields: &Markup) -> Markup {
    html! {
        form class="sheet deploy" data-deploy=(path) {
            div class="drop" {
                p class="lead" { "Drop a module here, and its function.toml" }
                p class="note" { "Without a function.toml, it gets the default grants of the server." }
                div class="choose" {
                    label for="module" { "Module (.wasm)" }
                    input id="module" type="file" accept=".wasm,application/wasm" data-part="module";
                    label for="declaration" { "function.toml" }
                    input id="declaration" type="file" accept=".toml,.json" data-part="function";
                }
            }
            (fields)
            div class="act" {
                button type="submit" { span class="spinner" aria-hidden="true" {} "Deploy" }
                progress max="1" value="0" aria-label="Sent" hidden {}
            }
            div class="outcome" role="status" {}
        }
    }
}
