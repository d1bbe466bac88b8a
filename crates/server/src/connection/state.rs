//! The state of a connection: set by the part that knows, read by those that decide.

use super::bodies::{AnswerBody, AnswerShare};
use super::streams;
use axum::body::Body;
use futures::task::AtomicWaker;
use http::{HeaderValue, Request, Response, Version, header};
use hyper::body::Incoming;
use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Arc, Mutex, PoisonError};
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
    /// Whether there is something in `unread`, so that few take its lock.
    leaves: AtomicBool,
    /// What a request did not read of its body.
    unread: Mutex<Option<Incoming>>,
}

/// A request, from its head until its answer is with the connection.
pub(crate) struct Exchange {
    state: Arc<ConnectionState>,
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

    /// Keeps what a request leaves of its body, so that it can be read to its end behind the answer. Over HTTP/2 a
    /// stream says for itself that it is not read any further.
    pub(crate) fn leave(&self, body: Incoming) {
        if self.http1.load(Relaxed) {
            *self.unread.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
            self.leaves.store(true, Release);
        }
    }

    /// What is left of the body, once the request is answered.
    pub(crate) fn left(&self) -> Option<Incoming> {
        if self.requests() > 0 || !self.leaves.load(Acquire) {
            return None;
        }
        self.leaves.store(false, Relaxed);
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        unread.take()
    }

    /// How much is left, at most.
    fn left_size(&self) -> Option<u64> {
        if !self.leaves.load(Acquire) {
            return None;
        }
        let unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        let size = http_body::Body::size_hint(unread.as_ref()?).upper();
        Some(size.unwrap_or(u64::MAX))
    }
}

impl Exchange {
    pub(crate) fn begin(state: &Arc<ConnectionState>, request: &Request<Incoming>) -> Self {
        let version = request.version();
        state.requests.fetch_add(1, Relaxed);
        state.served.fetch_add(1, Relaxed);
        state.http1.store(version < Version::HTTP_2, Relaxed);
        state.interim.store(version == Version::HTTP_11, Relaxed);
        Self {
            state: Arc::clone(state),
            is_http1: version < Version::HTTP_2,
            expects: request.headers().contains_key(header::EXPECT),
        }
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
        let unread = self.state.left_size();
        unread.is_some_and(|size| self.expects || size > SMALL) || self.state.mended.load(Relaxed)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.state.requests.fetch_sub(1, Relaxed);
    }
}
