//! `/console/audit`: who changed what, when, and through which surface; of all functions, or of one.

use super::frame::{self, Page, Place};
use super::viewer::{Viewer, query};
use super::{Console, words};
use axum::body::Body;
use axum::extract::State;
use http::{Response, Uri};
use iof_fault::Fault;
use iof_store::{AuthorKey, ChangeQuery, ChangeRecord};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Changes on one page.
const ROWS: u32 = 100;

/// The query of the page.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    before: Option<i64>,
}

/// Shows the changes of all functions and of the server, to operators.
pub(super) async fn show(
    State(console): State<Arc<Console>>,
    uri: Uri,
    viewer: Viewer,
) -> Response<Body> {
    let body = async {
        viewer.operator(&console).await?;
        let wanted: Wanted = query(&uri)?;
        list(&console, None, wanted.before, "/console/audit").await
    };
    match body.await {
        Ok(body) => frame::page(
            Some(&viewer),
            &Page {
                title: "Audit".to_owned(),
                place: Place::Audit,
                events: None,
                body: html! { header class="title" { h1 { "Audit" } span class="note" { "Who changed what, when" } } (body) },
            },
        ),
        Err(fault) => frame::failure(Some(&viewer), &fault),
    }
}

/// The changes of one function or of all, in rows before a number.
///
/// # Errors
/// `store`
pub(super) async fn list(
    console: &Console,
    function_id: Option<i64>,
    before: Option<i64>,
    href: &str,
) -> Result<Markup, Fault> {
    let query = ChangeQuery {
        function_id,
        before,
        since: None,
        limit: ROWS + 1,
    };
    let mut changes = console.app.store.changes(&query).await?;
    let more = changes.len() > ROWS as usize;
    changes.truncate(ROWS as usize);
    let next = changes.last().filter(|_| more).map(|change| change.id);
    let rows: Vec<_> = changes
        .iter()
        .map(|of| row(of, function_id.is_none()))
        .collect();
    let mut heads = vec!["Time", "Change", "Details", "Key", "Through"];
    if function_id.is_none() {
        heads.insert(1, "Function");
    }
    let empty = html! {
        p { "No changes yet." }
        p class="note" { "Deploys, rollouts, secrets, keys and deletions are recorded here; the newest " code { "records.changes" } " are kept." }
    };
    Ok(html! {
        section class="sheet" aria-label="Changes" {
            (words::table("changes", "Changes, the newest first", &heads, &rows, &empty))
            @if before.is_some() || next.is_some() {
                nav class="pager" aria-label="Pages" {
                    @if before.is_some() { a href=(href) { "Newest" } } @else { span {} }
                    @if let Some(next) = next { a rel="next" href=(format!("{href}?before={next}")) { "Older" } }
                }
            }
        }
    })
}

fn row(of: &ChangeRecord, all: bool) -> Markup {
    let details: Map<String, Value> = serde_json::from_str(&of.details).unwrap_or_default();
    html! {
        tr {
            td class="time" { (words::time(of.made_at)) }
            @if all {
                td {
                    @match of.function_id {
                        // Of one that is gone, the page says so.
                        Some(id) => a href=(words::function_href(id)) { (words::label(of.function_name.as_deref(), id)) },
                        None => span class="note" { "the server" },
                    }
                }
            }
            td { code { (of.action) } }
            td class="wide said" {
                @for (name, value) in details.iter().filter(|(_, value)| !value.is_null()) {
                    span class="detail" { span class="sub" { (if name == "bytes" { "size".to_owned() } else { name.replace('_', " ") }) } " " (shown(name, value)) } " "
                }
            }
            td { (key(&of.by.key)) }
            td { (of.by.surface.as_str()) }
        }
    }
}

/// A detail as people read it.
fn shown(name: &str, value: &Value) -> Markup {
    let said = text(value);
    match (name, value.as_u64()) {
        // The first digits tell one module from another.
        ("sha256", _) => html! { code title=(said) { (said.get(..12).unwrap_or(&said)) } },
        ("bytes", Some(size)) => html! { (words::bytes(size)) },
        _ => html! { (said) },
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "–".to_owned(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn key(key: &AuthorKey) -> Markup {
    html! {
        @match key {
            AuthorKey::None => span class="note" { "none" },
            AuthorKey::Server(place) => { "key " (place) " of the server" },
            AuthorKey::Made(id, label) => { (label) " " span class="sub" { "key " (id) } },
            AuthorKey::Function(id) => { "admin key of " (id) },
        }
    }
}
