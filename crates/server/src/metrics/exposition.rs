//! The metrics of a server: their names, and where their values are.

use super::families::{Collected, Families, Family, NONE};
use super::histogram::Snapshot;
use super::{Metrics, behind};
use crate::app::App;
use iof_fault::Source;
use iof_store::JobFigures;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
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
        process(&mut Families::Text(&mut encoder), &self.0)
    }
}

/// The prefix of the names of iof's own metrics, and the prefix with the underscore that follows it in a name.
const PREFIX: &str = "iof";
const WRITTEN: &str = "iof_";

/// The registry of a server.
pub(super) fn registry(app: &Arc<App>, jobs: Option<JobFigures>) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Process(Arc::clone(&app.metrics))));
    let ours = registry.sub_registry_with_prefix(PREFIX);
    ours.register_collector(Box::new(Scrape {
        app: Arc::clone(app),
        jobs,
    }));
    registry
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        iof(&mut Families::Text(&mut encoder), &self.app, self.jobs)
    }
}

/// The metrics of iof, whose names have its prefix.
fn iof(families: &mut Families<'_, '_>, app: &App, jobs: Option<JobFigures>) -> fmt::Result {
    calls(families, &app.metrics)?;
    outbound(families, &app.metrics)?;
    server(families, app)?;
    behind::write(families, app, jobs)
}

impl Metrics {
    /// All families of a server at this moment.
    ///
    /// # Errors
    /// None of today's: the signature is that of writing them down.
    pub(crate) fn snapshot(
        &self,
        app: &App,
        jobs: Option<JobFigures>,
    ) -> Result<Vec<Family>, fmt::Error> {
        let mut all = Collected {
            prefix: "",
            families: vec![],
        };
        process(&mut Families::Collected(&mut all), self)?;
        all.prefix = WRITTEN;
        iof(&mut Families::Collected(&mut all), app, jobs)?;
        Ok(all.families)
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
        (
            "calls",
            "Calls that ended, by outcome: ok, or the source of the failure",
        ),
        None,
        outcomes,
    )?;
    let faults = named.iter().flat_map(|(of, [function, version])| {
        let faults = of.faults().into_iter();
        faults.map(|(code, _, times)| ([*function, *version, ("fault", code)], times as f64))
    });
    families.counters(
        ("call_faults", "Calls that failed, by fault code"),
        None,
        faults,
    )?;
    let loads = named
        .iter()
        .map(|(of, labels)| (*labels, of.loads() as f64));
    families.counters(
        (
            "function_loads",
            "Times that the code of a function was loaded",
        ),
        None,
        loads,
    )?;
    let histogram = |choose: fn(&super::FunctionMetrics) -> Snapshot| {
        named.iter().map(move |(of, labels)| (*labels, choose(of)))
    };
    families.histograms(
        (
            "call_duration",
            "Duration of calls, including their wait for permits",
        ),
        Unit::Seconds,
        histogram(super::FunctionMetrics::durations),
    )?;
    families.histograms(
        ("call_cpu", "CPU time of the function's code in a call"),
        Unit::Seconds,
        histogram(|of| of.cpu.snapshot()),
    )?;
    families.histograms(
        ("call_queue", "Time that calls waited for their permits"),
        Unit::Seconds,
        histogram(|of| of.queue.snapshot()),
    )?;
    families.histograms(
        (
            "call_memory_peak",
            "Peak memory of calls, as limits.memory counts it",
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
        (
            "command_duration",
            "Duration of commands that functions ran, by command and outcome",
        ),
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
            "Duration of outbound requests, by address class and outcome",
        ),
        Unit::Seconds,
        requests
            .iter()
            .map(|(labels, of)| (*labels, of.times.snapshot())),
    )?;
    families.counters(
        (
            "outbound_sent",
            "Bytes of request bodies that were sent to upstreams",
        ),
        Some(Unit::Bytes),
        requests
            .iter()
            .map(|(labels, of)| (*labels, of.sent() as f64)),
    )?;
    families.counters(
        (
            "outbound_received",
            "Bytes of response bodies that were received from upstreams",
        ),
        Some(Unit::Bytes),
        requests
            .iter()
            .map(|(labels, of)| (*labels, of.received() as f64)),
    )?;
    let waits = metrics.outbound.waits();
    families.histograms(
        (
            "outbound_wait",
            "Time that outbound requests waited for others, by the limiting setting",
        ),
        Unit::Seconds,
        waits
            .iter()
            .map(|(limit, times)| ([("limit", *limit)], times.snapshot())),
    )
}

/// Gauges of the server's current state.
fn server(families: &mut Families<'_, '_>, app: &App) -> fmt::Result {
    let loaded = app.functions.figures();
    let pool = app.engine.pool();
    let capacity = app.engine.capacity();
    for (name, help, value) in [
        (
            "calls_running",
            "Calls in progress",
            app.limiter.running() as u64,
        ),
        (
            "calls_waiting",
            "Calls waiting for a permit",
            app.limiter.waiting() as u64,
        ),
        (
            "calls_limit",
            "Maximum number of concurrent calls",
            app.limiter.limit() as u64,
        ),
        (
            "functions_loaded",
            "Functions whose code is in memory",
            loaded.functions,
        ),
        (
            "slots_used",
            "Memory slots in use by calls",
            pool.map_or(0, |pool| pool.used),
        ),
        (
            "slots_warm",
            "Memory slots kept ready for the next call of a function",
            pool.map_or(0, |pool| pool.warm),
        ),
        (
            "slots_limit",
            "Maximum number of memory slots",
            u64::from(capacity.slots),
        ),
    ] {
        families.gauges((name, help), None, [(NONE, value as f64)])?;
    }
    let reuse = app.engine.reuse();
    families.gauges(
        (
            "instances_idle",
            "Instances waiting for another call of their function",
        ),
        None,
        [(NONE, reuse.idle as f64)],
    )?;
    families.gauges(
        ("instances_idle_memory", "Memory of waiting instances"),
        Some(Unit::Bytes),
        [(NONE, reuse.bytes as f64)],
    )?;
    families.counters(
        (
            "instance_reuses",
            "Calls served by the instance of an earlier call",
        ),
        None,
        [(NONE, reuse.reused as f64)],
    )?;
    families.counters(
        (
            "instance_retirements",
            "Instances of functions with `reuse` that were dropped, by reason",
        ),
        None,
        reuse
            .retired
            .iter()
            .map(|(reason, count)| ([("reason", reason.as_str())], *count as f64)),
    )?;
    families.gauges(
        (
            "functions_code",
            "Memory used by the code of loaded functions",
        ),
        Some(Unit::Bytes),
        [(NONE, loaded.bytes as f64)],
    )?;
    for (name, help, value) in [
        (
            "function_cache_misses",
            "Calls whose function had to be loaded first",
            loaded.loads,
        ),
        (
            "function_cache_evictions",
            "Functions unloaded to make room for others",
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
        (
            "process_start_time",
            "Start time of the process since the Unix epoch",
        ),
        Some(Unit::Seconds),
        [(NONE, started.unwrap_or_default().as_secs_f64())],
    )?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kibibytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
        .and_then(|number| number.trim().parse::<u64>().ok());
    families.gauges(
        ("process_resident_memory", "Resident memory of the process"),
        Some(Unit::Bytes),
        kibibytes.map(|kibibytes| (NONE, kibibytes as f64 * 1024.0)),
    )?;
    let descriptors = std::fs::read_dir("/proc/self/fd").map(|all| all.count());
    families.gauges(
        ("process_open_fds", "Open file descriptors of the process"),
        None,
        descriptors.ok().map(|count| (NONE, count as f64)),
    )?;
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    families.counters(
        ("process_cpu", "CPU time of the process"),
        Some(Unit::Seconds),
        [(NONE, used.tv_sec as f64 + used.tv_nsec as f64 / 1e9)],
    )
}
