//! Histograms of times.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, in seconds; one more bucket holds longer times.
const BOUNDS: [f64; 15] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
    30.0,
];

/// A histogram of times, added to by many threads.
#[derive(Default)]
pub(super) struct TimeHistogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

/// The contents of a histogram at a moment.
pub(crate) struct Snapshot {
    /// The sum of all times, in seconds.
    pub(super) sum: f64,
    pub(super) count: u64,
    /// Upper bounds, each with the count of its own bucket.
    pub(crate) buckets: Vec<(f64, u64)>,
}

impl Snapshot {
    /// The upper bounds of the buckets, in seconds. The last bucket, which has none, follows them.
    pub(crate) const BOUNDS: &[f64] = &BOUNDS;
}

impl TimeHistogram {
    pub(super) fn record(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Adds the counts of another one.
    pub(super) fn add(&self, other: &Self) {
        for (bucket, more) in self.buckets.iter().zip(&other.buckets) {
            bucket.fetch_add(more.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let more = other.nanoseconds.load(Ordering::Relaxed);
        self.nanoseconds.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let bounds = BOUNDS.into_iter().chain([f64::MAX]);
        let buckets: Vec<_> = bounds
            .zip(&self.buckets)
            .map(|(bound, count)| (bound, count.load(Ordering::Relaxed)))
            .collect();
        Snapshot {
            sum: self.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9,
            count: buckets.iter().map(|(_, count)| count).sum(),
            buckets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_bucket_whose_bound_it_does_not_pass() {
        let histogram = TimeHistogram::default();
        for micros in [0, 250, 251, 30_000_000, 31_000_000] {
            histogram.record(Duration::from_micros(micros));
        }
        let snapshot = histogram.snapshot();
        assert_eq!((snapshot.count, snapshot.sum), (5, 61.000_501));
        let filled: Vec<_> = snapshot.buckets.iter().filter(|(_, n)| *n > 0).collect();
        assert_eq!(
            filled,
            [&(0.000_25, 2), &(0.000_5, 1), &(30.0, 1), &(f64::MAX, 1)]
        );
        let sum = TimeHistogram::default();
        sum.add(&histogram);
        sum.add(&histogram);
        assert_eq!(sum.snapshot().count, 10);
    }
}
