//! The log of calls, on its way to the store: counted and kept in memory, written off the path of calls.
//!
//! A call leaves a row and its times in its function's [`FunctionLog`], under a lock that only calls of that function
//! take, for the time that it takes to push. One task empties the logs that have something: a row is on the disk a few
//! milliseconds after its call when little happens, and the task writes for at most a third of its time when much does. A
//! log holds as many rows as the store keeps of a function, so what a burst leaves out would have been trimmed anyway.
//!
//! All rows that wait share `server.call_log_memory`. A row that has no room takes the place of the oldest ones of its own
//! function, or is dropped; what is dropped is counted, for all and for the function. Counts of calls are never dropped.
//!
//! Rejected: writing before the answer (a flush of the disk for every call), and a queue of calls (it fills when calls
//! come faster than rows can be written, and then either calls wait or counts are wrong).

mod row;
mod writer;

pub(crate) use row::{CallSummary, OWN_FIELD, Payload};

use crate::backlog::Backlog;
use crate::write_behind::{Sender, WriteBehind};
use bytes::Bytes;
use bytesize::ByteSize;
use iof_store::Store;
use row::Row;
use serde_json::Value as Json;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::time::Instant;
use writer::LogWriter;

/// The logs of all functions, and the task that writes them.
pub(crate) struct CallLog {
    queue: WriteBehind<Arc<FunctionLog>>,
    shared: Arc<Shared>,
}

/// The parts that the logs of all functions share.
struct Shared {
    /// Rows that are kept of each function.
    keep: usize,
    queue: Sender<Arc<FunctionLog>>,
    backlog: Arc<Backlog>,
    /// The functions that are loaded, wait to be written, or had rows dropped. Only loads take the lock.
    functions: Mutex<HashMap<i64, FunctionEntry>>,
}

/// One function among all.
#[derive(Default)]
struct FunctionEntry {
    log: Weak<FunctionLog>,
    /// Rows that logs before this one dropped.
    dropped: u64,
}

/// The log of a function for one load of it, with the state that its calls find.
pub(crate) struct LogHandle {
    log: Arc<FunctionLog>,
    state: Arc<str>,
}

/// The log of one function, however often it is loaded: rows and times that are not written yet.
struct FunctionLog {
    function_id: i64,
    shared: Arc<Shared>,
    unsaved: Mutex<Unsaved>,
}

#[derive(Default)]
struct Unsaved {
    rows: VecDeque<Row>,
    /// Bytes that are reserved for the rows.
    held: usize,
    counts: Counts,
    /// Rows that were dropped.
    dropped: u64,
    /// True if it is in the queue, where each log is once at a time: the queue is as long as functions are many.
    queued: bool,
}

/// Calls, counted.
#[derive(Clone, Copy, Default)]
struct Counts {
    invocations: u64,
    guest: Duration,
    latest: Duration,
}

/// Rows and counts that were taken to be written.
struct Taken {
    rows: VecDeque<Row>,
    /// Bytes that are reserved for the rows until they are written.
    held: usize,
    counts: Counts,
}

impl CallLog {
    /// Starts the task. `keep` rows of each function are kept; 0 keeps only counts. Rows that wait take up to `memory`.
    pub(crate) fn start(store: Store, keep: u32, memory: ByteSize) -> Self {
        let setting = "server.call_log_memory";
        let backlog = Arc::new(Backlog::new("rows of the call log", setting, memory));
        let queue = WriteBehind::start(LogWriter::new(store, keep, Arc::clone(&backlog)));
        let shared = Arc::new(Shared {
            keep: keep as usize,
            queue: queue.sender().clone(),
            backlog,
            functions: Mutex::default(),
        });
        Self { queue, shared }
    }

    /// The log of a function that was just loaded with `state`.
    pub(crate) fn of_function(&self, function_id: i64, state: &Arc<str>) -> LogHandle {
        let mut functions = lock(&self.shared.functions);
        let entry = functions.entry(function_id).or_default();
        let log = entry.log.upgrade().unwrap_or_else(|| {
            let log = Arc::new(FunctionLog {
                function_id,
                shared: Arc::clone(&self.shared),
                unsaved: Mutex::default(),
            });
            entry.log = Arc::downgrade(&log);
            log
        });
        LogHandle {
            log,
            state: row::kept(state),
        }
    }

    /// The rows of a function that were dropped since the server's start.
    pub(crate) fn dropped(&self, function_id: i64) -> u64 {
        let (before, log) = match lock(&self.shared.functions).get(&function_id) {
            Some(entry) => (entry.dropped, entry.log.upgrade()),
            None => return 0,
        };
        before + log.map_or(0, |log| lock(&log.unsaved).dropped)
    }

    /// Returns when the rows of all calls that ended are in the store.
    pub(crate) async fn flush(&self) {
        self.queue.flush().await;
    }

    /// Writes what waits, counts first, and ends soon after `deadline`. What is not written by then is dropped.
    pub(crate) async fn stop(&self, deadline: Instant) {
        self.queue.stop(deadline).await;
    }
}

impl LogHandle {
    /// Counts and logs a call that ended.
    pub(crate) fn called(&self, arguments: Payload, summary: CallSummary, guest: Duration) {
        self.record(Row::called(&self.state, arguments, summary, guest));
    }

    /// Logs a result that was sent on.
    pub(crate) fn called_back(&self, value: &Bytes, options: &Json) {
        self.record(Row::called_back(&self.state, value, options));
    }

    fn record(&self, row: Row) {
        let shared = &self.log.shared;
        let mut unsaved = lock(&self.log.unsaved);
        if let Some(guest) = row.guest() {
            unsaved.counts.add(guest);
        }
        if shared.keep > 0 {
            unsaved.push(row, shared);
        }
        unsaved.queue(&self.log);
    }
}

impl Unsaved {
    fn push(&mut self, row: Row, shared: &Shared) {
        if self.rows.len() == shared.keep {
            // Trimmed, as the store would.
            self.free_oldest(0, shared);
        }
        let grows = match self.rows.len() < self.rows.capacity() {
            true => 0,
            false => self.rows.capacity().max(4),
        };
        let heap = row.heap();
        let bytes = heap + grows * size_of::<Row>();
        if shared.backlog.reserve(bytes) {
            self.held += bytes;
            self.rows.reserve_exact(grows);
            self.rows.push_back(row);
            return;
        }
        // The place of a row that goes is one that this needs no room for.
        let places = self.rows.capacity() * size_of::<Row>();
        let dropped = match !self.rows.is_empty() && self.held.saturating_sub(places) >= heap {
            true => {
                let dropped = self.free_oldest(heap, shared);
                self.rows.push_back(row);
                dropped
            }
            false => 1,
        };
        self.dropped += dropped;
        shared.backlog.shed(dropped);
    }

    /// Drops the oldest rows, at least one, until they leave room for `heap` bytes, which stay reserved. Returns how many
    /// they were.
    fn free_oldest(&mut self, heap: usize, shared: &Shared) -> u64 {
        let (mut freed, mut dropped) = (0, 0);
        while let Some(oldest) = self.rows.pop_front() {
            freed += oldest.heap();
            dropped += 1;
            if freed >= heap {
                break;
            }
        }
        let left = freed.saturating_sub(heap);
        self.held = self.held.saturating_sub(left);
        shared.backlog.release(left);
        dropped
    }

    fn queue(&mut self, log: &Arc<FunctionLog>) {
        if !self.queued {
            self.queued = log.shared.queue.send(Arc::clone(log));
        }
    }
}

impl Counts {
    fn add(&mut self, guest: Duration) {
        self.invocations += 1;
        self.guest += guest;
        self.latest = guest;
    }
}

impl FunctionLog {
    fn take(&self) -> Taken {
        let mut unsaved = lock(&self.unsaved);
        unsaved.queued = false;
        Taken {
            rows: std::mem::take(&mut unsaved.rows),
            held: std::mem::take(&mut unsaved.held),
            counts: std::mem::take(&mut unsaved.counts),
        }
    }

    /// Counts calls once more that could not be written, to be written later; their `rows` are dropped.
    fn restore(self: &Arc<Self>, counts: Counts, rows: u64) {
        let mut unsaved = lock(&self.unsaved);
        let newer = unsaved.counts;
        unsaved.counts = Counts {
            invocations: counts.invocations + newer.invocations,
            guest: counts.guest + newer.guest,
            latest: match newer.invocations {
                0 => counts.latest,
                _ => newer.latest,
            },
        };
        unsaved.dropped += rows;
        unsaved.queue(self);
    }
}

/// The last owner is gone and nothing waits, or the queue would own it: the entry goes, but for what it counted.
impl Drop for FunctionLog {
    fn drop(&mut self) {
        let dropped = lock(&self.unsaved).dropped;
        let mut functions = lock(&self.shared.functions);
        let Some(entry) = functions.get_mut(&self.function_id) else {
            return;
        };
        entry.dropped += dropped;
        // Another may have been made meanwhile.
        if entry.log.strong_count() == 0 {
            entry.log = Weak::new();
            if entry.dropped == 0 {
                functions.remove(&self.function_id);
            }
        }
    }
}

/// A lock, also after a panic: what these guard is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
