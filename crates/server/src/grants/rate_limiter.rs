//! A limit on the calls of one function per minute.
//!
//! The generic cell rate algorithm keeps one number: the time at which the next call would be due if all calls had been
//! evenly spaced. It needs no lock, no window that restarts for all callers at once, and no timer.

use iof_fault::{Fault, FaultKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const MINUTE: u64 = 60_000_000_000;

/// A limiter of the rate of calls of one function.
pub(crate) struct RateLimiter {
    origin: Instant,
    /// The time at which the next call is due, in nanoseconds after `origin`.
    due: AtomicU64,
    /// Nanoseconds between two calls.
    interval: u64,
    /// Nanoseconds by which calls may be early: a burst of a sixth of a minute's calls.
    ahead: u64,
    rate: u32,
}

impl RateLimiter {
    /// A limiter that admits `rate` calls per minute.
    pub(crate) fn new(rate: u32) -> Self {
        let interval = MINUTE / u64::from(rate.max(1));
        Self {
            origin: Instant::now(),
            due: AtomicU64::new(0),
            interval,
            ahead: (MINUTE / 6).max(interval),
            rate,
        }
    }

    pub(crate) fn rate(&self) -> u32 {
        self.rate
    }

    /// Counts a call.
    ///
    /// # Errors
    /// `rate`, status 429.
    pub(crate) fn count(&self) -> Result<(), Fault> {
        self.count_at(self.origin.elapsed())
    }

    fn count_at(&self, now: Duration) -> Result<(), Fault> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let next = |due: u64| {
            let after = due.max(now).saturating_add(self.interval);
            (after <= now.saturating_add(self.ahead)).then_some(after)
        };
        let counted = self
            .due
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        counted.map(drop).map_err(|_| {
            Fault::new(
                FaultKind::Rate,
                format!(
                    "The function is called more often than its rate = {} calls a minute. Try again soon.",
                    self.rate
                ),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_minute_is_kept() {
        let limiter = RateLimiter::new(60);
        let passed = |second: u64| {
            (0..1_000)
                .filter(|_| limiter.count_at(Duration::from_secs(second)).is_ok())
                .count()
        };
        assert_eq!(passed(0), 10);
        assert_eq!(passed(1), 1);
        assert_eq!(passed(3), 2);
        assert_eq!(passed(100), 10);
        assert_eq!(
            limiter
                .count_at(Duration::from_secs(100))
                .unwrap_err()
                .code(),
            "rate"
        );
    }

    #[test]
    fn a_slow_pace_lets_the_first_call_through() {
        let limiter = RateLimiter::new(1);
        assert!(limiter.count_at(Duration::ZERO).is_ok());
        assert!(limiter.count_at(Duration::from_secs(59)).is_err());
        assert!(limiter.count_at(Duration::from_secs(60)).is_ok());
    }
}
