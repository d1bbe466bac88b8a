//! One exchange over a connection: a request and its answer.

use super::ConnectionState;
use super::request_body::RequestBody;
use super::streams;
use super::unread::UnreadBody;
use http::{Request, Version, header};
use http_body::Body;
use hyper::body::Incoming;
use std::sync::Arc;

/// The size up to which an unread body does not end the connection, because its bytes have already been sent.
const SMALL: u64 = 64 << 10;

/// A request, from its head until the connection has taken its answer.
pub(crate) struct Exchange {
    state: Arc<ConnectionState>,
    unread: Arc<UnreadBody>,
    is_http1: bool,
    expects: bool,
}

impl Exchange {
    pub(crate) fn begin(
        state: &Arc<ConnectionState>,
        request: Request<Incoming>,
    ) -> (Self, Request<RequestBody>) {
        let version = request.version();
        let is_http1 = version < Version::HTTP_2;
        state.requested(is_http1, version == Version::HTTP_11);
        let exchange = Self {
            state: Arc::clone(state),
            unread: match is_http1 {
                true => state.unread_of_http1(),
                false => Arc::default(),
            },
            is_http1,
            expects: request.headers().contains_key(header::EXPECT),
        };
        let unread = Arc::clone(&exchange.unread);
        unread.read(request.body().is_end_stream());
        let request = request.map(|body| RequestBody::new(body, Arc::clone(state), unread));
        (exchange, request)
    }

    /// Records that the answer begins. Returns whether the connection ends with it.
    pub(super) fn begin_answer(&self) -> bool {
        self.state.answer_begins();
        self.is_http1 && self.is_last()
    }

    /// Returns whether no other request can follow on the connection. A client that expected `100 Continue` may never
    /// send its body, even if the body is read after the answer began: its next request would be read as that body.
    fn is_last(&self) -> bool {
        let unread = self.unread.size();
        (self.expects && !self.unread.was_read())
            || unread.is_some_and(|size| size > SMALL)
            || self.state.is_mended()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.state.answered();
        if !self.is_http1 {
            streams::leave(&self.unread);
        }
    }
}
