//! Who may do what.
//!
//! | holder of | may |
//! |---|---|
//! | a key of the server (`auth.keys`) | everything |
//! | a function's admin key | everything with that function |
//! | a key that was made for it (`/v1/keys`) | what its scopes say, with one function or with all |
//! | a private function's usage key | call it |
//! | nothing | call public functions; on a server without keys, also upload and list |

use crate::app::App;
use crate::auth::given;
use http::HeaderMap;
use iof_fault::{Fault, FaultKind};
use iof_store::{ApiKey, Function, KeyHash, Scope};

/// The function of a path, by number or by name, for whoever may do this with it.
///
/// # Errors
/// `key`; `no-such-function`, for those alone who may know.
pub(super) async fn function(
    app: &App,
    id: &str,
    headers: &HeaderMap,
    need: Scope,
) -> Result<Function, Fault> {
    let function = match number(app, id).await? {
        Some(id) => app.store.function(id).await?,
        None => None,
    };
    // Whoever has no key learns nothing, not even which functions there are.
    let key = key(app, headers).await?;
    let admitted = app.keys.is_operator(headers)
        || function.as_ref().is_some_and(|function| {
            given(headers).is_some_and(|given| function.admin_key_hash.matches(given))
        })
        || key.as_ref().is_some_and(|key| {
            let of = function.as_ref().map(|function| function.wasm_id);
            key.scopes.allow(need) && (key.wasm_id.is_none() || key.wasm_id == of)
        });
    match function {
        Some(function) if admitted => Ok(function),
        None if admitted => Err(Fault::no_such_function(super::shown(id))),
        _ => Err(refused(
            &format!("Function {} takes its admin key,", super::shown(id)),
            key.as_ref(),
            need,
        )),
    }
}

/// Whether a request may do this with all functions.
///
/// # Errors
/// `key`
pub(super) async fn server(app: &App, headers: &HeaderMap, need: Scope) -> Result<(), Fault> {
    if app.keys.admit(headers) {
        return Ok(());
    }
    let key = key(app, headers).await?;
    match &key {
        Some(key) if key.wasm_id.is_none() && key.scopes.allow(need) => Ok(()),
        _ => Err(refused(SERVER, key.as_ref(), need)),
    }
}

/// Whether a request may make and delete keys: on a server without keys nobody can prove to be its operator.
///
/// # Errors
/// `key`
pub(super) async fn operator(app: &App, headers: &HeaderMap) -> Result<(), Fault> {
    if app.keys.is_operator(headers) {
        return Ok(());
    }
    let key = key(app, headers).await?;
    match &key {
        Some(key) if key.wasm_id.is_none() && key.scopes.allow(Scope::Admin) => Ok(()),
        _ => Err(refused(SERVER, key.as_ref(), Scope::Admin)),
    }
}

/// The number of a function that a path names.
pub(super) async fn number(app: &App, id: &str) -> Result<Option<i64>, Fault> {
    if id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(id.parse().ok().filter(|id| *id > 0));
    }
    // Not from the cache: a name that was deleted may be somebody else's by now.
    app.store.named(id).await.map_err(Fault::from)
}

/// Whether the sender may call a function, which its usage key protects if it has one.
///
/// # Errors
/// `usage-key`
pub(super) async fn call(
    app: &App,
    id: i64,
    (usage_key, admin_key): (Option<&KeyHash>, &KeyHash),
    headers: &HeaderMap,
) -> Result<(), Fault> {
    if usage_key.is_none() || shows_key(app, id, (usage_key, admin_key), headers).await? {
        return Ok(());
    }
    let message = format!(
        "Function {id} is private: send its usage key, or a key of scope `call`, as `Authorization: Bearer KEY`."
    );
    Err(Fault::new(FaultKind::UsageKey, message))
}

/// Whether the sender shows a key that calls a function, whether it takes one or not.
///
/// # Errors
/// That the store does not answer.
pub(super) async fn shows_key(
    app: &App,
    id: i64,
    (usage_key, admin_key): (Option<&KeyHash>, &KeyHash),
    headers: &HeaderMap,
) -> Result<bool, Fault> {
    let opens =
        |given: &str| usage_key.is_some_and(|key| key.matches(given)) || admin_key.matches(given);
    if given(headers).is_some_and(opens) || app.keys.is_operator(headers) {
        return Ok(true);
    }
    let key = key(app, headers).await?;
    let is_for = |own: Option<i64>| own.is_none_or(|own| own == id);
    Ok(key.is_some_and(|key| key.scopes.allow(Scope::Call) && is_for(key.wasm_id)))
}

/// The key of a request, if it is one that was made here.
async fn key(app: &App, headers: &HeaderMap) -> Result<Option<ApiKey>, Fault> {
    match given(headers).filter(|key| key.starts_with("iof_")) {
        Some(given) => app.store.key(given).await.map_err(Fault::from),
        None => Ok(None),
    }
}

/// What concerns no one function.
const SERVER: &str = "This takes";

/// 401 for whoever has no key, 403 for whose key is not for this.
fn refused(what: &str, key: Option<&ApiKey>, need: Scope) -> Fault {
    let need = need.as_str();
    let reach = match what {
        SERVER => "for all functions",
        _ => "for this function",
    };
    match key {
        Some(key) => Fault::new(
            FaultKind::Scope,
            format!(
                "The key `{}` is not for this: it takes one of scope `{need}` {reach}.",
                key.label
            ),
        ),
        None => Fault::new(
            FaultKind::Key,
            format!(
                "{what} a key of scope `{need}`, or a key of the server (auth.keys): send it as `Authorization: Bearer KEY`."
            ),
        ),
    }
}
