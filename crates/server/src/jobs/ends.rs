//! Counts of jobs that ended, for metrics.

use crate::app::App;
use iof_store::JobEnd;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The name under which functions without a count of their own are counted.
const OTHER: &str = "(other)";

/// The jobs that ended since the start, by function and end.
pub(crate) struct JobEnds {
    /// The most functions with counts of their own: `metrics.functions`.
    most: usize,
    ends: Mutex<BTreeMap<Arc<str>, [u64; JobEnd::ALL.len()]>>,
    /// Changes by owners whose lease had ended, which changed nothing.
    fenced: AtomicU64,
}

impl JobEnds {
    /// No ends; `most` functions have counts of their own.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            ends: Mutex::default(),
            fenced: AtomicU64::new(0),
        }
    }

    /// Counts an end of a job of the function.
    pub(crate) fn count(&self, function: &str, end: JobEnd) {
        let mut ends = self.ends.lock();
        let own = ends.contains_key(function) || ends.len() < self.most;
        let name = if own { function } else { OTHER };
        let at = JobEnd::ALL.iter().position(|of| *of == end);
        let counts = ends.entry(name.into()).or_default();
        counts[at.unwrap_or_default()] += 1;
    }

    /// Counts the ends of jobs of functions that are named by their numbers.
    pub(crate) async fn count_all(&self, app: &App, ended: &[(i64, JobEnd)]) {
        for &(function_id, end) in ended {
            self.count(&name(app, function_id).await, end);
        }
    }

    /// Counts a change by an owner that was not the last one.
    pub(crate) fn fence(&self) {
        self.fenced.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn fenced(&self) -> u64 {
        self.fenced.load(Ordering::Relaxed)
    }

    /// The counts that are not 0: function, end, number.
    pub(crate) fn counts(&self) -> Vec<(Arc<str>, &'static str, u64)> {
        let ends = self.ends.lock();
        let counts = ends.iter().flat_map(|(name, counts)| {
            let ends = JobEnd::ALL.iter().zip(counts);
            ends.map(move |(end, count)| (Arc::clone(name), end.as_str(), *count))
        });
        counts.filter(|(.., count)| *count > 0).collect()
    }
}

/// The name of a function for metrics: its name, or else its number.
pub(super) async fn name(app: &App, function_id: i64) -> String {
    let function = app.store.function(function_id).await.ok().flatten();
    let name = function.and_then(|function| function.name);
    name.unwrap_or_else(|| function_id.to_string())
}
