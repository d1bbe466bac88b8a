//! Requests that a call makes by itself: what it fetches first, and where it sends its result.
//!
//! They leave under the function's outbound rules, like those of its commands; with its secrets if its owner stored them,
//! and without any credential if a caller named them (docs/decisions/0032). A request to a run route of this very
//! server, known by `public_url`, does not leave: it is dispatched here, without a rule, because whoever asked for the
//! call could have sent it. Calls that call each other end at `second_state.callback_depth`.

use super::run::{self, Caller, Route};
use super::target::Target;
use crate::app::App;
use crate::json;
use crate::reply;
use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::BodyExt;
use iof_commands::CallContext;
use iof_egress::{Attachments, Inside, Outbound};
use iof_engine::Arg;
use iof_fault::{Fault, FaultKind};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use url::Url;

/// Who named a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NamedBy {
    /// A request, in a header, its body or a part of it.
    Caller,
    /// The function's owner, who stored it.
    Owner,
}

/// What came back.
pub(super) enum Came {
    /// From elsewhere.
    Outside(Response<Bytes>),
    /// From this server: an answer of one of its run routes.
    Inside(Response<Body>),
}

/// Makes the request.
///
/// # Errors
/// `egress-…` when it did not get through, `callback-depth` when it led in circles.
pub(super) async fn send(
    app: &Arc<App>,
    context: &CallContext,
    caller: Caller,
    (named_by, target): (NamedBy, Target),
    body: Bytes,
) -> Result<Came, Fault> {
    let mut request = Request::new(body);
    *request.method_mut() = target.method;
    *request.headers_mut() = target.headers;
    if app.is_own(&target.url) {
        *request.uri_mut() = target.url.as_str().parse().map_err(|_| {
            Fault::new(
                FaultKind::TargetUrl,
                format!("{} is no URL to be requested.", target.url),
            )
        })?;
        return dispatch(app, request, caller).await.map(Came::Inside);
    }
    let outbound = Outbound {
        call: context.call,
        function: &context.function,
        function_id: context.function_id,
        version: context.version,
        rules: &context.grants.outbound,
        secrets: match named_by {
            NamedBy::Caller => Attachments::WITHHELD,
            NamedBy::Owner => &context.secrets,
        },
        depth: caller.depth,
        deadline: context.deadline,
        max_redirects: target.max_redirects,
        retries: 0,
        decode: false,
    };
    let response = app.egress.send_to(&outbound, target.url, request).await;
    response.map(Came::Outside).map_err(|error| {
        Fault::new(error.kind().into(), capital(&error.to_string()))
            .with_detail(error.detail().unwrap_or_default())
    })
}

/// The run routes, for requests that functions make by themselves (`http_proxy`) to the public name of this server.
pub(crate) struct OwnRoutes(pub(crate) Weak<App>);

#[async_trait]
impl Inside for OwnRoutes {
    fn is_own(&self, url: &Url) -> bool {
        self.0.upgrade().is_some_and(|app| app.is_own(url))
    }

    async fn answer(
        &self,
        context: &Outbound<'_>,
        request: Request<Bytes>,
    ) -> Option<Response<Bytes>> {
        let app = self.0.upgrade()?;
        Route::of_path(request.uri().path()).filter(|_| request.method() == Method::POST)?;
        let caller = Caller {
            depth: context.depth,
            deadline: context.deadline,
        };
        let response = match dispatch(&app, request, caller).await {
            Ok(response) => response,
            Err(fault) => reply::failure(&fault),
        };
        let (parts, body) = response.into_parts();
        // Our own answer; it does not break off.
        let body = body.collect().await.ok()?.to_bytes();
        Some(Response::from_parts(parts, body))
    }
}

/// Runs a function of this server as if a client had asked for it. Boxed, because that may call back in turn.
fn dispatch<'a>(
    app: &'a Arc<App>,
    request: Request<Bytes>,
    caller: Caller,
) -> Pin<Box<dyn Future<Output = Result<Response<Body>, Fault>> + Send + 'a>> {
    Box::pin(async move {
        let depth = caller.depth + 1;
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
                "A fetch or callback to this server itself can reach /api/run and /api/multipart/run alone.",
            ));
        };
        let request = request.map(Body::from);
        Ok(run::answer(app, &route, request, Caller { depth, ..caller }).await)
    })
}

/// What was fetched.
pub(super) struct Fetched {
    content_type: String,
    body: Bytes,
}

impl Fetched {
    pub(super) fn len(&self) -> usize {
        self.body.len()
    }

    /// An image is bytes, and so is what is no text; all else is text.
    pub(super) fn into_arg(self) -> Arg {
        let text =
            !self.content_type.starts_with("image/") && std::str::from_utf8(&self.body).is_ok();
        if text {
            Arg::Text(self.body)
        } else {
            Arg::Bytes(self.body)
        }
    }

    /// As JavaScript writes a text: what a part of a multipart body that asked with an object becomes.
    pub(super) fn into_quoted(self) -> Arg {
        match std::str::from_utf8(&self.body) {
            Ok(text) if !self.content_type.starts_with("image/") => {
                Arg::Text(json::quoted(text).into())
            }
            _ => Arg::Bytes(self.body),
        }
    }
}

/// Fetches an argument; it is always the caller who names it.
///
/// # Errors
/// Those of [`send`]; a status that is no success is none.
pub(super) async fn fetch(
    app: &Arc<App>,
    context: &CallContext,
    caller: Caller,
    mut target: Target,
) -> Result<Fetched, Fault> {
    let body = target.body.take().unwrap_or_default();
    let named = (NamedBy::Caller, target);
    let came = send(app, context, caller, named, body.into()).await?;
    let (content_type, body) = read(came).await?;
    Ok(Fetched { content_type, body })
}

/// The body of what came back, and its content type.
///
/// # Errors
/// When this server's own answer was a failure that says so.
async fn read(came: Came) -> Result<(String, Bytes), Fault> {
    let content_type = |headers: &http::HeaderMap| {
        let value = headers.get(header::CONTENT_TYPE);
        let value = value.and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_ascii_lowercase()
    };
    match came {
        Came::Outside(response) => Ok((content_type(response.headers()), response.into_body())),
        Came::Inside(response) => {
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| {
                Fault::host("The answer of a function could not be read.", error)
            })?;
            Ok((content_type(&parts.headers), body.to_bytes()))
        }
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).chain(['.']).collect()
}
