//! `/console/keys`: keys with scopes, for those who may make and delete them.

use super::frame::{self, Page, Place};
use super::viewer::Viewer;
use super::{Console, words};
use axum::body::Body;
use axum::extract::State;
use http::Response;
use iof_fault::Fault;
use iof_store::{ApiKey, Scope};
use maud::{Markup, html};
use std::sync::Arc;

/// The heads of a table of keys.
pub(super) const HEADS: [&str; 7] = [
    "Number", "Label", "Scopes", "Function", "Created", "Expires", "",
];

/// Shows the keys.
pub(super) async fn show(State(console): State<Arc<Console>>, viewer: Viewer) -> Response<Body> {
    match page(&console, &viewer).await {
        Ok(page) => frame::page(Some(&viewer), &page),
        Err(fault) => frame::failure(Some(&viewer), &fault),
    }
}

async fn page(console: &Console, viewer: &Viewer) -> Result<Page, Fault> {
    viewer.operator(console).await?;
    let keys = console.app.store.keys(None).await?;
    let rows: Vec<_> = keys.iter().map(|key| row(key, true)).collect();
    let empty = html! {
        p { "No keys yet." }
        p class="note" { "Give each person and each program its own key, with only the scopes that it needs." }
    };
    let body = html! {
        header class="title" { h1 { "Keys" } }
        section class="sheet" aria-label="Keys" { (words::table("keys", "Keys", &HEADS, &rows, &empty)) }
        form class="sheet" data-action="POST" data-path="/v1/keys" data-json="{}" data-done="key" {
            h2 { "Create a key" }
            div class="fields" {
                div class="field" { label for="label" { "Label" small { "who uses it, and what for" } } input id="label" name="label" required maxlength="100" autocomplete="off"; }
                div class="field" { label for="function" { "Function" small { "all functions, if empty" } } input id="function" name="function" autocomplete="off" spellcheck="false" data-type="optional"; }
                fieldset class="field" {
                    legend { "Scopes" }
                    @for (scope, about) in [(Scope::Read, "see functions, logs, usage and outbound requests"), (Scope::Call, "call private functions"), (Scope::Deploy, "create functions, add versions, roll back"), (Scope::Admin, "all of these; also secrets, keys and deletion")] {
                        label class="check" { input type="checkbox" name="scopes" value=(scope.as_str()) data-type="list"; (scope.as_str()) small { (about) } }
                    }
                }
                div class="field" { label for="expires" { "Expires" small { "never, if empty" } } input id="expires" name="expires_at" type="datetime-local" data-type="time"; }
            }
            div class="act" { button type="submit" { "Create" } }
            div class="outcome" role="status" {}
        }
    };
    Ok(Page {
        title: "Keys".to_owned(),
        place: Place::Keys,
        events: None,
        body,
    })
}

/// A row of a table of keys.
pub(super) fn row(key: &ApiKey, deletes: bool) -> Markup {
    let scopes: Vec<_> = key.scopes.iter().map(Scope::as_str).collect();
    html! {
        tr {
            td { (key.id) }
            td { (key.label) }
            td { (scopes.join(", ")) }
            td { @match key.function_id { Some(id) => a href=(words::function_href(id)) { (id) }, None => span class="note" { "all" } } }
            td class="time" { (words::time(key.created_at)) }
            td class="time" { @match key.expires_at { Some(end) => (words::time(end)), None => span class="note" { "never" } } }
            td class="buttons" {
                @if deletes {
                    form data-action="DELETE" data-path=(format!("/v1/keys/{}", key.id)) data-confirm="Really delete?" {
                        button class="quiet" type="submit" { "Delete" }
                        div class="outcome" role="status" {}
                    }
                }
            }
        }
    }
}
