//! `/v1/functions/{function}/secrets`: secrets are written, listed by name, deleted, and never read.

use super::access::{Admin, AuthorizedFunction, FunctionPath};
use super::answer::{ErrorResponse, Json, NoContent, Problem};
use crate::app::App;
use crate::charset;
use crate::http::content_type;
use crate::time::time;
use axum::body::Body;
use axum::extract::{Path, State};
use bytesize::ByteSize;
use http::Request;
use iof_fault::{Fault, FaultKind};
use iof_store::MAX_SECRET_VALUE;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A secret, without its value.
#[derive(Serialize, ToSchema)]
pub(super) struct SecretInfo {
    name: String,
    set_at: String,
    /// The key that it is encrypted under.
    key: String,
}

/// Secrets, by name.
#[derive(Serialize, ToSchema)]
pub(super) struct SecretList {
    secrets: Vec<SecretInfo>,
}

/// The part of a path that names a secret.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct SecretPath {
    /// Its name, such as `API_TOKEN`
    #[param(pattern = "^[A-Z][A-Z0-9_]{0,63}$")]
    name: String,
}

/// List the secrets of a function
///
/// The answer does not contain their values. The request takes scope `admin`.
#[utoipa::path(get, path = "/functions/{function}/secrets", operation_id = "listSecrets", tag = "secrets",
    params(FunctionPath),
    responses((status = 200, body = SecretList), (status = "default", body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, _): AuthorizedFunction<Admin>,
) -> Result<Json<SecretList>, ErrorResponse> {
    let id = function.function_id;
    let names = app.store.secret_names(id).await?;
    let secrets = names.into_iter().map(|secret| SecretInfo {
        name: secret.name,
        set_at: time(secret.created_at),
        key: secret.key_id,
    });
    Ok(Json(SecretList {
        secrets: secrets.collect(),
    }))
}

/// Set a secret
///
/// The body is the value, unchanged. Later calls send it.
#[utoipa::path(put, path = "/functions/{function}/secrets/{name}", operation_id = "setSecret", tag = "secrets",
    params(FunctionPath, SecretPath),
    request_body(content = String, content_type = "text/plain"),
    responses((status = 204, description = "The secret is set."), (status = "default", body = Problem)))]
pub(super) async fn set(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, by): AuthorizedFunction<Admin>,
    Path(SecretPath { name }): Path<SecretPath>,
    request: Request<Body>,
) -> Result<NoContent, ErrorResponse> {
    let (parts, body) = request.into_parts();
    let id = function.function_id;
    let keys = app.functions.secret_keys();
    charset::utf8_only(content_type(&parts.headers))?;
    let too_long = || {
        Fault::new(
            FaultKind::SecretValue,
            format!("A secret has at most {MAX_SECRET_VALUE} bytes."),
        )
    };
    let held = app
        .bodies
        .read(
            &parts.headers,
            body,
            ByteSize(MAX_SECRET_VALUE as u64),
            too_long,
        )
        .await?;
    let value = String::from_utf8(held.bytes.to_vec())
        .map_err(|_| wrong("The secret is not UTF-8.".into()))?;
    // The same check as that of an attachment.
    iof_egress::SecretValue::new(value.as_str()).map_err(|error| wrong(format!("{error}.")))?;
    let set = by.store.set_secret(keys, id, name, value.into()).await;
    set.map_err(|error| match error {
        iof_store::Error::Invalid { what } => wrong(format!("{what}.")),
        other => other.into(),
    })?;
    app.functions.changed(id);
    Ok(NoContent)
}

/// Delete a secret
#[utoipa::path(delete, path = "/functions/{function}/secrets/{name}", operation_id = "deleteSecret", tag = "secrets",
    params(FunctionPath, SecretPath),
    responses((status = 204, description = "The secret was deleted."), (status = "default", body = Problem)))]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, by): AuthorizedFunction<Admin>,
    Path(SecretPath { name }): Path<SecretPath>,
) -> Result<NoContent, ErrorResponse> {
    let id = function.function_id;
    let deleted = by.store.delete_secret(id, name).await?;
    app.functions.changed(id);
    if deleted {
        return Ok(NoContent);
    }
    let message = "The function has no secret of that name.";
    Err(Fault::new(FaultKind::NoSuchSecret, message).into())
}

fn wrong(message: String) -> Fault {
    Fault::new(FaultKind::Secret, message)
}
