//! `/console/sign-in` and `/console/sign-out`.

use super::frame::{self, Page, Place};
use super::session::Use;
use super::viewer::{Rights, Viewer, credentials, query, redirect};
use super::{Console, cookie};
use crate::access;
use crate::connection::Client;
use crate::http::{content_type, essence_of, truncate};
use axum::body::Body;
use axum::extract::{Extension, State};
use bytesize::ByteSize;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use iof_fault::{Fault, FaultKind};
use maud::{Markup, html};
use serde::Deserialize;
use std::sync::Arc;

/// The largest form of a sign-in.
const FORM: ByteSize = ByteSize::kib(8);

/// The query of the page: where the reader wanted to go.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    next: String,
}

/// The fields of the form.
#[derive(Default)]
struct SignIn {
    key: String,
    function: String,
    next: String,
}

/// Shows the form.
pub(super) async fn show(State(console): State<Arc<Console>>, uri: Uri) -> Response<Body> {
    match query::<Wanted>(&uri) {
        Ok(wanted) => form(&console, &wanted.next, "", None),
        Err(fault) => frame::failure(None, &fault),
    }
}

/// Signs in.
pub(super) async fn sign_in(
    State(console): State<Arc<Console>>,
    Extension(client): Extension<Client>,
    request: Request<Body>,
) -> Response<Body> {
    let secure = console.is_secure(request.extensions());
    let fields = match read(&console, request).await {
        Ok(fields) => fields,
        Err(fault) => return frame::failure(None, &fault),
    };
    match open(&console, client, &fields).await {
        Ok(token) => {
            let mut response = redirect(own_path(&fields.next));
            response
                .headers_mut()
                .insert(SET_COOKIE, cookie::set(&token, secure));
            response
        }
        Err(fault) => {
            crate::reply::log(&fault, "refused");
            let mut response = form(&console, &fields.next, &fields.function, Some(&fault));
            *response.status_mut() = crate::status::of_fault(&fault);
            if let Ok(code) = HeaderValue::from_str(fault.code()) {
                response.headers_mut().insert(crate::reply::FAULT, code);
            }
            response
        }
    }
}

/// Signs out everywhere: all sessions of the same key end.
pub(super) async fn sign_out(
    State(console): State<Arc<Console>>,
    viewer: Viewer,
    request: Request<Body>,
) -> Response<Body> {
    let secure = console.is_secure(request.extensions());
    let token = match body(&console, request).await {
        Ok(pairs) => pairs.into_iter().find(|(name, _)| name == "csrf"),
        Err(fault) => return frame::failure(Some(&viewer), &fault),
    };
    if !token.is_some_and(|(_, token)| viewer.session.repeats(token.as_bytes())) {
        let message =
            "The form lacks the token of its session. Open the console again, and sign out there.";
        let fault = Fault::new(FaultKind::ConsoleSession, message);
        return frame::failure(Some(&viewer), &fault);
    }
    console.sessions.end_all(&viewer.session);
    let mut response = redirect("/console/sign-in");
    response
        .headers_mut()
        .insert(SET_COOKIE, cookie::set("", secure));
    response
}

/// Opens a session with the key that was typed.
async fn open(console: &Console, client: Client, fields: &SignIn) -> Result<String, Fault> {
    let app = &console.app;
    let key = fields.key.trim();
    let key = (!key.is_empty()).then_some(key);
    if key.is_none() && app.keys.are_set() {
        let message = "Key is missing. Type a key of this server.";
        return Err(Fault::new(FaultKind::Key, message));
    }
    if key.is_some() {
        console.attempts.begin(client.address)?;
    }
    let named = fields.function.trim();
    let function = match named.is_empty() {
        true => None,
        false => access::number(app, named).await?,
    };
    // Looked up as every later request of the session is.
    let token = console.sessions.open(key, function)?;
    let session = console
        .sessions
        .find(&token, Use::Person)
        .ok_or_else(super::viewer::ended)?;
    let rights = Rights::of(app, &credentials(&session), function).await;
    match rights {
        Ok(Some(rights)) => {
            console.attempts.succeed(client.address);
            tracing::info!(holder = rights.label(), client = %client.address, "signed in to the console");
            Ok(token)
        }
        other => {
            console.sessions.end(&session);
            other?;
            let message = "Key is not accepted here: it is wrong or has expired. For the admin key of a function, enter the function as well.";
            Err(Fault::new(FaultKind::Key, message))
        }
    }
}

async fn read(console: &Console, request: Request<Body>) -> Result<SignIn, Fault> {
    let mut fields = SignIn::default();
    for (name, value) in body(console, request).await? {
        match name.as_str() {
            "key" => fields.key = value,
            "function" => fields.function = value,
            "next" => fields.next = value,
            _ => {}
        }
    }
    Ok(fields)
}

/// The fields of a small form.
async fn body(console: &Console, request: Request<Body>) -> Result<Vec<(String, String)>, Fault> {
    let (parts, body) = request.into_parts();
    let headers: &HeaderMap = &parts.headers;
    if essence_of(content_type(headers)) != "application/x-www-form-urlencoded" {
        let message = "Content-Type must be application/x-www-form-urlencoded.";
        return Err(Fault::new(FaultKind::ContentType, message));
    }
    let too_large = || crate::body::larger_than(FaultKind::RequestBody, FORM);
    let held = console
        .app
        .bodies
        .read(headers, body, FORM, too_large)
        .await?;
    let pairs = url::form_urlencoded::parse(&held.bytes);
    Ok(pairs
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect())
}

/// A path of the console, or its first page: a link with another `next` leads nowhere else.
fn own_path(next: &str) -> &str {
    let own = next == "/console" || next.starts_with("/console/") || next.starts_with("/console?");
    match own
        && next
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    {
        true => next,
        false => "/console",
    }
}

fn form(console: &Console, next: &str, function: &str, fault: Option<&Fault>) -> Response<Body> {
    let keyed = console.app.keys.are_set();
    let body = html! {
        div class="gate" {
            h1 { "Sign in" }
            (problem(fault))
            form class="sheet" method="post" action="/console/sign-in" {
                input type="hidden" name="next" value=(own_path(next));
                div class="field" {
                    label for="key" { "Key" }
                    input id="key" name="key" type="password" autocomplete="current-password" spellcheck="false"
                        aria-describedby="key-hint" required[keyed] autofocus;
                    p class="hint" id="key-hint" {
                        @if keyed {
                            "A key of the server (auth.keys), one made by " code { "iof key create" } ", or the admin key of a function. The server keeps it; the browser keeps only a token of this session."
                        } @else {
                            "This server was started without keys. Without a key, you can see its functions and deploy new ones; each function is opened by its admin key."
                        }
                    }
                }
                details open[!function.is_empty()] {
                    summary { "Admin key of one function" }
                    div class="field" {
                        label for="function" { "Function" }
                        input id="function" name="function" value=(truncate(function)) autocomplete="off" spellcheck="false"
                            aria-describedby="function-hint";
                        p class="hint" id="function-hint" { "Its name or number; needed only for an admin key." }
                    }
                }
                div class="act" {
                    button type="submit" { "Sign in" }
                    @if !keyed { button class="quiet" type="submit" { "Continue without a key" } }
                }
            }
        }
    };
    frame::page(
        None,
        &Page {
            title: "Sign in".to_owned(),
            place: Place::Nowhere,
            events: None,
            body,
        },
    )
}

fn problem(fault: Option<&Fault>) -> Markup {
    html! {
        @if let Some(fault) = fault {
            p class="alert bad" role="alert" { (fault.message) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_the_console_are_gone_to() {
        for next in ["/console", "/console/functions/hello?x=1", "/console?a"] {
            assert_eq!(own_path(next), next);
        }
        for next in [
            "",
            "/",
            "//evil.test",
            "/consoles",
            "https://evil.test/console",
            "/console/\\evil",
            "/console/\r\nx: y",
        ] {
            assert_eq!(own_path(next), "/console", "{next}");
        }
    }
}
