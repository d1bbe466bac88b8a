//! The body of a request, read from its connection. `100 Continue` is sent only once a reader asks for the body (RFC
//! 9110, section 10.1.1).

use super::ConnectionState;
use super::unread::UnreadBody;
use axum::BoxError;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The body of a request.
pub(crate) struct RequestBody {
    /// `None` once it was read to its end.
    incoming: Option<Incoming>,
    state: Arc<ConnectionState>,
    unread: Arc<UnreadBody>,
}

impl RequestBody {
    pub(super) fn new(
        incoming: Incoming,
        state: Arc<ConnectionState>,
        unread: Arc<UnreadBody>,
    ) -> Self {
        Self {
            incoming: Some(incoming),
            state,
            unread,
        }
    }
}

impl RequestBody {
    /// The switch by which the request's surface decides how to treat a client that closes its side.
    pub(crate) fn client_leaves(&self) -> ClientLeaves {
        ClientLeaves(Arc::clone(&self.state))
    }
}

/// A switch for the treatment of a client that closes its side.
#[derive(Clone)]
pub(crate) struct ClientLeaves(Arc<ConnectionState>);

impl ClientLeaves {
    /// Lets the request end when its client closes its side, as most proxies do. Such a client may still read, which
    /// shows only when something is written to it.
    pub(crate) fn at_its_end(self) {
        self.0.leave_at_end();
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Some(incoming) = &mut this.incoming else {
            return Poll::Ready(None);
        };
        let mut polled = Pin::new(&mut *incoming).poll_frame(cx);
        if polled.is_pending() {
            this.state.wait_for_body(cx.waker());
            if this.state.half_closed() {
                // The bytes that came before the end have arrived by now.
                polled = Pin::new(incoming).poll_frame(cx);
                if polled.is_pending() {
                    let error = "the client closed its side before the body was complete";
                    let error = io::Error::new(io::ErrorKind::UnexpectedEof, error);
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
        }
        if let Poll::Ready(None) = polled {
            // The size of a chunked body is known only now.
            this.incoming = None;
        }
        if polled.is_ready() && this.is_end_stream() {
            this.unread.read(true);
        }
        polled.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let incoming = self.incoming.as_ref();
        incoming.map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(incoming) = self.incoming.take().filter(|body| !body.is_end_stream()) {
            self.unread.leave(incoming);
        }
    }
}
