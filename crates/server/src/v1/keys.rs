//! `/v1/keys`: keys with scopes; and `/v1/functions/{function}/admin-key` and `/usage-key`.

use super::access::{self, Admin, AuthorizedFunction, FunctionPath, Operator};
use super::answer::{Created, ErrorResponse, Json, NoContent, Problem};
use crate::app::App;
use crate::http::truncate;
use crate::time::{time, unix_ms_of};
use axum::extract::{Path, State};
use http::HeaderMap;
use iof_fault::{Fault, FaultKind};
use iof_store::{ApiKey, NewKey, Scope};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateKey {
    /// A line for people: the holder and the purpose.
    #[schema(min_length = 1, max_length = 100)]
    label: String,
    /// The scopes of the key. `admin` is everything.
    #[schema(min_items = 1)]
    scopes: Vec<KeyScope>,
    /// The only function for which the key is valid, by number or name; all functions if it is left out.
    #[serde(default)]
    function: Option<String>,
    /// The time at which the key expires, as in 2027-01-01T00:00:00Z; never if it is left out.
    #[serde(default)]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// A permission of a key.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum KeyScope {
    /// Create functions, add versions, roll back.
    Deploy,
    /// Call private functions.
    Call,
    /// See functions, logs, usage and outbound requests.
    Read,
    /// All of these, and secrets, keys and deletion.
    Admin,
}

impl From<KeyScope> for Scope {
    fn from(scope: KeyScope) -> Self {
        match scope {
            KeyScope::Deploy => Self::Deploy,
            KeyScope::Call => Self::Call,
            KeyScope::Read => Self::Read,
            KeyScope::Admin => Self::Admin,
        }
    }
}

/// A key, without its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyInfo {
    /// Its number.
    id: i64,
    /// A line for people: the holder and the purpose.
    label: String,
    /// The scopes of the key.
    scopes: Vec<&'static str>,
    /// The only function for which the key is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<i64>,
    created_at: String,
    /// The time at which the key expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

impl KeyInfo {
    fn of(key: &ApiKey) -> Self {
        Self {
            id: key.id,
            label: key.label.clone(),
            scopes: key.scopes.iter().map(Scope::as_str).collect(),
            function: key.function_id,
            created_at: time(key.created_at),
            expires_at: key.expires_at.map(time),
        }
    }
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
pub(super) struct NewKeyInfo {
    #[serde(flatten)]
    info: KeyInfo,
    /// The key itself. It is shown once, and not stored.
    key: String,
}

/// All keys.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyList {
    keys: Vec<KeyInfo>,
}

/// Make a key
///
/// The request takes a key of the server, or one of scope `admin` for all functions.
#[utoipa::path(post, path = "/keys", operation_id = "createKey", tag = "keys", request_body = CreateKey,
    responses((status = 201, body = NewKeyInfo), (status = "default", body = Problem)))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Operator(by): Operator,
    headers: HeaderMap,
    Json(asked): Json<CreateKey>,
) -> Result<Created<NewKeyInfo>, ErrorResponse> {
    let function_id = match &asked.function {
        None => None,
        Some(id) => {
            let function = access::function(&app, id, &headers, &[Scope::Admin]).await?;
            Some(function.function_id)
        }
    };
    let expires_at = asked.expires_at.as_deref().map(instant).transpose()?;
    let new = NewKey {
        label: asked.label,
        scopes: asked.scopes.into_iter().map(Scope::from).collect(),
        function_id,
        expires_at,
    };
    let (key, secret) = by
        .store
        .create_key(new)
        .await
        .map_err(|error| match error {
            iof_store::Error::Invalid { what } => {
                Fault::new(FaultKind::KeyWish, format!("{what}."))
            }
            other => other.into(),
        })?;
    tracing::info!(key = key.id, label = key.label, "key made");
    Ok(Created(NewKeyInfo {
        info: KeyInfo::of(&key),
        key: secret.as_str().to_owned(),
    }))
}

/// List the keys
///
/// The answer does not contain the keys themselves.
#[utoipa::path(get, path = "/keys", operation_id = "listKeys", tag = "keys",
    responses((status = 200, body = KeyList), (status = "default", body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    _: Operator,
) -> Result<Json<KeyList>, ErrorResponse> {
    let keys = app.store.keys(None).await?;
    Ok(Json(KeyList {
        keys: keys.iter().map(KeyInfo::of).collect(),
    }))
}

/// Delete a key
///
/// The key stops working at once.
#[utoipa::path(delete, path = "/keys/{key}", operation_id = "deleteKey", tag = "keys",
    params(("key" = i64, Path, description = "The key's number", minimum = 1)),
    responses((status = 204, description = "The key was deleted."), (status = "default", body = Problem)))]
pub(super) async fn delete(
    Operator(by): Operator,
    Path(id): Path<String>,
) -> Result<NoContent, ErrorResponse> {
    let number = id.parse::<i64>().ok().filter(|id| *id > 0);
    let known = match number {
        Some(id) => by.store.delete_key(id).await?,
        None => false,
    };
    known.then_some(NoContent).ok_or_else(|| {
        let message = format!("There is no key {}.", truncate(&id));
        Fault::new(FaultKind::NoSuchKey, message).into()
    })
}

/// An admin key that was just made.
#[derive(Serialize, ToSchema)]
pub(super) struct NewAdminKeyInfo {
    function: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The key that changes and deletes the function. It is shown once, and not stored.
    admin_key: String,
}

/// Make another admin key for a function
///
/// The previous key stops working at once. The request takes scope `admin`, which a key of the server has, so a
/// function whose key is lost can still be managed.
#[utoipa::path(post, path = "/functions/{function}/admin-key", operation_id = "rotateAdminKey", tag = "keys",
    params(FunctionPath),
    responses((status = 201, body = NewAdminKeyInfo), (status = "default", body = Problem)))]
pub(super) async fn rotate_admin_key(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, by): AuthorizedFunction<Admin>,
) -> Result<Created<NewAdminKeyInfo>, ErrorResponse> {
    let id = function.function_id;
    let key = by.store.rotate_admin_key(id).await?;
    app.functions.changed(id);
    tracing::info!(function = id, "another admin key was made");
    Ok(Created(NewAdminKeyInfo {
        function: id,
        name: function.name,
        admin_key: key.as_str().to_owned(),
    }))
}

/// A usage key that was just made.
#[derive(Serialize, ToSchema)]
pub(super) struct NewUsageKeyInfo {
    function: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The key that calls the function. It is shown once, and not stored.
    usage_key: String,
}

/// Make a function private
///
/// Callers then need the key of the answer, the admin key, or a key of scope `call`. The usage key before stops working at once.
/// The request takes scope `admin`.
#[utoipa::path(put, path = "/functions/{function}/usage-key", operation_id = "setUsageKey", tag = "keys",
    params(FunctionPath),
    responses((status = 200, body = NewUsageKeyInfo), (status = "default", body = Problem)))]
pub(super) async fn set_usage_key(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, by): AuthorizedFunction<Admin>,
) -> Result<Json<NewUsageKeyInfo>, ErrorResponse> {
    let id = function.function_id;
    let key = by.store.set_usage_key(id, true).await?;
    app.functions.changed(id);
    tracing::info!(function = id, private = true, "usage key changed");
    let key = key.ok_or_else(|| Fault::host("The usage key was not made.", "no key"))?;
    Ok(Json(NewUsageKeyInfo {
        function: id,
        name: function.name,
        usage_key: key.as_str().to_owned(),
    }))
}

/// Make a function public
///
/// Everyone may then call it. The request takes scope `admin`.
#[utoipa::path(delete, path = "/functions/{function}/usage-key", operation_id = "deleteUsageKey", tag = "keys",
    params(FunctionPath),
    responses((status = 204, description = "The function is public."), (status = "default", body = Problem)))]
pub(super) async fn delete_usage_key(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, by): AuthorizedFunction<Admin>,
) -> Result<NoContent, ErrorResponse> {
    let id = function.function_id;
    by.store.set_usage_key(id, false).await?;
    app.functions.changed(id);
    tracing::info!(function = id, private = false, "usage key changed");
    Ok(NoContent)
}

/// A time in Unix milliseconds.
fn instant(text: &str) -> Result<i64, Fault> {
    unix_ms_of(text).ok_or_else(|| {
        Fault::new(
            FaultKind::KeyWish,
            "expires_at must be a time such as 2027-01-01T00:00:00Z, in UTC.",
        )
    })
}
