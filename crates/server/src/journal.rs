//! What was called, on its way to the store: counted and kept in memory, written off the path of calls.
//!
//! A call leaves a row and its times in its function's [`Ledger`], under a lock that calls of that function alone take,
//! for the time that it takes to push. One task empties the ledgers that have something: as soon as it can when little
//! happens, so that a row is on the disk a few milliseconds after its call, and at most for a tenth of its time when much
//! does. A ledger holds as many rows as the store keeps of a function, so what a burst leaves out would have been
//! trimmed anyway; counts are never left out.
//!
//! Rejected: writing before the answer (a flush of the disk for every call), and a queue of calls (it fills when calls
//! come faster than rows can be written, and then either calls wait or counts are wrong).

use bytes::Bytes;
use iof_engine::{Arg, Environment, Outcome};
use iof_store::{Call, Calls, Store};
use serde::Serialize;
use serde_json::Value as Json;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

/// The task that writes ledgers.
pub(crate) struct Journal {
    queue: UnboundedSender<Message>,
    /// Somebody waits for a flush.
    hurry: Arc<Notify>,
    keep: u32,
    /// Ends with the journal, which is flushed before.
    _task: JoinSet<()>,
}

enum Message {
    /// This ledger has something. Each is queued once at a time, so the queue is as long as functions are many.
    Dirty(Arc<Ledger>),
    /// Say when all before this is written.
    Flush(oneshot::Sender<()>),
}

/// What calls of one function left.
pub(crate) struct Ledger {
    wasm_id: i64,
    keep: usize,
    queue: UnboundedSender<Message>,
    unsaved: Mutex<Unsaved>,
}

#[derive(Default)]
struct Unsaved {
    rows: VecDeque<Row>,
    invocations: u64,
    guest: Duration,
    latest: Duration,
    queued: bool,
}

/// One row of the log.
pub(crate) struct Row {
    at: SystemTime,
    environment: Arc<Environment>,
    what: What,
}

enum What {
    Called(Payload, Told, Duration),
    CalledBack(Payload, Json),
}

/// How a call went, as far as a log keeps it.
#[derive(Serialize)]
pub(crate) struct Told {
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

/// Of a state and of one argument the log keeps this many bytes.
const KEPT: usize = 1 << 10;
/// Of each of its streams.
const PRINTED: usize = 4 << 10;
/// Between two writes, at least.
const PAUSE: Duration = Duration::from_millis(5);
/// The same after one of many rows: each transaction wakes the threads of SQLite and of calls a dozen times.
const LONG_PAUSE: Duration = Duration::from_millis(25);
/// How many these are.
const MANY: usize = 100;
/// Ledgers that are written in one transaction.
const BATCH: usize = 256;

impl Journal {
    /// Starts the task. `keep` rows of each function are kept; 0 keeps counts alone.
    pub(crate) fn start(store: Store, keep: u32) -> Self {
        let (queue, messages) = unbounded_channel();
        let hurry = Arc::new(Notify::new());
        let mut task = JoinSet::new();
        task.spawn(write(store, keep, messages, Arc::clone(&hurry)));
        Self {
            queue,
            hurry,
            keep,
            _task: task,
        }
    }

    /// A ledger for a function that was just loaded.
    pub(crate) fn ledger(&self, wasm_id: i64) -> Arc<Ledger> {
        Arc::new(Ledger {
            wasm_id,
            keep: self.keep as usize,
            queue: self.queue.clone(),
            unsaved: Mutex::default(),
        })
    }

    /// Returns when everything that ended calls left is in the store.
    pub(crate) async fn flush(&self) {
        let (done, told) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).is_ok() {
            self.hurry.notify_one();
            // A task that has ended has nothing left to write.
            let _ = told.await;
        }
    }
}

impl Ledger {
    /// Adds a row, and counts it if it is a call.
    pub(crate) fn note(self: &Arc<Self>, row: Row) {
        let mut unsaved = lock(&self.unsaved);
        if let What::Called(.., guest) = row.what {
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
            unsaved.queued = self.queue.send(Message::Dirty(Arc::clone(self))).is_ok();
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
            wasm_id: self.wasm_id,
            invocations,
            guest_ns: nanoseconds(guest),
            latest_ns: nanoseconds(latest),
            newest: rows
                .into_iter()
                .map(|row| row.into_call(self.wasm_id))
                .collect(),
        }
    }
}

impl Row {
    pub(crate) fn called(
        environment: &Arc<Environment>,
        payload: Payload,
        told: Told,
        guest: Duration,
    ) -> Self {
        Self::new(environment, What::Called(payload, told, guest))
    }

    /// A result that was sent on.
    pub(crate) fn called_back(
        environment: &Arc<Environment>,
        value: &Bytes,
        options: Json,
    ) -> Self {
        let payload = Payload::One(Part::of_bytes(value));
        Self::new(environment, What::CalledBack(payload, options))
    }

    fn new(environment: &Arc<Environment>, what: What) -> Self {
        Self {
            at: SystemTime::now(),
            environment: Arc::clone(environment),
            what,
        }
    }

    fn into_call(self, wasm_id: i64) -> Call {
        let since = self.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (record, guest) = match &self.what {
            What::Called(payload, told, guest) => {
                let record = Called {
                    original_wasm_executables_id: wasm_id.to_string(),
                    data_payload: payload.to_json(),
                    iof: told,
                };
                (serde_json::to_string(&record), *guest)
            }
            What::CalledBack(payload, options) => {
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
pub(crate) const TOLD: &str = "iof";

/// The record of a call; its names are those of 2020, but for [`TOLD`].
#[derive(Serialize)]
struct Called<'a> {
    original_wasm_executables_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_payload: Option<Json>,
    iof: &'a Told,
}

/// The record of a result that was sent on.
#[derive(Serialize)]
struct CalledBack<'a> {
    callback_data_payload: Option<Json>,
    callback_request_options: &'a Json,
}

impl Told {
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

async fn write(
    store: Store,
    keep: u32,
    mut messages: UnboundedReceiver<Message>,
    hurry: Arc<Notify>,
) {
    while let Some(first) = messages.recv().await {
        let started = Instant::now();
        let (mut calls, mut waiting) = (vec![], vec![]);
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Dirty(ledger) => calls.push(ledger.take()),
                Message::Flush(done) => waiting.push(done),
            }
            next = (calls.len() < BATCH)
                .then(|| messages.try_recv().ok())
                .flatten();
        }
        let rows: usize = calls.iter().map(|calls| calls.newest.len()).sum();
        if !calls.is_empty()
            && let Err(error) = store.record_calls(calls, keep).await
        {
            tracing::error!(%error, "calls could not be written to the log; they are missing in it and in the usage");
        }
        for done in waiting {
            // Whoever asked may have gone.
            let _ = done.send(());
        }
        let least = if rows < MANY { PAUSE } else { LONG_PAUSE };
        let pause = least.max(9 * started.elapsed());
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = hurry.notified() => {}
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What the lock guards is whole between any two statements.
fn lock(unsaved: &Mutex<Unsaved>) -> MutexGuard<'_, Unsaved> {
    unsaved.lock().unwrap_or_else(PoisonError::into_inner)
}
