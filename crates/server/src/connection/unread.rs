//! Request bodies that their requests did not read.
//!
//! A request that is refused early leaves a client that is still sending. If the connection were closed then, the
//! client would lose the answer (RFC 9112, section 9.6). So the connection or its stream keeps the unread part of a
//! body, and reads it after the answer, within limits. The code that refuses a request does not need to know this.

use bytes::Bytes;
use http_body::Body as HttpBody;
use hyper::body::Incoming;
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

/// The part of a body that its request did not read.
#[derive(Default)]
pub(crate) struct UnreadBody {
    /// True if there is a body, so that most requests never take the lock.
    some: AtomicBool,
    /// True if the body was read to its end.
    whole: AtomicBool,
    body: Mutex<Option<Incoming>>,
}

/// A body that is read and dropped after the answer to its request.
pub(super) struct DrainedBody {
    body: Incoming,
    /// The number of its bytes that may still be read.
    most: u64,
}

impl UnreadBody {
    /// Notes whether the body of the request was read to its end.
    pub(super) fn read(&self, whole: bool) {
        self.whole.store(whole, Ordering::Relaxed);
    }

    pub(super) fn was_read(&self) -> bool {
        self.whole.load(Ordering::Relaxed)
    }

    pub(super) fn leave(&self, body: Incoming) {
        *self.body.lock() = Some(body);
        self.some.store(true, Ordering::Release);
    }

    pub(super) fn take(&self) -> Option<Incoming> {
        if !self.some.load(Ordering::Acquire) {
            return None;
        }
        self.some.store(false, Ordering::Relaxed);
        let mut body = self.body.lock();
        body.take()
    }

    /// The most bytes that the body still has, if that is known.
    pub(super) fn size(&self) -> Option<u64> {
        if !self.some.load(Ordering::Acquire) {
            return None;
        }
        let body = self.body.lock();
        let size = body.as_ref()?.size_hint().upper();
        Some(size.unwrap_or(u64::MAX))
    }
}

impl DrainedBody {
    pub(super) fn new(body: Incoming, most: u64) -> Self {
        Self { body, most }
    }

    /// Reads a piece. Returns `false` at the end of the body, or after `most` bytes.
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
