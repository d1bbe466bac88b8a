//! Signals for a collector, by OTLP over HTTP, in protobuf: traces of calls, log records of calls, and metrics.
//!
//! Each call has a [`CallTrace`], to which commands, outbound requests and the storage add their spans; this module observes
//! the first two. At the end of a call its trace is queued if the call was sampled or failed, and dropped otherwise; its log
//! record is queued always. One task for each signal sends what is queued. A queue is bounded in bytes, and a call never waits
//! for it: without a collector, records are dropped and counted.
//!
//! A span says what kind of work was done, for how long, and how it ended. It has no argument, result, body, header, path,
//! query, key or secret, and of messages only their code (docs/decisions/0069-traces-say-how-not-what.md). Nor has a log
//! record; what functions print is in it only if the operator says so.
//!
//! Rejected: the SDK of OpenTelemetry, which decides at the begin of a call whether it is sampled, so that no fault is sure to
//! be kept; and a client of its own beside the outbound one.

mod encode;
mod export;
mod logs;
mod measurements;
mod messages;
mod settings;
mod traces;

use crate::backlog::Backlog;
use crate::calls::EndedCall;
use crate::write_behind::WriteBehind;
use export::{Collector, Exporter, Record};
use http::HeaderMap;
use iof_egress::Egress;
use iof_fault::Fault;
use iof_trace::CallTrace;
use logs::CallRecord;
pub(crate) use measurements::MetricExport;
use parking_lot::Mutex;
pub use settings::OtlpSettings;
use settings::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use traces::CallSpans;
pub(crate) use traces::{CallOrigin, exported_ids};
use uuid::Uuid;

/// The exporter of signals. One for the process; it observes commands and outbound requests.
#[derive(Default)]
pub struct Otlp {
    traces: Option<Traces>,
    logs: Option<Logs>,
    metrics: Option<Metrics>,
}

/// Traces of calls.
struct Traces {
    sampling: f64,
    follow_callers: bool,
    queue: Queue<CallSpans>,
}

/// Log records of calls.
struct Logs {
    /// True if they have what the function printed.
    output: bool,
    queue: Queue<CallRecord>,
}

/// Snapshots of metrics.
struct Metrics {
    interval: Duration,
    counts: Arc<Counts>,
    /// The collector, until the task begins that sends to it.
    collector: Mutex<Option<Collector>>,
}

/// Records that wait to be sent.
struct Queue<R> {
    backlog: Arc<Backlog>,
    waiting: WriteBehind<Box<R>>,
    counts: Arc<Counts>,
}

/// Records that were sent, and those that the collector did not take.
#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    failed: AtomicU64,
}

/// The records of one signal since the start: those that were sent, that the collector did not take, and that had no room.
#[derive(Clone, Copy)]
pub(crate) struct ExportFigures {
    /// The name of the signal.
    pub(crate) signal: &'static str,
    pub(crate) sent: u64,
    pub(crate) failed: u64,
    pub(crate) dropped: u64,
    /// Bytes of those that wait.
    pub(crate) waiting: u64,
}

impl Otlp {
    /// No signals.
    #[must_use]
    pub fn off() -> Arc<Self> {
        Arc::default()
    }

    /// Starts the tasks that export traces and log records; must be called in a runtime. `egress` is a client of the
    /// server's own, which reaches every address.
    ///
    /// # Errors
    /// A message that names the setting.
    pub fn start(settings: &OtlpSettings, egress: &Egress) -> Result<Arc<Self>, String> {
        let instance: Arc<str> = Uuid::new_v4().to_string().into();
        let collector = |signal| -> Result<Option<Collector>, String> {
            let target = settings.target(signal)?;
            let new = |target| Collector::new(target, egress.clone(), Arc::clone(&instance));
            Ok(target.map(new))
        };
        let traces = collector(Signal::Traces)?.map(|collector| Traces {
            sampling: settings.sampling,
            follow_callers: settings.follow_callers,
            queue: Queue::start(settings, collector),
        });
        let logs = collector(Signal::Logs)?.map(|collector| Logs {
            output: settings.output,
            queue: Queue::start(settings, collector),
        });
        let metrics = collector(Signal::Metrics)?.map(|collector| Metrics {
            interval: settings.metrics_interval,
            counts: Arc::clone(&collector.counts),
            collector: Mutex::new(Some(collector)),
        });
        Ok(Arc::new(Self {
            traces,
            logs,
            metrics,
        }))
    }

    /// The collector of metrics and the interval of their export, if they are exported and nothing exports them yet.
    fn metric_collector(&self) -> Option<(Collector, Duration)> {
        let metrics = self.metrics.as_ref()?;
        Some((metrics.collector.lock().take()?, metrics.interval))
    }

    /// The trace of a call that begins, if traces are exported.
    pub(crate) fn begin(&self, origin: CallOrigin) -> Option<Arc<CallTrace>> {
        let traces = self.traces.as_ref()?;
        let sampled = match &origin {
            CallOrigin::Call(parent) => parent.sampled,
            // A client that chose this would choose what the collector is sent.
            CallOrigin::Client(Some(parent)) if traces.follow_callers && parent.sampled => true,
            CallOrigin::Client(_) => rand::random::<f64>() < traces.sampling,
        };
        let parent = match origin {
            CallOrigin::Call(parent) => Some(parent),
            CallOrigin::Client(parent) => parent,
        };
        Some(CallTrace::begin(parent, sampled))
    }

    /// The origin of a call that a client asks for, by the headers of its request.
    pub(crate) fn client(&self, headers: &HeaderMap) -> CallOrigin {
        let parent = self.traces.as_ref().and_then(|_| traces::parent(headers));
        CallOrigin::Client(parent)
    }

    /// Queues the log record of a call that ended, and its trace if that is to be exported.
    pub(crate) fn end(&self, ended: &EndedCall<'_>) {
        if let Some(logs) = &self.logs {
            logs.add(CallRecord::ended(ended, logs.output));
        }
        if let (Some(traces), Some(trace)) = (&self.traces, traces::exported(ended)) {
            traces.queue.add(CallSpans::of(trace, ended));
        }
    }

    /// Queues the log record of a call that was refused before there was a version to run.
    pub(crate) fn refused(&self, call: Uuid, function: i64, name: Option<&str>, fault: &Fault) {
        if let Some(logs) = &self.logs {
            logs.add(CallRecord::refused(call, function, name, fault));
        }
    }

    /// The counts of the signals that are exported.
    pub(crate) fn figures(&self) -> Vec<ExportFigures> {
        let traces = self.traces.as_ref();
        let logs = self.logs.as_ref();
        let metrics = self.metrics.as_ref();
        let figures = [
            traces.map(|of| of.queue.figures(Signal::Traces)),
            metrics.map(|of| of.counts.figures(Signal::Metrics)),
            logs.map(|of| of.queue.figures(Signal::Logs)),
        ];
        figures.into_iter().flatten().collect()
    }

    /// Sends what waits, and ends soon after `deadline`.
    pub(crate) async fn stop(&self, deadline: Instant) {
        let traces = async {
            if let Some(traces) = &self.traces {
                traces.queue.stop(deadline).await;
            }
        };
        let logs = async {
            if let Some(logs) = &self.logs {
                logs.queue.stop(deadline).await;
            }
        };
        tokio::join!(traces, logs);
    }
}

impl Logs {
    /// A caller can have calls refused at will, so records of these wait in the first half of the memory only.
    fn add(&self, record: CallRecord) {
        match record.is_refused() && self.queue.backlog.is_half_full() {
            true => self.queue.backlog.shed(1),
            false => self.queue.add(record),
        }
    }
}

impl<R: Record> Queue<R> {
    fn start(settings: &OtlpSettings, collector: Collector) -> Self {
        let records = collector.target.signal.records();
        let backlog = Arc::new(Backlog::new(records, "otlp.memory", settings.memory));
        let counts = Arc::clone(&collector.counts);
        let exporter = Exporter::<R>::new(collector, Arc::clone(&backlog));
        Self {
            waiting: WriteBehind::start(exporter),
            backlog,
            counts,
        }
    }

    fn add(&self, record: R) {
        match self.backlog.reserve(record.size()) {
            // The queue refuses an item when the server has stopped.
            true => drop(self.waiting.sender().send(Box::new(record))),
            false => self.backlog.shed(1),
        }
    }

    fn figures(&self, signal: Signal) -> ExportFigures {
        ExportFigures {
            dropped: self.backlog.dropped(),
            waiting: self.backlog.held() as u64,
            ..self.counts.figures(signal)
        }
    }

    async fn stop(&self, deadline: Instant) {
        // A request that a silent collector does not answer ends with the process.
        let stopped = self.waiting.stop(deadline);
        let _ = tokio::time::timeout_at(deadline, stopped).await;
    }
}

impl Counts {
    fn figures(&self, signal: Signal) -> ExportFigures {
        ExportFigures {
            signal: signal.as_str(),
            sent: self.sent.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            dropped: 0,
            waiting: 0,
        }
    }
}
