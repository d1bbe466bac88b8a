//! What left because of functions, and recorded calls, on their way to the store: off the path of calls, in batches.
//!
//! Whoever sends a request or runs a command leaves a row in a queue, without a lock and without waiting. One task
//! writes what has gathered in one transaction and then pauses, so that rows are on the disk a few milliseconds after
//! what they tell when little happens, and the disk is flushed at most forty times a second when much does. The
//! queue has a bound. What comes when it is full is counted and said in the log: a call must not wait for its own
//! record, and memory must not grow with a disk that is slow.

use crate::settings::RecordSettings;
use iof_store::{Recording, RecordingsKept, Sent, SentKind, SentLine, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// The task that writes them. One for the process.
pub struct Records {
    queue: RecordQueue,
    settings: RecordSettings,
    /// Somebody waits for a flush.
    hurry: Arc<Notify>,
    /// Ends with the records, which are flushed before.
    _task: JoinSet<()>,
}

/// Where rows are left.
#[derive(Clone)]
pub struct RecordQueue {
    sender: UnboundedSender<Message>,
    waiting: Arc<Waiting>,
}

#[derive(Default)]
struct Waiting {
    rows: AtomicUsize,
    /// Bytes of recorded calls.
    bytes: AtomicUsize,
    lost: AtomicU64,
}

enum Message {
    Sent(SentLine),
    Call(Box<Recording>),
    /// Say when all before this is written.
    Flush(oneshot::Sender<()>),
}

/// Rows that wait at most: a second of the fastest that this server sends.
const ROWS: usize = 100_000;
/// Bytes of recorded calls that wait at most.
const BYTES: usize = 64 << 20;
/// Rows of one transaction.
const BATCH: usize = 2_000;
const HOUR: Duration = Duration::from_secs(60 * 60);
/// Between two transactions, at least.
const PAUSE: Duration = Duration::from_millis(5);
/// The same after one of many rows: each transaction wakes the threads of SQLite and of calls a dozen times.
const LONG_PAUSE: Duration = Duration::from_millis(25);
/// How many these are.
const MANY: usize = 100;

impl Records {
    /// Starts the task; needs a runtime.
    #[must_use]
    pub fn start(store: Store, settings: RecordSettings) -> Self {
        let (sender, messages) = unbounded_channel();
        let queue = RecordQueue {
            sender,
            waiting: Arc::default(),
        };
        let hurry = Arc::new(Notify::new());
        let mut task = JoinSet::new();
        let writer = Writer {
            store,
            settings: settings.clone(),
            waiting: Arc::clone(&queue.waiting),
        };
        task.spawn(writer.run(messages, Arc::clone(&hurry)));
        Self {
            queue,
            settings,
            hurry,
            _task: task,
        }
    }

    /// For whoever has something to leave.
    #[must_use]
    pub fn queue(&self) -> Arc<RecordQueue> {
        Arc::new(self.queue.clone())
    }

    /// The largest call that is recorded, in bytes.
    pub(crate) fn call_size(&self) -> usize {
        usize::try_from(self.settings.call_size.as_u64()).unwrap_or(usize::MAX)
    }

    /// Keeps a call.
    pub(crate) fn call(&self, recording: Recording) {
        let bytes = recording.data.len();
        let waiting = &self.queue.waiting;
        if waiting.bytes.fetch_add(bytes, Ordering::AcqRel) + bytes > BYTES {
            waiting.bytes.fetch_sub(bytes, Ordering::AcqRel);
            waiting.lost.fetch_add(1, Ordering::AcqRel);
            return;
        }
        // Fails when the server has stopped.
        let _ = self.queue.sender.send(Message::Call(Box::new(recording)));
    }

    /// Returns when everything that was left is in the store.
    pub(crate) async fn flush(&self) {
        let (done, told) = oneshot::channel();
        if self.queue.sender.send(Message::Flush(done)).is_ok() {
            self.hurry.notify_one();
            // A task that has ended has nothing left to write.
            let _ = told.await;
        }
    }
}

impl RecordQueue {
    fn leave(&self, sent: Sent) {
        if self.waiting.rows.fetch_add(1, Ordering::AcqRel) >= ROWS {
            self.waiting.rows.fetch_sub(1, Ordering::AcqRel);
            self.waiting.lost.fetch_add(1, Ordering::AcqRel);
            return;
        }
        // Fails when the server has stopped.
        let _ = self.sender.send(Message::Sent(sent.into()));
    }
}

impl iof_egress::Observer for RecordQueue {
    fn sent(&self, entry: &iof_egress::Entry<'_>) {
        self.leave(Sent {
            at: unix_ms(entry.at),
            call: entry.call,
            wasm_id: entry.function_id,
            version: entry.version,
            kind: SentKind::Request,
            subject: entry.rule.map(str::to_owned),
            secrets: entry.secrets.map(str::to_owned),
            method: Some(entry.method.to_owned()),
            host: entry.host.map(str::to_owned),
            address: entry.address.map(|address| address.to_string()),
            status: entry.status.map(i64::from),
            bytes_out: entry.bytes_out,
            bytes_in: entry.bytes_in,
            ms: ms(entry.took),
            outcome: entry.outcome.to_owned(),
        });
    }
}

impl iof_command::Observer for RecordQueue {
    fn ran(&self, run: &iof_command::Run<'_>) {
        self.leave(Sent {
            at: unix_ms(run.at),
            call: run.call,
            wasm_id: run.function_id,
            version: run.version,
            kind: SentKind::Command,
            subject: Some(run.command.to_owned()),
            secrets: None,
            method: None,
            host: None,
            address: None,
            status: run.status.map(i64::from),
            bytes_out: run.bytes_out,
            bytes_in: run.bytes_in,
            ms: ms(run.took),
            outcome: run.outcome.to_owned(),
        });
    }
}

struct Writer {
    store: Store,
    settings: RecordSettings,
    waiting: Arc<Waiting>,
}

impl Writer {
    async fn run(self, mut messages: UnboundedReceiver<Message>, hurry: Arc<Notify>) {
        let mut batch = Vec::with_capacity(BATCH);
        // What grew old while the server was not there goes first, and once an hour what does so while nothing happens.
        self.trim().await;
        loop {
            match timeout(HOUR, messages.recv_many(&mut batch, BATCH)).await {
                Ok(0) => return,
                Ok(_) => {}
                Err(_) => {
                    self.trim().await;
                    continue;
                }
            }
            let started = Instant::now();
            let count = batch.len();
            let waiting = self.write(batch.drain(..)).await;
            for done in waiting {
                // Whoever asked may have gone.
                let _ = done.send(());
            }
            if count == BATCH {
                continue;
            }
            let least = if count < MANY { PAUSE } else { LONG_PAUSE };
            let pause = least.max(4 * started.elapsed());
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = hurry.notified() => {}
            }
        }
    }

    async fn write(&self, batch: impl Iterator<Item = Message>) -> Vec<oneshot::Sender<()>> {
        let (mut sent, mut calls, mut waiting) = (vec![], vec![], vec![]);
        for message in batch {
            match message {
                Message::Sent(row) => sent.push(row),
                Message::Call(recording) => calls.push(*recording),
                Message::Flush(done) => waiting.push(done),
            }
        }
        self.waiting.rows.fetch_sub(sent.len(), Ordering::AcqRel);
        let bytes = calls.iter().map(|call| call.data.len()).sum();
        self.waiting.bytes.fetch_sub(bytes, Ordering::AcqRel);
        if !sent.is_empty() {
            self.sent(sent).await;
        }
        if !calls.is_empty() {
            self.calls(calls).await;
        }
        let lost = self.waiting.lost.swap(0, Ordering::AcqRel);
        if lost > 0 {
            tracing::error!(
                lost,
                "records came faster than they could be written; these are missing"
            );
        }
        waiting
    }
}

impl Writer {
    async fn trim(&self) {
        // A million rows go in many short transactions, so that others get theirs in between.
        while self.sent(vec![]).await {}
        while self.calls(vec![]).await {}
    }

    /// Whether there is more to be removed.
    async fn sent(&self, rows: Vec<SentLine>) -> bool {
        let RecordSettings {
            sent_rows,
            sent_age,
            ..
        } = self.settings;
        let from = before(sent_age);
        match self.store.record_sent(rows, sent_rows, from).await {
            Ok(more) => more,
            Err(error) => {
                tracing::error!(%error, "what left could not be written to the record; these rows are missing in it");
                false
            }
        }
    }

    /// Whether there is more to be removed.
    async fn calls(&self, calls: Vec<Recording>) -> bool {
        let settings = &self.settings;
        let kept = RecordingsKept {
            per_function: settings.calls,
            total_bytes: settings.calls_size.as_u64(),
            from: before(settings.calls_age),
        };
        self.store
            .put_recordings(calls, kept)
            .await
            .unwrap_or_else(|error| {
                tracing::error!(%error, "recorded calls could not be kept");
                false
            })
    }
}

fn before(age: Duration) -> i64 {
    unix_ms(SystemTime::now().checked_sub(age).unwrap_or(UNIX_EPOCH))
}

pub(crate) fn unix_ms(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn ms(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
