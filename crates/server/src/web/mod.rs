//! Functions at short public addresses: `/fn/{function}/{export}` and the paths below it, or `/fn/{function}` and the
//! paths below it for functions that answer HTTP requests ([`exchange`]).
//!
//! They are for clients that know only a URL: webhooks, forms, links, pages. The call is that of `/v1`, with the same
//! keys, limits and arguments, but a function may declare the methods that call it, and the path below the call belongs
//! to the function. A response has no effect beyond itself: see [`crate::envelope::response`].

mod exchange;

use crate::app::App;
use crate::arguments;
use crate::caller::{self, BearerKey, function_ref};
use crate::calls::{
    CallRequest, ExchangeTasks, FunctionRef, Origin, PreparedCall, StatedTypes, execute, read_body,
};
use crate::cors;
use crate::envelope::SentHead;
use crate::reply;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::any;
use http::header::ACCESS_CONTROL_REQUEST_HEADERS;
use http::{HeaderValue, Method, Request, Response, header};
use iof_engine::{Export, HANDLER};
use iof_fault::{Fault, FaultKind};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// The first segment of these paths.
const FIRST: &str = "/fn/";

/// The function to whose own host a request was sent: the whole path belongs to the function.
#[derive(Clone, Debug)]
pub(crate) struct OwnHost(pub(crate) String);
/// The method of a function that declares none.
const USUAL: &str = "POST";

/// The parts that requests for functions use.
struct Web {
    app: Arc<App>,
    exchanges: ExchangeTasks,
}

/// The routes below `/fn`. Answers that continue after their head run in `tasks`, and on `compute` if they are
/// CPU-bound.
pub(crate) fn router(app: &Arc<App>, compute: &Handle, tasks: &TaskTracker) -> Router {
    let web = Web {
        app: Arc::clone(app),
        exchanges: ExchangeTasks {
            tasks: tasks.clone(),
            compute: compute.clone(),
        },
    };
    Router::new()
        .route("/fn/{*call}", any(call))
        .fallback(call)
        .with_state(Arc::new(web))
}

async fn call(State(web): State<Arc<Web>>, request: Request<Body>) -> Response<Body> {
    let path = match request.extensions().get::<OwnHost>() {
        Some(OwnHost(function)) => {
            // `*`, the target of `OPTIONS`, is not a path.
            let path = request.uri().path();
            let path = path.strip_prefix('/').unwrap_or_default();
            format!("{FIRST}{function}/{path}")
        }
        None => request.uri().path().to_owned(),
    };
    let app = &web.app;
    let Some(address) = Address::of(&path) else {
        return reply::no_such_route(request).await;
    };
    let call = reply::new_id();
    let mut response = match respond(&web, call, &address, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.logged(app, call, &address).await,
    };
    reply::of_call(&mut response, call);
    cors::vary(&mut response);
    response
}

async fn respond(
    web: &Web,
    call: Uuid,
    address: &Address<'_>,
    request: Request<Body>,
) -> Result<Response<Body>, Refusal> {
    let app = &web.app;
    let function = function_ref(&address.function)?;
    let page = cors::foreign(app, &request)?;
    let is_asked = page.is_some() || request.method() == Method::OPTIONS;
    if is_asked && address.takes_http(app).await {
        // The function itself decides which pages it answers.
        return run(web, call, (function, address), request).await;
    }
    cors::admit(app, function, page.as_ref()).await?;
    if request.method() == Method::OPTIONS {
        let asked = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS);
        let called = (&*address.function, &*address.export);
        // A preflight never has a key: a page that the version names learns that the function exists.
        if let Some(fault) = caller::missing(app, called, request.headers()).await
            && (page.is_none() || fault.kind != FaultKind::UsageKey)
        {
            let fault = caller::refused(app, call, called, request.headers(), fault).await;
            return Ok(Refusal::from(fault).into_response());
        }
        return preflight(app, (function, address), page, asked.cloned()).await;
    }
    let mut response = match run(web, call, (function, address), request).await {
        Ok(response) => response,
        Err(refusal) => refusal.logged(app, call, address).await,
    };
    cors::allow(&mut response, page);
    Ok(response)
}

async fn run(
    web: &Web,
    call: Uuid,
    (function, address): (FunctionRef<'_>, &Address<'_>),
    request: Request<Body>,
) -> Result<Response<Body>, Refusal> {
    let app = &web.app;
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
    let credentials = BearerKey {
        headers,
        later: false,
    };
    let origin = Origin::client(app, headers);
    let prepared = PreparedCall::new(app, call, function, &credentials, origin).await;
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(fault) => {
            let called = (&*address.function, &*address.export);
            let fault = caller::refused(app, call, called, headers, fault).await;
            return Ok(Refusal::from(fault).into_response());
        }
    };
    let function = &prepared.function;
    if function.code.takes_http() {
        let served = exchange::serve(app, &web.exchanges, address, prepared, (parts, body));
        return match Box::pin(served).await {
            Err(refusal) => {
                // The path belongs to the function, and names no export.
                caller::log_refused(app, call, &address.function, HANDLER, &refusal.fault).await;
                Ok(refusal.into_response())
            }
            answered => answered,
        };
    }
    if address.export.is_empty() {
        return Ok(reply::failure(&reply::nothing_at(address.path)));
    }
    let manifest = function.code.manifest();
    let export = manifest.export(&address.export);
    if export.is_none() {
        return Err(manifest.no_such_export(&address.export).into());
    }
    if !is_method(export, &parts.method) {
        return Err(Refusal::method(&parts.method, methods(export)));
    }
    let stated = StatedTypes::of(headers)?;
    let held = read_body(app, headers, body).await?;
    let sent = SentHead {
        method: &parts.method,
        path: address.rest,
        query: parts.uri.query().unwrap_or_default(),
        headers,
    };
    let deadline = prepared.context.deadline;
    let (args, share) =
        arguments::read(app, function, &address.export, sent, &held.bytes, deadline).await?;
    let request = CallRequest {
        export: &address.export,
        args,
        stated: stated.as_ref(),
    };
    let outcome = execute(app, prepared, request, (held, share)).await?;
    match outcome.result {
        Ok(value) => Ok(reply::of_value(value)?),
        // The observers have already logged the fault.
        Err(fault) => {
            let fault = caller::disclosed(app, &address.function, headers, fault).await;
            Ok(reply::failure(&fault))
        }
    }
}

async fn preflight(
    app: &App,
    (function, address): (FunctionRef<'_>, &Address<'_>),
    page: Option<HeaderValue>,
    asked: Option<HeaderValue>,
) -> Result<Response<Body>, Refusal> {
    let loaded = function.load(app).await;
    let export = loaded.as_ref().ok();
    let export = export.and_then(|loaded| loaded.code.manifest().export(&address.export));
    let methods = methods(export);
    cors::preflight(page, &methods, asked).map_err(|fault| Refusal {
        allow: (fault.kind == FaultKind::Method).then_some(methods),
        fault,
    })
}

/// A refusal, and the methods that are allowed.
struct Refusal {
    fault: Fault,
    allow: Option<String>,
}

impl Refusal {
    fn method(method: &Method, allow: String) -> Self {
        let message = format!("Method {method} is not allowed here. Use one of: {allow}.");
        Self {
            fault: Fault::new(FaultKind::Method, message),
            allow: Some(allow),
        }
    }

    /// The answer, after a row in the log of the function.
    async fn logged(self, app: &App, call: Uuid, address: &Address<'_>) -> Response<Body> {
        let (function, export) = (&address.function, &address.export);
        caller::log_refused(app, call, function, export, &self.fault).await;
        self.into_response()
    }

    fn into_response(self) -> Response<Body> {
        reply::log(&self.fault, "refused");
        let mut response = reply::failure(&self.fault);
        let allow = self
            .allow
            .and_then(|allow| HeaderValue::from_str(&allow).ok());
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        response
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { fault, allow: None }
    }
}

/// The methods that a function declares.
fn said(export: Option<&Export>) -> &[String] {
    let described = export.and_then(|export| export.described.as_ref());
    described.map_or(&[], |described| &described.methods)
}

/// The methods that call an export; `GET` includes `HEAD`.
fn methods(export: Option<&Export>) -> String {
    match said(export) {
        [] => USUAL.to_owned(),
        said if said.iter().any(|method| method == "GET") => format!("HEAD, {}", said.join(", ")),
        said => said.join(", "),
    }
}

fn is_method(export: Option<&Export>, method: &Method) -> bool {
    let is = |method: &str| match said(export) {
        [] => method == USUAL,
        said => said.iter().any(|known| known == method),
    };
    is(method.as_str()) || (*method == Method::HEAD && is("GET"))
}

/// An address of a function.
struct Address<'a> {
    path: &'a str,
    function: Cow<'a, str>,
    /// The path below the function, as it was sent: empty, or beginning with a slash.
    below: &'a str,
    /// Empty, if the path names none.
    export: Cow<'a, str>,
    /// The path below the call, as it was sent: empty, or beginning with a slash.
    rest: &'a str,
}

impl<'a> Address<'a> {
    fn of(path: &'a str) -> Option<Self> {
        let named = path.strip_prefix(FIRST)?;
        let end = named.find('/').unwrap_or(named.len());
        let (function, below) = named.split_at_checked(end)?;
        let called = below.strip_prefix('/').unwrap_or_default();
        let end = called.find('/').unwrap_or(called.len());
        let (export, rest) = called.split_at_checked(end)?;
        if function.is_empty() {
            return None;
        }
        Some(Self {
            path,
            function: percent_decode_str(function).decode_utf8().ok()?,
            below,
            export: percent_decode_str(export).decode_utf8().ok()?,
            rest,
        })
    }

    /// The path before the one that the function sees, as it was sent.
    fn prefix(&self) -> &'a str {
        self.path.strip_suffix(self.below).unwrap_or(self.path)
    }

    /// Returns whether the function answers HTTP requests itself.
    async fn takes_http(&self, app: &App) -> bool {
        let Ok(function) = function_ref(&self.function) else {
            return false;
        };
        let loaded = function.load(app).await;
        loaded.is_ok_and(|loaded| loaded.code.takes_http())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_function_an_export_and_the_rest() {
        for (path, function, export, rest) in [
            ("/fn/a/b", "a", "b", ""),
            ("/fn/a/b/", "a", "b", "/"),
            ("/fn/a/b/c/%2F?", "a", "b", "/c/%2F?"),
            ("/fn/1/caf%C3%A9//x", "1", "caf\u{e9}", "//x"),
        ] {
            let address = Address::of(path).unwrap();
            assert_eq!(
                (&*address.function, &*address.export, address.rest),
                (function, export, rest)
            );
        }
        for (path, prefix, below) in [
            ("/fn/a", "/fn/a", ""),
            ("/fn/a/", "/fn/a", "/"),
            ("/fn/caf%C3%A9//x/", "/fn/caf%C3%A9", "//x/"),
        ] {
            let address = Address::of(path).unwrap();
            assert_eq!((address.prefix(), address.below), (prefix, below));
        }
        for path in ["/fn", "/fn/", "/fn//b", "/fn/a/%ff", "/fx/a/b"] {
            assert!(Address::of(path).is_none(), "{path}");
        }
    }
}
