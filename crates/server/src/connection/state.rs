//! The state of a connection: set by the part that knows, read by those that decide.

use super::bodies::{AnswerBody, AnswerShare, RequestBody, UnreadBody};
use super::streams;
use axum::body::Body;
use futures::task::AtomicWaker;
use http::{HeaderValue, Request, Response, Version, header};
use hyper::body::Incoming;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::Waker;

/// A body of this size that a refusal left unread is on its way already: the connection goes on behind it.
const SMALL: u64 = 64 << 10;

/// What the parts of a connection know of each other. All but the body of a request are polled by one task.
#[derive(Default)]
pub(crate) struct ConnectionState {
    /// Requests whose answer is not with the connection yet.
    requests: AtomicUsize,
    /// Requests there were.
    served: AtomicUsize,
    /// Whether the request under way came over HTTP/1, which has one at a time.
    http1: AtomicBool,
    /// Whether the client of the request under way may be told `100 Continue`: it speaks HTTP/1.1, no answer has begun.
    interim: AtomicBool,
    /// Whether the request line was mended: the next one cannot be.
    mended: AtomicBool,
    /// Whether the client closed its side while its request was under way.
    half_closed: AtomicBool,
    /// Waits for more of a body.
    reader: AtomicWaker,
    /// Whether there is something to write that the client does not take.
    blocked: AtomicBool,
    /// Bytes that the client, or its system, took.
    written: AtomicU64,
    /// What a request of HTTP/1 did not read of its body. Over HTTP/2 each has its own.
    unread: Arc<UnreadBody>,
}

/// A request, from its head until its answer is with the connection.
pub(crate) struct Exchange {
    state: Arc<ConnectionState>,
    unread: Arc<UnreadBody>,
    is_http1: bool,
    expects: bool,
}

impl ConnectionState {
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Relaxed)
    }

    pub(crate) fn served(&self) -> usize {
        self.served.load(Relaxed)
    }

    /// Whether a request of HTTP/1 is under way: only then is the end of what the client sends not the connection's.
    pub(crate) fn serves_http1(&self) -> bool {
        self.requests() > 0 && self.http1.load(Relaxed)
    }

    pub(crate) fn may_be_told_to_continue(&self) -> bool {
        self.interim.load(Relaxed) && !self.blocked()
    }

    pub(crate) fn mended(&self) {
        self.mended.store(true, Relaxed);
    }

    /// The client has closed its side: whoever waits for more of a body waits in vain.
    pub(crate) fn half_close(&self) {
        self.half_closed.store(true, Relaxed);
        self.reader.wake();
    }

    pub(crate) fn half_closed(&self) -> bool {
        self.half_closed.load(Relaxed)
    }

    pub(crate) fn wait_for_body(&self, waker: &Waker) {
        self.reader.register(waker);
    }

    pub(crate) fn wrote(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }

    pub(crate) fn block(&self, blocked: bool) {
        self.blocked.store(blocked, Relaxed);
    }

    pub(crate) fn blocked(&self) -> bool {
        self.blocked.load(Relaxed)
    }

    /// What is left of the body of a request of HTTP/1, once that is answered.
    pub(crate) fn unread(&self) -> Option<Incoming> {
        if self.requests() > 0 {
            return None;
        }
        self.unread.take()
    }
}

impl Exchange {
    pub(crate) fn begin(
        state: &Arc<ConnectionState>,
        request: Request<Incoming>,
    ) -> (Self, Request<RequestBody>) {
        let version = request.version();
        let is_http1 = version < Version::HTTP_2;
        state.requests.fetch_add(1, Relaxed);
        state.served.fetch_add(1, Relaxed);
        state.http1.store(is_http1, Relaxed);
        state.interim.store(version == Version::HTTP_11, Relaxed);
        let exchange = Self {
            state: Arc::clone(state),
            unread: match is_http1 {
                true => Arc::clone(&state.unread),
                false => Arc::default(),
            },
            is_http1,
            expects: request.headers().contains_key(header::EXPECT),
        };
        let unread = Arc::clone(&exchange.unread);
        let request = request.map(|body| RequestBody::new(body, Arc::clone(state), unread));
        (exchange, request)
    }

    /// Makes an answer that keeps the exchange until it is with the connection.
    pub(crate) fn answer(self, mut response: Response<Body>) -> Response<AnswerBody> {
        self.state.interim.store(false, Relaxed);
        streams::progress();
        if self.is_http1 && self.is_last() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        let share = response.extensions_mut().remove::<Arc<AnswerShare>>();
        response.map(|body| AnswerBody::new(body, self, share))
    }

    /// Whether no other request can come over the connection. A client that expected `100 Continue` may keep its body
    /// to itself: what comes next would be taken for it.
    fn is_last(&self) -> bool {
        let unread = self.unread.size();
        unread.is_some_and(|size| self.expects || size > SMALL) || self.state.mended.load(Relaxed)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.state.requests.fetch_sub(1, Relaxed);
        if !self.is_http1 {
            streams::leave(&self.unread);
        }
    }
}
