//! Requests to this very server by its public name: answered here, and never dialled.
//!
//! Functions call functions by their public URLs. Such a request is not sent: the server decides which
//! of its routes answer, and no socket is opened, because the client never connects to an address where this server
//! listens. Such a request needs a rule like any other, and is recorded. It carries no secret: its receiver is a
//! function, too.

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use url::Url;

use crate::Outbound;

/// The part of the server that answers.
#[async_trait]
pub trait LocalDispatch: Send + Sync {
    /// Returns whether a URL leads to this server by its public name.
    fn is_own(&self, url: &Url) -> bool;

    /// Answers a request to this server; `None` if no route for functions matches, which then reads as denied.
    async fn answer(
        &self,
        context: &Outbound<'_>,
        request: Request<Bytes>,
    ) -> Option<Response<Bytes>>;
}
