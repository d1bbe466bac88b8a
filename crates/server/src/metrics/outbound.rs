//! Metrics of the commands and outbound requests of functions.

use super::histogram::TimeHistogram;
use super::{Metrics, OTHER};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most names of commands with series of their own. A command that was not granted may have any name that a guest
/// wrote.
const COMMANDS: usize = 200;

/// Commands and outbound requests, by name or class and by outcome.
#[derive(Default)]
pub(super) struct OutboundMetrics {
    commands: Mutex<ByOutcome<Box<str>>>,
    requests: Mutex<ByOutcome<&'static str>>,
    /// Waits of requests for their turn, by the setting.
    waits: Mutex<BTreeMap<&'static str, Arc<TimeHistogram>>>,
}

/// Figures by name or class, and outcome.
type ByOutcome<What> = BTreeMap<(What, &'static str), Arc<Figures>>;

/// The figures of one name or class with one outcome.
#[derive(Default)]
pub(super) struct Figures {
    pub(super) times: TimeHistogram,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Figures {
    fn count(&self, took: std::time::Duration, sent: u64, received: u64) {
        self.times.record(took);
        self.sent.fetch_add(sent, Ordering::Relaxed);
        self.received.fetch_add(received, Ordering::Relaxed);
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

impl OutboundMetrics {
    /// Runs of commands, by name and outcome.
    pub(super) fn commands(&self) -> Vec<(Box<str>, &'static str, Arc<Figures>)> {
        let commands = self.commands.lock();
        let commands = commands.iter();
        commands
            .map(|((name, outcome), figures)| (name.clone(), *outcome, Arc::clone(figures)))
            .collect()
    }

    /// Outbound requests, by class of address and outcome.
    pub(super) fn requests(&self) -> Vec<(&'static str, &'static str, Arc<Figures>)> {
        let requests = self.requests.lock();
        let requests = requests.iter();
        requests
            .map(|((class, outcome), figures)| (*class, *outcome, Arc::clone(figures)))
            .collect()
    }

    /// Waits for a turn, by the setting.
    pub(super) fn waits(&self) -> Vec<(&'static str, Arc<TimeHistogram>)> {
        let waits = self.waits.lock();
        waits
            .iter()
            .map(|(limit, times)| (*limit, Arc::clone(times)))
            .collect()
    }
}

impl iof_command::Observer for Metrics {
    fn ran(&self, run: &iof_command::Run<'_>) {
        let figures = {
            let mut commands = self.outbound.commands.lock();
            let full = commands.len() >= COMMANDS;
            let key = (run.command.into(), run.outcome);
            let known = match run.outcome {
                // A guest wrote the name.
                "not-granted" | "not-found" => None,
                _ => match full {
                    true => commands.get(&key).map(Arc::clone),
                    false => Some(Arc::clone(commands.entry(key).or_default())),
                },
            };
            known.unwrap_or_else(|| {
                let other = commands.entry((OTHER.into(), run.outcome));
                Arc::clone(other.or_default())
            })
        };
        figures.count(run.took, run.bytes_out, run.bytes_in);
    }
}

impl iof_egress::Observer for Metrics {
    fn sent(&self, entry: &iof_egress::Entry<'_>) {
        let class = entry
            .address
            .map_or("none", |address| address_class(address.ip()));
        let figures = {
            let mut requests = self.outbound.requests.lock();
            Arc::clone(requests.entry((class, entry.outcome)).or_default())
        };
        figures.count(entry.took, entry.bytes_out, entry.bytes_in);
        if let Some(waited) = entry.waited {
            let waits = &self.outbound.waits;
            let mut waits = waits.lock();
            let times = Arc::clone(waits.entry(waited.limit).or_default());
            drop(waits);
            times.record(waited.took);
        }
    }
}

/// The class of an address that was connected to; the operator pinned every address that is not public.
pub(crate) fn address_class(address: IpAddr) -> &'static str {
    let address = address.to_canonical();
    let private = match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    };
    match address {
        _ if address.is_loopback() => "loopback",
        _ if private => "private",
        _ => "public",
    }
}
