//! The frame of every page: its head, its policy, and the way from one page to another.
//!
//! Words of functions and clients are text in all of it: the templates escape what they are given, the policy runs only the
//! script that this answer names by a number used once, and Trusted Types let no script make markup of a text.

use super::assets::{SCRIPT, STYLE};
use super::function;
use super::session::random;
use super::viewer::{Rights, Viewer};
use crate::reply;
use crate::status;
use axum::body::Body;
use http::header::{self, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, Uri};
use iof_fault::Fault;
use iof_store::Scope;
use maud::{DOCTYPE, Markup, html};

const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect width='32' height='32' rx='8' fill='%230f766e'/%3E%3Cpath d='M10 9h12M10 9v14M10 16h9' fill='none' stroke='white' stroke-width='3' stroke-linecap='round'/%3E%3C/svg%3E";

/// A part of the console, as the navigation names it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    Functions,
    Outbound,
    Keys,
    Audit,
    Server,
    Nowhere,
}

/// A page.
pub(super) struct Page {
    pub(super) title: String,
    pub(super) place: Place,
    /// The address of the events after which the page is read again.
    pub(super) events: Option<String>,
    pub(super) body: Markup,
}

/// The answer that is a page, for its viewer.
pub(super) fn page(viewer: Option<&Viewer>, page: &Page) -> Response<Body> {
    let nonce = random();
    let keyed = viewer.is_some_and(|viewer| viewer.session.key.is_some());
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(viewer) = viewer {
                    meta name="iof-csrf" content=(viewer.session.csrf());
                }
                title { (page.title) " – iof" }
                link rel="icon" href=(ICON);
                link rel="stylesheet" href=(STYLE.url) nonce=(nonce);
                script type="module" src=(SCRIPT.url) nonce=(nonce) {}
            }
            body class="console" data-events=[page.events.as_deref()] data-keyed=[keyed.then_some("yes")] {
                a class="skip" href="#main" { "Skip to the content" }
                (top(viewer, page.place))
                main id="main" { (page.body) }
                @if let Some(viewer) = viewer { (palette(&viewer.rights)) }
                noscript { p class="note" { "Live figures, forms and local times need JavaScript, which this browser does not run." } }
            }
        }
    };
    let mut response = Response::new(Body::from(markup.into_string()));
    for (name, value) in headers(&nonce) {
        response.headers_mut().insert(name, value);
    }
    response
}

fn headers(nonce: &str) -> [(HeaderName, HeaderValue); 5] {
    // Its own style and script, requests to this server, and pictures that a function answered: nothing else (CSP 3). Paths
    // of this origin are not enough for a script: a function answers at some of them.
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; img-src blob: data:; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    );
    let policy =
        HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    [
        (CONTENT_TYPE, reply::HTML),
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // With no referrer at all, a browser would send a form without its origin.
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("same-origin"),
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ]
}

/// The page of a fault, with its status.
pub(super) fn failure(viewer: Option<&Viewer>, fault: &Fault) -> Response<Body> {
    reply::log(fault, "refused");
    let status = status::of_fault(fault);
    let body = html! {
        header class="title" { h1 { (status.as_u16()) " " (status.canonical_reason().unwrap_or_default()) } }
        section class="sheet" {
            p class="lead" { (fault.message) }
            p class="note" { "Fault " code { (fault.code()) } }
            p { a href="/console" { "Go to the console" } }
        }
    };
    let title = status.as_u16().to_string();
    let mut response = page(
        viewer,
        &Page {
            title,
            place: Place::Nowhere,
            events: None,
            body,
        },
    );
    *response.status_mut() = status;
    if let Ok(code) = HeaderValue::from_str(fault.code()) {
        response.headers_mut().insert(reply::FAULT, code);
    }
    response
}

/// The answer to a path of the console that does not exist.
pub(super) async fn nowhere(uri: Uri) -> Response<Body> {
    failure(None, &reply::nothing_at(uri.path()))
}

fn top(viewer: Option<&Viewer>, place: Place) -> Markup {
    html! {
        header class="top" {
            a class="brand" href="/console" { "iof" }
            @if let Some(viewer) = viewer {
                nav aria-label="Console" {
                    @for (of, href, name) in places(&viewer.rights) {
                        a href=(href) aria-current=[(of == place).then_some("page")] { (name) }
                    }
                }
                form class="holder" method="post" action="/console/sign-out" {
                    input type="hidden" name="csrf" value=(viewer.session.csrf());
                    button class="quiet" type="button" data-palette="" aria-haspopup="dialog" aria-keyshortcuts="Control+K Meta+K" { "Go to " kbd { "Ctrl K" } }
                    span class="who" title="The key of this session" { (viewer.rights.label()) }
                    button class="quiet" type="submit" { "Sign out" }
                }
            }
        }
    }
}

/// The palette: a function, a page or an action by a few letters of its name. Its script fills it.
fn palette(rights: &Rights) -> Markup {
    let searches = rights.bound_to().is_none() && rights.may_all(Scope::Read);
    let pages = searches.then(|| serde_json::json!(function::pages_of_all(rights)).to_string());
    html! {
        dialog class="palette" id="palette" aria-label="Go to" data-functions=[pages] {
            input type="text" id="palette-input" role="combobox" aria-expanded="true" aria-controls="palette-list" aria-autocomplete="list"
                aria-label="A function, a page or an action" placeholder="A function, a page or an action" autocomplete="off" spellcheck="false";
            ul class="plain" id="palette-list" role="listbox" aria-label="Found" {}
            p class="note" id="palette-note" role="status" {}
        }
    }
}

/// The parts of the console that a viewer may see.
fn places(rights: &Rights) -> Vec<(Place, String, &'static str)> {
    if let Some(function) = rights.bound_to() {
        let href = format!("/console/functions/{function}");
        return vec![(Place::Functions, href, "Function")];
    }
    let mut places = vec![];
    if rights.may_all(Scope::Read) {
        places.push((Place::Overview, "/console", "Overview"));
        places.push((Place::Functions, "/console/functions", "Functions"));
        places.push((Place::Outbound, "/console/outbound", "Outbound"));
    } else if rights.may_all(Scope::Deploy) {
        places.push((Place::Functions, "/console/functions/new", "Deploy"));
    }
    if rights.operates() {
        places.push((Place::Keys, "/console/keys", "Keys"));
        places.push((Place::Audit, "/console/audit", "Audit"));
    }
    if rights.may_all(Scope::Read) {
        places.push((Place::Server, "/console/server", "Server"));
    }
    let places = places.into_iter();
    places
        .map(|(place, href, name)| (place, href.to_owned(), name))
        .collect()
}
