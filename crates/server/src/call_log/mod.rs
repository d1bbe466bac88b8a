//! The log of calls on its way to the store: kept in memory first, and written outside the path of calls.
//!
//! A call adds a row and its times to its function's [`FunctionLog`], under a lock that only calls of that function
//! take, and only for the push. One task empties the logs that have rows. Under low load, a row is on the disk a few
//! milliseconds after its call; under high load, the task writes for at most a third of its time. A log holds as many
//! rows as the store keeps for a function, so a burst loses only rows that would have been trimmed anyway.
//!
//! Calls that were refused before their function ran have separate rows, `server.refused_rows` for each function: a
//! flood of refused calls does not push out rows of calls that ran. Refused calls do not count as calls.
//!
//! All waiting rows share `server.call_log_memory`. A row without room replaces the oldest rows of its own function, or
//! is dropped; dropped rows are counted, in total and for the function. Counts of calls are never dropped.
//!
//! Rejected: writing before the answer (one flush of the disk for every call), and a queue of calls (if calls arrive
//! faster than rows can be written, it fills, and either calls wait or counts are wrong).

mod function_log;
mod reading;
mod refused;
mod row;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use function_log::LogHandle;
pub(crate) use reading::CallResult;
pub(crate) use refused::RefusedCall;
pub(crate) use row::{CallSummary, CallerKind, OWN_FIELD, Payload};

use crate::backlog::Backlog;
use crate::write_behind::WriteBehind;
use bytesize::ByteSize;
use function_log::{FunctionLog, FunctionLogs};
use iof_store::Store;
use std::sync::Arc;
use tokio::time::Instant;
use writer::LogWriter;

/// The number of rows that are kept for each function.
#[derive(Clone, Copy)]
pub(crate) struct KeptRows {
    /// Rows of calls that ran; 0 keeps only counts.
    pub(crate) calls: u32,
    /// Rows of calls that were refused.
    pub(crate) refused: u32,
}

/// The logs of all functions, and the task that writes them.
pub(crate) struct CallLog {
    queue: WriteBehind<Arc<FunctionLog>>,
    functions: Arc<FunctionLogs>,
}

impl CallLog {
    /// Starts the task. `kept` is the number of rows for each function; waiting rows take up to `memory`.
    pub(crate) fn start(store: Store, kept: KeptRows, memory: ByteSize) -> Self {
        let setting = "server.call_log_memory";
        let backlog = Arc::new(Backlog::new("rows of the call log", setting, memory));
        let queue = WriteBehind::start(LogWriter::new(store, kept, Arc::clone(&backlog)));
        let sender = queue.sender().clone();
        let functions = FunctionLogs::new(kept, sender, backlog);
        Self {
            queue,
            functions: Arc::new(functions),
        }
    }

    /// The log of a function that was just loaded with `state`.
    pub(crate) fn of_function(&self, function_id: i64, state: &Arc<str>) -> LogHandle {
        LogHandle::new(self.functions.get(function_id), state)
    }

    /// Logs a call that was refused before the function `function_id` ran, whether the function is loaded or not.
    pub(crate) fn refused(&self, function_id: i64, call: RefusedCall) {
        self.functions.get(function_id).refused(call);
    }

    /// The number of rows of a function that were dropped since the server's start.
    pub(crate) fn dropped(&self, function_id: i64) -> u64 {
        self.functions.dropped(function_id)
    }

    /// Waits until the rows of all ended calls are in the store.
    pub(crate) async fn flush(&self) {
        self.queue.flush().await;
    }

    /// The waiting rows, and the number of dropped ones.
    pub(crate) fn backlog(&self) -> &Backlog {
        &self.functions.backlog
    }

    /// The number of rows that a stop still has to write.
    pub(crate) fn left(&self) -> usize {
        self.functions.backlog.left()
    }

    /// Writes the waiting rows, counts first, and ends soon after `deadline`. Rows that are not written by then are
    /// dropped.
    pub(crate) async fn stop(&self, deadline: Instant) {
        self.queue.stop(deadline).await;
    }
}
