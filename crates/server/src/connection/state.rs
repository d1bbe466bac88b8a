//! The state of a connection: set by the part that observes, read by the parts that decide.

use super::unread::UnreadBody;
use futures::task::AtomicWaker;
use hyper::body::Incoming;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::Waker;

/// The state that the parts of a connection share. One task polls all of them, except for the body of a request.
#[derive(Default)]
pub(crate) struct ConnectionState {
    /// The number of requests whose answer the connection has not taken yet.
    requests: AtomicUsize,
    /// The number of requests so far.
    served: AtomicUsize,
    /// True if the request in progress uses HTTP/1, which has one at a time.
    http1: AtomicBool,
    /// True if the client of the request in progress may be sent `100 Continue`: it speaks HTTP/1.1, and no answer has
    /// begun.
    interim: AtomicBool,
    /// True if the request line was rewritten, which is not possible for a later request.
    mended: AtomicBool,
    /// True if the request in progress ends when its client closes its side.
    leaves: AtomicBool,
    /// True if the client of such a request closed its side, or its connection failed.
    left: AtomicBool,
    /// True if the client closed its side while its request was in progress.
    half_closed: AtomicBool,
    /// The task that waits for more of a body.
    reader: AtomicWaker,
    /// True while the client does not take the bytes that wait to be written.
    blocked: AtomicBool,
    /// True if the client was abandoned: bytes that were written but not sent are dropped with the socket.
    abandoned: AtomicBool,
    /// The number of bytes that the client or its system took.
    written: AtomicU64,
    /// The part of its body that an HTTP/1 request did not read. Over HTTP/2, each request has its own.
    unread: Arc<UnreadBody>,
}

impl ConnectionState {
    /// Records a request. `interim` is true if its client may be sent `100 Continue`.
    pub(super) fn requested(&self, is_http1: bool, interim: bool) {
        self.requests.fetch_add(1, Relaxed);
        self.served.fetch_add(1, Relaxed);
        self.http1.store(is_http1, Relaxed);
        self.interim.store(interim, Relaxed);
        self.leaves.store(false, Relaxed);
    }

    /// Lets the request in progress end when its client closes its side.
    pub(super) fn leave_at_end(&self) {
        self.leaves.store(true, Relaxed);
    }

    pub(super) fn answer_begins(&self) {
        self.interim.store(false, Relaxed);
    }

    /// Records that the connection has taken an answer.
    pub(super) fn answered(&self) {
        self.requests.fetch_sub(1, Relaxed);
    }

    pub(super) fn unread_of_http1(&self) -> Arc<UnreadBody> {
        Arc::clone(&self.unread)
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Relaxed)
    }

    pub(crate) fn served(&self) -> usize {
        self.served.load(Relaxed)
    }

    /// Returns whether an HTTP/1 request is in progress whose client may wait with its side closed: only then, the end
    /// of the client's bytes does not end the connection.
    pub(crate) fn serves_http1(&self) -> bool {
        self.requests() > 0 && self.http1.load(Relaxed) && !self.leaves.load(Relaxed)
    }

    /// Returns whether a request of HTTP/1 is in progress that ends when its client closes its side.
    pub(super) fn ends_with_its_client(&self) -> bool {
        self.requests() > 0 && self.http1.load(Relaxed) && self.leaves.load(Relaxed)
    }

    /// Notes that the client of such a request has left.
    pub(super) fn leave(&self) {
        self.left.store(true, Relaxed);
    }

    /// Returns whether the request in progress has to end, because its client has left.
    pub(super) fn left(&self) -> bool {
        self.left.load(Relaxed) && self.ends_with_its_client()
    }

    pub(crate) fn may_be_told_to_continue(&self) -> bool {
        self.interim.load(Relaxed) && !self.blocked()
    }

    pub(super) fn is_mended(&self) -> bool {
        self.mended.load(Relaxed)
    }

    pub(crate) fn mended(&self) {
        self.mended.store(true, Relaxed);
    }

    /// Records that the client has closed its side, and wakes the reader of a body, which gets no more bytes.
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

    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Relaxed);
    }

    pub(super) fn abandoned(&self) -> bool {
        self.abandoned.load(Relaxed)
    }

    /// The rest of the body of an HTTP/1 request, once the request is answered.
    pub(crate) fn unread(&self) -> Option<Incoming> {
        if self.requests() > 0 {
            return None;
        }
        self.unread.take()
    }
}
