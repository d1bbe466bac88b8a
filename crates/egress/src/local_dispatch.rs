//! Requests to this very server by its public name: answered here, and never dialled.
//!
//! Functions call functions by the URL that everybody else uses. Such a request does not leave: whoever runs the server
//! says which of its routes answer, and a socket is not opened, because where this server listens no connection leads.
//! Such a request needs a rule like any other, and is on record. No secret goes with it: its receiver is a function, too.

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

    /// Answers a request to it; `None` where nothing there is for functions, which then reads as denied.
    async fn answer(
        &self,
        context: &Outbound<'_>,
        request: Request<Bytes>,
    ) -> Option<Response<Bytes>>;
}
