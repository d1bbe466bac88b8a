//! The metrics of one version of a function.

use super::histogram::{Bytes, Histogram, Snapshot, TimeHistogram};
use iof_fault::{FaultKind, Source};
use iof_trace::{SpanId, TraceId};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// The metrics of one version of a function, since it was first loaded.
pub(crate) struct FunctionMetrics {
    /// The name of the function, or its number.
    pub(super) name: Box<str>,
    pub(super) version: i64,
    /// Calls that returned.
    returned: AtomicU64,
    /// Calls that ended with a fault, by its kind: the codes of a function's own faults are its own, and without bound.
    faults: Mutex<BTreeMap<&'static str, (Source, u64)>>,
    /// The time from when a call had its arguments to its end.
    pub(super) wall: TimeHistogram,
    /// The last call in each of its buckets whose trace is exported.
    exemplars: Mutex<BTreeMap<usize, Exemplar>>,
    /// The time for which the function's code held a core.
    pub(super) cpu: TimeHistogram,
    /// The wait of a call for its permits.
    pub(super) queue: TimeHistogram,
    /// The most memory that a call had at once.
    pub(super) memory: Histogram<Bytes>,
    /// Loads of the function's code.
    loads: AtomicU64,
}

/// A call that stands for its bucket.
#[derive(Clone, Copy)]
pub(crate) struct Exemplar {
    pub(crate) trace: TraceId,
    /// The span of its request.
    pub(crate) span: SpanId,
    pub(crate) seconds: f64,
    pub(crate) at: SystemTime,
}

/// The cost of a call that ended.
#[derive(Clone, Copy, Default)]
pub(crate) struct CallCost {
    /// Its time, its wait for permits included.
    pub(crate) wall: Duration,
    /// The time for which its code held a core.
    pub(crate) cpu: Duration,
    /// Its wait for permits.
    pub(crate) queue: Duration,
    /// The most bytes of memory that it had at once.
    pub(crate) memory: u64,
    /// Its trace and the span of its request, if they are exported.
    pub(crate) trace: Option<(TraceId, SpanId)>,
}

impl FunctionMetrics {
    pub(super) fn new(name: Box<str>, version: i64) -> Arc<Self> {
        Arc::new(Self {
            name,
            version,
            returned: AtomicU64::new(0),
            faults: Mutex::default(),
            wall: TimeHistogram::default(),
            exemplars: Mutex::default(),
            cpu: TimeHistogram::default(),
            queue: TimeHistogram::default(),
            memory: Histogram::default(),
            loads: AtomicU64::new(0),
        })
    }

    /// Counts a call that ended.
    pub(crate) fn called(&self, fault: Option<FaultKind>, cost: CallCost) {
        match fault {
            None => drop(self.returned.fetch_add(1, Ordering::Relaxed)),
            Some(kind) => self.fault(kind.as_str(), kind.source(), 1),
        }
        let bucket = self.wall.record(cost.wall);
        if let Some((trace, span)) = cost.trace {
            let exemplar = Exemplar {
                trace,
                span,
                seconds: cost.wall.as_secs_f64(),
                at: SystemTime::now(),
            };
            self.exemplars.lock().insert(bucket, exemplar);
        }
        self.cpu.record(cost.cpu);
        self.queue.record(cost.queue);
        self.memory.count(cost.memory);
    }

    /// Counts a load of the function's code.
    pub(crate) fn loaded(&self) {
        self.loads.fetch_add(1, Ordering::Relaxed);
    }

    fn fault(&self, code: &'static str, source: Source, times: u64) {
        self.faults.lock().entry(code).or_insert((source, 0)).1 += times;
    }

    /// Adds the counts of another one.
    pub(super) fn add(&self, other: &Self) {
        let returned = other.returned.load(Ordering::Relaxed);
        self.returned.fetch_add(returned, Ordering::Relaxed);
        for (code, source, times) in other.faults() {
            self.fault(code, source, times);
        }
        self.wall.add(&other.wall);
        self.cpu.add(&other.cpu);
        self.queue.add(&other.queue);
        self.memory.add(&other.memory);
        self.loads
            .fetch_add(other.loads.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// The times of calls, with the calls whose traces are exported.
    pub(super) fn durations(&self) -> Snapshot {
        Snapshot {
            exemplars: self.exemplars.lock().values().copied().collect(),
            ..self.wall.snapshot()
        }
    }

    /// Calls whose traces are exported, by their bucket among the times.
    pub(super) fn exemplars(&self) -> BTreeMap<usize, Exemplar> {
        self.exemplars.lock().clone()
    }

    /// Faults by code.
    pub(super) fn faults(&self) -> Vec<(&'static str, Source, u64)> {
        let faults = self.faults.lock();
        let faults = faults.iter();
        faults
            .map(|(code, (source, times))| (*code, *source, *times))
            .collect()
    }

    pub(super) fn returned(&self) -> u64 {
        self.returned.load(Ordering::Relaxed)
    }

    pub(super) fn loads(&self) -> u64 {
        self.loads.load(Ordering::Relaxed)
    }

    /// All calls that ended.
    pub(super) fn calls(&self) -> u64 {
        let faults: u64 = self.faults().iter().map(|(.., times)| times).sum();
        self.returned() + faults
    }
}
