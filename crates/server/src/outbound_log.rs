//! The outbound log: a queue to the store of outbound requests and commands of functions, and of recorded calls.
//!
//! A request that was sent or a command that ran puts a row into the queue, without a lock and without waiting. The
//! waiting rows are bounded in bytes (`records.memory`). Rows that arrive while the queue is full are dropped, counted,
//! and reported in the server's own log: a call must not wait for its record, and memory must not grow when the disk is
//! slow.

use crate::backlog::Backlog;
use crate::settings::RecordSettings;
use crate::time::{unix_ms, unix_ms_before};
use crate::write_behind::{Sender, WriteBehind, WriteFailure, Writer};
use iof_store::{
    OutboundKind, OutboundLine, OutboundRecord, OutboundWait, Recording, RecordingLimits, Store,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The outbound log, and the task that writes it. A process has one.
pub struct OutboundLog {
    sender: OutboundSender,
    queue: WriteBehind<Entry>,
    settings: RecordSettings,
}

/// A sender of rows to the outbound log.
#[derive(Clone)]
pub struct OutboundSender {
    sender: Sender<Entry>,
    backlog: Arc<Backlog>,
}

enum Entry {
    Sent(OutboundLine),
    Call(Box<Recording>),
}

/// The most entries of one transaction.
const BATCH: usize = 2_000;
/// Bytes after which a transaction takes no further entry.
const BATCH_BYTES: usize = 4 << 20;

impl Entry {
    /// The bytes that this entry holds in memory.
    fn size(&self) -> usize {
        let own = match self {
            Self::Sent(line) => line.size(),
            Self::Call(call) => size_of::<Recording>() + call.outcome.len() + call.data.len(),
        };
        own + size_of::<Self>()
    }
}

impl OutboundLog {
    /// Starts the task; must be called in a runtime.
    #[must_use]
    pub fn start(store: Store, settings: RecordSettings) -> Self {
        let (records, setting) = ("records of outbound requests and calls", "records.memory");
        let backlog = Arc::new(Backlog::new(records, setting, settings.memory));
        let queue = WriteBehind::start(EntryWriter {
            store,
            settings: settings.clone(),
            backlog: Arc::clone(&backlog),
        });
        Self {
            sender: OutboundSender {
                sender: queue.sender().clone(),
                backlog,
            },
            queue,
            settings,
        }
    }

    /// The records that wait, and those that were dropped.
    pub(crate) fn backlog(&self) -> &Backlog {
        &self.sender.backlog
    }

    /// A sender of rows.
    #[must_use]
    pub fn sender(&self) -> Arc<OutboundSender> {
        Arc::new(self.sender.clone())
    }

    /// The largest call that is recorded, in bytes.
    pub(crate) fn call_size(&self) -> usize {
        usize::try_from(self.settings.call_size.as_u64()).unwrap_or(usize::MAX)
    }

    /// Stores a recorded call.
    pub(crate) fn call(&self, recording: Recording) {
        self.sender.send(Entry::Call(Box::new(recording)));
    }

    /// Returns when everything that was sent is in the store.
    pub(crate) async fn flush(&self) {
        self.queue.flush().await;
    }

    /// The number of records that a stop still has to write.
    pub(crate) fn left(&self) -> usize {
        self.sender.backlog.left()
    }

    /// Writes the entries that wait, and ends soon after `deadline`. Entries that are not written by then are dropped.
    pub(crate) async fn stop(&self, deadline: Instant) {
        self.queue.stop(deadline).await;
    }
}

impl OutboundSender {
    fn send(&self, entry: Entry) {
        if self.backlog.reserve(entry.size()) {
            // The queue refuses an entry when the server has stopped.
            self.sender.send(entry);
        } else {
            self.backlog.shed(1);
        }
    }
}

impl iof_egress::Observer for OutboundSender {
    fn sent(&self, entry: &iof_egress::Entry<'_>) {
        let record = OutboundRecord {
            at: unix_ms(entry.at),
            call: entry.call,
            function_id: entry.function_id,
            version: entry.version,
            kind: OutboundKind::Request,
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
            waited: entry.waited.map(|waited| OutboundWait {
                ms: ms(waited.took),
                limit: waited.limit.to_owned(),
            }),
        };
        self.send(Entry::Sent(record.into()));
    }
}

impl iof_command::Observer for OutboundSender {
    fn ran(&self, run: &iof_command::Run<'_>) {
        let record = OutboundRecord {
            at: unix_ms(run.at),
            call: run.call,
            function_id: run.function_id,
            version: run.version,
            kind: OutboundKind::Command,
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
            waited: None,
        };
        self.send(Entry::Sent(record.into()));
    }
}

/// The writer of entries into the store.
struct EntryWriter {
    store: Store,
    settings: RecordSettings,
    backlog: Arc<Backlog>,
}

impl Writer for EntryWriter {
    type Item = Entry;
    const BATCH: usize = BATCH;
    // Entries that arrive while the queue is full are lost. The task writes for a fifth of its time, and longer if
    // necessary.
    const REST: u32 = 4;
    const RESTS_WHEN_FULL: bool = false;

    async fn write(&mut self, entries: &mut VecDeque<Entry>) -> Result<usize, WriteFailure> {
        let (mut sent, mut calls, mut bytes) = (vec![], vec![], 0);
        while sent.len() + calls.len() < BATCH
            && bytes < BATCH_BYTES
            && let Some(entry) = entries.pop_front()
        {
            bytes += entry.size();
            match entry {
                Entry::Sent(row) => sent.push(row),
                Entry::Call(recording) => calls.push(*recording),
            }
        }
        let count = sent.len() + calls.len();
        if !sent.is_empty() {
            self.sent(sent).await;
        }
        if !calls.is_empty() {
            self.calls(calls).await;
        }
        self.backlog.release(bytes);
        self.backlog.report();
        Ok(count)
    }

    async fn finish(&mut self, mut entries: VecDeque<Entry>, deadline: Instant) {
        while !entries.is_empty() && Instant::now() < deadline {
            self.backlog.set_left(entries.len());
            let _ = self.write(&mut entries).await;
        }
        self.backlog.close(entries.len() as u64);
    }

    /// Removes old rows in many short transactions, so that other writers get their turns in between.
    async fn tidy(&mut self) {
        while self.sent(vec![]).await {}
        while self.calls(vec![]).await {}
    }
}

impl EntryWriter {
    /// Writes rows, and removes old ones. Returns whether there are more to remove.
    async fn sent(&self, rows: Vec<OutboundLine>) -> bool {
        let RecordSettings {
            sent_rows,
            sent_age,
            ..
        } = self.settings;
        let from = unix_ms_before(sent_age);
        match self.store.record_outbound(rows, sent_rows, from).await {
            Ok(more) => more,
            Err(error) => {
                tracing::error!(%error, "rows of the outbound log could not be written and are lost");
                false
            }
        }
    }

    /// Writes rows, and removes old ones. Returns whether there are more to remove.
    async fn calls(&self, calls: Vec<Recording>) -> bool {
        let settings = &self.settings;
        let kept = RecordingLimits {
            per_function: settings.calls,
            total_bytes: settings.calls_size.as_u64(),
            from: unix_ms_before(settings.calls_age),
        };
        self.store
            .put_recordings(calls, kept)
            .await
            .unwrap_or_else(|error| {
                tracing::error!(%error, "recorded calls could not be stored");
                false
            })
    }
}

fn ms(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
