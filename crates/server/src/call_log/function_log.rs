//! The log of one function: rows and times that wait to be written, and the memory that they take.

use super::KeptRows;
use super::refused::RefusedCall;
use super::row::{CallSummary, Payload, Row, kept};
use crate::backlog::Backlog;
use crate::write_behind::Sender;
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value as Json;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The logs of functions, and the parts that these logs share.
pub(super) struct FunctionLogs {
    /// The number of rows that are kept of each function.
    keep: usize,
    /// The number of rows of refused calls that are kept of each function.
    keep_refused: usize,
    queue: Sender<Arc<FunctionLog>>,
    pub(super) backlog: Arc<Backlog>,
    /// The functions that are loaded, have rows waiting, or had rows dropped. Only loads take the lock.
    pub(super) functions: Mutex<HashMap<i64, FunctionEntry>>,
}

/// The entry of one function.
#[derive(Default)]
pub(super) struct FunctionEntry {
    pub(super) log: Weak<FunctionLog>,
    /// Rows that earlier logs of the function dropped.
    dropped: u64,
}

/// The log of a function for one load of it, with the stored state that its calls see.
pub(crate) struct LogHandle {
    pub(super) log: Arc<FunctionLog>,
    state: Arc<str>,
}

/// The log of one function, shared by all its loads: rows and times that wait to be written.
pub(super) struct FunctionLog {
    pub(super) function_id: i64,
    shared: Arc<FunctionLogs>,
    unsaved: Mutex<Unsaved>,
}

#[derive(Default)]
struct Unsaved {
    rows: VecDeque<Row>,
    /// Bytes that are reserved for the rows.
    held: usize,
    /// The newest refused calls.
    refused: VecDeque<RefusedCall>,
    /// Bytes that are reserved for the refused calls.
    held_refused: usize,
    counts: Counts,
    /// Rows that were dropped.
    dropped: u64,
    /// True if the log is in the queue. Each log is in it at most once, so the number of functions bounds the queue.
    queued: bool,
}

/// Counts of calls.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) invocations: u64,
    pub(super) guest: Duration,
    pub(super) latest: Duration,
}

/// Rows and counts that were taken from a log to be written.
pub(super) struct LogBatch {
    pub(super) rows: VecDeque<Row>,
    pub(super) refused: VecDeque<RefusedCall>,
    /// Bytes that are reserved for the rows until they are written.
    pub(super) held: usize,
    pub(super) counts: Counts,
}

impl FunctionLogs {
    pub(super) fn new(
        kept: KeptRows,
        queue: Sender<Arc<FunctionLog>>,
        backlog: Arc<Backlog>,
    ) -> Self {
        Self {
            keep: kept.calls as usize,
            keep_refused: kept.refused as usize,
            queue,
            backlog,
            functions: Mutex::default(),
        }
    }

    /// The log of a function.
    pub(super) fn get(self: &Arc<Self>, function_id: i64) -> Arc<FunctionLog> {
        let mut functions = lock(&self.functions);
        let entry = functions.entry(function_id).or_default();
        entry.log.upgrade().unwrap_or_else(|| {
            let log = Arc::new(FunctionLog {
                function_id,
                shared: Arc::clone(self),
                unsaved: Mutex::default(),
            });
            entry.log = Arc::downgrade(&log);
            log
        })
    }

    /// The rows of a function that were dropped since the start.
    pub(super) fn dropped(&self, function_id: i64) -> u64 {
        let (before, log) = match lock(&self.functions).get(&function_id) {
            Some(entry) => (entry.dropped, entry.log.upgrade()),
            None => return 0,
        };
        before + log.map_or(0, |log| lock(&log.unsaved).dropped)
    }
}

impl LogHandle {
    /// Makes a handle for a load with `state`.
    pub(super) fn new(log: Arc<FunctionLog>, state: &Arc<str>) -> Self {
        Self {
            log,
            state: kept(state),
        }
    }

    /// Counts and logs a call that ended.
    pub(crate) fn called(&self, arguments: Payload, summary: CallSummary, guest: Duration) {
        self.record(Row::called(&self.state, arguments, summary, guest));
    }

    /// Logs a result that was sent to a callback.
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
    fn push(&mut self, row: Row, shared: &FunctionLogs) {
        if self.rows.len() == shared.keep {
            // Trimmed here as the store would do.
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
        // The removed row frees its slot, so the new row needs no more slots.
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

    /// Drops the oldest rows, at least one, until there is room for `heap` bytes, which stay reserved. Returns the
    /// number of dropped rows.
    fn free_oldest(&mut self, heap: usize, shared: &FunctionLogs) -> u64 {
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

    /// Adds a refused call. It replaces the oldest one when the log is full.
    fn refuse(&mut self, call: RefusedCall, shared: &FunctionLogs) {
        if self.refused.len() >= shared.keep_refused
            && let Some(oldest) = self.refused.pop_front()
        {
            self.held_refused = self.held_refused.saturating_sub(oldest.bytes());
            shared.backlog.release(oldest.bytes());
        }
        let bytes = call.bytes();
        if shared.backlog.reserve(bytes) {
            self.held_refused += bytes;
            self.refused.push_back(call);
        } else {
            self.dropped += 1;
            shared.backlog.shed(1);
        }
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
    pub(super) fn refused(self: &Arc<Self>, call: RefusedCall) {
        let shared = &self.shared;
        if shared.keep_refused == 0 {
            return;
        }
        let mut unsaved = lock(&self.unsaved);
        unsaved.refuse(call, shared);
        unsaved.queue(self);
    }

    pub(super) fn take(&self) -> LogBatch {
        let mut unsaved = lock(&self.unsaved);
        unsaved.queued = false;
        LogBatch {
            rows: std::mem::take(&mut unsaved.rows),
            refused: std::mem::take(&mut unsaved.refused),
            held: std::mem::take(&mut unsaved.held) + std::mem::take(&mut unsaved.held_refused),
            counts: std::mem::take(&mut unsaved.counts),
        }
    }

    /// Puts counts that could not be written back, to be written later; their `rows` are dropped.
    pub(super) fn restore(self: &Arc<Self>, counts: Counts, rows: u64) {
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

/// Removes the entry, except for its count of dropped rows. The last owner is gone and no row waits; otherwise the
/// queue would own the log.
impl Drop for FunctionLog {
    fn drop(&mut self) {
        let dropped = lock(&self.unsaved).dropped;
        let mut functions = lock(&self.shared.functions);
        let Some(entry) = functions.get_mut(&self.function_id) else {
            return;
        };
        entry.dropped += dropped;
        // A new log may have been made meanwhile.
        if entry.log.strong_count() == 0 {
            entry.log = Weak::new();
            if entry.dropped == 0 {
                functions.remove(&self.function_id);
            }
        }
    }
}

/// Takes a lock, even after a panic: the data that these locks guard is consistent between any two statements.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}
