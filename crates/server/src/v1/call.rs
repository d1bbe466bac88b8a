//! `POST /v1/functions/{function}/call/{export}`: one call, answered at once or, with `Prefer: respond-async`, later.

use super::access::FunctionPath;
use super::answer::{self, ErrorResponse, Problem};
use super::prefer;
use crate::app::App;
use crate::arguments;
use crate::caller::{self, BearerKey, function_ref};
use crate::calls::{CallRequest, Origin, PreparedCall, StatedTypes, called_by, execute, read_body};
use crate::cors;
use crate::envelope::SentHead;
use crate::jobs::{JobOptions, JobRequest, submit};
use crate::reply;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use http::header::ACCESS_CONTROL_REQUEST_HEADERS;
use http::{HeaderValue, Request, Response, StatusCode, header};
use iof_fault::{Fault, FaultKind};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::sync::Arc;
use utoipa::ToSchema;

/// A call that continues as a job.
#[derive(Serialize, ToSchema)]
pub(super) struct AcceptedCall {
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

/// The part of a path that names a function of an interface.
#[derive(Deserialize)]
pub(super) struct InterfacePath {
    /// The interface.
    export: String,
    /// Its function.
    of: String,
}

impl From<InterfacePath> for ExportPath {
    fn from(path: InterfacePath) -> Self {
        Self {
            export: format!("{}/{}", path.export, path.of),
        }
    }
}

/// [`call`] of a function of an interface.
pub(super) async fn call_of_interface(
    state: State<Arc<App>>,
    function: Path<FunctionPath>,
    Path(export): Path<InterfacePath>,
    request: Request<Body>,
) -> Response<Body> {
    call(state, function, Path(export.into()), request).await
}

/// [`preflight`] of such a call.
pub(super) async fn preflight_of_interface(
    state: State<Arc<App>>,
    function: Path<FunctionPath>,
    Path(export): Path<InterfacePath>,
    request: Request<Body>,
) -> Response<Body> {
    preflight(state, function, Path(export.into()), request).await
}

/// Refuses a method that a path does not have; if the path calls a function, the refusal is in its log.
pub(super) async fn wrong_method(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Response<Body> {
    // The router of `/v1` has removed that segment.
    let Some((function, export)) = called_by(request.uri().path()) else {
        return reply::wrong_method(request).await;
    };
    let method = request.method();
    let called = (&*function, &*export);
    let fault = match caller::missing(&app, called, request.headers()).await {
        Some(fault) => fault,
        None => {
            let message =
                format!("Method {method} does not call a function. Send the call with POST.");
            Fault::new(FaultKind::Method, message)
        }
    };
    let call = reply::new_id();
    let fault = caller::refused(&app, call, called, request.headers(), fault).await;
    let mut response = ErrorResponse::from(fault).into_response();
    reply::of_call(&mut response, call);
    cors::vary(&mut response);
    response
}

/// Call a function
///
/// Everyone may call a public function; a private one takes its usage key, or a key of scope `call`.
#[utoipa::path(post, path = "/functions/{function}/call/{export}", operation_id = "call", tag = "calls",
    params(
        FunctionPath,
        ExportPath,
        ("Prefer" = Option<String>, Header, description = "`respond-async`: answer 202, and keep the outcome for a later request"),
        ("iof-signature" = Option<String>, Header, description = "The types of a function that does not declare them: `(i32, i32) -> i32`"),
    ),
    request_body(content((Json = "application/json"), (String = "text/plain"), (Vec<u8> = "application/octet-stream"), (Object = "multipart/form-data"), (Object = "application/x-www-form-urlencoded"))),
    security((), ("key" = [])),
    responses(
        (status = 200, description = "The result: text, bytes or JSON", content(
            (Json = "application/json"), (String = "text/plain"), (Vec<u8> = "application/octet-stream"))),
        (status = 202, body = AcceptedCall),
        (status = 204, description = "It returned nothing."),
        (status = "default", body = Problem)))]
pub(super) async fn call(
    State(app): State<Arc<App>>,
    Path(FunctionPath { function }): Path<FunctionPath>,
    Path(ExportPath { export }): Path<ExportPath>,
    request: Request<Body>,
) -> Response<Body> {
    let call = reply::new_id();
    let mut response = match respond(&app, call, (&function, &export), request).await {
        Ok(response) => response,
        Err(fault) => refused(&app, call, (&function, &export), fault).await,
    };
    reply::of_call(&mut response, call);
    cors::vary(&mut response);
    response
}

/// The answer to a browser's preflight of a call from a page of another origin.
pub(super) async fn preflight(
    State(app): State<Arc<App>>,
    Path(FunctionPath { function }): Path<FunctionPath>,
    Path(ExportPath { export }): Path<ExportPath>,
    request: Request<Body>,
) -> Response<Body> {
    let request = request.map(drop);
    let asked = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS);
    let (asked, page) = (asked.cloned(), cors::foreign(&app, &request));
    let answered = async {
        let page = page?;
        cors::admit(&app, function_ref(&function)?, page.as_ref()).await?;
        // A preflight never has a key: a page that the version names learns that the function exists.
        let missing = caller::missing(&app, (&function, &export), request.headers()).await;
        if let Some(fault) = missing
            && (page.is_none() || fault.kind != FaultKind::UsageKey)
        {
            return Err(caller::concealed(&app, &function, request.headers(), fault).await);
        }
        cors::preflight(page, "POST", asked)
    };
    let mut response = answered.await.unwrap_or_else(|fault| {
        let is_method = fault.kind == FaultKind::Method;
        let mut response = ErrorResponse::from(fault).into_response();
        if is_method {
            let allow = HeaderValue::from_static("POST");
            response.headers_mut().insert(header::ALLOW, allow);
        }
        response
    });
    cors::vary(&mut response);
    response
}

async fn respond(
    app: &Arc<App>,
    id: uuid::Uuid,
    (function, export): (&str, &str),
    request: Request<Body>,
) -> Result<Response<Body>, Fault> {
    let page = cors::foreign(app, &request)?;
    cors::admit(app, function_ref(function)?, page.as_ref()).await?;
    let mut response = match run(app, id, function, export, request).await {
        Ok(response) => response,
        Err(fault) => refused(app, id, (function, export), fault).await,
    };
    cors::allow(&mut response, page);
    Ok(response)
}

/// Answers a refused call; the refusal is in the log of its function.
async fn refused(
    app: &App,
    id: uuid::Uuid,
    (function, export): (&str, &str),
    fault: Fault,
) -> Response<Body> {
    caller::log_refused(app, id, function, export, &fault).await;
    ErrorResponse::from(fault).into_response()
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
    let credentials = BearerKey { headers, later };
    let reference = function_ref(function)?;
    let origin = Origin::client(app, headers);
    let prepared = PreparedCall::new(app, id, reference, &credentials, origin).await;
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(fault) => {
            let fault = caller::refused(app, id, (function, export), headers, fault).await;
            return Ok(ErrorResponse::from(fault).into_response());
        }
    };
    let options = JobOptions::of(headers, later)?;
    let stated = StatedTypes::of(headers)?;
    let held = read_body(app, headers, body).await?;
    let deadline = prepared.context.deadline;
    let loaded = &prepared.function;
    let sent = SentHead {
        method: &parts.method,
        path: "",
        query: parts.uri.query().unwrap_or_default(),
        headers,
    };
    let (args, share) = arguments::read(app, loaded, export, sent, &held.bytes, deadline).await?;
    if later {
        let stated = stated.as_ref().map(|stated| stated.text);
        let request = JobRequest::of(&args, stated);
        let asked = (sent.query, headers, &held.bytes[..]);
        let terms = options.terms(app, &prepared, export, asked)?;
        let (job, again) = submit(app, &prepared, export, request, terms).await?;
        return Ok(accepted(job, again));
    }
    let request = CallRequest {
        export,
        args,
        stated: stated.as_ref(),
    };
    let outcome = execute(app, prepared, request, (held, share)).await?;
    match outcome.result {
        Ok(value) => reply::of_value(value),
        // The observers have already been told the fault.
        Err(fault) => {
            let fault = caller::disclosed(app, function, headers, fault).await;
            Ok(ErrorResponse::from(fault).into_response())
        }
    }
}

/// The answer to a call that continues as a job; `again` is true if it was accepted before.
fn accepted(job: uuid::Uuid, again: bool) -> Response<Body> {
    let accepted = AcceptedCall {
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
    if again {
        headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    response
}
