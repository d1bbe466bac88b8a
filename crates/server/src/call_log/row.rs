//! A row of the call log: the event of a call, and the record that is made from it.

use crate::envelope;
use crate::time::unix_ms;
use bytes::Bytes;
use iof_engine::{Arg, Outcome};
use iof_store::Call;
use serde::Serialize;
use serde_json::Value as Json;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// The kind of the caller of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallerKind {
    /// A client, or another call.
    Client,
    /// A schedule of the function.
    Schedule,
}

/// One row of the log.
pub(super) struct Row {
    pub(super) at: SystemTime,
    /// The state that its call saw, cut to the length that a log keeps.
    state: Arc<str>,
    event: Event,
}

enum Event {
    Called(Payload, CallSummary, Duration),
    /// The record of a result that was sent to a callback.
    CalledBack(Box<str>),
}

/// A summary of how a call ended.
#[derive(Serialize)]
pub(crate) struct CallSummary {
    call: Uuid,
    version: i64,
    export: Box<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Box<str>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    trace: Box<[Box<str>]>,
    memory_peak_bytes: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    stdout: Box<str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    stderr: Box<str>,
}

/// The arguments of a call, cut to the length that a log keeps.
pub(crate) enum Payload {
    None,
    One(Part),
    Many(Vec<Part>),
}

pub(crate) enum Part {
    Text(Bytes),
    Bytes(usize),
}

/// The most bytes that the log keeps of a state and of one argument.
const KEPT: usize = 1 << 10;
/// The most bytes that the log keeps of each stream that a call printed.
const PRINTED: usize = 4 << 10;
/// The approximate overhead of an allocation, in bytes.
const ALLOCATION: usize = 32;

impl Row {
    /// A call that ended.
    pub(super) fn called(
        state: &Arc<str>,
        arguments: Payload,
        summary: CallSummary,
        guest: Duration,
    ) -> Self {
        Self::new(state, Event::Called(arguments, summary, guest))
    }

    /// A result that was sent to a callback.
    pub(super) fn called_back(state: &Arc<str>, value: &Bytes, options: &Json) -> Self {
        let record = CallbackRecord {
            callback_data_payload: Part::of_bytes(value).to_json(),
            callback_request_options: options,
        };
        Self::new(state, Event::CalledBack(text(&record).into()))
    }

    fn new(state: &Arc<str>, event: Event) -> Self {
        Self {
            at: SystemTime::now(),
            state: Arc::clone(state),
            event,
        }
    }

    /// The core time of a call; `None` for a row that is not a call.
    pub(super) fn guest(&self) -> Option<Duration> {
        match self.event {
            Event::Called(.., guest) => Some(guest),
            Event::CalledBack(_) => None,
        }
    }

    /// The bytes that the row holds on the heap. Its state counts fully, although the rows of one load share it: a row
    /// may be the last owner.
    pub(super) fn heap(&self) -> usize {
        let event = match &self.event {
            Event::Called(payload, summary, _) => payload.heap() + summary.heap(),
            Event::CalledBack(record) => allocated(record.len()),
        };
        event + allocated(self.state.len())
    }

    pub(super) fn into_call(self, function_id: i64) -> Call {
        let guest = self.guest().unwrap_or_default();
        let record = match self.event {
            Event::Called(payload, summary, _) => text(&CallRecord {
                original_wasm_executables_id: function_id.to_string(),
                data_payload: payload.to_json(),
                iof: &summary,
            }),
            Event::CalledBack(record) => record.into(),
        };
        Call {
            called_at: unix_ms(self.at),
            state: self.state,
            record,
            guest_ns: nanoseconds(guest),
        }
    }
}

/// The JSON of a record. Serializing texts and numbers cannot fail.
pub(super) fn text(record: &impl Serialize) -> String {
    serde_json::to_string(record).unwrap_or_default()
}

/// The bytes that a text of this length takes; an empty text is not allocated.
pub(super) fn allocated(length: usize) -> usize {
    match length {
        0 => 0,
        _ => length + ALLOCATION,
    }
}

/// The field of a row's record that the API of 2020 does not show.
pub(crate) const OWN_FIELD: &str = "iof";

/// The record of a call; its names are those of 2020, except for [`OWN_FIELD`].
#[derive(Serialize)]
struct CallRecord<'a> {
    original_wasm_executables_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_payload: Option<Json>,
    iof: &'a CallSummary,
}

/// The record of a result that was sent to a callback.
#[derive(Serialize)]
struct CallbackRecord<'a> {
    callback_data_payload: Json,
    callback_request_options: &'a Json,
}

impl CallSummary {
    pub(crate) fn of(
        call: Uuid,
        version: i64,
        export: &str,
        outcome: &Outcome,
        trace: &[Box<str>],
    ) -> Self {
        let fault = outcome.result.as_ref().err();
        let printed = |bytes: &[u8]| {
            let bytes = bytes.get(..PRINTED).unwrap_or(bytes);
            String::from_utf8_lossy(bytes).into()
        };
        Self {
            call,
            version,
            export: export.into(),
            caller: None,
            fault: fault.map(|fault| fault.code().into()),
            message: fault.map(|fault| fault.full_message().into()),
            trace: trace.into(),
            memory_peak_bytes: outcome.memory_peak,
            stdout: printed(&outcome.log.stdout),
            stderr: printed(&outcome.log.stderr),
        }
    }
}

impl CallSummary {
    /// The same call with the kind of its caller.
    pub(crate) fn made_by(self, caller: CallerKind) -> Self {
        Self {
            caller: match caller {
                CallerKind::Client => None,
                CallerKind::Schedule => Some("schedule"),
            },
            ..self
        }
    }

    fn heap(&self) -> usize {
        let texts = [&self.export, &self.stdout, &self.stderr];
        let texts = texts
            .into_iter()
            .chain(self.fault.as_ref())
            .chain(self.message.as_ref())
            .chain(&self.trace);
        let frames = allocated(self.trace.len() * size_of::<Box<str>>());
        frames + texts.map(|text| allocated(text.len())).sum::<usize>()
    }
}

impl Payload {
    fn heap(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(part) => part.heap(),
            Self::Many(parts) => {
                let places = allocated(parts.capacity() * size_of::<Part>());
                places + parts.iter().map(Part::heap).sum::<usize>()
            }
        }
    }

    pub(crate) fn of(args: &[Arg]) -> Self {
        match args {
            [] => Self::None,
            [one] => Self::One(Part::of(one)),
            many => Self::Many(many.iter().map(Part::of).collect()),
        }
    }

    fn to_json(&self) -> Option<Json> {
        match self {
            Self::None => None,
            Self::One(part) => Some(part.to_json()),
            Self::Many(parts) => Some(parts.iter().map(Part::to_json).collect()),
        }
    }
}

impl Part {
    fn heap(&self) -> usize {
        match self {
            Self::Text(text) => allocated(text.len()),
            Self::Bytes(_) => 0,
        }
    }

    fn of(arg: &Arg) -> Self {
        match arg {
            Arg::Text(text) => Self::of_bytes(text),
            Arg::Bytes(bytes) => Self::Bytes(bytes.len()),
            // Only the body is logged: the query and the headers may contain the sender's keys.
            Arg::Request(sealed) => match envelope::open(sealed) {
                Some((_, body)) if std::str::from_utf8(&body).is_ok() => Self::of_bytes(&body),
                Some((_, body)) => Self::Bytes(body.len()),
                None => Self::Bytes(sealed.len()),
            },
        }
    }

    /// Copied: a row must not keep a body of megabytes alive.
    fn of_bytes(text: &Bytes) -> Self {
        Self::Text(Bytes::copy_from_slice(text.get(..KEPT).unwrap_or(text)))
    }

    fn to_json(&self) -> Json {
        match self {
            // Complete JSON is logged as a value and not as a text, as in 2020.
            Self::Text(text) if matches!(text.first(), Some(b'{' | b'[')) => {
                serde_json::from_slice(text)
                    .unwrap_or_else(|_| String::from_utf8_lossy(text).into())
            }
            Self::Text(text) => String::from_utf8_lossy(text).into(),
            Self::Bytes(count) => format!("({count} bytes)").into(),
        }
    }
}

/// The beginning of a state: a state of a megabyte in every row would fill the disk.
pub(super) fn kept(state: &Arc<str>) -> Arc<str> {
    match state.len() {
        ..=KEPT => Arc::clone(state),
        _ => state
            .get(..state.floor_char_boundary(KEPT))
            .unwrap_or_default()
            .into(),
    }
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
