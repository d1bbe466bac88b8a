//! Bounded admission: a limit on concurrency, a bound on the queue before it, and a time limit on
//! waiting.
//!
//! A free permit costs one atomic addition to take and one to give back, without a lock and without reading the clock.
//! A caller waits only if no permit is free, at a semaphore of tokio's, so that it is admitted in the order of arrival:
//! a permit that is given back while a caller waits goes to the semaphore, and is never free in between. Permits are
//! owned: a holder may outlive the function that acquired the permit, such as a body that is still being sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// A limit with a bounded queue before it. Cheap to clone: clones share both.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    queue: usize,
    wait: Option<Duration>,
    /// The permits that are held, including those that are handed over.
    taken: AtomicUsize,
    waiting: AtomicUsize,
    /// The permits on their way from a former holder to a waiter. One may stay here when its waiter has
    /// gone; the next waiter that finds no other takes it.
    handed: Semaphore,
}

/// A permit to run; dropping it admits the next in the queue.
#[derive(Debug)]
pub struct Permit(Arc<Inner>);

/// The reason why a caller was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionError {
    /// The queue is full.
    #[error("the queue is full")]
    QueueFull,
    /// The deadline passed before a permit was free.
    #[error("the wait for a permit timed out")]
    TimedOut,
}

impl Admission {
    /// An admission of `limit` permits, with a queue of `queue`, without a time limit.
    pub fn new(limit: usize, queue: usize) -> Admission {
        Admission::with_wait(limit, queue, None)
    }

    /// An admission of `limit` permits, with a queue of `queue`, each waiting at most `wait`.
    pub fn with_wait(limit: usize, queue: usize, wait: Option<Duration>) -> Admission {
        Admission(Arc::new(Inner {
            limit: limit.min(Semaphore::MAX_PERMITS),
            queue,
            wait,
            taken: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            handed: Semaphore::new(0),
        }))
    }

    /// Takes a permit if one is free.
    pub fn try_acquire(&self) -> Option<Permit> {
        if !self.0.take() {
            self.0.handed.try_acquire().ok()?.forget();
        }
        Some(Permit(Arc::clone(&self.0)))
    }

    /// Waits for a permit in the order of arrival, for the time that this admission allows.
    ///
    /// # Errors
    /// The queue is full, or the time is over.
    pub async fn acquire(&self) -> Result<Permit, AdmissionError> {
        match self.try_acquire() {
            Some(permit) => Ok(permit),
            None => {
                let wait = self.0.wait;
                let deadline = wait.and_then(|wait| Instant::now().checked_add(wait));
                self.enqueue(deadline).await
            }
        }
    }

    /// Waits for a permit in the order of arrival, until `deadline` at the latest.
    ///
    /// # Errors
    /// The queue is full, or the time is over.
    pub async fn acquire_until(&self, deadline: Instant) -> Result<Permit, AdmissionError> {
        match self.try_acquire() {
            Some(permit) => Ok(permit),
            None => self.enqueue(Some(deadline)).await,
        }
    }

    async fn enqueue(&self, deadline: Option<Instant>) -> Result<Permit, AdmissionError> {
        let _waiter = Waiter::join(&self.0).ok_or(AdmissionError::QueueFull)?;
        // A permit that was returned before this waiter was visible was not handed over.
        if self.0.take() {
            return Ok(Permit(Arc::clone(&self.0)));
        }
        let handed = self.0.handed.acquire();
        let permit = match deadline {
            None => handed.await,
            Some(deadline) => timeout_at(deadline, handed)
                .await
                .map_err(|_| AdmissionError::TimedOut)?,
        };
        // A semaphore fails only when it is closed, and this one never is.
        permit.map_err(|_| AdmissionError::TimedOut)?.forget();
        Ok(Permit(Arc::clone(&self.0)))
    }

    /// The number of permits.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// The number of permits that are held now.
    pub fn running(&self) -> usize {
        let taken = self.0.taken.load(Ordering::SeqCst);
        taken.saturating_sub(self.0.handed.available_permits())
    }

    /// The number of callers that wait now.
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::SeqCst)
    }
}

impl Inner {
    fn take(&self) -> bool {
        self.taken
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |taken| {
                (taken < self.limit).then_some(taken + 1)
            })
            .is_ok()
    }

    // Of an arriving waiter and a returning permit at the same moment, one sees the other: each writes its own counter
    // and then reads the other's, sequentially consistent.
    fn give_back(&self) {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            self.taken.fetch_sub(1, Ordering::SeqCst);
            if self.waiting.load(Ordering::SeqCst) == 0 || !self.take() {
                return;
            }
        }
        self.handed.add_permits(1);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

/// A place in the queue, held also while its wait is being cancelled.
struct Waiter<'a>(&'a AtomicUsize);

impl<'a> Waiter<'a> {
    fn join(inner: &'a Inner) -> Option<Waiter<'a>> {
        let before = inner.waiting.fetch_add(1, Ordering::SeqCst);
        let waiter = Waiter(&inner.waiting);
        (before < inner.queue).then_some(waiter)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn permits_never_exceed_the_limit_and_every_waiter_gets_one() {
        let admission = Admission::with_wait(3, 1_000, Some(Duration::from_secs(10)));
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..500 {
            let (admission, inside, most) = (admission.clone(), inside.clone(), most.clone());
            calls.spawn(async move {
                let permit = admission.acquire().await.unwrap();
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
        assert_eq!((admission.running(), admission.waiting()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_and_a_long_wait_are_refused() {
        let admission = Admission::with_wait(1, 1, Some(Duration::from_millis(20)));
        let held = admission.acquire().await.unwrap();
        assert!(admission.try_acquire().is_none());
        let began = Instant::now();
        let (first, second) = tokio::join!(admission.acquire(), admission.acquire());
        assert_eq!(first.unwrap_err(), AdmissionError::TimedOut);
        assert_eq!(second.unwrap_err(), AdmissionError::QueueFull);
        assert!(began.elapsed() >= Duration::from_millis(20));
        let deadline = Instant::now() + Duration::from_millis(5);
        let late = admission.acquire_until(deadline).await;
        assert_eq!(late.unwrap_err(), AdmissionError::TimedOut);
        drop(held);
        admission.acquire_until(Instant::now()).await.unwrap();
    }

    #[tokio::test]
    async fn the_counters_follow_and_a_cancelled_wait_leaves_the_queue() {
        let admission = Admission::new(2, 5);
        let (first, _second) = (admission.try_acquire().unwrap(), admission.acquire().await);
        assert_eq!((admission.limit(), admission.running()), (2, 2));
        let mut cx = Context::from_waker(Waker::noop());
        let mut third = Box::pin(admission.acquire());
        let mut fourth = Box::pin(admission.acquire());
        assert!(third.as_mut().poll(&mut cx).is_pending());
        assert!(fourth.as_mut().poll(&mut cx).is_pending());
        assert_eq!((admission.running(), admission.waiting()), (2, 2));
        drop(third);
        assert_eq!(admission.waiting(), 1);
        drop(first);
        let permit = fourth.await.unwrap();
        assert_eq!((admission.running(), admission.waiting()), (2, 0));
        drop(permit);
        assert_eq!(admission.running(), 1);
    }

    /// A waiter that leaves at any moment does not take a permit with it.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_waiter_that_leaves_loses_no_permit() {
        let admission = Admission::new(2, 1_000);
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..2_000_u64 {
            let admission = admission.clone();
            calls.spawn(async move {
                let patience = Instant::now() + Duration::from_micros(number * 37 % 900);
                if let Ok(permit) = admission.acquire_until(patience).await {
                    tokio::task::yield_now().await;
                    drop(permit);
                }
            });
        }
        while let Some(call) = calls.join_next().await {
            call.unwrap();
        }
        assert_eq!((admission.running(), admission.waiting()), (0, 0));
        let both = (admission.try_acquire(), admission.try_acquire());
        assert!(both.0.is_some() && both.1.is_some());
        assert!(admission.try_acquire().is_none());
    }

    #[tokio::test]
    async fn waiters_come_before_new_arrivals() {
        let admission = Admission::new(1, 5);
        let held = admission.try_acquire().unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        let mut first = Box::pin(admission.acquire());
        let mut second = Box::pin(admission.acquire());
        assert!(first.as_mut().poll(&mut cx).is_pending());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        drop(held);
        assert!(admission.try_acquire().is_none());
        let mut third = Box::pin(admission.acquire());
        assert!(third.as_mut().poll(&mut cx).is_pending());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        drop(first.await.unwrap());
        drop(second.await.unwrap());
        third.await.unwrap();
    }

    #[tokio::test]
    async fn a_limit_beyond_the_maximum_of_the_semaphore_has_no_effect() {
        let admission = Admission::new(usize::MAX, 0);
        let _permit = admission.acquire().await.unwrap();
        assert_eq!(admission.running(), 1);
    }
}
