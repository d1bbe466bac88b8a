//! The resident memory of a server while something else runs, sampled four times a second.

use crate::bench::number_after;
use crate::process::Server;
use crate::step::{Outcome, Problem};
use std::fs;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

const INTERVAL: Duration = Duration::from_millis(250);

/// Samples of the resident memory, in kilobytes, in the order of time.
pub(super) struct MemorySamples(Vec<u64>);

impl MemorySamples {
    /// Takes samples while `work` runs.
    ///
    /// # Errors
    /// The errors of `work`, and an error if the memory cannot be read.
    pub(super) fn during<T>(
        server: &Server,
        work: impl FnOnce() -> Outcome<T>,
    ) -> Outcome<(T, Self)> {
        let status = format!("/proc/{}/status", server.id());
        let (stop, stopped) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let sampler = scope.spawn(move || {
                let mut samples = Vec::new();
                while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    samples.push(number_after(&fs::read_to_string(&status).ok()?, "VmRSS:")?);
                }
                Some(samples)
            });
            let result = work();
            drop(stop);
            let samples = sampler.join().ok().flatten();
            let unread = || Problem::new("/proc has no number for the memory of the server");
            let samples = samples.filter(|samples| samples.len() >= 3);
            Ok((result?, Self(samples.ok_or_else(unread)?)))
        })
    }

    /// The mean of the last third, in kilobytes.
    pub(super) fn last(&self) -> f64 {
        mean(self.0.get(self.0.len() / 3 * 2..).unwrap_or_default())
    }

    /// The mean of the last third, as a multiple of that of the first third.
    pub(super) fn growth(&self) -> f64 {
        self.last() / mean(self.0.get(..self.0.len() / 3).unwrap_or_default())
    }
}

fn mean(samples: &[u64]) -> f64 {
    samples.iter().sum::<u64>() as f64 / samples.len().max(1) as f64
}
