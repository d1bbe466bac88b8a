//! The audit log: requests and commands that left because of functions, and recorded calls, on their way to the store.
//!
//! A request that was sent or a command that ran leaves a row in a queue, without a lock and without waiting. The queue
//! has a bound. What comes when it is full is counted and said in the log: a call must not wait for its own record, and
//! memory must not grow with a disk that is slow.

use crate::settings::RecordSettings;
use crate::write_behind::{Sender, WriteBehind, Writer};
use iof_store::{AuditKind, AuditLine, AuditRecord, Recording, RecordingsKept, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The audit log, and the task that writes it. One for the process.
pub struct AuditLog {
    sender: AuditSender,
    queue: WriteBehind<Entry>,
    settings: RecordSettings,
}

/// A sender of rows to the audit log.
#[derive(Clone)]
pub struct AuditSender {
    sender: Sender<Entry>,
    waiting: Arc<Waiting>,
}

#[derive(Default)]
struct Waiting {
    rows: AtomicUsize,
    /// Bytes of recorded calls.
    bytes: AtomicUsize,
    lost: AtomicU64,
}

enum Entry {
    Sent(AuditLine),
    Call(Box<Recording>),
}

/// Rows that wait at most: a second of the fastest that this server sends.
const ROWS: usize = 100_000;
/// Bytes of recorded calls that wait at most.
const BYTES: usize = 64 << 20;
impl AuditLog {
    /// Starts the task; needs a runtime.
    #[must_use]
    pub fn start(store: Store, settings: RecordSettings) -> Self {
        let waiting = Arc::new(Waiting::default());
        let queue = WriteBehind::start(EntryWriter {
            store,
            settings: settings.clone(),
            waiting: Arc::clone(&waiting),
        });
        Self {
            sender: AuditSender {
                sender: queue.sender().clone(),
                waiting,
            },
            queue,
            settings,
        }
    }

    /// A sender of rows.
    #[must_use]
    pub fn sender(&self) -> Arc<AuditSender> {
        Arc::new(self.sender.clone())
    }

    /// The largest call that is recorded, in bytes.
    pub(crate) fn call_size(&self) -> usize {
        usize::try_from(self.settings.call_size.as_u64()).unwrap_or(usize::MAX)
    }

    /// Keeps a call.
    pub(crate) fn call(&self, recording: Recording) {
        let bytes = recording.data.len();
        let waiting = &self.sender.waiting;
        if waiting.bytes.fetch_add(bytes, Ordering::AcqRel) + bytes > BYTES {
            waiting.bytes.fetch_sub(bytes, Ordering::AcqRel);
            waiting.lost.fetch_add(1, Ordering::AcqRel);
            return;
        }
        // Not taken when the server has stopped.
        self.sender.sender.send(Entry::Call(Box::new(recording)));
    }

    /// Returns when everything that was sent is in the store.
    pub(crate) async fn flush(&self) {
        self.queue.flush().await;
    }
}

impl AuditSender {
    fn send(&self, sent: AuditRecord) {
        if self.waiting.rows.fetch_add(1, Ordering::AcqRel) >= ROWS {
            self.waiting.rows.fetch_sub(1, Ordering::AcqRel);
            self.waiting.lost.fetch_add(1, Ordering::AcqRel);
            return;
        }
        // Not taken when the server has stopped.
        self.sender.send(Entry::Sent(sent.into()));
    }
}

impl iof_egress::Observer for AuditSender {
    fn sent(&self, entry: &iof_egress::Entry<'_>) {
        self.send(AuditRecord {
            at: unix_ms(entry.at),
            call: entry.call,
            function_id: entry.function_id,
            version: entry.version,
            kind: AuditKind::Request,
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

impl iof_command::Observer for AuditSender {
    fn ran(&self, run: &iof_command::Run<'_>) {
        self.send(AuditRecord {
            at: unix_ms(run.at),
            call: run.call,
            function_id: run.function_id,
            version: run.version,
            kind: AuditKind::Command,
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

/// The writer of entries into the store.
struct EntryWriter {
    store: Store,
    settings: RecordSettings,
    waiting: Arc<Waiting>,
}

impl Writer for EntryWriter {
    type Item = Entry;
    const BATCH: usize = 2_000;
    // Entries that come while the queue is full are lost: this writes for a fifth of its time, and on when it has to.
    const REST: u32 = 4;
    const RESTS_WHEN_FULL: bool = false;

    async fn write(&mut self, entries: Vec<Entry>) -> usize {
        let count = entries.len();
        let (mut sent, mut calls) = (vec![], vec![]);
        for entry in entries {
            match entry {
                Entry::Sent(row) => sent.push(row),
                Entry::Call(recording) => calls.push(*recording),
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
        count
    }

    /// A million rows go in many short transactions, so that others get theirs in between.
    async fn tidy(&mut self) {
        while self.sent(vec![]).await {}
        while self.calls(vec![]).await {}
    }
}

impl EntryWriter {
    /// Writes rows, and removes old ones. Returns whether there are more to remove.
    async fn sent(&self, rows: Vec<AuditLine>) -> bool {
        let RecordSettings {
            sent_rows,
            sent_age,
            ..
        } = self.settings;
        let from = before(sent_age);
        match self.store.record_audit(rows, sent_rows, from).await {
            Ok(more) => more,
            Err(error) => {
                tracing::error!(%error, "what left could not be written to the record; these rows are missing in it");
                false
            }
        }
    }

    /// Writes rows, and removes old ones. Returns whether there are more to remove.
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
