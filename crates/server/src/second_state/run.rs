//! Calls of functions: from a request to its arguments, through the engine, to an answer.

use super::answer::{error_body, usage_key_fault};
use super::callback_client::{CallbackClient, CallbackResponse, TargetSource};
use super::form::FormLimits;
use super::parsed_call::ParsedCall;
use super::request::{CallHeaders, parse_id};
use super::route::Route;
use super::{arguments, multipart};
use crate::app::App;
use crate::callback::RequestTarget;
use crate::calls::{
    CallRequest, Credentials, FunctionRef, Origin, PreparedCall, StatedTypes, execute, log_refused,
    read_body,
};
use crate::functions::LoadedFunction;
use crate::http::content_type;
use crate::memory::SMALL;
use crate::parsing::Budget;
use crate::reply;
use crate::status;
use axum::body::Body;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use iof_fault::{Fault, FaultKind, Source};
use std::sync::Arc;
use tokio::time::Instant;
use uuid::Uuid;

/// The body of 2020 for every failure of a call.
const FAILED: &str = r#"{"return_value":"Error executing this function, please check function name, input parameters, return parameter for correctness"}"#;

/// Answers a `POST` of a client to a route that runs a function.
pub(super) fn client(
    app: &Arc<App>,
    route: &Route,
    request: Request<Body>,
) -> impl Future<Output = Response<Body>> {
    let origin = Origin {
        deadline: Some(Instant::now() + app.wall_time),
        ..Origin::client(app, request.headers())
    };
    answer(app, route, request, origin)
}

/// Answers a request of a client or of another call to run a function.
async fn answer(
    app: &Arc<App>,
    route: &Route,
    request: Request<Body>,
    origin: Origin,
) -> Response<Body> {
    let call = reply::new_id();
    let mut response = match run(app, call, route, request, origin).await {
        Ok(response) => response,
        Err(refusal) => {
            if let (Refusal::Request(fault), Some(number)) = (&refusal, parse_id(&route.id)) {
                let function = FunctionRef::Number(number);
                Box::pin(log_refused(app, call, function, &route.function, fault)).await;
            }
            refuse(&refusal, route)
        }
    };
    reply::of_call(&mut response, call);
    response
}

async fn run(
    app: &Arc<App>,
    id: Uuid,
    route: &Route,
    request: Request<Body>,
    origin: Origin,
) -> Result<Response<Body>, Refusal> {
    let number = parse_id(&route.id).ok_or_else(|| Fault::no_such_function(&route.id))?;
    let (parts, body) = request.into_parts();
    let (function, headers) = (FunctionRef::Number(number), CallHeaders::of(&parts.headers));
    let prepared = PreparedCall::new(app, id, function, &headers, origin).await?;
    let stated = StatedTypes::of(&parts.headers)?;
    let held = read_body(app, &parts.headers, body).await?;
    let may = prepared.function.granted.callers_may;
    let client = CallbackClient {
        app,
        context: &prepared.context,
        dispatch,
    };
    let body = held.bytes.clone();
    if body.len() > SMALL {
        // The next steps read and copy the body, which must not happen on the thread of a connection.
        iof_engine::leave().await;
    }
    let mut parsed = if route.multipart {
        Box::pin(multipart::read(&client, may, (&parts.headers, body))).await?
    } else {
        let deadline = prepared.context.deadline;
        of_body(app, content_type(&parts.headers), body, deadline).await?
    };
    if parsed.fetch.is_some() {
        may.fetch()?;
    }
    if parsed.callback.is_some() {
        may.call_back()?;
    }
    directed(headers, &mut parsed)?;
    if let Some(target) = parsed.fetch.take() {
        // Boxed, so that a call that fetches nothing does not carry the future of the fetch.
        let fetched = Box::pin(client.fetch(target)).await?;
        parsed.shares.push(app.bodies.share(fetched.len())?);
        parsed.args = vec![fetched.into_arg()];
    }
    let callback = match parsed.callback {
        Some(callback) => callback.map(|target| (TargetSource::Caller, target)),
        None => {
            let stored = prepared.function.callback.clone();
            stored.map(|target| (TargetSource::Owner, target))
        }
    };
    // A callback needs these values after the end of the call.
    let callback = callback.map(|target| {
        let function = Arc::clone(&prepared.function);
        (function, prepared.context.clone(), target)
    });
    let request = CallRequest {
        export: &route.function,
        args: parsed.args,
        stated: stated.as_ref(),
    };
    let memory = (held, parsed.shares);
    let outcome = execute(app, prepared, request, memory).await?;
    let (_, value) = reply::typed(outcome.result.map_err(Refusal::Call)?);
    let Some((function, context, (named_by, target))) = callback else {
        return Ok(route.encode(value));
    };
    function.log.called_back(&value, &target.to_json());
    let client = CallbackClient {
        app,
        context: &context,
        dispatch,
    };
    let called_back = call_back(&client, route, (named_by, target), value);
    Box::pin(called_back).await.map_err(Refusal::Callback)
}

/// The credentials of this API: the function's usage key, and the permission to name a fetch and a callback.
impl Credentials for CallHeaders<'_> {
    async fn authorise(&self, _: &App, function: &LoadedFunction) -> Result<(), Fault> {
        if let Some(key) = &function.usage_key
            && !self.usage_key.is_some_and(|given| key.matches(given))
        {
            return Err(usage_key_fault());
        }
        let may = function.granted.callers_may;
        if self.fetch.is_some() {
            may.fetch()?;
        }
        if self.callback.is_some() {
            may.call_back()?;
        }
        Ok(())
    }
}

async fn of_body(
    app: &App,
    content_type: &str,
    body: Bytes,
    deadline: Instant,
) -> Result<ParsedCall, Fault> {
    let limits = FormLimits {
        fields: app.settings.form_fields,
        depth: app.settings.json_depth,
    };
    if body.len() <= SMALL {
        return arguments::of_body(content_type, body, limits, &mut Budget::default());
    }
    let content_type = content_type.to_owned();
    let parse = move |budget: &mut Budget| arguments::of_body(&content_type, body, limits, budget);
    let (mut parsed, share) = Box::pin(app.bodies.parse(deadline, parse)).await?;
    parsed.shares.push(share);
    Ok(parsed)
}

/// Adds the fetch and callback that headers name; they take precedence over the body.
fn directed(headers: CallHeaders<'_>, parsed: &mut ParsedCall) -> Result<(), Fault> {
    if let Some(text) = headers.fetch {
        parsed.fetch = Some(RequestTarget::fetch(text)?);
    }
    if let Some(text) = headers.callback {
        parsed.callback = Some(RequestTarget::callback(text)?);
    }
    Ok(())
}

/// Sends a result to the callback's target; the response is the answer.
async fn call_back(
    client: &CallbackClient<'_>,
    route: &Route,
    target: (TargetSource, RequestTarget),
    value: Bytes,
) -> Result<Response<Body>, Fault> {
    match client.send(target, value).await? {
        // The answer of another function here reports its own status.
        CallbackResponse::LocalDispatch(mut response) => {
            if response.status() == StatusCode::OK {
                let content_type = route.content_type();
                response
                    .headers_mut()
                    .insert(http::header::CONTENT_TYPE, content_type);
            }
            Ok(response)
        }
        CallbackResponse::Outside(response) => {
            let status = response.status().as_u16();
            let mut answer = route.encode(response.into_body());
            answer.headers_mut().insert(reply::CALLBACK, status.into());
            Ok(answer)
        }
    }
}

/// The reason why a request to run a function has no result.
enum Refusal {
    /// The call ended with this fault of the function, of its input, or of a limit.
    Call(Fault),
    /// The request failed before the call: in its body, its wait for a turn, or its fetch.
    Request(Fault),
    /// The result could not be sent to the callback's target.
    Callback(Fault),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Request(fault)
    }
}

/// The answer to a request without a result.
fn refuse(refusal: &Refusal, route: &Route) -> Response<Body> {
    let (id, content_type) = (&route.id, route.content_type());
    let fault = match refusal {
        Refusal::Call(fault) | Refusal::Request(fault) | Refusal::Callback(fault) => fault,
    };
    match (refusal, fault.kind) {
        // A busy server sends 503, for clients and proxies that know the status.
        _ if status::of(fault.kind) == StatusCode::SERVICE_UNAVAILABLE => reply::failure(fault),
        // Only iof has the header; clients of 2020 do not know it.
        (Refusal::Call(_), FaultKind::Signature) => reply::failure(fault),
        (Refusal::Call(_), _) => reply::ok_but(fault, content_type, FAILED),
        (_, FaultKind::NoSuchFunction) => {
            reply::ok_but(fault, reply::HTML, format!("{id} does not exist"))
        }
        (_, FaultKind::UsageKeyHeader) => reply::ok_but(
            fault,
            content_type,
            error_body(&format!("Wrong usage key ... {id} can not be accessed.")),
        ),
        // The deadline passed while its arguments were read.
        (_, FaultKind::WallTime) => reply::ok_but(fault, content_type, FAILED),
        _ if fault.kind.source() == Source::Host => reply::ok_but(fault, content_type, FAILED),
        // The original's parsers refused with a true status, too; where the original hung, no client expects a 200.
        _ => reply::failure(fault),
    }
}

/// Runs a function of this server for a call that requests it. Boxed, because that function may call back in turn.
pub(super) fn dispatch(
    app: &Arc<App>,
    request: Request<Bytes>,
    origin: Origin,
) -> BoxFuture<'_, Result<Response<Body>, Fault>> {
    Box::pin(async move {
        let depth = origin.depth + 1;
        let most = app.second_state.callback_depth;
        if depth > most {
            return Err(Fault::new(
                FaultKind::CallbackDepth,
                format!(
                    "Functions call each other more than second_state.callback_depth = {most} times deep."
                ),
            ));
        }
        let Some(route) = Route::of_path(request.uri().path()) else {
            return Err(Fault::new(
                FaultKind::CallbackRoute,
                "A fetch or callback to this server itself can reach only /api/run and /api/multipart/run.",
            ));
        };
        let request = request.map(Body::from);
        Ok(answer(app, &route, request, Origin { depth, ..origin }).await)
    })
}
