//! Traces as the messages of OTLP, and the parts that all signals have: <https://opentelemetry.io/docs/specs/otlp/>.

use super::messages::{
    self, AnyValue, ExportTraceServiceRequest, InstrumentationScope, KeyValue, ResourceSpans,
    ScopeSpans, Span, Status, Value,
};
use super::traces::CallSpans;
use iof_trace::{Span as OurSpan, SpanId, Value as OurValue};
use prost::Message as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Kinds of spans (`SpanKind`), and the status of one that failed (`StatusCode`).
const INTERNAL: i32 = 1;
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const ERROR: i32 = 2;
/// The flags of a span whose parent is known to be of another process, or of this one (`SpanFlags` of the protocol).
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// The body of a request that exports the spans of these calls.
pub(super) fn request<'a>(calls: impl Iterator<Item = &'a CallSpans>, instance: &str) -> Vec<u8> {
    let mut spans = vec![];
    for call in calls {
        add(call, &mut spans);
    }
    let Resource { resource, scope } = resource(instance);
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans,
            }],
        }],
    };
    request.encode_to_vec()
}

/// The origin of signals: this process, and iof.
pub(super) struct Resource {
    pub(super) resource: messages::Resource,
    pub(super) scope: InstrumentationScope,
}

pub(super) fn resource(instance: &str) -> Resource {
    let version = env!("CARGO_PKG_VERSION");
    let of = [
        ("service.name", "iof"),
        ("service.version", version),
        ("service.instance.id", instance),
    ];
    Resource {
        resource: messages::Resource {
            attributes: of.map(|(key, value)| text(key, value)).into(),
        },
        scope: InstrumentationScope {
            name: "iof".to_owned(),
            version: version.to_owned(),
        },
    }
}

fn add(call: &CallSpans, spans: &mut Vec<Span>) {
    let trace = &call.trace;
    let at = |since: Duration| trace.began + since;
    let new = |name: &str, id: SpanId, parent: Option<SpanId>, from: Duration, to: Duration| Span {
        name: name.to_owned(),
        kind: INTERNAL,
        flags: HAS_IS_REMOTE,
        ..base(call, id, parent, at(from), at(to))
    };
    let failed = call.failed.as_deref().map(error);
    let mut root = new(&call.name, trace.root, None, Duration::ZERO, call.ended);
    root.kind = SERVER;
    root.attributes = attributes(&call.attributes);
    if let Some(code) = &call.failed {
        root.attributes.push(text("error.type", code));
    }
    root.status = failed.clone();
    if let Some(parent) = &trace.parent {
        root.parent_span_id = parent.span.0.to_vec();
        root.flags |= IS_REMOTE;
    }
    spans.push(root);
    if call.ran > call.queued {
        spans.push(new(
            "queue",
            SpanId::random(),
            Some(trace.root),
            call.queued,
            call.ran,
        ));
    }
    let mut ran = new("call", trace.call, Some(trace.root), call.ran, call.ended);
    ran.status = failed;
    if call.left_out > 0 {
        let left_out = i64::from(call.left_out);
        ran.attributes.push(number("iof.spans_left_out", left_out));
    }
    spans.push(ran);
    if let Some((began, took)) = trace.instantiation() {
        let id = SpanId::random();
        spans.push(new(
            "instantiate",
            id,
            Some(trace.call),
            began,
            began + took,
        ));
    }
    for span in &call.spans {
        spans.push(of_work(call, span));
    }
}

/// A span of the call's work.
fn of_work(call: &CallSpans, span: &OurSpan) -> Span {
    let mut attributes = attributes(&span.attributes);
    if let Some(code) = span.failed {
        attributes.push(text("error.type", code));
    }
    Span {
        name: span.name.clone().into_owned(),
        kind: match span.is_client {
            true => CLIENT,
            false => INTERNAL,
        },
        flags: HAS_IS_REMOTE,
        attributes,
        status: span.failed.map(error),
        ..base(
            call,
            span.id,
            Some(call.trace.call),
            span.at,
            span.at + span.took,
        )
    }
}

fn base(
    call: &CallSpans,
    id: SpanId,
    parent: Option<SpanId>,
    from: SystemTime,
    to: SystemTime,
) -> Span {
    let state = call
        .trace
        .parent
        .as_ref()
        .and_then(|of| of.state.as_deref());
    Span {
        trace_id: call.trace.id.0.to_vec(),
        span_id: id.0.to_vec(),
        trace_state: state.unwrap_or_default().to_owned(),
        parent_span_id: parent.map(|parent| parent.0.to_vec()).unwrap_or_default(),
        start_time_unix_nano: nanoseconds(from),
        end_time_unix_nano: nanoseconds(to),
        ..Span::default()
    }
}

pub(super) fn attributes(of: &[(&'static str, OurValue)]) -> Vec<KeyValue> {
    let attributes = of.iter().map(|(key, value)| match value {
        OurValue::Text(value) => text(key, value),
        OurValue::Number(value) => number(key, *value),
    });
    attributes.collect()
}

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::Text(value.to_owned()))
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::Number(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
    }
}

/// The status of what failed: its code, and no message.
fn error(code: &str) -> Status {
    Status {
        message: code.to_owned(),
        code: ERROR,
    }
}

pub(super) fn nanoseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
