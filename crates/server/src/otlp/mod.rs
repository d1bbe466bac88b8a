//! Traces of calls for a collector: OTLP over HTTP, in protobuf.
//!
//! Each call has a [`CallTrace`], to which commands, outbound requests and the storage add their spans; this module observes
//! the first two. At the end of a call its trace is queued if the call was sampled or failed, and dropped otherwise. One task
//! sends what is queued. The queue is bounded in bytes, and a call never waits for it: without a collector, traces are dropped
//! and counted.
//!
//! A span says what kind of work was done, for how long, and how it ended. It has no argument, result, body, header, path,
//! query, key or secret, and of messages only their code (docs/decisions/0069-traces-say-how-not-what.md).
//!
//! Rejected: the SDK of OpenTelemetry, which decides at the begin of a call whether it is sampled, so that no fault is sure to
//! be kept; and a client of its own beside the outbound one.

mod encode;
mod export;
mod messages;
mod settings;

use crate::backlog::Backlog;
use crate::calls::EndedCall;
use crate::metrics::address_class;
use crate::write_behind::WriteBehind;
use export::Exporter;
use http::HeaderMap;
use iof_egress::Egress;
use iof_trace::{CallTrace, Span, SpanId, TraceId, TraceParent, Value};
pub use settings::OtlpSettings;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// The exporter of traces. One for the process; it observes commands and outbound requests.
pub struct Traces(Option<Export>);

struct Export {
    sampling: f64,
    follow_callers: bool,
    backlog: Arc<Backlog>,
    queue: WriteBehind<Box<CallSpans>>,
    counts: Arc<Counts>,
}

/// Traces that were sent, and those that the collector did not take.
#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    failed: AtomicU64,
}

/// The traces of calls since the start: those that were sent, that the collector did not take, and that had no room.
#[derive(Clone, Copy)]
pub(crate) struct TraceFigures {
    pub(crate) sent: u64,
    pub(crate) failed: u64,
    pub(crate) dropped: u64,
    /// Bytes of those that wait.
    pub(crate) waiting: u64,
}

/// The spans of one call that ended.
struct CallSpans {
    trace: Arc<CallTrace>,
    /// The function and the export, for people.
    name: String,
    attributes: Vec<(&'static str, Value)>,
    /// The code of what went wrong.
    failed: Option<Box<str>>,
    /// The times from the begin of the trace until the wait for permits, the engine's work, and the end.
    queued: Duration,
    ran: Duration,
    ended: Duration,
    /// Spans of the call's work, and the number of those that had no room.
    spans: Vec<Span>,
    left_out: u32,
}

/// The methods that are named in a trace.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
/// The most bytes of the name of an export in a trace.
const NAMED: usize = 200;

impl Traces {
    /// No traces.
    #[must_use]
    pub fn off() -> Arc<Self> {
        Arc::new(Self(None))
    }

    /// Starts the task that exports traces; must be called in a runtime. `egress` is a client of the server's own, which
    /// reaches every address.
    ///
    /// # Errors
    /// A message that names the setting.
    pub fn start(settings: &OtlpSettings, egress: Egress) -> Result<Arc<Self>, String> {
        let Some(target) = settings.target()? else {
            return Ok(Self::off());
        };
        let backlog = Backlog::new("traces of calls", "otlp.memory", settings.memory);
        let (backlog, counts) = (Arc::new(backlog), Arc::<Counts>::default());
        let exporter = Exporter::new(target, egress, Arc::clone(&backlog), Arc::clone(&counts));
        Ok(Arc::new(Self(Some(Export {
            sampling: settings.sampling,
            follow_callers: settings.follow_callers,
            queue: WriteBehind::start(exporter),
            backlog,
            counts,
        }))))
    }

    /// The trace of a call that begins, if traces are exported.
    pub(crate) fn begin(&self, origin: CallOrigin) -> Option<Arc<CallTrace>> {
        let export = self.0.as_ref()?;
        let sampled = match &origin {
            CallOrigin::Call(parent) => parent.sampled,
            // A client that chose this would choose what the collector is sent.
            CallOrigin::Client(Some(parent)) if export.follow_callers && parent.sampled => true,
            CallOrigin::Client(_) => rand::random::<f64>() < export.sampling,
        };
        let parent = match origin {
            CallOrigin::Call(parent) => Some(parent),
            CallOrigin::Client(parent) => parent,
        };
        Some(CallTrace::begin(parent, sampled))
    }

    /// The origin of a call that a client asks for, by the headers of its request.
    pub(crate) fn client(&self, headers: &HeaderMap) -> CallOrigin {
        let parent = self.0.as_ref().and_then(|_| parent(headers));
        CallOrigin::Client(parent)
    }

    /// Queues the trace of a call that ended, if it is to be exported.
    pub(crate) fn end(&self, ended: &EndedCall<'_>) {
        let (Some(export), Some(trace)) = (&self.0, exported(ended)) else {
            return;
        };
        let call = Box::new(CallSpans::of(trace, ended));
        match export.backlog.reserve(call.size()) {
            // The queue refuses an item when the server has stopped.
            true => drop(export.queue.sender().send(call)),
            false => export.backlog.shed(1),
        }
    }

    /// The counts of traces; `None` if none are exported.
    pub(crate) fn figures(&self) -> Option<TraceFigures> {
        let export = self.0.as_ref()?;
        Some(TraceFigures {
            sent: export.counts.sent.load(Ordering::Relaxed),
            failed: export.counts.failed.load(Ordering::Relaxed),
            dropped: export.backlog.dropped(),
            waiting: export.backlog.held() as u64,
        })
    }

    /// Sends the traces that wait, and ends soon after `deadline`.
    pub(crate) async fn stop(&self, deadline: Instant) {
        if let Some(export) = &self.0 {
            // A request that a silent collector does not answer ends with the process.
            let stopped = export.queue.stop(deadline);
            let _ = tokio::time::timeout_at(deadline, stopped).await;
        }
    }
}

/// The origin of a call.
#[derive(Clone, Debug)]
pub(crate) enum CallOrigin {
    /// A client, and the context that it states.
    Client(Option<TraceParent>),
    /// Another call of this server.
    Call(TraceParent),
}

impl Default for CallOrigin {
    fn default() -> Self {
        Self::Client(None)
    }
}

impl CallOrigin {
    /// The origin of a call that another one asks for by itself.
    pub(crate) fn of(trace: Option<&CallTrace>) -> Self {
        trace.map_or_else(Self::default, |trace| Self::Call(trace.child(trace.call)))
    }

    /// The origin of a call that another call of this server asks for, whose request has the context of its span.
    pub(crate) fn of_call(headers: &HeaderMap) -> Self {
        parent(headers).map_or_else(Self::default, Self::Call)
    }
}

/// The context in the headers of a request.
fn parent(headers: &HeaderMap) -> Option<TraceParent> {
    let mut parents = headers.get_all("traceparent").iter();
    let (parent, None) = (parents.next()?, parents.next()) else {
        return None;
    };
    let states = headers.get_all("tracestate").iter();
    let states = states.filter_map(|state| state.to_str().ok());
    TraceParent::parse(parent.to_str().ok()?, states)
}

/// The trace of a call that is exported: it was sampled, or it failed.
fn exported<'a>(ended: &EndedCall<'a>) -> Option<&'a Arc<CallTrace>> {
    let failed = ended.outcome.result.is_err();
    ended.trace.filter(|trace| trace.sampled || failed)
}

/// The id of the trace of a call that is exported.
pub(crate) fn exported_id(ended: &EndedCall<'_>) -> Option<TraceId> {
    exported(ended).map(|trace| trace.id)
}

impl CallSpans {
    fn of(trace: &Arc<CallTrace>, ended: &EndedCall<'_>) -> Self {
        let EndedCall {
            call,
            function,
            export,
            outcome,
            ..
        } = *ended;
        let failed = outcome.result.as_ref().err().map(|fault| fault.code());
        let function_name = function.label.as_deref().unwrap_or(&function.name);
        // A caller chose the name of an export that there is not.
        let export = match outcome.ran {
            true => export
                .get(..export.floor_char_boundary(NAMED))
                .unwrap_or_default(),
            false => "",
        };
        let number = |number: u64| Value::Number(i64::try_from(number).unwrap_or(i64::MAX));
        let micros = u64::try_from(outcome.guest_cpu.as_micros()).unwrap_or(u64::MAX);
        let attributes = vec![
            ("iof.call", Value::Text(call.to_string().into())),
            ("iof.function", function_name.into()),
            ("iof.function_id", function.id.into()),
            ("iof.version", function.version.into()),
            ("iof.export", export.into()),
            ("iof.guest_cpu_us", number(micros)),
            ("iof.memory_peak_bytes", number(outcome.memory_peak)),
        ];
        let (spans, left_out) = trace.take();
        let ended_at = trace.age();
        let began = ended_at.saturating_sub(ended.wall);
        Self {
            trace: Arc::clone(trace),
            name: format!("{function_name} {export}").trim_end().to_owned(),
            attributes,
            failed: failed.map(Into::into),
            queued: began,
            ran: began + ended.queued,
            ended: ended_at,
            spans,
            left_out,
        }
    }

    /// The bytes that it holds in memory, about.
    fn size(&self) -> usize {
        let of_span = |span: &Span| {
            let texts = span.attributes.iter().map(|(_, value)| match value {
                Value::Text(text) => text.len() + size_of::<(&str, Value)>(),
                Value::Number(_) => size_of::<(&str, Value)>(),
            });
            size_of::<Span>() + span.name.len() + texts.sum::<usize>()
        };
        let state = self.trace.parent.as_ref().and_then(|of| of.state.as_ref());
        let state = state.map_or(0, |state| state.len());
        let spans: usize = self.spans.iter().map(of_span).sum();
        size_of::<Self>() + size_of::<CallTrace>() + 1024 + state + spans
    }
}

impl iof_command::Observer for Traces {
    fn ran(&self, run: &iof_command::Run<'_>) {
        let Some(trace) = run.trace else { return };
        // A guest wrote a name that was not granted.
        let name = match run.outcome {
            "not-granted" | "not-found" => "(other)",
            _ => run.command,
        };
        let mut attributes = vec![
            ("iof.outcome", run.outcome.into()),
            ("iof.bytes_out", number(run.bytes_out)),
            ("iof.bytes_in", number(run.bytes_in)),
        ];
        if let Some(status) = run.status {
            attributes.push(("process.exit.code", i64::from(status).into()));
        }
        trace.add(Span {
            id: SpanId::random(),
            name: format!("command {name}").into(),
            is_client: false,
            at: run.at,
            took: run.took,
            failed: (run.outcome != "ok").then_some(run.outcome),
            attributes,
        });
    }
}

impl iof_egress::Observer for Traces {
    fn sent(&self, entry: &iof_egress::Entry<'_>) {
        let Some((trace, span)) = entry.trace else {
            return;
        };
        // A guest may write any.
        let known = METHODS.into_iter().find(|method| *method == entry.method);
        let method = known.unwrap_or("_OTHER");
        let class = entry
            .address
            .map_or("none", |address| address_class(address.ip()));
        let mut attributes = vec![
            ("http.request.method", method.into()),
            ("iof.address_class", class.into()),
            ("iof.outcome", entry.outcome.into()),
            ("iof.bytes_out", number(entry.bytes_out)),
            ("iof.bytes_in", number(entry.bytes_in)),
        ];
        // The scheme, host and port of a request that a rule allowed; the rule names them, or the operator's default does.
        for (name, value) in [("iof.rule", entry.rule), ("iof.upstream", entry.host)] {
            if let (Some(value), Some(_)) = (value, entry.rule) {
                attributes.push((name, value.into()));
            }
        }
        if let Some(status) = entry.status {
            attributes.push(("http.response.status_code", i64::from(status).into()));
        }
        if let Some(waited) = entry.waited {
            let micros = u64::try_from(waited.took.as_micros()).unwrap_or(u64::MAX);
            attributes.push(("iof.waited_us", number(micros)));
        }
        trace.add(Span {
            id: span,
            name: method.into(),
            is_client: true,
            at: entry.at,
            took: entry.took,
            failed: (!matches!(entry.outcome, "ok" | "redirect")).then_some(entry.outcome),
            attributes,
        });
    }
}

fn number(number: u64) -> Value {
    Value::Number(i64::try_from(number).unwrap_or(i64::MAX))
}
