//! The report of a stop: each second it states what the stop waits for, so that the operator sees why the server still
//! runs.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// The interval of reports, and the time before the first.
const EVERY: Duration = Duration::from_secs(1);

/// A reporter of what a stop waits for, to the log and to a callback.
pub struct StopReport {
    tell: Box<dyn Fn(&str) + Send + Sync>,
    /// The time at which the stop began.
    began: Instant,
    ticks: Interval,
}

impl StopReport {
    /// A report that is also passed to `tell`.
    #[must_use]
    pub fn new(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let began = Instant::now();
        let mut ticks = interval_at(began + EVERY, EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            tell: Box::new(tell),
            began,
            ticks,
        }
    }

    /// Starts the clock of the stop.
    pub(crate) fn begin(&mut self) {
        self.began = Instant::now();
        self.ticks.reset();
    }

    /// Finishes one step of the stop, and reports `waited_for` each second.
    pub async fn during<T>(
        &mut self,
        step: impl Future<Output = T>,
        waited_for: impl Fn() -> String,
    ) -> T {
        let mut step = pin!(step);
        loop {
            tokio::select! {
                biased;
                done = &mut step => return done,
                _ = self.ticks.tick() => {
                    let text = format!("stopping: waiting for {}", waited_for());
                    tracing::info!(seconds = self.began.elapsed().as_secs(), "{text}");
                    (self.tell)(&text);
                }
            }
        }
    }
}
