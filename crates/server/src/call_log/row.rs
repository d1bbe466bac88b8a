//! The log of calls, on its way to the store: counted and kept in memory, written off the path of calls.
//!
//! A call leaves a row and its times in its function's [`FunctionLog`], under a lock that only calls of that function
//! take, for the time that it takes to push. One task empties the logs that have something: a row is on the disk a few
//! milliseconds after its call when little happens, and the task writes for at most a tenth of its time when much does. A
//! log holds as many rows as the store keeps of a function, so what a burst leaves out would have been trimmed anyway;
//! counts are never left out.
//!
//! Rejected: writing before the answer (a flush of the disk for every call), and a queue of calls (it fills when calls
//! come faster than rows can be written, and then either calls wait or counts are wrong).

use crate::write_behind::{Sender, WriteBehind, Writer};
use bytes::Bytes;
use iof_engine::{Arg, Environment, Outcome};
use iof_store::{Call, Calls, Store};
use serde::Serialize;
use serde_json::Value as Json;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// The logs of all functions, and the task that writes them.
pub(crate) struct CallLog {
    queue: WriteBehind<Arc<FunctionLog>>,
    keep: u32,
}

/// The log of one function: rows and times that are not written yet.
pub(crate) struct FunctionLog {
    function_id: i64,
    keep: usize,
    queue: Sender<Arc<FunctionLog>>,
    unsaved: Mutex<Unsaved>,
}

#[derive(Default)]
struct Unsaved {
    rows: VecDeque<Row>,
    invocations: u64,
    guest: Duration,
    latest: Duration,
    /// True if it is in the queue, where each log is once at a time: the queue is as long as functions are many.
    queued: bool,
}

/// One row of the log.
pub(crate) struct Row {
    at: SystemTime,
    environment: Arc<Environment>,
    event: Event,
}

enum Event {
    Called(Payload, CallSummary, Duration),
    CalledBack(Payload, Json),
}

/// A summary of how a call ended.
#[derive(Serialize)]
pub(crate) struct CallSummary {
    call: Uuid,
    version: i64,
    export: Box<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Box<str>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    stdout: Box<str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    stderr: Box<str>,
}

/// The arguments of a call, as far as a log keeps them.
pub(crate) enum Payload {
    None,
    One(Part),
    Many(Vec<Part>),
}

pub(crate) enum Part {
    Text(Bytes),
    Bytes(usize),
}

/// Bytes that the log keeps of a state and of one argument.
const KEPT: usize = 1 << 10;
/// Bytes that the log keeps of each stream that a call printed.
const PRINTED: usize = 4 << 10;
/// Logs that are written in one transaction.
const BATCH: usize = 256;

impl CallLog {
    /// Starts the task. `keep` rows of each function are kept; 0 keeps only counts.
    pub(crate) fn start(store: Store, keep: u32) -> Self {
        Self {
            queue: WriteBehind::start(LogWriter { store, keep }),
            keep,
        }
    }

    /// The log of a function that was just loaded.
    pub(crate) fn of_function(&self, function_id: i64) -> Arc<FunctionLog> {
        Arc::new(FunctionLog {
            function_id,
            keep: self.keep as usize,
            queue: self.queue.sender().clone(),
            unsaved: Mutex::default(),
        })
    }

    /// Returns when the rows of all calls that ended are in the store.
    pub(crate) async fn flush(&self) {
        self.queue.flush().await;
    }
}

/// The writer of logs into the store.
struct LogWriter {
    store: Store,
    keep: u32,
}

impl Writer for LogWriter {
    type Item = Arc<FunctionLog>;
    const BATCH: usize = BATCH;
    // A log is not lost by waiting: what it has no room for would be trimmed in the store. So calls come first.
    const REST: u32 = 9;
    const RESTS_WHEN_FULL: bool = true;

    async fn write(&mut self, logs: Vec<Arc<FunctionLog>>) -> usize {
        let calls: Vec<Calls> = logs.iter().map(|log| log.take()).collect();
        let rows = calls.iter().map(|calls| calls.newest.len()).sum();
        if let Err(error) = self.store.record_calls(calls, self.keep).await {
            tracing::error!(%error, "calls could not be written to the log; they are missing in it and in the usage");
        }
        rows
    }

    async fn tidy(&mut self) {}
}

impl FunctionLog {
    /// Adds a row, and counts it if it is a call.
    pub(crate) fn record(self: &Arc<Self>, row: Row) {
        let mut unsaved = lock(&self.unsaved);
        if let Event::Called(.., guest) = row.event {
            unsaved.invocations += 1;
            unsaved.guest += guest;
            unsaved.latest = guest;
        }
        if self.keep > 0 {
            if unsaved.rows.len() == self.keep {
                unsaved.rows.pop_front();
            }
            unsaved.rows.push_back(row);
        }
        if !unsaved.queued {
            unsaved.queued = self.queue.send(Arc::clone(self));
        }
    }

    fn take(&self) -> Calls {
        let Unsaved {
            rows,
            invocations,
            guest,
            latest,
            queued: _,
        } = std::mem::take(&mut *lock(&self.unsaved));
        Calls {
            function_id: self.function_id,
            invocations,
            guest_ns: nanoseconds(guest),
            latest_ns: nanoseconds(latest),
            newest: rows
                .into_iter()
                .map(|row| row.into_call(self.function_id))
                .collect(),
        }
    }
}

impl Row {
    /// A call that ended.
    pub(crate) fn called(
        environment: &Arc<Environment>,
        arguments: Payload,
        summary: CallSummary,
        guest: Duration,
    ) -> Self {
        Self::new(environment, Event::Called(arguments, summary, guest))
    }

    /// A result that was sent on.
    pub(crate) fn called_back(
        environment: &Arc<Environment>,
        value: &Bytes,
        options: Json,
    ) -> Self {
        let payload = Payload::One(Part::of_bytes(value));
        Self::new(environment, Event::CalledBack(payload, options))
    }

    fn new(environment: &Arc<Environment>, event: Event) -> Self {
        Self {
            at: SystemTime::now(),
            environment: Arc::clone(environment),
            event,
        }
    }

    fn into_call(self, function_id: i64) -> Call {
        let since = self.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (record, guest) = match &self.event {
            Event::Called(payload, summary, guest) => {
                let record = Called {
                    original_wasm_executables_id: function_id.to_string(),
                    data_payload: payload.to_json(),
                    iof: summary,
                };
                (serde_json::to_string(&record), *guest)
            }
            Event::CalledBack(payload, options) => {
                let record = CalledBack {
                    callback_data_payload: payload.to_json(),
                    callback_request_options: options,
                };
                (serde_json::to_string(&record), Duration::ZERO)
            }
        };
        Call {
            called_at: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            state: kept(&self.environment.state),
            // Texts and numbers, which always are JSON.
            record: record.unwrap_or_default(),
            guest_ns: nanoseconds(guest),
        }
    }
}

/// The field of a row's record that the API of 2020 does not show.
pub(crate) const OWN_FIELD: &str = "iof";

/// The record of a call; its names are those of 2020, but for [`OWN_FIELD`].
#[derive(Serialize)]
struct Called<'a> {
    original_wasm_executables_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_payload: Option<Json>,
    iof: &'a CallSummary,
}

/// The record of a result that was sent on.
#[derive(Serialize)]
struct CalledBack<'a> {
    callback_data_payload: Option<Json>,
    callback_request_options: &'a Json,
}

impl CallSummary {
    pub(crate) fn of(call: Uuid, version: i64, export: &str, outcome: &Outcome) -> Self {
        let fault = outcome.result.as_ref().err();
        let printed = |bytes: &[u8]| {
            let bytes = bytes.get(..PRINTED).unwrap_or(bytes);
            String::from_utf8_lossy(bytes).into()
        };
        Self {
            call,
            version,
            export: export.into(),
            fault: fault.map(|fault| fault.code().into()),
            message: fault.map(|fault| fault.message.as_str().into()),
            stdout: printed(&outcome.log.stdout),
            stderr: printed(&outcome.log.stderr),
        }
    }
}

impl Payload {
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
    fn of(arg: &Arg) -> Self {
        match arg {
            Arg::Text(text) => Self::of_bytes(text),
            Arg::Bytes(bytes) => Self::Bytes(bytes.len()),
        }
    }

    /// Copied: a row must not hold on to a body of megabytes.
    fn of_bytes(text: &Bytes) -> Self {
        Self::Text(Bytes::copy_from_slice(text.get(..KEPT).unwrap_or(text)))
    }

    fn to_json(&self) -> Json {
        match self {
            // JSON that is whole is a value and not a text, as it was.
            Self::Text(text) if matches!(text.first(), Some(b'{' | b'[')) => {
                serde_json::from_slice(text)
                    .unwrap_or_else(|_| String::from_utf8_lossy(text).into())
            }
            Self::Text(text) => String::from_utf8_lossy(text).into(),
            Self::Bytes(count) => format!("({count} bytes)").into(),
        }
    }
}

/// The beginning of a state: one of a megabyte in every row would fill the disk.
fn kept(state: &Arc<str>) -> Arc<str> {
    match state.len() {
        ..=KEPT => Arc::clone(state),
        _ => state
            .get(..state.floor_char_boundary(KEPT))
            .unwrap_or_default()
            .into(),
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The lock of rows, also after a panic: what it guards is whole between any two statements.
fn lock(unsaved: &Mutex<Unsaved>) -> MutexGuard<'_, Unsaved> {
    unsaved.lock().unwrap_or_else(PoisonError::into_inner)
}
