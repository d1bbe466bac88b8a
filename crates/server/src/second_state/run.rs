//! Calling a function: from a request to its arguments, through the engine, to an answer.

use super::form::FormLimits;
use super::outward::{self, Came, NamedBy};
use super::target::Target;
use super::{
    CALLBACK, FETCH, USAGE_KEY, arguments, error_body, header, multipart, parse_id, usage_key_fault,
};
use crate::app::App;
use crate::body::{SMALL, Share, larger_than};
use crate::call::{self, SIGNATURE, Wish};
use crate::journal::Row;
use crate::media_type;
use crate::parsing::Budget;
use crate::reply;
use crate::status;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use iof_commands::CallContext;
use iof_engine::{Arg, StatedSignature};
use iof_fault::{Fault, FaultKind, Source};
use std::sync::Arc;
use tokio::time::Instant;
use uuid::Uuid;

/// What the original said about every failure of a call.
const FAILED: &str = r#"{"return_value":"Error executing this function, please check function name, input parameters, return parameter for correctness"}"#;

/// Which function, and how it is asked:
///
/// | path | answers |
/// |---|---|
/// | `/api/run/{wasm_id}/{function}` | the result as text |
/// | `/api/run/{wasm_id}/{function}/bytes` | the result as it is |
/// | `/api/multipart/run/…` | the same, of several arguments |
///
/// The router does not know these. They are what a server is asked all day, and its general ways (a table of routes,
/// parameters by name, boxes for middleware) were a thirtieth of what such a request cost.
pub(crate) struct Route {
    id: String,
    function: String,
    bytes: bool,
    multipart: bool,
}

/// On whose behalf: a client, or a call that called back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    /// How many calls led to this one.
    pub(super) depth: u32,
    pub(super) deadline: Instant,
}

/// What a request says before anything was fetched.
pub(super) struct Asked {
    pub(super) args: Vec<Arg>,
    /// What replaces the argument.
    pub(super) fetch: Option<Target>,
    /// Where the result goes: `Some(None)` says nowhere, `None` leaves it to the stored one.
    pub(super) callback: Option<Option<Target>>,
    /// What fetched and parsed arguments take of the memory for bodies.
    pub(super) shares: Vec<Share>,
}

/// `POST` to any route that runs a function.
pub(crate) async fn client(
    app: &Arc<App>,
    route: &Route,
    request: Request<Body>,
) -> Response<Body> {
    let caller = Caller {
        depth: 0,
        deadline: Instant::now() + app.wall_time,
    };
    answer(app, route, request, caller).await
}

impl Route {
    /// The route of a path of this API, if it runs a function.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        let (multipart, rest) = match path.strip_prefix("/api/multipart/run/") {
            Some(rest) => (true, rest),
            None => (false, path.strip_prefix("/api/run/")?),
        };
        let decode = |part: &str| {
            let bytes = percent_encoding::percent_decode_str(part);
            let text = bytes.decode_utf8().ok().filter(|text| !text.is_empty());
            text.map(|text| text.into_owned())
        };
        let mut parts = rest.split('/');
        let (id, function) = (decode(parts.next()?)?, decode(parts.next()?)?);
        let bytes = match (parts.next(), parts.next()) {
            (None, _) => false,
            (Some("bytes"), None) => true,
            _ => return None,
        };
        Some(Self {
            id,
            function,
            bytes,
            multipart,
        })
    }

    fn content_type(&self) -> HeaderValue {
        if self.bytes {
            reply::OCTETS
        } else {
            reply::HTML
        }
    }

    /// A result under this route: as it is, or as text.
    fn encode(&self, value: Bytes) -> Response<Body> {
        let value = match String::from_utf8_lossy(&value) {
            std::borrow::Cow::Owned(text) if !self.bytes => text.into(),
            _ => value,
        };
        reply::ok(StatusCode::OK, self.content_type(), value)
    }
}

/// The whole of a call, answered.
pub(super) async fn answer(
    app: &Arc<App>,
    route: &Route,
    request: Request<Body>,
    caller: Caller,
) -> Response<Body> {
    let call = reply::new_id();
    let mut response = match run(app, call, route, request, caller).await {
        Ok(response) => response,
        Err(refusal) => refuse(&refusal, route),
    };
    reply::of_call(&mut response, call);
    response
}

async fn run(
    app: &Arc<App>,
    id: Uuid,
    route: &Route,
    request: Request<Body>,
    caller: Caller,
) -> Result<Response<Body>, Refusal> {
    let number = parse_id(&route.id).ok_or_else(|| Fault::no_such_function(&route.id))?;
    let (parts, body) = request.into_parts();
    let function = app.functions.get(number).await?;
    if let Some(key) = &function.usage_key
        && !header(&parts.headers, &USAGE_KEY).is_some_and(|given| key.matches(given))
    {
        return Err(usage_key_fault().into());
    }
    let granted = &function.granted;
    let may = granted.callers_may;
    if header(&parts.headers, &FETCH).is_some() {
        may.fetch()?;
    }
    if header(&parts.headers, &CALLBACK).is_some() {
        may.call_back()?;
    }
    if let Some(pace) = &granted.pace {
        pace.count()?;
    }
    let deadline = Instant::now() + granted.limits.wall_time;
    let caller = Caller {
        deadline: caller.deadline.min(deadline),
        ..caller
    };
    let stated = parts.headers.get(SIGNATURE);
    let stated = stated.map(|text| text.to_str().unwrap_or_default());
    let signature = stated.map(StatedSignature::parse).transpose()?;
    let held = app
        .bodies
        .read(&parts.headers, body, app.settings.request_body, || {
            let limit = app.settings.request_body;
            larger_than(
                FaultKind::RequestBody,
                format_args!("server.request_body = {limit}"),
            )
        })
        .await?;
    let context = call::context(&function, id, caller.depth, caller.deadline);
    let body = held.bytes.clone();
    if body.len() > SMALL {
        // What follows reads and copies it: not on the thread of a connection.
        iof_engine::leave().await;
    }
    let mut asked = if route.multipart {
        multipart::read(app, &context, caller, may, (&parts.headers, body)).await?
    } else {
        of_body(app, media_type::of(&parts.headers), body, caller.deadline).await?
    };
    if asked.fetch.is_some() {
        may.fetch()?;
    }
    if asked.callback.is_some() {
        may.call_back()?;
    }
    directed(&parts.headers, &mut asked)?;
    if let Some(target) = asked.fetch.take() {
        // Boxed: a call that fetches nothing does not carry the fetching about.
        let fetched = Box::pin(outward::fetch(app, &context, caller, target)).await?;
        asked.shares.push(app.bodies.share(fetched.len())?);
        asked.args = vec![fetched.into_arg()];
    }
    let callback = match asked.callback {
        Some(callback) => callback.map(|target| (NamedBy::Caller, target)),
        None => {
            let stored = function.callback.clone();
            stored.map(|target| (NamedBy::Owner, target))
        }
    };
    let wish = Wish {
        export: &route.function,
        args: asked.args,
        stated,
        signature: signature.as_ref(),
    };
    let held = (held, asked.shares);
    let outcome = call::run(app, &function, context.clone(), wish, held).await?;
    let value = outcome.result.map_err(Refusal::Call)?.into_body();
    match callback {
        None => Ok(route.encode(value)),
        Some((named_by, target)) => {
            let row = Row::called_back(&function.environment, &value, target.to_json());
            function.ledger.note(row);
            Box::pin(call_back(
                app,
                &context,
                caller,
                route,
                (named_by, target),
                value,
            ))
            .await
            .map_err(Refusal::Request)
        }
    }
}

async fn of_body(
    app: &App,
    content_type: &str,
    body: Bytes,
    deadline: Instant,
) -> Result<Asked, Fault> {
    let limits = FormLimits {
        fields: app.second_state.form_fields,
        depth: app.settings.json_depth,
    };
    if body.len() <= SMALL {
        return arguments::of_body(content_type, body, limits, &mut Budget::default());
    }
    let content_type = content_type.to_owned();
    let parse = move |budget: &mut Budget| arguments::of_body(&content_type, body, limits, budget);
    let (mut asked, share) = Box::pin(app.bodies.parse(deadline, parse)).await?;
    asked.shares.push(share);
    Ok(asked)
}

/// Adds what the headers direct; they come before the body.
fn directed(headers: &HeaderMap, asked: &mut Asked) -> Result<(), Fault> {
    if let Some(text) = header(headers, &FETCH) {
        asked.fetch = Some(Target::fetch(text)?);
    }
    if let Some(text) = header(headers, &CALLBACK) {
        asked.callback = Some(Target::callback(text)?);
    }
    Ok(())
}

/// Sends a result on; what comes back is the answer.
async fn call_back(
    app: &Arc<App>,
    context: &CallContext,
    caller: Caller,
    route: &Route,
    target: (NamedBy, Target),
    value: Bytes,
) -> Result<Response<Body>, Fault> {
    match outward::send(app, context, caller, target, value).await? {
        // The answer of a function of ours tells its own truth.
        Came::Inside(mut response) => {
            if response.status() == StatusCode::OK {
                let content_type = route.content_type();
                response
                    .headers_mut()
                    .insert(http::header::CONTENT_TYPE, content_type);
            }
            Ok(response)
        }
        Came::Outside(response) => {
            let status = response.status().as_u16();
            let mut answer = route.encode(response.into_body());
            answer.headers_mut().insert(reply::CALLBACK, status.into());
            Ok(answer)
        }
    }
}

/// Why a request that runs a function has no result.
enum Refusal {
    /// The call itself ended so: what the function did, or was asked to do, or a limit that it reached.
    Call(Fault),
    /// Something before or after it: the request, its turn, what it fetched or called back.
    Request(Fault),
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
        Refusal::Call(fault) | Refusal::Request(fault) => fault,
    };
    match (refusal, fault.kind) {
        // A server that is full says so, for clients and proxies that know what 503 means.
        _ if status::of(fault.kind) == StatusCode::SERVICE_UNAVAILABLE => reply::failure(fault),
        // A header of ours, of which clients of 2020 know nothing.
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
        // Its time was over while its arguments were read.
        (_, FaultKind::WallTime) => reply::ok_but(fault, content_type, FAILED),
        _ if fault.kind.source() == Source::Host => reply::ok_but(fault, content_type, FAILED),
        // The original's parsers refused with a true status too; and where it hung, nobody waits for a 200.
        _ => reply::failure(fault),
    }
}
