//! What a function owns beside its module: a state that every call sees, and a callback.

use super::target::Target;
use super::{
    USAGE_KEY, administered, content_type_fault, error_body, function, header, parse_id, refuse,
    usage_key_fault,
};
use crate::app::App;
use crate::body::larger_than;
use crate::charset;
use crate::media_type;
use crate::reply;
use axum::body::Body;
use axum::extract::{Path, State};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use iof_fault::{Fault, FaultKind};
use std::sync::Arc;

/// The host of the original, which no callback could be stored for: such callbacks ran in circles. It is gone, and what
/// names it is a mistake still.
const GONE: &str = "rpc.ssvm.secondstate.io";
const REFUSAL: &str = "Not allowed to store a callback to the rpc.ssvm.secondstate.io hostname in the database. Please utilise the SSVM_Callback feature in the request header if you want to execute a callback to this hostname";
const NOT_TEXT: &str = "Wrong content type. Please use Content-Type of text/plain only";
const NOT_JSON: &str = "Must use Content-Type of application/json in the header, please check your request and try again";

/// `GET /api/state/{wasm_id}`: the state as it is; a private function's for holders of its usage key.
pub(super) async fn read_state(
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
pub(super) async fn write_state(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let written = async {
        let function = administered(&app, &id, &parts.headers).await?;
        if media_type::essence(&parts.headers) != "text/plain" {
            return Err(content_type_fault(NOT_TEXT));
        }
        let bytes = read(&app, &parts.headers, body).await?;
        let charset = charset::of(media_type::of(&parts.headers));
        let state = charset::decode(bytes, charset.as_deref())?;
        let state = String::from_utf8_lossy(&state).into_owned();
        app.store.set_state(function.wasm_id, state).await?;
        app.functions.changed(function.wasm_id);
        Ok(())
    };
    answer(
        written.await,
        &id,
        format!("{id} does not exist"),
        &format!("Wrong admin key ... {id} can not be accessed."),
    )
}

/// `PUT /api/callback/{wasm_id}`: the body is where every call's result goes; `{}` is nowhere.
pub(super) async fn write_callback(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    // In the original's order: what is wrong with the callback first.
    let written = async {
        let bytes = read(&app, &parts.headers, body).await?;
        let callback = std::str::from_utf8(&bytes).unwrap_or_default();
        if callback.contains(GONE) {
            return Err(Fault::new(FaultKind::Callback, REFUSAL));
        }
        if media_type::of(&parts.headers) != "application/json" {
            return Err(content_type_fault(NOT_JSON));
        }
        let function = administered(&app, &id, &parts.headers).await?;
        Target::callback(callback)?;
        app.store
            .set_callback(function.wasm_id, callback.to_owned())
            .await?;
        app.functions.changed(function.wasm_id);
        Ok(())
    };
    answer(
        written.await,
        &id,
        error_body(&format!("{id} does not exist")),
        &format!("Wrong Admin key ... {id} can not be accessed."),
    )
}

/// The answer of both is the bare id.
fn answer(
    written: Result<(), Fault>,
    id: &str,
    missing: String,
    wrong_key: &str,
) -> Response<Body> {
    match written {
        Ok(()) => {
            let id = parse_id(id).unwrap_or_default();
            reply::ok(StatusCode::OK, reply::HTML, id.to_string())
        }
        Err(fault) if fault.kind == FaultKind::NoSuchFunction => {
            reply::ok_but(&fault, reply::HTML, missing)
        }
        Err(fault) if fault.kind == FaultKind::ContentType || fault.message == REFUSAL => {
            reply::ok_but(&fault, reply::HTML, error_body(&fault.message))
        }
        Err(fault) => refuse(&fault, id, wrong_key),
    }
}

async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<Bytes, Fault> {
    let limit = app.second_state.state;
    let held = app
        .bodies
        .read(headers, body, limit, || {
            larger_than(
                FaultKind::State,
                format_args!("second_state.state = {limit}"),
            )
        })
        .await?;
    Ok(held.bytes)
}
