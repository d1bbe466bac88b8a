//! Histograms of times and of bytes.

use super::function::Exemplar;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The bounds of a histogram; one more bucket holds what is above them.
const BOUNDS: usize = 15;

/// The quantity that a histogram is of.
pub(super) trait Quantity {
    /// Upper bounds of the buckets, in the unit of the exposition.
    const BOUNDS: [f64; BOUNDS];
    /// The counted units in one unit of the exposition.
    const COUNTED: f64;
}

/// Times, counted in nanoseconds.
#[derive(Default)]
pub(super) struct Seconds;

impl Quantity for Seconds {
    const BOUNDS: [f64; BOUNDS] = [
        0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
        10.0, 30.0,
    ];
    const COUNTED: f64 = 1e9;
}

/// Sizes. The bounds are those of calls: the smallest memory is a page of 64 KiB, the default limit 256 MiB.
#[derive(Default)]
pub(super) struct Bytes;

impl Quantity for Bytes {
    const BOUNDS: [f64; BOUNDS] = {
        let (mut bounds, mut at) = ([65_536.0; BOUNDS], 1);
        while at < BOUNDS {
            bounds[at] = bounds[at - 1] * 2.0;
            at += 1;
        }
        bounds
    };
    const COUNTED: f64 = 1.0;
}

/// A histogram, added to by many threads.
#[derive(Default)]
pub(super) struct Histogram<Q> {
    buckets: [AtomicU64; BOUNDS + 1],
    /// The sum, in counted units.
    sum: AtomicU64,
    quantity: PhantomData<Q>,
}

/// A histogram of times.
pub(super) type TimeHistogram = Histogram<Seconds>;

/// The contents of a histogram at a moment.
pub(crate) struct Snapshot {
    /// The sum of all that was counted, in the unit of the exposition.
    pub(crate) sum: f64,
    pub(crate) count: u64,
    /// Upper bounds, each with the count of its own bucket.
    pub(crate) buckets: Vec<(f64, u64)>,
    /// One call of some buckets; only a collector gets them from here, the page has them from
    /// [`exemplars`](super::exemplars).
    pub(crate) exemplars: Vec<Exemplar>,
}

impl Snapshot {
    /// The upper bounds of the buckets of times, in seconds. The last bucket, which has none, follows them.
    pub(crate) const BOUNDS: &[f64] = &Seconds::BOUNDS;
    /// Those of the buckets of sizes, in bytes.
    pub(crate) const SIZES: &[f64] = &Bytes::BOUNDS;
}

impl<Q: Quantity> Histogram<Q> {
    /// Counts one value, in counted units, and returns its bucket.
    pub(super) fn count(&self, value: u64) -> usize {
        let shown = value as f64 / Q::COUNTED;
        let at = Q::BOUNDS.partition_point(|bound| *bound < shown);
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
        at
    }

    /// Adds the counts of another one.
    pub(super) fn add(&self, other: &Self) {
        for (bucket, more) in self.buckets.iter().zip(&other.buckets) {
            bucket.fetch_add(more.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let more = other.sum.load(Ordering::Relaxed);
        self.sum.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let bounds = Q::BOUNDS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds
            .zip(&self.buckets)
            .map(|(bound, count)| (bound, count.load(Ordering::Relaxed)))
            .collect();
        Snapshot {
            sum: self.sum.load(Ordering::Relaxed) as f64 / Q::COUNTED,
            count: buckets.iter().map(|(_, count)| count).sum(),
            buckets,
            exemplars: vec![],
        }
    }
}

impl TimeHistogram {
    /// Counts a time, and returns its bucket.
    pub(super) fn record(&self, time: Duration) -> usize {
        self.count(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
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
            [
                &(0.000_25, 2),
                &(0.000_5, 1),
                &(30.0, 1),
                &(f64::INFINITY, 1)
            ]
        );
        let sum = TimeHistogram::default();
        sum.add(&histogram);
        sum.add(&histogram);
        assert_eq!(sum.snapshot().count, 10);
    }

    #[test]
    fn bounds_of_sizes_double_from_one_page() {
        let histogram = Histogram::<Bytes>::default();
        for bytes in [0, 65_536, 65_537, 256 << 20, 1 << 31] {
            histogram.count(bytes);
        }
        let buckets = histogram.snapshot().buckets;
        let filled: Vec<_> = buckets.into_iter().filter(|(_, n)| *n > 0).collect();
        assert_eq!(
            filled,
            [
                (65_536.0, 2),
                (131_072.0, 1),
                (268_435_456.0, 1),
                (f64::INFINITY, 1)
            ]
        );
    }
}
