//! `POST /v1/functions/{function}/call/{export}`: one call, answered at once or, with `Prefer: respond-async`, later.

use super::access::{self, FunctionPath};
use super::answer::{self, ErrorResponse, NoContent, Problem};
use super::arguments::{self, BodyLimits};
use super::{jobs, prefer};
use crate::app::App;
use crate::calls::{
    self, CallRequest, Credentials, FunctionRef, Origin, Prepared, StatedTypes, called_by, execute,
    read_body,
};
use crate::functions::LoadedFunction;
use crate::http::{content_type, truncate};
use crate::jobs::{JobRequest, submit};
use crate::memory::{MemoryReservation, SMALL};
use crate::parsing::Budget;
use crate::reply;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use iof_engine::{Arg, Value};
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

/// Refuses a method that a path does not have; where the path runs a function, its log says so.
pub(super) async fn wrong_method(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Response<Body> {
    // The router of `/v1` has taken its own segment away.
    let Some((function, export)) = called_by(request.uri().path()) else {
        return reply::wrong_method(request).await;
    };
    let message = format!(
        "Method {} does not call a function. Send the call with POST.",
        request.method()
    );
    let fault = Fault::new(FaultKind::Method, message);
    let call = reply::new_id();
    log_refused(&app, call, &function, &export, &fault).await;
    let mut response = ErrorResponse::from(fault).into_response();
    reply::of_call(&mut response, call);
    response
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
    let mut response = match run(&app, call, &function, &export, request).await {
        Ok(response) => response,
        Err(fault) => {
            log_refused(&app, call, &function, &export, &fault).await;
            ErrorResponse::from(fault).into_response()
        }
    };
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
    let headers = &parts.headers;
    let later = prefer::respond_async(headers);
    let (function, credentials) = (function_ref(function)?, BearerKey { headers, later });
    let prepared = Prepared::new(app, id, function, &credentials, Origin::default()).await?;
    let stated = StatedTypes::of(headers)?;
    let held = read_body(app, headers, body).await?;
    let (deadline, content_type) = (prepared.context.deadline, content_type(headers));
    let function = &prepared.function;
    let (args, share) = read(app, function, export, content_type, &held.bytes, deadline).await?;
    if later {
        let stated = stated.as_ref().map(|stated| stated.text);
        let request = JobRequest::of(&args, stated);
        let job = submit(app, &prepared, export, request).await?;
        return Ok(accepted(job));
    }
    let request = CallRequest {
        export,
        args,
        stated: stated.as_ref(),
    };
    let outcome = execute(app, prepared, request, (held, share)).await?;
    // Its observers know of its fault.
    let failed = |fault: Fault| ErrorResponse::from(fault).into_response();
    Ok(outcome.result.map_or_else(failed, body_of))
}

/// The answer to a call that goes on.
fn accepted(job: uuid::Uuid) -> Response<Body> {
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
    response
}

/// Adds a row to the log of the function that a path names.
pub(crate) async fn log_refused(
    app: &App,
    call: uuid::Uuid,
    function: &str,
    export: &str,
    fault: &Fault,
) {
    if let Ok(function) = function_ref(function) {
        calls::log_refused(app, call, function, export, fault).await;
    }
}

/// A function of a path: digits are its number, all else is its name.
fn function_ref(id: &str) -> Result<FunctionRef<'_>, Fault> {
    if !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(FunctionRef::Name(id));
    }
    let number = id.parse().ok().filter(|number| *number > 0);
    number
        .map(FunctionRef::Number)
        .ok_or_else(|| Fault::no_such_function(truncate(id)))
}

/// The credentials of this API: a key that calls the function, and for a job one even where the function takes none.
struct BearerKey<'a> {
    headers: &'a HeaderMap,
    later: bool,
}

impl Credentials for BearerKey<'_> {
    async fn authorise(&self, app: &App, function: &LoadedFunction) -> Result<(), Fault> {
        let keys = (function.usage_key.as_ref(), &function.admin_key);
        access::call(app, function.id, keys, self.headers).await?;
        if self.later && !function.granted.jobs {
            jobs::admit(app, function, self.headers).await?;
        }
        Ok(())
    }
}

/// The arguments of a body, read on this thread if it is small.
///
/// # Errors
/// Those of [`arguments::read`].
async fn read(
    app: &App,
    function: &Arc<LoadedFunction>,
    export: &str,
    content_type: &str,
    body: &Bytes,
    deadline: Instant,
) -> Result<(Vec<Arg>, MemoryReservation), Fault> {
    let limits = BodyLimits {
        depth: app.settings.json_depth,
        values: app.settings.json_values,
        steps: app.settings.schema_steps,
        parts: app.second_state.multipart_parts,
    };
    if body.len() <= SMALL {
        let budget = &mut Budget::default();
        let args = arguments::read(function, export, content_type, body, limits, budget);
        if !budget.needs_turn() {
            return Ok((args?, MemoryReservation::default()));
        }
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

fn body_of(value: Value) -> Response<Body> {
    let (content_type, body) = reply::typed(value);
    match content_type {
        Some(content_type) => reply::ok(StatusCode::OK, content_type, body),
        None => NoContent.into_response(),
    }
}
