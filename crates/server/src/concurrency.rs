//! A limit of the calls that run at once, and of those that wait for it.
//!
//! Passing an open limiter is one atomic addition, with no lock: a semaphore would take one at every release. Only calls
//! that find it full queue up, for a bounded time and in bounded number.

use crate::settings::Settings;
use iof_fault::{Fault, FaultKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A limiter of calls.
pub(crate) struct ConcurrencyLimiter {
    running: AtomicU32,
    waiting: AtomicU32,
    freed: Notify,
    limit: u32,
    queue: u32,
    wait: Duration,
    scope: Scope,
}

/// The calls that a limiter counts.
#[derive(Clone, Copy)]
enum Scope {
    Server,
    Function,
}

/// A permit to run one call; released on drop.
pub(crate) struct Permit(Arc<ConcurrencyLimiter>);

impl ConcurrencyLimiter {
    /// The limiter of all calls of a server: `server.concurrency`.
    pub(crate) fn of_server(settings: &Settings) -> Arc<Self> {
        Self::new(settings.concurrency, settings, Scope::Server)
    }

    /// The limiter of one function: the `concurrency` that it declares.
    pub(crate) fn of_function(limit: u32, settings: &Settings) -> Arc<Self> {
        Self::new(limit, settings, Scope::Function)
    }

    fn new(limit: u32, settings: &Settings, scope: Scope) -> Arc<Self> {
        Arc::new(Self {
            scope,
            running: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            freed: Notify::new(),
            limit: limit.max(1),
            queue: settings.queue,
            wait: settings.queue_wait,
        })
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// Calls that run now.
    pub(crate) fn running(&self) -> u32 {
        self.running.load(Ordering::Acquire)
    }

    /// Calls that wait for a permit now.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Acquire)
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// `queue` when too many wait already, `queue-wait` when the wait took too long, both 503; of a function,
    /// `concurrency`, 429, for either.
    pub(crate) async fn acquire(self: &Arc<Self>) -> Result<Permit, Fault> {
        match self.try_acquire() {
            Some(permit) => Ok(permit),
            // Boxed: calls that need not wait do not carry the waiting about.
            None => Box::pin(self.wait()).await,
        }
    }

    fn try_acquire(self: &Arc<Self>) -> Option<Permit> {
        self.running
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| {
                (n < self.limit).then_some(n + 1)
            })
            .ok()
            .map(|_| Permit(Arc::clone(self)))
    }

    async fn wait(self: &Arc<Self>) -> Result<Permit, Fault> {
        let _waiter = self.join()?;
        let deadline = Instant::now() + self.wait;
        loop {
            let freed = self.freed.notified();
            let mut freed = std::pin::pin!(freed);
            // Registered before the check, so that a permit freed in between is not missed.
            freed.as_mut().enable();
            if let Some(permit) = self.try_acquire() {
                return Ok(permit);
            }
            if tokio::time::timeout_at(deadline, freed).await.is_err() {
                return Err(self.scope.waited(self.limit));
            }
        }
    }

    fn join(&self) -> Result<Waiter<'_>, Fault> {
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        let waiter = Waiter(self);
        if before >= self.queue {
            return Err(self.scope.full(self.limit));
        }
        Ok(waiter)
    }
}

impl Scope {
    fn waited(self, limit: u32) -> Fault {
        match self {
            Self::Server => Fault::new(
                FaultKind::QueueWait,
                "The server is busy: no call ended within server.queue_wait. Try again soon.",
            ),
            Self::Function => Self::of_function(limit, "none ended within server.queue_wait"),
        }
    }

    fn full(self, limit: u32) -> Fault {
        match self {
            Self::Server => Fault::new(
                FaultKind::Queue,
                "The server is busy: server.queue calls wait already. Try again soon.",
            ),
            Self::Function => Self::of_function(limit, "server.queue calls wait already"),
        }
    }

    fn of_function(limit: u32, why: &str) -> Fault {
        Fault::new(
            FaultKind::FunctionConcurrency,
            format!(
                "The function runs as often as its concurrency = {limit} allows, and {why}. Try again soon."
            ),
        )
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
        if self.0.waiting.load(Ordering::Acquire) > 0 {
            self.0.freed.notify_one();
        }
    }
}

struct Waiter<'a>(&'a ConcurrencyLimiter);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(limit: u32, queue: u32, queue_wait: Duration) -> Arc<ConcurrencyLimiter> {
        let settings = Settings {
            queue,
            queue_wait,
            ..Settings::default()
        };
        ConcurrencyLimiter::new(limit, &settings, Scope::Server)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn never_more_than_the_limit_and_nobody_is_forgotten() {
        let limiter = limiter(3, 1_000, Duration::from_secs(10));
        let (inside, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..500 {
            let (limiter, inside, most) = (limiter.clone(), inside.clone(), most.clone());
            calls.spawn(async move {
                let permit = limiter.acquire().await.unwrap();
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
                drop(permit);
            });
        }
        while let Some(call) = calls.join_next().await {
            call.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), 3);
        assert_eq!((limiter.running(), limiter.waiting()), (0, 0));
    }

    #[tokio::test]
    async fn a_full_queue_and_a_long_wait_are_refused() {
        let one = limiter(1, 1, Duration::from_millis(20));
        let _inside = one.acquire().await.unwrap();
        let (first, second) = tokio::join!(one.acquire(), one.acquire());
        assert_eq!(first.err().unwrap().code(), "queue-wait");
        assert_eq!(second.err().unwrap().code(), "queue");
        let no_queue = limiter(1, 0, Duration::from_secs(1));
        let _inside = no_queue.acquire().await.unwrap();
        assert_eq!(no_queue.acquire().await.err().unwrap().code(), "queue");
    }
}
