//! `/v1/functions/{function}/values`: the values that a function stores, for people who manage the function.
//!
//! A value may be what a user of the function entrusted to it, so all of this takes scope `admin`. A key is in the query and
//! not in the path, because a key may be `..`, which clients take out of a path.

use super::access::{Admin, AuthorizedFunction, FunctionPath};
use super::answer::{ErrorResponse, Json, NoContent, Problem};
use super::query::{Query, RowLimit};
use crate::app::App;
use crate::reply;
use crate::time::time;
use axum::body::Body;
use axum::extract::State;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use http::{HeaderValue, Response, StatusCode};
use iof_engine::{stored_bytes, stored_key};
use iof_fault::{Fault, FaultKind};
use iof_store::{ValueHead, ValueKey};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Values, by their keys.
#[derive(Serialize, ToSchema)]
pub(super) struct ValueList {
    values: Vec<ValueInfo>,
    /// True if more follow: ask again with `after`, the last key of these (or `after_base64`).
    more: bool,
}

/// A value without its bytes.
#[derive(Serialize, ToSchema)]
struct ValueInfo {
    /// Its key, if that is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Its key in base64, if that is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    /// Bytes of the value.
    size: u64,
    /// The time at which it ends; absent if it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

impl ValueInfo {
    fn of(head: ValueHead) -> Self {
        let (key, key_base64) = match String::from_utf8(head.name.into()) {
            Ok(text) => (Some(text), None),
            Err(bytes) => (None, Some(BASE64_STANDARD.encode(bytes.as_bytes()))),
        };
        Self {
            key,
            key_base64,
            // A byte of what is kept is the mark of the kind of the value.
            size: head.size.saturating_sub(1),
            expires_at: head.expires_at.map(time),
        }
    }
}

/// The query of a list of values.
#[derive(Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ValuePage {
    /// Only keys that begin with this text
    #[param(required = false, value_type = String)]
    prefix: Option<String>,
    /// Only keys after this one, in the order of their bytes
    #[param(required = false, value_type = String)]
    after: Option<String>,
    /// The same of a key that is not text, in base64
    #[param(required = false, value_type = String)]
    after_base64: Option<String>,
    /// Number of rows; 100 by default
    #[param(inline)]
    limit: RowLimit,
}

/// The query that names a value.
#[derive(Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ValueName {
    /// Its key
    #[param(required = false, value_type = String)]
    key: Option<String>,
    /// Its key in base64, if that is not text
    #[param(required = false, value_type = String)]
    key_base64: Option<String>,
}

/// List the values of a function
///
/// Those that it stored under text keys, without their bytes; the storage of 2020 has no texts to list. It takes scope
/// `admin`.
#[utoipa::path(get, path = "/functions/{function}/values", operation_id = "listValues", tag = "values",
    params(FunctionPath, ValuePage),
    responses((status = 200, body = ValueList), (status = "default", body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, _): AuthorizedFunction<Admin>,
    Query(page): Query<ValuePage>,
) -> Result<Json<ValueList>, ErrorResponse> {
    let limit = page.limit.get();
    let after = key(page.after, page.after_base64.as_deref(), "after")?.unwrap_or_default();
    let prefix = page.prefix.unwrap_or_default();
    let id = function.function_id;
    // One more tells whether there are more.
    let mut found = app
        .store
        .value_heads(id, prefix.as_bytes(), &after, limit + 1)
        .await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    Ok(Json(ValueList {
        values: found.into_iter().map(ValueInfo::of).collect(),
        more,
    }))
}

/// Read a value
///
/// Its bytes as the function stored them. It takes scope `admin`.
#[utoipa::path(get, path = "/functions/{function}/value", operation_id = "readValue", tag = "values",
    params(FunctionPath, ValueName),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>), (status = "default", body = Problem)))]
pub(super) async fn read(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, _): AuthorizedFunction<Admin>,
    Query(name): Query<ValueName>,
) -> Result<Response<Body>, ErrorResponse> {
    let key = stored_key(&name.key()?);
    let kept = app.store.load_value(function.function_id, &key).await?;
    let bytes = kept.as_ref().and_then(stored_bytes).ok_or_else(missing)?;
    let octets = HeaderValue::from_static("application/octet-stream");
    let mut response = reply::ok(StatusCode::OK, octets, bytes);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    Ok(response)
}

/// Delete a value
///
/// It takes scope `admin`.
#[utoipa::path(delete, path = "/functions/{function}/value", operation_id = "deleteValue", tag = "values",
    params(FunctionPath, ValueName),
    responses((status = 204, description = "It is gone."), (status = "default", body = Problem)))]
pub(super) async fn delete(
    AuthorizedFunction(function, by): AuthorizedFunction<Admin>,
    Query(name): Query<ValueName>,
) -> Result<NoContent, ErrorResponse> {
    let name = name.key()?;
    let key = ValueKey {
        digest: stored_key(&name),
        name: Some(name),
    };
    let deleted = by.store.delete_value(function.function_id, key).await?;
    deleted.then_some(NoContent).ok_or_else(|| missing().into())
}

impl ValueName {
    /// # Errors
    /// `query`
    fn key(self) -> Result<Bytes, Fault> {
        key(self.key, self.key_base64.as_deref(), "key")?.ok_or_else(|| {
            let message = "The parameter key is missing: it names the value. A key that is not text is key_base64.";
            Fault::new(FaultKind::Query, message)
        })
    }
}

/// A key as text or in base64.
///
/// # Errors
/// `query`
fn key(text: Option<String>, base64: Option<&str>, name: &str) -> Result<Option<Bytes>, Fault> {
    let wrong = |problem: String| Fault::new(FaultKind::Query, problem);
    match (text, base64) {
        (Some(_), Some(_)) => Err(wrong(format!(
            "The parameters {name} and {name}_base64 are of one key. Send one of them."
        ))),
        (text, None) => Ok(text.map(Bytes::from)),
        (None, Some(base64)) => match BASE64_STANDARD.decode(base64) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) => Err(wrong(format!(
                "The parameter {name}_base64 is not base64: {error}."
            ))),
        },
    }
}

fn missing() -> Fault {
    let message =
        "The function stores no value under this key. List its keys: GET /v1/functions/ID/values.";
    Fault::new(FaultKind::NoSuchValue, message)
}
