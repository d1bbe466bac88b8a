//! Renewal and removal of the usage key of a function.

use super::answer::refuse;
use super::executables::NIL_KEY;
use super::request::{administered, of_admin};
use crate::app::App;
use crate::reply;
use axum::body::Body;
use axum::extract::{Path, State};
use http::{HeaderMap, Response, StatusCode};
use iof_fault::{Fault, FaultKind};
use serde_json::json;
use std::sync::Arc;

/// `PUT /api/keys/{wasm_id}/usage_key`: callers then need the new key.
pub(super) async fn renew(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    answer(&id, set(&app, &id, &headers, true).await)
}

/// `DELETE /api/keys/{wasm_id}/usage_key`: everyone may then call the function.
pub(super) async fn open(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    answer(&id, set(&app, &id, &headers, false).await)
}

async fn set(app: &App, id: &str, headers: &HeaderMap, private: bool) -> Result<String, Fault> {
    let function = administered(app, id, headers).await?;
    let key = of_admin(app, &function)
        .set_usage_key(function.function_id, private)
        .await?;
    app.functions.changed(function.function_id);
    tracing::info!(
        function = function.function_id,
        private,
        "usage key changed"
    );
    Ok(key.map_or(NIL_KEY.to_owned(), |key| key.as_str().to_owned()))
}

fn answer(id: &str, key: Result<String, Fault>) -> Response<Body> {
    match key {
        Ok(key) => {
            let body = json!({ "SSVM_Usage_Key": key }).to_string();
            reply::ok(StatusCode::OK, reply::JSON, body)
        }
        // The original crashed at this point.
        Err(fault) if fault.kind == FaultKind::NoSuchFunction => reply::failure(&fault),
        Err(fault) => refuse(
            &fault,
            id,
            &format!("Wrong admin key ... {id} can not be updated."),
        ),
    }
}
