//! Bodies as a connection sees them.
//!
//! A request that is refused early leaves a client that still sends. If the connection were closed then, the client would
//! lose the answer (RFC 9112, section 9.6). So what a request does not read of its body stays with the connection, or its
//! stream, which reads it behind the answer, within bounds; whoever refuses need not know. Nor is `100 Continue` sent for a body that
//! nobody asks for (RFC 9110, section 10.1.1).
//!
//! An answer is handed out in pieces, so that what it takes is given back, and a stalled one is noticed, while a slow
//! client reads.

use super::streams;
use super::{ConnectionState, Exchange};
use crate::app::App;
use crate::reply;
use axum::BoxError;
use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

/// The size of a piece of an answer: a frame of HTTP/2.
const PIECE: usize = 16 << 10;
/// Answers up to this size are not counted: the number of connections and streams bounds them.
const SMALL: u64 = 64 << 10;

/// The body of a request.
pub(crate) struct RequestBody {
    /// `None` once it was read to its end.
    incoming: Option<Incoming>,
    state: Arc<ConnectionState>,
    unread: Arc<UnreadBody>,
}

/// What a request did not read of its body.
#[derive(Default)]
pub(crate) struct UnreadBody {
    /// Whether there is a body, so that few take its lock.
    some: AtomicBool,
    body: Mutex<Option<Incoming>>,
}

/// A body that is read and dropped behind the answer to its request.
pub(super) struct DrainedBody {
    body: Incoming,
    /// How much more of it is read.
    most: u64,
}

impl UnreadBody {
    fn leave(&self, body: Incoming) {
        *self.body.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        self.some.store(true, Ordering::Release);
    }

    pub(super) fn take(&self) -> Option<Incoming> {
        if !self.some.load(Ordering::Acquire) {
            return None;
        }
        self.some.store(false, Ordering::Relaxed);
        let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        body.take()
    }

    /// How much there is, at most.
    pub(super) fn size(&self) -> Option<u64> {
        if !self.some.load(Ordering::Acquire) {
            return None;
        }
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        let size = body.as_ref()?.size_hint().upper();
        Some(size.unwrap_or(u64::MAX))
    }
}

impl DrainedBody {
    pub(super) fn new(body: Incoming, most: u64) -> Self {
        Self { body, most }
    }

    /// Reads a piece; `false` when it is over, or as much of it was read as is.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let Some(Ok(frame)) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
            return Poll::Ready(false);
        };
        let size = frame.data_ref().map_or(0, Bytes::len) as u64;
        let more = self.most.checked_sub(size);
        self.most = more.unwrap_or(0);
        Poll::Ready(more.is_some())
    }
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
                // What came before the end is there by now.
                polled = Pin::new(incoming).poll_frame(cx);
                if polled.is_pending() {
                    let error = "the client closed its side before the body was complete";
                    let error = io::Error::new(io::ErrorKind::UnexpectedEof, error);
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
        }
        if let Poll::Ready(None) = polled {
            // Only now is it known of one in chunks.
            this.incoming = None;
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

/// The body of an answer, until all of it is with the connection.
pub(crate) struct AnswerBody {
    body: Body,
    /// What is left of a large frame.
    rest: Bytes,
    _exchange: Exchange,
    _share: Option<Arc<AnswerShare>>,
}

/// The mark of an answer that is written while it is sent, and holds no more than a few pieces of what it will be.
#[derive(Clone, Copy)]
pub(crate) struct Written;

/// What a large answer takes of the memory for bodies.
pub(crate) struct AnswerShare {
    app: Arc<App>,
    bytes: u64,
}

/// Counts a large answer in the memory for bodies until it is sent; without room for it, it becomes a refusal.
pub(crate) fn count(app: &Arc<App>, response: &mut Response<Body>) {
    let bytes = response.body().size_hint().lower();
    if bytes <= SMALL || response.extensions().get::<Written>().is_some() {
        return;
    }
    match app.bodies.take(bytes) {
        Ok(()) => {
            let share = AnswerShare {
                app: Arc::clone(app),
                bytes,
            };
            response.extensions_mut().insert(Arc::new(share));
        }
        Err(fault) => {
            let call = response.headers_mut().remove(reply::CALL);
            *response = reply::failure(&fault);
            if let Some(call) = call {
                response.headers_mut().insert(reply::CALL, call);
            }
        }
    }
}

impl Drop for AnswerShare {
    fn drop(&mut self) {
        self.app.bodies.give_back(self.bytes);
    }
}

impl AnswerBody {
    pub(super) fn new(body: Body, exchange: Exchange, share: Option<Arc<AnswerShare>>) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            _exchange: exchange,
            _share: share,
        }
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                ended => return Poll::Ready(ended),
            }
        }
        streams::progress();
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let mut hint = self.body.size_hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}
