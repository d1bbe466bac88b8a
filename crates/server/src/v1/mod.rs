//! Our own API: `/v1/...`. JSON, true status lines, and nothing that only history explains.
//!
//! A failure is `{"error": sentence, "fault": code}`. What belongs to a function takes that function's admin key or a
//! key of the server, as `Authorization: Bearer KEY` or `iof-key: KEY`; what belongs to the server takes the latter.
//!
//! | file | decides |
//! |---|---|
//! | `functions` | functions and their versions, with what they declare |
//! | `secrets` | what the host attaches to requests: set and deleted, never read |
//! | `egress` | the record of what left |
//! | `calls` | recorded calls, and their replay |

mod calls;
mod egress;
mod functions;
mod secrets;

use crate::app::App;
use crate::functions::{no_such_function, store_fault};
use crate::reply;
use axum::Router;
use axum::body::Body;
use axum::routing::{get, post, put};
use http::{HeaderMap, Request, Response, StatusCode, header};
use iof_engine::Fault;
use serde_json::Value as Json;
use std::sync::Arc;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/functions", post(functions::create))
        .route("/functions/{function}", get(functions::read))
        .route(
            "/functions/{function}/versions",
            post(functions::add_version),
        )
        .route("/functions/{function}/secrets", get(secrets::list))
        .route(
            "/functions/{function}/secrets/{name}",
            put(secrets::set).delete(secrets::delete),
        )
        .route("/functions/{function}/calls", get(calls::list))
        .route("/calls/{call}", get(calls::read))
        .route("/calls/{call}/replay", post(calls::replay))
        .route("/egress", get(egress::list))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
}

/// Whether a page of another origin sent the request, as its browser says. A form needs no preflight, so a page that
/// somebody looks at could otherwise deploy to a server without keys on the same machine.
pub(crate) fn is_foreign<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let Some(origin) = headers.get(header::ORIGIN) else {
        return false;
    };
    let authority = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"));
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    // HTTP/2 says it elsewhere.
    let host = host.or_else(|| request.uri().authority().map(http::uri::Authority::as_str));
    authority.is_none_or(|(_, authority)| Some(authority) != host)
}

/// The refusal of one.
pub(crate) fn foreign() -> Response<Body> {
    let message = "Pages of other origins have no access to /v1. Send the request from a program.";
    reply::failure(&Fault::client("origin", message).with_status(403))
}

async fn unknown(request: Request<Body>) -> Response<Body> {
    let path: String = request.uri().path().chars().take(200).collect();
    reply::failure(
        &Fault::client("no-such-route", format!("There is nothing at /v1{path}.")).with_status(404),
    )
}

async fn wrong_method(request: Request<Body>) -> Response<Body> {
    let fault = Fault::client("method", format!("{} does nothing here.", request.method()));
    reply::failure(&fault.with_status(405))
}

/// The answer to a request: JSON, or what went wrong.
fn answer(status: StatusCode, result: Result<Json, Fault>) -> Response<Body> {
    match result {
        Ok(json) => {
            let mut response = reply::ok(status, reply::JSON, json.to_string());
            *response.status_mut() = status;
            response
        }
        Err(fault) => {
            reply::log(&fault, "refused");
            reply::failure(&fault)
        }
    }
}

/// The function of a path, for whoever holds its admin key or a key of the server.
async fn administered(
    app: &App,
    id: &str,
    headers: &HeaderMap,
) -> Result<iof_store::Function, Fault> {
    let number = id.parse::<i64>().ok().filter(|id| *id > 0);
    let function = match number {
        Some(id) => app.store.function(id).await.map_err(store_fault)?,
        None => None,
    };
    // Whoever has no key learns nothing, not even which numbers there are.
    let admitted = app.keys.is_operator(headers)
        || function.as_ref().is_some_and(|function| {
            crate::auth::given(headers).is_some_and(|key| function.admin_key_hash.matches(key))
        });
    match function {
        Some(function) if admitted => Ok(function),
        None if app.keys.is_operator(headers) => Err(no_such_function(id)),
        _ => Err(Fault::client(
            "key",
            format!("Function {id} takes its admin key, or a key of the server (auth.keys): send it as `Authorization: Bearer KEY`."),
        )
        .with_status(401)),
    }
}

/// The value of a parameter of the query, read as what it should be.
///
/// # Errors
/// `query`, naming the parameter.
fn parameter<T: std::str::FromStr>(query: Option<&str>, name: &str) -> Result<Option<T>, Fault> {
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let value = pairs
        .filter(|(known, _)| known == name)
        .map(|(_, value)| value)
        .last();
    value
        .map(|value| {
            value.parse().map_err(|_| {
                Fault::client(
                    "query",
                    format!(
                        "The parameter {name} is not what it should be: {:?}.",
                        shown(&value)
                    ),
                )
            })
        })
        .transpose()
}

/// Refuses parameters that nobody reads: a misspelt filter must not show everything.
///
/// # Errors
/// `query`, naming the parameter and those that there are.
fn only(query: Option<&str>, known: &[&str]) -> Result<(), Fault> {
    let mut pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    match pairs.find(|(name, _)| !known.contains(&&**name)) {
        None => Ok(()),
        Some((name, _)) => Err(Fault::client(
            "query",
            format!(
                "There is no parameter {:?} here; there are {}.",
                shown(&name),
                known.join(", ")
            ),
        )),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

/// A time as people and programs read it: RFC 3339, in UTC.
fn time(unix_ms: i64) -> String {
    let since = std::time::Duration::from_millis(u64::try_from(unix_ms).unwrap_or(0));
    humantime_serde::re::humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + since).to_string()
}
