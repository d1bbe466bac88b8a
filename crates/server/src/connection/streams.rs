//! Streams of HTTP/2: tasks of the shared runtime, each with a deadline for the client to take more of its answer.
//!
//! A connection may have two hundred streams, too many for one thread. A client that grants a stream no window blocks
//! its answer but not the connection, so the connection's deadline does not apply.
//!
//! A stream reads the rest of its request's body after the answer. Rejected: resetting the stream with `NO_ERROR`,
//! which is valid (RFC 9113, section 8.1), but makes some clients lose the answer.

use super::unread::{DrainedBody, UnreadBody};
use hyper::body::Incoming;
use hyper::rt::Executor;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep};

thread_local! {
    /// True if the stream that is being polled made progress with its answer.
    static PROGRESS: Cell<bool> = const { Cell::new(false) };
    /// The rest of that stream's request body; `None` while no stream is polled.
    static LEFT: RefCell<Option<Option<Incoming>>> = const { RefCell::new(None) };
}

/// Records that the answer of the task that is being polled began, or that the client took a piece of it.
pub(super) fn progress() {
    PROGRESS.set(true);
}

/// Hands the rest of a body to the stream whose task is being polled, if its answer ended before the body.
pub(super) fn leave(unread: &UnreadBody) {
    LEFT.with_borrow_mut(|left| {
        if let Some(left) = left {
            *left = unread.take();
        }
    });
}

/// Spawns the streams of a connection.
#[derive(Clone)]
pub(crate) struct Streams {
    pub(crate) runtime: Handle,
    /// `server.write_wait`
    pub(crate) write_wait: Duration,
    /// `server.body_wait` and `server.request_body`, which bound the rest of a body.
    pub(crate) body_wait: Duration,
    pub(crate) body_size: u64,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.runtime.spawn(Stream {
            future: Some(Box::pin(future)),
            unread: None,
            bounds: self.clone(),
            deadline: None,
        });
    }
}

/// A stream, which is dropped and thus reset at its deadline.
struct Stream<F> {
    /// `None` once the request is answered.
    future: Option<Pin<Box<F>>>,
    /// A body that is read and dropped after the answer.
    unread: Option<DrainedBody>,
    bounds: Streams,
    /// The deadline of the next piece of the answer, once the answer has begun; after the answer, of the rest of the
    /// body.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<F: Future<Output = ()>> Stream<F> {
    /// Polls the request and its answer.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(future) = &mut self.future else {
            return Poll::Ready(());
        };
        PROGRESS.set(false);
        LEFT.set(Some(None));
        let polled = future.as_mut().poll(cx);
        if polled.is_ready() {
            self.future = None;
        }
        let left = LEFT.take().flatten();
        if polled.is_ready() {
            let most = self.bounds.body_size;
            if let Some(body) = left {
                self.unread = Some(DrainedBody::new(body, most));
                self.wait(self.bounds.body_wait);
            }
        } else if PROGRESS.get() {
            self.wait(self.bounds.write_wait);
        }
        polled
    }

    fn wait(&mut self, wait: Duration) {
        let next = Instant::now() + wait;
        match &mut self.deadline {
            Some(deadline) => deadline.as_mut().reset(next),
            None => self.deadline = Some(Box::pin(tokio::time::sleep_until(next))),
        }
    }
}

impl<F: Future<Output = ()>> Future for Stream<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.poll_answer(cx).is_ready() {
            let Some(unread) = &mut this.unread else {
                return Poll::Ready(());
            };
            while let Poll::Ready(more) = unread.poll_piece(cx) {
                if !more {
                    return Poll::Ready(());
                }
            }
        }
        match &mut this.deadline {
            Some(deadline) => deadline.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}
