//! Calling a function.

use super::{arguments, error_body, header, parse_id};
use crate::app::App;
use crate::functions::no_such_function;
use crate::reply;
use axum::body::Body;
use axum::extract::{Path, State};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header as names};
use iof_commands::CallContext;
use iof_engine::{Fault, Invocation, Log, Outcome, Source, StatedSignature, Value};
use std::sync::Arc;
use tokio::time::Instant;
use uuid::Uuid;

/// What the original said about every failure of a call.
const FAILED: &str = r#"{"return_value":"Error executing this function, please check function name, input parameters, return parameter for correctness"}"#;

/// `POST /api/run/{wasm_id}/{function}`: the result as text.
pub(super) async fn text(
    State(app): State<Arc<App>>,
    Path((id, function)): Path<(String, String)>,
    request: Request<Body>,
) -> Response<Body> {
    answer(
        &app,
        &id,
        &function,
        request,
        reply::HTML,
        |value| match String::from_utf8_lossy(&value) {
            std::borrow::Cow::Owned(text) => text.into(),
            std::borrow::Cow::Borrowed(_) => value,
        },
    )
    .await
}

/// `POST /api/run/{wasm_id}/{function}/bytes`: the result as it is.
pub(super) async fn bytes(
    State(app): State<Arc<App>>,
    Path((id, function)): Path<(String, String)>,
    request: Request<Body>,
) -> Response<Body> {
    answer(&app, &id, &function, request, reply::OCTETS, |value| value).await
}

async fn answer(
    app: &App,
    id: &str,
    function: &str,
    request: Request<Body>,
    content_type: HeaderValue,
    encode: impl FnOnce(Bytes) -> Bytes,
) -> Response<Body> {
    let call = reply::new_id();
    let mut response = match run(app, call, id, function, request).await {
        Ok(value) => reply::ok(StatusCode::OK, content_type, encode(value.into_body())),
        Err(fault) => refuse(&fault, id, content_type),
    };
    reply::of_call(&mut response, call);
    response
}

async fn run(
    app: &App,
    call: Uuid,
    id: &str,
    export: &str,
    request: Request<Body>,
) -> Result<Value, Fault> {
    let deadline = Instant::now() + app.wall_time;
    let number = parse_id(id).ok_or_else(|| no_such_function(id))?;
    let (parts, body) = request.into_parts();
    let function = app.functions.get(number).await?;
    if let Some(key) = &function.usage_key
        && !header(&parts.headers, "ssvm_usage_key").is_some_and(|given| key.matches(given))
    {
        return Err(
            Fault::client("usage-key", "SSVM_Usage_Key is missing or wrong.").with_status(403),
        );
    }
    let held = app
        .bodies
        .read(body, app.settings.request_body, || {
            let limit = app.settings.request_body;
            Fault::limit(
                "request-body",
                413,
                format!("The body is larger than server.request_body = {limit}."),
            )
        })
        .await?;
    let content_type = parts
        .headers
        .get(names::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let args = arguments::of_body(content_type, held.bytes.clone())?
        .into_iter()
        .collect();
    let signature = header(&parts.headers, "iof-signature")
        .map(StatedSignature::parse)
        .transpose()?;
    let _place = app.gate.enter().await?;
    let context = CallContext {
        call,
        function: Arc::clone(&function.name),
        grants: Arc::clone(&app.defaults),
        deadline,
    };
    let environment = Arc::clone(&function.environment);
    let outcome = app
        .engine
        .call(
            &function.code,
            Invocation {
                export,
                args,
                signature: signature.as_ref(),
                environment,
                context,
            },
        )
        .await;
    record(call, &function.name, export, &outcome);
    outcome.result
}

/// The answer to a call that did not return.
fn refuse(fault: &Fault, id: &str, content_type: HeaderValue) -> Response<Body> {
    match &*fault.code {
        "no-such-function" => reply::ok_but(fault, reply::HTML, format!("{id} does not exist")),
        "usage-key" => reply::ok_but(
            fault,
            content_type,
            error_body(&format!("Wrong usage key ... {id} can not be accessed.")),
        ),
        // Refused by the original too, with a true status: its body parser's.
        "json" | "request-body" | "body-wait" | "request" => reply::failure(fault),
        // A server that is full says so, for clients and proxies that know what 503 means.
        _ if fault.status == 503 => reply::failure(fault),
        _ => reply::ok_but(fault, content_type, FAILED),
    }
}

/// Most of what a guest prints goes to the log; more of it than this is cut off there.
const LOGGED: usize = 8 << 10;

fn record(call: Uuid, function: &str, export: &str, outcome: &Outcome) {
    let Log { stdout, stderr } = &outcome.log;
    for (stream, bytes) in [("stdout", stdout), ("stderr", stderr)] {
        if !bytes.is_empty() {
            let shown = String::from_utf8_lossy(bytes.get(..LOGGED).unwrap_or(bytes));
            tracing::info!(target: "iof::guest", %call, function, export, stream, bytes = bytes.len(), text = ?shown);
        }
    }
    let guest_us = outcome.guest_cpu.as_micros();
    match &outcome.result {
        Ok(_) => {
            tracing::debug!(target: "iof::call", %call, function, export, guest_us, "returned");
        }
        Err(fault) => {
            let (code, message, detail) = (&*fault.code, &*fault.message, fault.detail.as_deref());
            if fault.source_of == Source::Host {
                tracing::error!(target: "iof::call", %call, function, export, guest_us, fault = code, detail, "{message}");
            } else {
                tracing::info!(target: "iof::call", %call, function, export, guest_us, fault = code, "{message}");
                // A backtrace is for whoever wrote the function.
                tracing::debug!(target: "iof::call", %call, detail);
            }
        }
    }
}
