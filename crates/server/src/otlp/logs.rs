//! Log records of calls: one for each call that ended, and one for each that was refused.
//!
//! A record has what the trace of the call has, too, and its times; of messages only the code. What the function printed is
//! in it only with `otlp.output`.

use super::encode::{self, Resource};
use super::export::Record;
use super::messages::{
    AnyValue, ExportLogsServiceRequest, LogRecord, ResourceLogs, ScopeLogs, Value as Sent,
};
use super::traces::{described, exported, micros};
use crate::calls::EndedCall;
use iof_fault::{Fault, Source};
use iof_trace::{SpanId, TraceId, Value};
use prost::Message as _;
use std::time::SystemTime;
use uuid::Uuid;

/// Severities (`SeverityNumber`). A call that fails by its function is no event that an operator has to look at.
const INFO: (i32, &str) = (9, "INFO");
const ERROR: (i32, &str) = (17, "ERROR");
/// The names of the two kinds of records.
const CALL: &str = "iof.call";
const REFUSED: &str = "iof.refused_call";
/// The flag of a trace that is exported (W3C Trace Context).
const SAMPLED: u32 = 1;
/// The most bytes of each stream that a function printed, as in the call log.
const PRINTED: usize = 4 << 10;

/// The log record of a call.
pub(super) struct CallRecord {
    at: SystemTime,
    event: &'static str,
    severity: (i32, &'static str),
    body: String,
    attributes: Vec<(&'static str, Value)>,
    /// The trace, the span of the request, and whether they are exported.
    trace: Option<(TraceId, SpanId, bool)>,
}

impl CallRecord {
    /// The record of a call that ended; `output` adds what it printed.
    pub(super) fn ended(ended: &EndedCall<'_>, output: bool) -> Self {
        let (_, mut attributes) = described(ended);
        attributes.push(("iof.duration_us", micros(ended.wall)));
        attributes.push(("iof.queue_us", micros(ended.queued)));
        if output {
            let log = &ended.outcome.log;
            for (name, bytes) in [("iof.stdout", &log.stdout), ("iof.stderr", &log.stderr)] {
                if !bytes.is_empty() {
                    let shown = bytes.get(..PRINTED).unwrap_or(bytes);
                    let shown = String::from_utf8_lossy(shown).into_owned();
                    attributes.push((name, Value::Text(shown.into())));
                }
            }
        }
        let fault = ended.outcome.result.as_ref().err();
        let is_exported = exported(ended).is_some();
        let trace = ended.trace.map(|of| (of.id, of.root, is_exported));
        match ended.outcome.ran {
            true => Self::new(CALL, fault, attributes, trace),
            false => Self::new(REFUSED, fault, attributes, trace),
        }
    }

    /// The record of a call that was refused before there was a version to run.
    pub(super) fn refused(call: Uuid, function: i64, name: Option<&str>, fault: &Fault) -> Self {
        let mut attributes = vec![
            ("iof.call", Value::Text(call.to_string().into())),
            ("iof.function_id", function.into()),
        ];
        if let Some(name) = name {
            attributes.push(("iof.function", name.into()));
        }
        Self::new(REFUSED, Some(fault), attributes, None)
    }

    fn new(
        event: &'static str,
        fault: Option<&Fault>,
        mut attributes: Vec<(&'static str, Value)>,
        trace: Option<(TraceId, SpanId, bool)>,
    ) -> Self {
        let source = fault.map(|fault| fault.kind.source());
        let outcome = source.map_or("ok", |source| source.as_str());
        attributes.push(("iof.outcome", outcome.into()));
        if let Some(fault) = fault {
            attributes.push(("error.type", fault.code().into()));
        }
        let code = fault.map(Fault::code);
        Self {
            at: SystemTime::now(),
            event,
            severity: match source {
                Some(Source::Host) => ERROR,
                _ => INFO,
            },
            body: match (code, event) {
                (None, _) => "call returned".to_owned(),
                (Some(code), CALL) => format!("call failed: {code}"),
                (Some(code), _) => format!("call refused: {code}"),
            },
            attributes,
            trace,
        }
    }

    pub(super) fn is_refused(&self) -> bool {
        self.event == REFUSED
    }

    fn message(&self) -> LogRecord {
        let at = encode::nanoseconds(self.at);
        let (severity_number, severity) = self.severity;
        let ids = self.trace.as_ref();
        LogRecord {
            time_unix_nano: at,
            observed_time_unix_nano: at,
            severity_number,
            severity_text: severity.to_owned(),
            body: Some(AnyValue {
                value: Some(Sent::Text(self.body.clone())),
            }),
            attributes: encode::attributes(&self.attributes),
            flags: ids.map_or(0, |(.., is_exported)| u32::from(*is_exported) * SAMPLED),
            trace_id: ids.map_or_else(Vec::new, |(trace, ..)| trace.0.to_vec()),
            span_id: ids.map_or_else(Vec::new, |(_, span, _)| span.0.to_vec()),
            event_name: self.event.to_owned(),
        }
    }
}

impl Record for CallRecord {
    fn size(&self) -> usize {
        let texts = self.attributes.iter().map(|(_, value)| match value {
            Value::Text(text) => text.len(),
            Value::Number(_) => 0,
        });
        let attributes = self.attributes.capacity() * size_of::<(&str, Value)>();
        size_of::<Self>() + self.body.len() + attributes + texts.sum::<usize>()
    }

    fn request(records: &[Box<Self>], instance: &str) -> Vec<u8> {
        let Resource { resource, scope } = encode::resource(instance);
        let request = ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource: Some(resource),
                scope_logs: vec![ScopeLogs {
                    scope: Some(scope),
                    log_records: records.iter().map(|record| record.message()).collect(),
                }],
            }],
        };
        request.encode_to_vec()
    }
}
