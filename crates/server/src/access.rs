//! The access of a key to functions and to the server, for every surface except that of 2020.
//!
//! | holder of | may |
//! |---|---|
//! | a key of the server (`auth.keys`) | everything |
//! | a function's admin key | everything with that function |
//! | an API key (`/v1/keys`) | the actions of its scopes, with one function or with all |
//! | a private function's usage key | call it |
//! | nothing | call public functions; on a server without keys, also upload and list |

use crate::app::App;
use crate::auth::given;
use crate::caller::api_key;
use crate::http::truncate;
use crate::sent_key::{SentKey, sent_key};
use http::HeaderMap;
use iof_fault::{Fault, FaultKind};
use iof_store::{ApiKey, AuthorKey, Function, Scope};

/// Resolves a function by number or name, for a sender with this scope.
///
/// # Errors
/// `key`, `scope`; `no-such-function`, only for a sender who may know whether the function exists.
pub(crate) async fn function(
    app: &App,
    id: &str,
    headers: &HeaderMap,
    need: &[Scope],
) -> Result<Function, Fault> {
    let (function, _) = function_and_key(app, id, headers, need).await?;
    Ok(function)
}

/// The same, with the key that admitted the sender.
///
/// # Errors
/// Those of [`function`].
pub(crate) async fn function_and_key(
    app: &App,
    id: &str,
    headers: &HeaderMap,
    need: &[Scope],
) -> Result<(Function, AuthorKey), Fault> {
    let function = match number(app, id).await? {
        Some(id) => app.store.function(id).await?,
        None => None,
    };
    // A sender without a key learns nothing, not even which functions exist.
    let key = api_key(app, headers).await?;
    let of = function.as_ref().map(|function| function.function_id);
    let own = function.as_ref().filter(|function| {
        given(headers).is_some_and(|given| function.admin_key_hash.matches(given))
    });
    let admitted = match (app.keys.place_of(headers), own, &key) {
        (Some(place), ..) => Some(AuthorKey::Server(place)),
        (None, Some(own), _) => Some(AuthorKey::Function(own.function_id)),
        (None, None, Some(key)) => (allows(key, need)
            && (key.function_id.is_none() || key.function_id == of))
            .then(|| made(key)),
        (None, None, None) => None,
    };
    match (function, admitted) {
        (Some(function), Some(by)) => Ok((function, by)),
        (None, Some(_)) => Err(Fault::no_such_function(truncate(id))),
        _ => Err(refused(app, headers, RefusalSubject::Function(id), key, need).await),
    }
}

/// Admits a sender with this scope for all functions, and returns the key that admitted it.
///
/// # Errors
/// `key`, `scope`
pub(crate) async fn server(
    app: &App,
    headers: &HeaderMap,
    need: &[Scope],
) -> Result<AuthorKey, Fault> {
    if let Some(place) = app.keys.place_of(headers) {
        return Ok(AuthorKey::Server(place));
    }
    let key = api_key(app, headers).await?;
    match &key {
        Some(key) if key.function_id.is_none() && allows(key, need) => Ok(made(key)),
        // On a server without keys, anybody is admitted, and so is the holder of a key that does not open it.
        _ if !app.keys.are_set() => Ok(key.as_ref().map_or(AuthorKey::None, made)),
        _ => Err(refused(app, headers, RefusalSubject::Server, key, need).await),
    }
}

/// Admits a sender who may make and delete keys, and returns the key that admitted it. On a server without keys, no one can
/// prove to be its operator.
///
/// # Errors
/// `key`, `scope`
pub(crate) async fn operator(app: &App, headers: &HeaderMap) -> Result<AuthorKey, Fault> {
    if let Some(place) = app.keys.place_of(headers) {
        return Ok(AuthorKey::Server(place));
    }
    let key = api_key(app, headers).await?;
    match &key {
        Some(key) if key.function_id.is_none() && allows(key, &[Scope::Admin]) => Ok(made(key)),
        _ if !app.keys.are_set() => Err(Fault::new(FaultKind::Key, NO_OPERATOR)),
        _ => Err(refused(app, headers, RefusalSubject::Server, key, &[Scope::Admin]).await),
    }
}

/// A key that the server made, as the audit log names it.
fn made(key: &ApiKey) -> AuthorKey {
    AuthorKey::Made(key.id, key.label.clone())
}

/// Returns whether a key has one of these scopes.
fn allows(key: &ApiKey, need: &[Scope]) -> bool {
    need.iter().any(|scope| key.scopes.allow(*scope))
}

/// The number of the function that a path names by number or by name.
pub(crate) async fn number(app: &App, id: &str) -> Result<Option<i64>, Fault> {
    if id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(id.parse().ok().filter(|id| *id > 0));
    }
    // The cache is not used: the name of a deleted function may belong to another function by now.
    app.store.named(id).await.map_err(Fault::from)
}

/// The refusal of an operator's action on a server without keys.
const NO_OPERATOR: &str = "This server was started without keys of its own (auth.keys), so no one can prove to be its operator. Start it with auth.keys (IOF_AUTH_KEYS=KEY), and send that key as `Authorization: Bearer KEY`.";

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
