//! Traces of calls: their origin, and the spans that a call, its commands and its outbound requests leave.

use super::export::Record;
use super::{Otlp, encode};
use crate::calls::EndedCall;
use crate::metrics::address_class;
use http::HeaderMap;
use iof_trace::{CallTrace, Span, SpanId, TraceId, TraceParent, Value};
use std::sync::Arc;
use std::time::Duration;

/// The spans of one call that ended.
pub(super) struct CallSpans {
    pub(super) trace: Arc<CallTrace>,
    /// The function and the export, for people.
    pub(super) name: String,
    pub(super) attributes: Vec<(&'static str, Value)>,
    /// The code of what went wrong.
    pub(super) failed: Option<Box<str>>,
    /// The times from the begin of the trace until the wait for permits, the engine's work, and the end.
    pub(super) queued: Duration,
    pub(super) ran: Duration,
    pub(super) ended: Duration,
    /// Spans of the call's work, and the number of those that had no room.
    pub(super) spans: Vec<Span>,
    pub(super) left_out: u32,
}

/// The methods that are named in a trace.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
/// The most bytes of the name of an export in a trace.
const NAMED: usize = 200;

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
pub(super) fn parent(headers: &HeaderMap) -> Option<TraceParent> {
    let mut parents = headers.get_all("traceparent").iter();
    let (parent, None) = (parents.next()?, parents.next()) else {
        return None;
    };
    let states = headers.get_all("tracestate").iter();
    let states = states.filter_map(|state| state.to_str().ok());
    TraceParent::parse(parent.to_str().ok()?, states)
}

/// The trace of a call that is exported: it was sampled, or it failed.
pub(super) fn exported<'a>(ended: &EndedCall<'a>) -> Option<&'a Arc<CallTrace>> {
    let failed = ended.outcome.result.is_err();
    ended.trace.filter(|trace| trace.sampled || failed)
}

/// The trace and the span of the request of a call that is exported.
pub(crate) fn exported_ids(ended: &EndedCall<'_>) -> Option<(TraceId, SpanId)> {
    exported(ended).map(|trace| (trace.id, trace.root))
}

/// The name of a call, for people, and its attributes.
pub(super) fn described(ended: &EndedCall<'_>) -> (String, Vec<(&'static str, Value)>) {
    let EndedCall {
        call,
        function,
        export,
        outcome,
        ..
    } = *ended;
    let function_name = function.label.as_deref().unwrap_or(&function.name);
    // A caller chose the name of an export that there is not.
    let export = match outcome.ran {
        true => export
            .get(..export.floor_char_boundary(NAMED))
            .unwrap_or_default(),
        false => "",
    };
    let attributes = vec![
        ("iof.call", Value::Text(call.to_string().into())),
        ("iof.function", function_name.into()),
        ("iof.function_id", function.id.into()),
        ("iof.version", function.version.into()),
        ("iof.export", export.into()),
        ("iof.guest_cpu_us", micros(outcome.guest_cpu)),
        ("iof.memory_peak_bytes", number(outcome.memory_peak)),
    ];
    let name = format!("{function_name} {export}");
    (name.trim_end().to_owned(), attributes)
}

impl CallSpans {
    pub(super) fn of(trace: &Arc<CallTrace>, ended: &EndedCall<'_>) -> Self {
        let (name, attributes) = described(ended);
        let failed = ended.outcome.result.as_ref().err();
        let (spans, left_out) = trace.take();
        let ended_at = trace.age();
        let began = ended_at.saturating_sub(ended.wall);
        Self {
            trace: Arc::clone(trace),
            name,
            attributes,
            failed: failed.map(|fault| fault.code().into()),
            queued: began,
            ran: began + ended.queued,
            ended: ended_at,
            spans,
            left_out,
        }
    }
}

impl Record for CallSpans {
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

    fn request(records: &[Box<Self>], instance: &str) -> Vec<u8> {
        encode::request(records.iter().map(|call| &**call), instance)
    }
}

impl iof_command::Observer for Otlp {
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

impl iof_egress::Observer for Otlp {
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
            attributes.push(("iof.waited_us", micros(waited.took)));
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

pub(super) fn number(number: u64) -> Value {
    Value::Number(i64::try_from(number).unwrap_or(i64::MAX))
}

pub(super) fn micros(time: Duration) -> Value {
    number(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}
