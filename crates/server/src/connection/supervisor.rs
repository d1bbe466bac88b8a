//! The supervisor of a connection: it drives the connection, and ends it when its client keeps it without using it.
//!
//! One rule covers the first byte, the choice of a protocol, a slow head, and an idle connection: without a request in
//! progress, a connection lasts for `server.head_wait` after it was accepted or its last answer was sent. Another rule
//! covers answers that are not taken: within `server.write_wait`, a client has to take [`TAKEN`] bytes or everything.
//! Calls in progress have limits of their own.
//!
//! Rejected: hyper's timeout of heads, which covers neither the first byte nor HTTP/2, and sets a timer for every
//! request. Here a timer that fires is set again, to the deadline at that time.

use super::ConnectionState;
use super::unread::DrainedBody;
use crate::app::App;
use hyper_util::server::graceful::GracefulConnection;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

/// The least bytes of an answer that a client takes within `server.write_wait`.
const TAKEN: u64 = 64 << 10;
/// The time that a connection has to end after it was told to.
const FAREWELL: Duration = Duration::from_secs(1);
/// The most reads of a dropped body in one poll.
const ROUNDS: usize = 8;

/// The bounds of a connection.
#[derive(Clone, Copy)]
struct Bounds {
    /// The longest wait for a request.
    head_wait: Duration,
    /// The longest wait for a client that takes nothing.
    write_wait: Duration,
    /// The time and the bytes up to which the rest of a request's body is read.
    body_wait: Duration,
    body_size: u64,
}

/// A connection, driven to its end.
pub(crate) struct Supervisor<C> {
    connection: Pin<Box<C>>,
    state: Arc<ConnectionState>,
    bounds: Bounds,
    /// The phase, the time at which it began, and the bytes counted then.
    phase: Phase,
    since: Instant,
    served: usize,
    written: u64,
    /// The timer, never set later than the deadline.
    alarm: Pin<Box<Sleep>>,
    /// A body that is read and dropped after an answer.
    unread: Option<DrainedBody>,
    app: Arc<App>,
    /// Resolves when the server stops. It is polled once, so that the stop wakes the task in any phase.
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    begun: bool,
    /// True if the connection was told to end.
    told: bool,
    /// True if the parser was told that the client closed its side.
    end_seen: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    /// No request is in progress.
    Idle,
    /// A request is in progress.
    Busy,
    /// The client does not take what was written.
    Blocked,
    /// The rest of an answered request's body is being read.
    Lingering,
    /// No request is in progress, and the connection was told to end.
    Ending,
}

/// The reason why a connection was ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The connection had no request for too long.
    Idle,
    /// Its client took nothing for too long.
    Blocked,
    /// Its client left, and its request was to end then.
    Left,
    /// The connection failed.
    Broken(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("it had no request within server.head_wait"),
            Self::Blocked => f.write_str("its client took nothing within server.write_wait"),
            Self::Left => f.write_str("its client left before it had its answer"),
            Self::Broken(error) => error.fmt(f),
        }
    }
}

impl<C> Supervisor<C>
where
    C: GracefulConnection<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    /// Supervises a connection that was accepted at `accepted`; `stop` resolves when the server stops.
    pub(crate) fn new(
        connection: C,
        state: Arc<ConnectionState>,
        app: Arc<App>,
        accepted: Instant,
        stop: WaitForCancellationFutureOwned,
    ) -> Self {
        let settings = &app.settings;
        let bounds = Bounds {
            head_wait: settings.head_wait,
            write_wait: settings.write_wait,
            body_wait: settings.body_wait,
            body_size: settings.request_body.as_u64(),
        };
        Self {
            connection: Box::pin(connection),
            state,
            bounds,
            phase: Phase::Idle,
            since: accepted,
            served: 0,
            written: 0,
            alarm: Box::pin(tokio::time::sleep_until(accepted + bounds.head_wait)),
            unread: None,
            app,
            stop: Box::pin(stop),
            begun: false,
            told: false,
            end_seen: false,
        }
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.told, true) {
            self.connection.as_mut().graceful_shutdown();
        }
    }

    /// Polls the connection until neither it nor the rest of a body makes progress.
    fn poll_connection(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        for _ in 0..ROUNDS {
            if let Poll::Ready(ended) = self.connection.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            let read = self.read_on(cx);
            // The parser reads the end of the client's bytes only when it is polled again.
            let end = self.state.half_closed() && self.state.requests() == 0;
            let end_seen = std::mem::replace(&mut self.end_seen, end);
            if !read && (!end || end_seen) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Continues to read the rest of a request's body. Returns whether it read bytes or the end.
    fn read_on(&mut self, cx: &mut Context<'_>) -> bool {
        if self.unread.is_none() {
            let left = self.state.unread();
            self.unread = left.map(|body| DrainedBody::new(body, self.bounds.body_size));
        }
        let Some(unread) = &mut self.unread else {
            return false;
        };
        match unread.poll_piece(cx) {
            Poll::Ready(true) => true,
            Poll::Pending if !self.state.half_closed() => false,
            // The body has ended, or no more bytes will come.
            _ => {
                self.unread = None;
                true
            }
        }
    }

    /// Determines the phase of the connection.
    fn look(&mut self) {
        let (served, written) = (self.state.served(), self.state.written());
        let phase = if self.state.blocked() {
            Phase::Blocked
        } else if self.state.requests() > 0 {
            Phase::Busy
        } else if self.unread.is_some() {
            Phase::Lingering
        } else if self.told {
            Phase::Ending
        } else {
            Phase::Idle
        };
        let took = phase == Phase::Blocked && written - self.written >= TAKEN;
        if phase != self.phase || served != self.served || took {
            self.phase = phase;
            self.since = Instant::now();
            self.served = served;
            self.written = written;
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let wait = match self.phase {
            Phase::Busy => return None,
            Phase::Idle => self.bounds.head_wait,
            Phase::Blocked => self.bounds.write_wait,
            Phase::Lingering => self.bounds.body_wait,
            Phase::Ending => FAREWELL,
        };
        Some(self.since + wait)
    }

    /// Returns whether the deadline has passed. Sets the alarm for it if it has not.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(deadline) = self.deadline() else {
            return false;
        };
        if self.alarm.deadline() > deadline {
            self.alarm.as_mut().reset(deadline);
        }
        while self.alarm.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return true;
            }
            self.alarm.as_mut().reset(deadline);
        }
        false
    }
}

impl<C> Future for Supervisor<C>
where
    C: GracefulConnection<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    type Output = Result<(), Ended>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if !std::mem::replace(&mut this.begun, true) {
            let _ = this.stop.as_mut().poll(cx);
        }
        if this.app.stopping.load(Ordering::Relaxed) {
            this.end();
        }
        loop {
            if let Poll::Ready(ended) = this.poll_connection(cx) {
                return Poll::Ready(ended.map_err(|error| Ended::Broken(error.into())));
            }
            if this.state.left() {
                return Poll::Ready(Err(Ended::Left));
            }
            this.look();
            if !this.poll_deadline(cx) {
                return Poll::Pending;
            }
            match this.phase {
                // HTTP/2 announces the end to the client, whose next request may be on its way.
                Phase::Idle => this.end(),
                Phase::Lingering => this.unread = None,
                Phase::Blocked => {
                    this.state.abandon();
                    return Poll::Ready(Err(Ended::Blocked));
                }
                Phase::Busy | Phase::Ending => return Poll::Ready(Err(Ended::Idle)),
            }
        }
    }
}
