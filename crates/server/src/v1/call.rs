//! `POST /v1/functions/{function}/call/{export}`: one call, answered at once or, with `Prefer: respond-async`, later.

use super::access::{self, FunctionPath};
use super::answer::{self, ErrorResponse, NoContent, Problem};
use super::arguments::{self, BodyLimits};
use super::jobs::JobRequest;
use super::{jobs, prefer};
use crate::app::App;
use crate::body::{SMALL, Share, larger_than};
use crate::call::{self, SIGNATURE, Wish};
use crate::functions::Loaded;
use crate::media_type;
use crate::parsing::Budget;
use crate::reply;
use crate::text::truncate;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use iof_engine::{Arg, StatedSignature, Value};
use iof_fault::{Fault, FaultKind};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::sync::Arc;
use tokio::time::Instant;
use utoipa::ToSchema;

/// A call that goes on.
#[derive(Serialize, ToSchema)]
pub(super) struct Accepted {
    /// The id of the job; its outcome will be at `/v1/jobs/{job}`.
    job: String,
}

/// The part of a path that names an export.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ExportPath {
    /// The export that is called
    export: String,
}

/// Call a function
///
/// A public function is called by anybody; a private one with its usage key, or a key of scope `call`.
#[utoipa::path(post, path = "/functions/{function}/call/{export}", operation_id = "call", tag = "calls",
    params(
        FunctionPath,
        ExportPath,
        ("Prefer" = Option<String>, Header, description = "`respond-async`: answer 202, and keep the outcome to be fetched"),
        ("iof-signature" = Option<String>, Header, description = "The types of a function that does not say them: `(i32, i32) -> i32`"),
    ),
    request_body(content((Json = "application/json"), (String = "text/plain"), (Vec<u8> = "application/octet-stream"), (Object = "multipart/form-data"))),
    security((), ("key" = [])),
    responses(
        (status = 200, description = "What it returned: text, bytes or JSON", content(
            (Json = "application/json"), (String = "text/plain"), (Vec<u8> = "application/octet-stream"))),
        (status = 202, body = Accepted),
        (status = 204, description = "It returned nothing."),
        (status = "default", body = Problem)))]
pub(super) async fn call(
    State(app): State<Arc<App>>,
    Path(FunctionPath { function }): Path<FunctionPath>,
    Path(ExportPath { export }): Path<ExportPath>,
    request: Request<Body>,
) -> Response<Body> {
    let call = reply::new_id();
    let mut response = run(&app, call, &function, &export, request)
        .await
        .unwrap_or_else(|fault| ErrorResponse::from(fault).into_response());
    reply::of_call(&mut response, call);
    response
}

async fn run(
    app: &Arc<App>,
    id: uuid::Uuid,
    function: &str,
    export: &str,
    request: Request<Body>,
) -> Result<Response<Body>, Fault> {
    let (parts, body) = request.into_parts();
    let function = find(app, function).await?;
    let keys = (function.usage_key.as_ref(), &function.admin_key);
    access::call(app, function.id, keys, &parts.headers).await?;
    let later = prefer::respond_async(&parts.headers);
    if later && !function.granted.jobs {
        jobs::admit(app, &function, &parts.headers).await?;
    }
    if let Some(pace) = &function.granted.pace {
        pace.count()?;
    }
    let deadline = Instant::now() + function.granted.limits.wall_time;
    let stated = parts.headers.get(SIGNATURE);
    let stated = stated.map(|text| text.to_str().unwrap_or_default());
    let signature = stated.map(StatedSignature::parse).transpose()?;
    let most = app.settings.request_body;
    let too_large = || {
        larger_than(
            FaultKind::RequestBody,
            format_args!("server.request_body = {most}"),
        )
    };
    let headers = &parts.headers;
    let held = app.bodies.read(headers, body, most, too_large).await?;
    let content_type = media_type::of(headers);
    let (args, share) = read(app, &function, export, content_type, &held.bytes, deadline).await?;
    if later {
        let request = JobRequest::of(&args, stated);
        let job = app.jobs.submit(app, id, &function, export, request).await?;
        let accepted = Accepted {
            job: job.to_string(),
        };
        let mut response = answer::json(StatusCode::ACCEPTED, &accepted);
        let headers = response.headers_mut();
        if let Ok(place) = HeaderValue::from_str(&format!("/v1/jobs/{job}")) {
            headers.insert(header::LOCATION, place);
        }
        headers.insert(
            "preference-applied",
            HeaderValue::from_static("respond-async"),
        );
        return Ok(response);
    }
    let wish = Wish {
        export,
        args,
        stated,
        signature: signature.as_ref(),
    };
    let context = call::context(&function, id, 0, deadline);
    let outcome = call::run(app, &function, context, wish, (held, share)).await?;
    Ok(body_of(outcome.result?))
}

/// The function of a path, ready to be called.
async fn find(app: &App, id: &str) -> Result<Arc<Loaded>, Fault> {
    let unknown = || Fault::no_such_function(truncate(id));
    if id.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = access::number(app, id).await?.ok_or_else(unknown)?;
        return app.functions.get(number).await;
    }
    let number = app.functions.named(id).await?.ok_or_else(unknown)?;
    match app.functions.get(number).await {
        // The name of a function that is gone may belong to another one now.
        Err(fault) if fault.kind == FaultKind::NoSuchFunction => {
            app.functions.forget(id);
            let number = app.functions.named(id).await?.ok_or_else(unknown)?;
            app.functions.get(number).await
        }
        other => other,
    }
}

/// The arguments of a body, read on this thread if it is small.
///
/// # Errors
/// Those of [`arguments::read`].
async fn read(
    app: &App,
    function: &Arc<Loaded>,
    export: &str,
    content_type: &str,
    body: &Bytes,
    deadline: Instant,
) -> Result<(Vec<Arg>, Share), Fault> {
    let limits = BodyLimits {
        depth: app.settings.json_depth,
        values: app.settings.json_values,
        parts: app.second_state.multipart_parts,
    };
    if body.len() <= SMALL {
        let budget = &mut Budget::default();
        let args = arguments::read(function, export, content_type, body, limits, budget)?;
        return Ok((args, Share::default()));
    }
    // What follows reads and copies it: not on the thread of a connection.
    iof_engine::leave().await;
    let (function, export) = (Arc::clone(function), export.to_owned());
    let (content_type, body) = (content_type.to_owned(), body.clone());
    let read = move |budget: &mut Budget| {
        arguments::read(&function, &export, &content_type, &body, limits, budget)
    };
    Box::pin(app.bodies.parse(deadline, read)).await
}

/// The type that a result is sent under, and its bytes.
pub(super) fn typed(value: Value) -> (Option<HeaderValue>, Bytes) {
    const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
    let content_type = match &value {
        Value::Unit => None,
        Value::Text(_) => Some(TEXT),
        Value::Bytes(_) => Some(reply::OCTETS),
        // What JSON has no number for.
        Value::F32(n) if !n.is_finite() => Some(TEXT),
        Value::F64(n) if !n.is_finite() => Some(TEXT),
        Value::Bool(_) | Value::Integer(_) | Value::F32(_) | Value::F64(_) | Value::Json(_) => {
            Some(reply::JSON)
        }
    };
    (content_type, value.into_body())
}

fn body_of(value: Value) -> Response<Body> {
    let (content_type, body) = typed(value);
    match content_type {
        Some(content_type) => reply::ok(StatusCode::OK, content_type, body),
        None => NoContent.into_response(),
    }
}
