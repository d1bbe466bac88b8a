//! The metrics that Prometheus scrapes: counts of calls, commands and outbound requests since the start, and gauges of
//! the server's current state.
//!
//! Counters are added to where something ends, without a lock that calls share: each loaded function has its own
//! counters, which its calls reach through it. Gauges are read when a scrape asks for them. The number of series is
//! bounded: versions of functions beyond `metrics.functions` are counted together, under the name [`OTHER`].

mod behind;
mod exemplars;
mod exposition;
mod families;
mod figures;
mod function;
mod histogram;
mod outbound;
mod page;

use crate::settings::MetricsSettings;
pub(crate) use families::{Family, OwnedLabels, Values};
pub(crate) use figures::VersionFigures;
pub(crate) use function::{CallCost, Exemplar, FunctionMetrics};
pub(crate) use histogram::Snapshot;
use outbound::OutboundMetrics;
pub(crate) use outbound::address_class;
pub(crate) use page::router;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

/// The name under which everything without a series of its own is counted. It cannot be a function's name.
const OTHER: &str = "(other)";

/// The metrics of a server. One for the process; it observes commands and outbound requests.
pub struct Metrics {
    /// The most versions of functions with series of their own.
    most: usize,
    functions: Mutex<Functions>,
    outbound: OutboundMetrics,
    started: SystemTime,
}

struct Functions {
    /// Series by number and version of the function.
    own: HashMap<(i64, i64), Arc<FunctionMetrics>>,
    /// The sum of all other versions, and of versions whose series ended.
    other: Arc<FunctionMetrics>,
}

impl Metrics {
    /// Starts counting.
    #[must_use]
    pub fn new(settings: &MetricsSettings) -> Arc<Self> {
        Arc::new(Self {
            most: settings.functions as usize,
            functions: Mutex::new(Functions {
                own: HashMap::new(),
                other: FunctionMetrics::new(OTHER.into(), 0),
            }),
            outbound: OutboundMetrics::default(),
            started: SystemTime::now(),
        })
    }

    /// The metrics of a version of a function: the same while anything holds them, however often the function is
    /// loaded.
    pub(crate) fn function(&self, id: i64, version: i64, name: &str) -> Arc<FunctionMetrics> {
        let mut functions = self.functions.lock();
        if let Some(known) = functions.own.get(&(id, version)) {
            return Arc::clone(known);
        }
        if functions.own.len() >= self.most {
            functions.drop_unused();
        }
        if functions.own.len() >= self.most {
            return Arc::clone(&functions.other);
        }
        let new = FunctionMetrics::new(name.into(), version);
        functions.own.insert((id, version), Arc::clone(&new));
        new
    }

    /// The most functions with counts of their own.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// The time at which counting began.
    pub(crate) fn started(&self) -> SystemTime {
        self.started
    }

    /// The metrics of all functions, those with series of their own first.
    fn functions(&self) -> Vec<Arc<FunctionMetrics>> {
        let functions = self.functions.lock();
        let mut all: Vec<_> = functions.own.values().map(Arc::clone).collect();
        all.push(Arc::clone(&functions.other));
        all
    }
}

impl Functions {
    /// Ends the series that no loaded function holds, and adds them to the sum of the others, so that no total falls.
    fn drop_unused(&mut self) {
        let other = Arc::clone(&self.other);
        self.own.retain(|_, metrics| {
            let used = Arc::strong_count(metrics) > 1;
            if !used {
                other.add(metrics);
            }
            used
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(functions: u32) -> Arc<Metrics> {
        Metrics::new(&MetricsSettings {
            functions,
            ..MetricsSettings::default()
        })
    }

    #[test]
    fn series_are_bounded_and_no_sum_falls() {
        let metrics = metrics(2);
        let called = |name: &str, id| {
            let function = metrics.function(id, 1, name);
            function.called(None, CallCost::default());
            function
        };
        let (first, second) = (called("a", 1), called("b", 2));
        let third = called("c", 3);
        assert_eq!(&*third.name, OTHER);
        assert_eq!(metrics.functions().len(), 3);
        // The same function again uses the same series.
        assert!(Arc::ptr_eq(&first, &called("a", 1)));
        // Series that nothing holds any more make room, and are counted with the others.
        drop(second);
        let third = called("c", 3);
        assert_eq!(&*third.name, "c");
        let all: u64 = metrics.functions().iter().map(|of| of.calls()).sum();
        assert_eq!(all, 5);
        drop((first, third));
    }
}
