//! Streams of HTTP/2: tasks of the runtime that all share, each with a deadline for the client to take more of its answer.
//!
//! A connection may have two hundred, of which one thread would be too few. A client that gives a stream no window holds
//! its answer without holding up the connection, so the connection's own deadline does not see it.

use hyper::rt::Executor;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep};

thread_local! {
    /// Whether the stream that is being polled got on with its answer.
    static PROGRESS: Cell<bool> = const { Cell::new(false) };
}

/// Notes that the answer whose task is being polled began, or that a piece of it was taken.
pub(super) fn progress() {
    PROGRESS.set(true);
}

/// Spawns the streams of a connection.
#[derive(Clone)]
pub(crate) struct Streams {
    pub(crate) runtime: Handle,
    /// `server.write_wait`
    pub(crate) write_wait: Duration,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.runtime.spawn(Stream {
            future: Box::pin(future),
            wait: self.write_wait,
            deadline: None,
        });
    }
}

/// A stream. At its deadline it is dropped, which resets it.
struct Stream<F> {
    future: Pin<Box<F>>,
    wait: Duration,
    /// Of the next piece of the answer, once that has begun.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<F: Future<Output = ()>> Future for Stream<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        PROGRESS.set(false);
        if this.future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if PROGRESS.get() {
            let next = Instant::now() + this.wait;
            match &mut this.deadline {
                Some(deadline) => deadline.as_mut().reset(next),
                None => this.deadline = Some(Box::pin(tokio::time::sleep_until(next))),
            }
        }
        match &mut this.deadline {
            Some(deadline) => deadline.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}
