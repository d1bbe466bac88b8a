//! The keys and scopes that a request needs.
//!
//! | holder of | may |
//! |---|---|
//! | a key of the server (`auth.keys`) | everything |
//! | a function's admin key | everything with that function |
//! | an API key (`/v1/keys`) | the actions of its scopes, with one function or with all |
//! | a private function's usage key | call it |
//! | nothing | call public functions; on a server without keys, also upload and list |

use super::answer::ErrorResponse;
use crate::app::App;
use crate::auth::given;
use crate::caller::api_key;
use crate::http::truncate;
use crate::sent_key::{SentKey, sent_key};
use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use http::{HeaderMap, Method, Request};
use iof_fault::{Fault, FaultKind};
use iof_store::{ApiKey, Function, Scope};
use serde::Deserialize;
use std::marker::PhantomData;
use std::sync::Arc;

/// Refuses a request of a page of another origin, except for calls, for which the function decides.
///
/// # Errors
/// `origin`
pub(crate) fn admit<B>(
    app: &App,
    request: &Request<B>,
    authority: Option<&str>,
) -> Result<(), Fault> {
    if !app.names.is_foreign(request, authority) || is_call(request) {
        return Ok(());
    }
    let message = "Pages of other origins have no access to /v1. Send the request from a program, or from a page of public_url.";
    Err(Fault::new(FaultKind::Origin, message))
}

/// Returns whether this is a call, or the preflight of one.
fn is_call<B>(request: &Request<B>) -> bool {
    let mut segments = request.uri().path().split('/').skip(1);
    segments.next() == Some("v1")
        && segments.next() == Some("functions")
        && segments.next().is_some()
        && segments.next() == Some("call")
        && segments.next().is_some()
        && segments.next().is_none()
        && [Method::POST, Method::OPTIONS].contains(request.method())
}

/// Scopes as a type, which states in a handler's signature what the request needs: a key of any of them.
pub(super) trait NeededScope: Send {
    const ANY_OF: &[Scope];
}

/// The scope `deploy`.
pub(super) struct Deploy;
/// The scope `read`.
pub(super) struct Read;
/// The scope `read`, or `deploy`: a sender who replaces a version sees which there are.
pub(super) struct ReadOrDeploy;
/// The scope `admin`.
pub(super) struct Admin;

impl NeededScope for Deploy {
    const ANY_OF: &[Scope] = &[Scope::Deploy];
}

impl NeededScope for Read {
    const ANY_OF: &[Scope] = &[Scope::Read];
}

impl NeededScope for ReadOrDeploy {
    const ANY_OF: &[Scope] = &[Scope::Read, Scope::Deploy];
}

impl NeededScope for Admin {
    const ANY_OF: &[Scope] = &[Scope::Admin];
}

/// The function that `{function}` in the path names, for a sender with the scope `S`.
pub(super) struct AuthorizedFunction<S>(pub(super) Function, pub(super) PhantomData<S>);

/// A sender with the scope `S` for all functions.
pub(super) struct AuthorizedServer<S>(PhantomData<S>);

/// A sender who may make and delete keys.
pub(super) struct Operator;

/// The part of a path that names a function.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct FunctionPath {
    /// Its number or name
    pub(super) function: String,
}

impl<S: NeededScope> FromRequestParts<Arc<App>> for AuthorizedFunction<S> {
    type Rejection = ErrorResponse;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ErrorResponse> {
        let Path(path) = Path::<FunctionPath>::from_request_parts(parts, app)
            .await
            .map_err(|error| Fault::host("The path could not be read.", error))?;
        let function = function(app, &path.function, &parts.headers, S::ANY_OF).await?;
        Ok(Self(function, PhantomData))
    }
}

impl<S: NeededScope> FromRequestParts<Arc<App>> for AuthorizedServer<S> {
    type Rejection = ErrorResponse;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ErrorResponse> {
        server(app, &parts.headers, S::ANY_OF).await?;
        Ok(Self(PhantomData))
    }
}

impl FromRequestParts<Arc<App>> for Operator {
    type Rejection = ErrorResponse;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ErrorResponse> {
        operator(app, &parts.headers).await?;
        Ok(Self)
    }
}

/// The function that an id names, by number or by name, for a sender with this scope.
///
/// # Errors
/// `key`, `scope`; `no-such-function`, only for a sender who may know whether it exists.
pub(super) async fn function(
    app: &App,
    id: &str,
    headers: &HeaderMap,
    need: &[Scope],
) -> Result<Function, Fault> {
    let function = match number(app, id).await? {
        Some(id) => app.store.function(id).await?,
        None => None,
    };
    // A sender without a key learns nothing, not even which functions exist.
    let key = api_key(app, headers).await?;
    let admitted = app.keys.is_operator(headers)
        || function.as_ref().is_some_and(|function| {
            given(headers).is_some_and(|given| function.admin_key_hash.matches(given))
        })
        || key.as_ref().is_some_and(|key| {
            let of = function.as_ref().map(|function| function.function_id);
            allows(key, need) && (key.function_id.is_none() || key.function_id == of)
        });
    match function {
        Some(function) if admitted => Ok(function),
        None if admitted => Err(Fault::no_such_function(truncate(id))),
        _ => Err(refused(app, headers, RefusalSubject::Function(id), key, need).await),
    }
}

/// Admits a sender with this scope for all functions.
///
/// # Errors
/// `key`, `scope`
pub(super) async fn server(app: &App, headers: &HeaderMap, need: &[Scope]) -> Result<(), Fault> {
    if app.keys.admit(headers) {
        return Ok(());
    }
    let key = api_key(app, headers).await?;
    match &key {
        Some(key) if key.function_id.is_none() && allows(key, need) => Ok(()),
        _ => Err(refused(app, headers, RefusalSubject::Server, key, need).await),
    }
}

/// Admits a sender who may make and delete keys: on a server without keys nobody can prove to be its operator.
///
/// # Errors
/// `key`, `scope`
async fn operator(app: &App, headers: &HeaderMap) -> Result<(), Fault> {
    if app.keys.is_operator(headers) {
        return Ok(());
    }
    let key = api_key(app, headers).await?;
    match &key {
        Some(key) if key.function_id.is_none() && allows(key, &[Scope::Admin]) => Ok(()),
        _ if !app.keys.are_set() => Err(Fault::new(FaultKind::Key, NO_OPERATOR)),
        _ => Err(refused(app, headers, RefusalSubject::Server, key, &[Scope::Admin]).await),
    }
}

/// Returns whether a key has one of these scopes.
fn allows(key: &ApiKey, need: &[Scope]) -> bool {
    need.iter().any(|scope| key.scopes.allow(*scope))
}

/// The number of the function that a path names by number or by name.
pub(super) async fn number(app: &App, id: &str) -> Result<Option<i64>, Fault> {
    if id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(id.parse().ok().filter(|id| *id > 0));
    }
    // Not from the cache: the name of a deleted function may belong to another function by now.
    app.store.named(id).await.map_err(Fault::from)
}

/// The refusal, on a server without an operator, of what only an operator may do.
const NO_OPERATOR: &str = "This server was started without keys of its own (auth.keys), so nobody can show to be its operator. Start it with auth.keys (IOF_AUTH_KEYS=KEY), and send that key as `Authorization: Bearer KEY`.";

/// The subject of a refusal.
#[derive(Clone, Copy)]
enum RefusalSubject<'a> {
    /// A function, by number or name.
    Function(&'a str),
    /// All functions.
    Server,
}

/// The refusal of a sender without a key, with an unknown key, or with a key that lacks the scope.
async fn refused(
    app: &App,
    headers: &HeaderMap,
    what: RefusalSubject<'_>,
    key: Option<ApiKey>,
    need: &[Scope],
) -> Fault {
    let sent = match sent_key(app, headers, key).await {
        Ok(sent) => sent,
        Err(fault) => return fault,
    };
    let names: Vec<_> = need.iter().map(|scope| format!("`{scope}`")).collect();
    let need = names.join(" or ");
    let mut fault = if let SentKey::Made(key) = &sent {
        let reach = match what {
            RefusalSubject::Server => "for all functions",
            RefusalSubject::Function(_) => "for this function",
        };
        let message = format!("Key `{}` lacks the scope {need} {reach}.", key.label);
        Fault::new(FaultKind::Scope, message)
    } else {
        let takes = match what {
            RefusalSubject::Server => "This takes".to_owned(),
            RefusalSubject::Function(id) => {
                format!("Function {} takes its admin key,", truncate(id))
            }
        };
        let sent = sent.public_first();
        let message = match (app.keys.are_set(), what) {
            (false, RefusalSubject::Function(_)) => format!(
                "{sent}{takes} or a key of scope {need}: send it as `Authorization: Bearer KEY`. If it is lost: this server was started without keys of its own; with auth.keys (IOF_AUTH_KEYS=KEY), that key makes another (`iof key rotate`)."
            ),
            _ => format!(
                "{sent}{takes} a key of scope {need}, or a key of the server (auth.keys): send it as `Authorization: Bearer KEY`."
            ),
        };
        Fault::new(FaultKind::Key, message)
    };
    fault.detail = Some(sent.private());
    fault
}
