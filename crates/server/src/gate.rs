//! How many calls run at once, and how many wait for it.
//!
//! Passing an open gate is one atomic addition, with no lock: a semaphore would take one at every release. Only calls
//! that find it full queue up, for a bounded time and in bounded number.

use iof_fault::{Fault, FaultKind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Admits calls.
pub(crate) struct Gate {
    running: AtomicU32,
    waiting: AtomicU32,
    freed: Notify,
    limit: u32,
    queue: u32,
    wait: Duration,
    of: Of,
}

/// Whose limit it is.
#[derive(Clone, Copy)]
enum Of {
    Server,
    Function,
}

/// A call's place; dropping it lets the next one in.
pub(crate) struct Place<'a>(&'a Gate);

impl Gate {
    /// The server's gate.
    pub(crate) fn new(limit: u32, queue: u32, wait: Duration) -> Self {
        Self::with(limit, queue, wait, Of::Server)
    }

    /// The gate of one function, which its own `concurrency` says.
    pub(crate) fn of_function(limit: u32, queue: u32, wait: Duration) -> Self {
        Self::with(limit, queue, wait, Of::Function)
    }

    fn with(limit: u32, queue: u32, wait: Duration, of: Of) -> Self {
        Self {
            of,
            running: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            freed: Notify::new(),
            limit: limit.max(1),
            queue,
            wait,
        }
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// `queue` when too many wait already, `queue-wait` when the wait took too long, both 503; of a function,
    /// `concurrency`, 429, for either.
    pub(crate) async fn enter(&self) -> Result<Place<'_>, Fault> {
        match self.try_enter() {
            Some(place) => Ok(place),
            // Boxed: calls that need not wait do not carry the waiting about.
            None => Box::pin(self.queue()).await,
        }
    }

    fn try_enter(&self) -> Option<Place<'_>> {
        self.running
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| {
                (n < self.limit).then_some(n + 1)
            })
            .ok()
            .map(|_| Place(self))
    }

    async fn queue(&self) -> Result<Place<'_>, Fault> {
        let _waiter = self.join()?;
        let deadline = Instant::now() + self.wait;
        loop {
            let freed = self.freed.notified();
            let mut freed = std::pin::pin!(freed);
            // Registered before the check, so that a place freed in between is not missed.
            freed.as_mut().enable();
            if let Some(place) = self.try_enter() {
                return Ok(place);
            }
            if tokio::time::timeout_at(deadline, freed).await.is_err() {
                return Err(self.of.waited(self.limit));
            }
        }
    }

    fn join(&self) -> Result<Waiter<'_>, Fault> {
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        let waiter = Waiter(self);
        if before >= self.queue {
            return Err(self.of.full(self.limit));
        }
        Ok(waiter)
    }
}

impl Of {
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

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
        if self.0.waiting.load(Ordering::Acquire) > 0 {
            self.0.freed.notify_one();
        }
    }
}

struct Waiter<'a>(&'a Gate);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test(flavor = "multi_thread")]
    async fn never_more_than_the_limit_and_nobody_is_forgotten() {
        let gate = Arc::new(Gate::new(3, 1_000, Duration::from_secs(10)));
        let (inside, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..500 {
            let (gate, inside, most) = (gate.clone(), inside.clone(), most.clone());
            calls.spawn(async move {
                let place = gate.enter().await.unwrap();
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
                drop(place);
            });
        }
        while let Some(call) = calls.join_next().await {
            call.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), 3);
        assert_eq!(gate.running.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_full_queue_and_a_long_wait_are_refused() {
        let gate = Gate::new(1, 1, Duration::from_millis(20));
        let _inside = gate.enter().await.unwrap();
        let (first, second) = tokio::join!(gate.enter(), gate.enter());
        assert_eq!(first.err().unwrap().code(), "queue-wait");
        assert_eq!(second.err().unwrap().code(), "queue");
        let no_queue = Gate::new(1, 0, Duration::from_secs(1));
        let _inside = no_queue.enter().await.unwrap();
        assert_eq!(no_queue.enter().await.err().unwrap().code(), "queue");
    }
}
