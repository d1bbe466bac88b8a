//! HTTP requests whose bodies stream: how a component reaches the outside (`wasi:http`).
//!
//! As with commands, the client that sends them is in another crate: the engine builds without an HTTP client.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use iof_fault::Fault;

use crate::call::CallContext;

/// The error of a body that its sender does not finish.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A request of a function.
pub struct HttpRequest {
    /// Its head, and its body, which the function is still writing.
    pub request: Request<UnsyncBoxBody<Bytes, BodyError>>,
    /// The time for a connection, if the function gives it less than the server does.
    pub connect: Option<Duration>,
    /// The time for the first byte of the response, if the function gives it less than the server does.
    pub first_byte: Option<Duration>,
    /// The time between two parts of the body of the response, if the function gives it less than the server does.
    pub between_bytes: Option<Duration>,
}

/// The response, whose body is still arriving.
pub struct HttpResponse {
    /// Its head and its body.
    pub response: Response<UnsyncBoxBody<Bytes, Fault>>,
    /// The future that reads the body while it is polled; dropping it cancels the request.
    pub rest: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// A client that sends requests by the rules of each call's grants.
#[async_trait]
pub trait HttpClient: Send + Sync {
    /// Sends a request for `call`, and returns when the head of the response has arrived. Redirects are responses.
    ///
    /// # Errors
    /// A fault of source `outbound`.
    async fn send(&self, call: CallContext, request: HttpRequest) -> Result<HttpResponse, Fault>;
}
