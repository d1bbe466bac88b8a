//! The counts of functions at a moment, for `GET /v1/server/functions`: those that Prometheus scrapes.

use super::Metrics;
use super::histogram::Snapshot;
use iof_fault::Source;

/// The counts of one version of a function since it was first loaded.
pub(crate) struct VersionFigures {
    /// The name of the function, or its number; [`OTHER`](super::OTHER) for all versions without counts of their own.
    pub(crate) function: String,
    pub(crate) version: i64,
    /// Calls that ended.
    pub(crate) calls: u64,
    /// Calls that the caller's request failed.
    pub(crate) client_faults: u64,
    /// All other calls that failed.
    pub(crate) faults: u64,
    /// Loads of its code.
    pub(crate) loads: u64,
    /// Seconds for which its code held a core.
    pub(crate) cpu: f64,
    /// Calls by their time.
    pub(crate) times: Snapshot,
    /// Calls by their wait for permits.
    pub(crate) waits: Snapshot,
    /// Calls by the most memory that each had at once.
    pub(crate) memory: Snapshot,
}

impl Metrics {
    /// The seconds since counting began.
    pub(crate) fn uptime(&self) -> f64 {
        self.started.elapsed().unwrap_or_default().as_secs_f64()
    }

    /// The counts of all versions that were called, in no order.
    pub(crate) fn versions(&self) -> Vec<VersionFigures> {
        let functions = self.functions().into_iter();
        let figures = functions.map(|of| {
            let (mut client_faults, mut faults) = (0, 0);
            for (_, source, times) in of.faults() {
                match source {
                    Source::Client => client_faults += times,
                    _ => faults += times,
                }
            }
            VersionFigures {
                function: of.name.to_string(),
                version: of.version,
                calls: of.returned() + client_faults + faults,
                client_faults,
                faults,
                loads: of.loads(),
                cpu: of.cpu.snapshot().sum,
                times: of.wall.snapshot(),
                waits: of.queue.snapshot(),
                memory: of.memory.snapshot(),
            }
        });
        figures.filter(|figures| figures.calls > 0).collect()
    }
}
