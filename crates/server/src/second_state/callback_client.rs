//! The requests that the server makes for a call: a fetch of its argument, and a callback with its result.
//!
//! They are sent under the function's outbound rules, like those of its commands; with its secrets if its owner stored
//! the target, and without any credential if a caller named it (docs/decisions/0032). A request to a run route of this
//! server itself, known by `public_url`, is not sent: it is dispatched here, without a rule, because the caller could
//! have sent it directly. Calls that call each other end at `second_state.callback_depth`.

use crate::app::App;
use crate::callback::RequestTarget;
use crate::calls::Origin;
use crate::http::content_type;
use crate::json;
use crate::otlp::CallOrigin;
use axum::body::Body;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use iof_command::CallContext;
use iof_egress::{Outbound, SecretInjections};
use iof_engine::Arg;
use iof_fault::{Fault, FaultKind};
use std::sync::Arc;

/// A function that answers requests to this server.
pub(super) type Dispatch = for<'a> fn(
    &'a Arc<App>,
    Request<Bytes>,
    Origin,
) -> BoxFuture<'a, Result<Response<Body>, Fault>>;

/// A client for the requests of one call.
pub(super) struct CallbackClient<'a> {
    pub(super) app: &'a Arc<App>,
    pub(super) context: &'a CallContext,
    pub(super) dispatch: Dispatch,
}

/// The party that named a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TargetSource {
    /// The caller, in a header, the body or a part of the body.
    Caller,
    /// The function's owner, who stored the target.
    Owner,
}

/// The response to a fetch or a callback.
pub(super) enum CallbackResponse {
    /// A response of another server.
    Outside(Response<Bytes>),
    /// An answer of one of the run routes of this server.
    LocalDispatch(Response<Body>),
}

impl CallbackClient<'_> {
    /// Sends a request to a target.
    ///
    /// # Errors
    /// `egress-…` when the request failed, `callback-depth` when calls called each other too deeply.
    pub(super) async fn send(
        &self,
        (named_by, target): (TargetSource, RequestTarget),
        body: Bytes,
    ) -> Result<CallbackResponse, Fault> {
        let (app, context) = (self.app, self.context);
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
            let origin = Origin {
                depth: context.depth,
                deadline: Some(context.deadline),
                trace: CallOrigin::of(context.trace.as_deref()),
            };
            let answered = (self.dispatch)(app, request, origin).await;
            return answered.map(CallbackResponse::LocalDispatch);
        }
        let outbound = Outbound {
            call: context.call,
            function: &context.function,
            function_id: context.function_id,
            version: context.version,
            rules: &context.grants.outbound,
            secrets: match named_by {
                TargetSource::Caller => SecretInjections::WITHHELD,
                TargetSource::Owner => &context.secrets,
            },
            depth: context.depth,
            deadline: context.deadline,
            max_redirects: target.max_redirects,
            retries: 0,
            decode: false,
            trace: context.trace.as_deref(),
        };
        let response = app.egress.send_to(&outbound, target.url, request).await;
        response.map(CallbackResponse::Outside).map_err(|error| {
            Fault::new(error.kind().into(), capital(&error.to_string()))
                .with_detail(error.detail().unwrap_or_default())
        })
    }

    /// Fetches an argument from a target that a caller named.
    ///
    /// # Errors
    /// The errors of [`CallbackClient::send`]. A response with an error status is not an error.
    pub(super) async fn fetch(&self, mut target: RequestTarget) -> Result<FetchedArgument, Fault> {
        let body = target.body.take().unwrap_or_default();
        let response = self
            .send((TargetSource::Caller, target), body.into())
            .await?;
        let (content_type, body) = read(response).await?;
        Ok(FetchedArgument { content_type, body })
    }
}

/// A fetched argument.
pub(super) struct FetchedArgument {
    content_type: String,
    body: Bytes,
}

impl FetchedArgument {
    pub(super) fn len(&self) -> usize {
        self.body.len()
    }

    /// The argument: bytes for an image or any other content that is not text, else text.
    pub(super) fn into_arg(self) -> Arg {
        let text =
            !self.content_type.starts_with("image/") && std::str::from_utf8(&self.body).is_ok();
        if text {
            Arg::Text(self.body)
        } else {
            Arg::Bytes(self.body)
        }
    }

    /// The argument as a text that JavaScript wrote, for a part of a multipart body that named its fetch with an
    /// object.
    pub(super) fn into_quoted(self) -> Arg {
        match std::str::from_utf8(&self.body) {
            Ok(text) if !self.content_type.starts_with("image/") => {
                Arg::Text(json::quoted(text).into())
            }
            _ => Arg::Bytes(self.body),
        }
    }
}

/// The content type and the body of a response.
///
/// # Errors
/// A failure of this server's own answer.
async fn read(response: CallbackResponse) -> Result<(String, Bytes), Fault> {
    match response {
        CallbackResponse::Outside(response) => {
            let content_type = content_type(response.headers()).to_ascii_lowercase();
            Ok((content_type, response.into_body()))
        }
        CallbackResponse::LocalDispatch(response) => {
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| {
                Fault::host("The answer of a function could not be read.", error)
            })?;
            let content_type = content_type(&parts.headers).to_ascii_lowercase();
            Ok((content_type, body.to_bytes()))
        }
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).chain(['.']).collect()
}
