//! The exposition for Prometheus, in the format that the scrape asks for.

use super::Metrics;
use super::behind;
use super::histogram::Snapshot;
use crate::app::App;
use iof_fault::Source;
use iof_store::JobFigures;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::Arc;

/// The metrics of iof.
struct Scrape {
    app: Arc<App>,
    jobs: Option<JobFigures>,
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrape")
    }
}

/// The metrics of the process, which have the same names in every program.
struct Process(Arc<Metrics>);

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Process")
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        process(&mut Families(&mut encoder), &self.0)
    }
}

/// The registry of a server.
pub(super) fn registry(app: &Arc<App>, jobs: Option<JobFigures>) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Process(Arc::clone(&app.metrics))));
    let ours = registry.sub_registry_with_prefix("iof");
    ours.register_collector(Box::new(Scrape {
        app: Arc::clone(app),
        jobs,
    }));
    registry
}

type Labels<'a> = &'a [(&'a str, &'a str)];

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(&mut encoder);
        calls(&mut families, &self.app.metrics)?;
        outbound(&mut families, &self.app.metrics)?;
        server(&mut families, &self.app)?;
        behind::write(&mut families, &self.app, self.jobs)
    }
}

/// The metric families of an exposition, written one after the other.
pub(super) struct Families<'a, 'e>(&'a mut DescriptorEncoder<'e>);

impl Families<'_, '_> {
    pub(super) fn counters<'l, V: AsRef<[(&'l str, &'l str)]>>(
        &mut self,
        (name, help): (&str, &str),
        unit: Option<Unit>,
        values: impl IntoIterator<Item = (V, f64)>,
    ) -> fmt::Result {
        let mut family = self.family((name, help), unit.as_ref(), MetricType::Counter)?;
        for (labels, value) in values {
            let labels: Labels<'_> = labels.as_ref();
            family
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, f64>(&value, None)?;
        }
        Ok(())
    }

    pub(super) fn gauges<'l, V: AsRef<[(&'l str, &'l str)]>>(
        &mut self,
        (name, help): (&str, &str),
        unit: Option<Unit>,
        values: impl IntoIterator<Item = (V, f64)>,
    ) -> fmt::Result {
        let mut family = self.family((name, help), unit.as_ref(), MetricType::Gauge)?;
        for (labels, value) in values {
            let labels: Labels<'_> = labels.as_ref();
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn histograms<'l, V: AsRef<[(&'l str, &'l str)]>>(
        &mut self,
        described: (&str, &str),
        unit: Unit,
        values: impl IntoIterator<Item = (V, Snapshot)>,
    ) -> fmt::Result {
        let mut family = self.family(described, Some(&unit), MetricType::Histogram)?;
        for (labels, of) in values {
            let labels: Labels<'_> = labels.as_ref();
            family
                .encode_family(&labels)?
                .encode_histogram::<NoLabelSet>(of.sum, of.count, &of.buckets, None)?;
        }
        Ok(())
    }

    fn family<'s>(
        &'s mut self,
        (name, help): (&'s str, &str),
        unit: Option<&'s Unit>,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.0.encode_descriptor(name, help, unit, kind)
    }
}

/// Calls, by function and version.
fn calls(families: &mut Families<'_, '_>, metrics: &Metrics) -> fmt::Result {
    let functions = metrics.functions();
    // Versions that were loaded and never called are left out.
    let called: Vec<_> = functions
        .iter()
        .filter(|of| of.calls() > 0)
        .map(|of| (of, of.version.to_string()))
        .collect();
    let named: Vec<_> = called
        .iter()
        .map(|(of, version)| (of, [("function", &*of.name), ("version", version.as_str())]))
        .collect();
    let outcomes = named.iter().flat_map(|(of, [function, version])| {
        let faults = of.faults();
        let sources = [
            Source::Client,
            Source::Guest,
            Source::Command,
            Source::Outbound,
            Source::Limit,
            Source::Host,
        ];
        let failed = sources.map(|wanted| {
            let of_source = faults.iter().filter(|(_, source, _)| *source == wanted);
            let times: u64 = of_source.map(|(.., times)| times).sum();
            (wanted.as_str(), times)
        });
        let outcomes = std::iter::once(("ok", of.returned())).chain(failed);
        outcomes
            .filter(|(_, times)| *times > 0)
            .map(|(outcome, times)| ([*function, *version, ("outcome", outcome)], times as f64))
            .collect::<Vec<_>>()
    });
    families.counters(
        ("calls", "Calls that ended, by whose fault a failure was"),
        None,
        outcomes,
    )?;
    let faults = named.iter().flat_map(|(of, [function, version])| {
        let faults = of.faults().into_iter();
        faults.map(|(code, _, times)| ([*function, *version, ("fault", code)], times as f64))
    });
    families.counters(
        ("call_faults", "Calls that failed, by the code of the fault"),
        None,
        faults,
    )?;
    let loads = named
        .iter()
        .map(|(of, labels)| (*labels, of.loads() as f64));
    families.counters(
        ("function_loads", "Loads of a function's code"),
        None,
        loads,
    )?;
    let histogram = |choose: fn(&super::FunctionMetrics) -> Snapshot| {
        named.iter().map(move |(of, labels)| (*labels, choose(of)))
    };
    families.histograms(
        (
            "call_duration",
            "Time of a call, its wait for permits included",
        ),
        Unit::Seconds,
        histogram(|of| of.wall.snapshot()),
    )?;
    families.histograms(
        ("call_cpu", "Time for which the code of a call held a core"),
        Unit::Seconds,
        histogram(|of| of.cpu.snapshot()),
    )?;
    families.histograms(
        ("call_queue", "Time for which a call waited for its permits"),
        Unit::Seconds,
        histogram(|of| of.queue.snapshot()),
    )?;
    families.histograms(
        (
            "call_memory_peak",
            "The most memory that a call had at once, as limits.memory counts it",
        ),
        Unit::Bytes,
        histogram(|of| of.memory.snapshot()),
    )
}

/// Commands and outbound requests.
fn outbound(families: &mut Families<'_, '_>, metrics: &Metrics) -> fmt::Result {
    let commands = metrics.outbound.commands();
    let commands: Vec<_> = commands
        .iter()
        .map(|(name, outcome, of)| ([("command", &**name), ("outcome", *outcome)], of))
        .collect();
    families.histograms(
        ("command_duration", "Time of a run of a command, by outcome"),
        Unit::Seconds,
        commands
            .iter()
            .map(|(labels, of)| (*labels, of.times.snapshot())),
    )?;
    let requests = metrics.outbound.requests();
    let requests: Vec<_> = requests
        .iter()
        .map(|(class, outcome, of)| ([("address", *class), ("outcome", *outcome)], of))
        .collect();
    families.histograms(
        (
            "outbound_duration",
            "Time of an outbound request, by the class of its address and its outcome",
        ),
        Unit::Seconds,
        requests
            .iter()
            .map(|(labels, of)| (*labels, of.times.snapshot())),
    )?;
    families.counters(
        ("outbound_sent", "Bytes of bodies that left"),
        Some(Unit::Bytes),
        requests
            .iter()
            .map(|(labels, of)| (*labels, of.sent() as f64)),
    )?;
    families.counters(
        ("outbound_received", "Bytes of bodies that came back"),
        Some(Unit::Bytes),
        requests
            .iter()
            .map(|(labels, of)| (*labels, of.received() as f64)),
    )?;
    let waits = metrics.outbound.waits();
    families.histograms(
        (
            "outbound_wait",
            "Time for which outbound requests waited for their turn, by the setting",
        ),
        Unit::Seconds,
        waits
            .iter()
            .map(|(limit, times)| ([("limit", *limit)], times.snapshot())),
    )
}

pub(super) const NONE: [(&str, &str); 0] = [];

/// Gauges of the server's current state.
fn server(families: &mut Families<'_, '_>, app: &App) -> fmt::Result {
    let loaded = app.functions.figures();
    let pool = app.engine.pool();
    let capacity = app.engine.capacity();
    for (name, help, value) in [
        (
            "calls_running",
            "Calls that run",
            app.limiter.running() as u64,
        ),
        (
            "calls_waiting",
            "Calls that wait for a permit",
            app.limiter.waiting() as u64,
        ),
        (
            "calls_limit",
            "Calls that may run at once",
            app.limiter.limit() as u64,
        ),
        (
            "functions_loaded",
            "Functions whose code is in memory",
            loaded.functions,
        ),
        (
            "slots_used",
            "Slots for memory that calls run in",
            pool.map_or(0, |pool| pool.used),
        ),
        (
            "slots_warm",
            "Slots that keep the memory of a function for its next call",
            pool.map_or(0, |pool| pool.warm),
        ),
        (
            "slots_limit",
            "Slots that there are",
            u64::from(capacity.slots),
        ),
    ] {
        families.gauges((name, help), None, [(NONE, value as f64)])?;
    }
    families.gauges(
        (
            "functions_code",
            "Memory that the code of loaded functions takes",
        ),
        Some(Unit::Bytes),
        [(NONE, loaded.bytes as f64)],
    )?;
    for (name, help, value) in [
        (
            "function_cache_misses",
            "Calls whose function had to be loaded",
            loaded.loads,
        ),
        (
            "function_cache_evictions",
            "Functions that made room for others",
            loaded.evictions,
        ),
    ] {
        families.counters((name, help), None, [(NONE, value as f64)])?;
    }
    Ok(())
}

/// The metrics of the process, named as in Prometheus client libraries.
fn process(families: &mut Families<'_, '_>, metrics: &Metrics) -> fmt::Result {
    let started = metrics.started.duration_since(std::time::UNIX_EPOCH);
    families.gauges(
        ("process_start_time", "Start of the process since 1970"),
        Some(Unit::Seconds),
        [(NONE, started.unwrap_or_default().as_secs_f64())],
    )?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kibibytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
        .and_then(|number| number.trim().parse::<u64>().ok());
    families.gauges(
        ("process_resident_memory", "Resident memory"),
        Some(Unit::Bytes),
        kibibytes.map(|kibibytes| (NONE, kibibytes as f64 * 1024.0)),
    )?;
    let descriptors = std::fs::read_dir("/proc/self/fd").map(|all| all.count());
    families.gauges(
        ("process_open_fds", "Descriptors that are open"),
        None,
        descriptors.ok().map(|count| (NONE, count as f64)),
    )?;
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    families.counters(
        ("process_cpu", "Time for which the process held cores"),
        Some(Unit::Seconds),
        [(NONE, used.tv_sec as f64 + used.tv_nsec as f64 / 1e9)],
    )
}
