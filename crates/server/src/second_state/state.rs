//! The state of a function, which every call sees.

use super::answer::{bare_id, content_type_fault, error_body, usage_key_fault};
use super::request::{USAGE_KEY, administered, function, header, of_admin, read_owned};
use crate::app::App;
use crate::charset;
use crate::http::{content_type, essence};
use crate::reply;
use axum::body::Body;
use axum::extract::{Path, State};
use http::{HeaderMap, Request, Response, StatusCode};
use iof_fault::FaultKind;
use std::sync::Arc;

const NOT_TEXT: &str = "Wrong content type. Please use Content-Type of text/plain only";

/// `GET /api/state/{wasm_id}`: the state unchanged; that of a private function only for holders of its usage key.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let state = async {
        let function = function(&app, &id).await?;
        let admitted = function.usage_key_hash.as_ref().is_none_or(|hash| {
            header(&headers, &USAGE_KEY).is_some_and(|given| hash.matches(given))
        });
        admitted
            .then_some(function.state)
            .ok_or_else(usage_key_fault)
    };
    match state.await {
        Ok(state) => reply::ok(StatusCode::OK, reply::HTML, state),
        Err(fault) => match fault.kind {
            FaultKind::NoSuchFunction => {
                reply::ok_but(&fault, reply::HTML, format!("{id} does not exist"))
            }
            FaultKind::UsageKeyHeader => reply::ok_but(
                &fault,
                reply::HTML,
                error_body(&format!("Wrong usage key ... {id} can not be accessed.")),
            ),
            _ => reply::failure(&fault),
        },
    }
}

/// `PUT /api/state/{wasm_id}`: the body is the state, any text.
pub(super) async fn write(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let written = async {
        let function = administered(&app, &id, &parts.headers).await?;
        if essence(&parts.headers) != "text/plain" {
            return Err(content_type_fault(NOT_TEXT));
        }
        let bytes = read_owned(&app, &parts.headers, body).await?;
        let charset = charset::of(content_type(&parts.headers));
        let state = charset::decode(bytes, charset.as_deref())?;
        let state = String::from_utf8_lossy(&state).into_owned();
        of_admin(&app, &function)
            .set_state(function.function_id, state)
            .await?;
        app.functions.changed(function.function_id);
        Ok(())
    };
    bare_id(
        written.await,
        &id,
        format!("{id} does not exist"),
        &format!("Wrong admin key ... {id} can not be accessed."),
    )
}
