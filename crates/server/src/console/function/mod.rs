//! `/console/functions/{function}` and below: one function, a page for each of its sides.
//!
//! | file | page |
//! |---|---|
//! | `summary` | figures, charts and the rollout |
//! | `versions`, `difference` | versions, their deploy, and what differs between two |
//! | `call` | the form of a call |
//! | `records` | log, outbound requests, recordings |
//! | `jobs` | jobs |
//! | `schedules` | schedules |
//! | `storage` | stored values |
//! | `keys` | secrets, keys, deletion |

mod call;
mod difference;
mod jobs;
mod keys;
mod records;
mod schedules;
mod storage;
mod summary;
mod versions;

use super::frame::{self, Page, Place};
use super::viewer::{Rights, Viewer, query, redirect};
use super::{Console, audit, events, words};
use crate::reply;
use axum::body::Body;
use axum::extract::{Path, State};
use http::{Response, Uri};
use iof_fault::Fault;
use iof_store::{Function, Scope};
use maud::{Markup, html};
use serde::Deserialize;
use std::sync::Arc;

/// A page of a function.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tab {
    Summary,
    Versions,
    Call,
    Log,
    Outbound,
    Recordings,
    Jobs,
    Schedules,
    Storage,
    Secrets,
    Keys,
    Audit,
}

const TABS: [(Tab, &str, &str); 12] = [
    (Tab::Summary, "", "Overview"),
    (Tab::Versions, "versions", "Versions"),
    (Tab::Call, "call", "Call"),
    (Tab::Log, "log", "Log"),
    (Tab::Outbound, "outbound", "Outbound"),
    (Tab::Recordings, "recordings", "Recordings"),
    (Tab::Jobs, "jobs", "Jobs"),
    (Tab::Schedules, "schedules", "Schedules"),
    (Tab::Storage, "storage", "Storage"),
    (Tab::Secrets, "secrets", "Secrets"),
    (Tab::Keys, "keys", "Keys"),
    (Tab::Audit, "audit", "Audit"),
];

impl Tab {
    /// The scopes of which any opens the page; they are those of the API for what is on it.
    fn need(self) -> &'static [Scope] {
        match self {
            Self::Summary | Self::Versions => &[Scope::Read, Scope::Deploy],
            Self::Call => &[Scope::Call, Scope::Read, Scope::Deploy],
            Self::Log | Self::Outbound | Self::Jobs | Self::Schedules => &[Scope::Read],
            Self::Recordings | Self::Storage | Self::Secrets | Self::Keys | Self::Audit => {
                &[Scope::Admin]
            }
        }
    }

    /// Returns whether a page may be offered.
    fn is_for(self, rights: &Rights, function: i64) -> bool {
        self.need().iter().any(|scope| rights.may(*scope, function))
    }
}

/// The query of a page.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    /// Two versions to be compared.
    from: Option<i64>,
    to: Option<i64>,
    /// The row before which a list begins.
    before: Option<i64>,
    /// A part of the rows of a log.
    find: String,
    /// True if only calls that failed are wanted.
    faults: Option<String>,
    /// The beginning of the keys of values, the key after which their list begins, and the key of one value; a key that is not
    /// text is in base64.
    prefix: String,
    after: Option<String>,
    after_base64: Option<String>,
    key: Option<String>,
    key_base64: Option<String>,
    /// The form in which a value is shown.
    show: Option<String>,
}

/// A function, for a viewer who may see it.
struct Seen<'a> {
    console: &'a Console,
    viewer: &'a Viewer,
    function: &'a Function,
}

impl Seen<'_> {
    /// The name under which its calls are counted.
    fn counted(&self) -> String {
        let id = self.function.function_id;
        self.function.name.clone().unwrap_or_else(|| id.to_string())
    }

    /// The address of a page of it.
    fn href(&self, tab: &str) -> String {
        let base = words::function_href(self.function.function_id);
        match tab {
            "" => base,
            tab => format!("{base}/{tab}"),
        }
    }

    /// The address of the function in the API.
    fn api(&self, rest: &str) -> String {
        format!("/v1/functions/{}{rest}", self.function.function_id)
    }

    fn may(&self, scope: Scope) -> bool {
        self.viewer.rights.may(scope, self.function.function_id)
    }
}

/// Shows the first page of a function.
pub(super) async fn overview(
    State(console): State<Arc<Console>>,
    Path(function): Path<String>,
    viewer: Viewer,
) -> Response<Body> {
    answer(
        &console,
        &viewer,
        &function,
        Tab::Summary,
        &Wanted::default(),
    )
    .await
}

/// Shows another page of a function.
pub(super) async fn tab(
    State(console): State<Arc<Console>>,
    Path((function, tab)): Path<(String, String)>,
    uri: Uri,
    viewer: Viewer,
) -> Response<Body> {
    let known = TABS
        .iter()
        .find(|(_, name, _)| *name == tab && !tab.is_empty());
    let Some((tab, ..)) = known else {
        let path = format!("/console/functions/{function}/{tab}");
        return frame::failure(Some(&viewer), &reply::nothing_at(&path));
    };
    match query(&uri) {
        Ok(wanted) => answer(&console, &viewer, &function, *tab, &wanted).await,
        Err(fault) => frame::failure(Some(&viewer), &fault),
    }
}

async fn answer(
    console: &Console,
    viewer: &Viewer,
    id: &str,
    tab: Tab,
    wanted: &Wanted,
) -> Response<Body> {
    match page(console, viewer, id, tab, wanted).await {
        Ok(Some(page)) => frame::page(Some(viewer), &page),
        Ok(None) => redirect(&format!("/console/functions/{id}/call")),
        Err(fault) => frame::failure(Some(viewer), &fault),
    }
}

/// A page of a function; `None` for a viewer who may only call it.
async fn page(
    console: &Console,
    viewer: &Viewer,
    id: &str,
    tab: Tab,
    wanted: &Wanted,
) -> Result<Option<Page>, Fault> {
    let function = match viewer.function(console, id, tab.need()).await {
        Ok(function) => function,
        Err(_)
            if tab == Tab::Summary
                && viewer.function(console, id, Tab::Call.need()).await.is_ok() =>
        {
            return Ok(None);
        }
        Err(fault) => return Err(fault),
    };
    let seen = Seen {
        console,
        viewer,
        function: &function,
    };
    let body = match tab {
        Tab::Summary => summary::page(&seen).await?,
        Tab::Versions => versions::page(&seen, wanted).await?,
        Tab::Call => call::page(&seen),
        Tab::Log => records::log(&seen, wanted).await?,
        Tab::Outbound => records::outbound(&seen, wanted).await?,
        Tab::Recordings => records::recordings(&seen).await?,
        Tab::Jobs => jobs::page(&seen).await?,
        Tab::Schedules => schedules::page(&seen).await?,
        Tab::Storage => storage::page(&seen, wanted).await?,
        Tab::Secrets => keys::secrets(&seen).await?,
        Tab::Keys => keys::keys(&seen).await?,
        Tab::Audit => {
            audit::list(
                console,
                Some(function.function_id),
                wanted.before,
                &seen.href("audit"),
            )
            .await?
        }
    };
    let label = words::label(function.name.as_deref(), function.function_id);
    let live = matches!(tab, Tab::Summary | Tab::Log | Tab::Jobs) && seen.may(Scope::Read);
    let number = function.function_id.to_string();
    let name = TABS
        .iter()
        .find(|(of, ..)| *of == tab)
        .map_or("", |(.., name)| name);
    Ok(Some(Page {
        title: format!("{label}: {name}"),
        place: Place::Functions,
        events: live.then(|| events::address(Some(&number), tab == Tab::Log)),
        body: html! {
            (head(&seen, &label))
            (tabs(&seen, tab))
            (body)
        },
    }))
}

/// The pages of any function that a viewer of all functions may open, for the palette: their paths and names.
pub(super) fn pages_of_all(rights: &Rights) -> Vec<(&'static str, &'static str)> {
    // No function has the number 0, so what a key may do there it may do everywhere.
    let tabs = TABS.iter().filter(|(tab, ..)| tab.is_for(rights, 0));
    tabs.map(|(_, path, name)| (*path, *name)).collect()
}

fn head(seen: &Seen<'_>, label: &str) -> Markup {
    let function = seen.function;
    html! {
        header class="title" {
            h1 { (label) }
            @if function.name.is_some() { span class="note" { "number " (function.function_id) } }
            @if function.usage_key_hash.is_some() { span class="tag" { "private" } }
            @if !function.description.is_empty() && function.description != "undefined" { p class="about" { (function.description) } }
        }
    }
}

fn tabs(seen: &Seen<'_>, current: Tab) -> Markup {
    let id = seen.function.function_id;
    let tabs = TABS
        .iter()
        .filter(|(tab, ..)| tab.is_for(&seen.viewer.rights, id));
    html! {
        nav class="tabs" aria-label="Function" {
            @for (tab, path, name) in tabs {
                a href=(seen.href(path)) aria-current=[(*tab == current).then_some("page")] { (name) }
            }
        }
    }
}
