//! The writer of call logs into the store.

use super::KeptRows;
use super::function_log::{Counts, FunctionLog, LogBatch};
use super::row::{Row, nanoseconds};
use crate::backlog::Backlog;
use crate::write_behind::{WriteFailure, Writer};
use iof_store::{Calls, Error, Store};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::time::Instant;

/// The most functions of one transaction.
const BATCH: usize = 1024;
/// Bytes of rows after which a transaction takes no further function, because writers of other tables wait for it.
const BATCH_BYTES: usize = 1 << 20;
/// The same bound during a stop, where a transaction that began before the deadline makes the stop longer.
const LAST_BYTES: usize = 256 << 10;

pub(super) struct LogWriter {
    store: Store,
    kept: KeptRows,
    backlog: Arc<Backlog>,
}

impl LogWriter {
    pub(super) fn new(store: Store, kept: KeptRows, backlog: Arc<Backlog>) -> Self {
        Self {
            store,
            kept,
            backlog,
        }
    }

    /// Writes the rows and counts that were taken from logs, and releases their memory.
    async fn record(&self, taken: Vec<(Arc<FunctionLog>, LogBatch)>) -> Result<usize, Error> {
        let held = taken.iter().map(|(_, taken)| taken.held).sum();
        let mut counted = Vec::with_capacity(taken.len());
        let mut calls = Vec::with_capacity(taken.len());
        let mut refused = vec![];
        for (log, taken) in taken {
            let LogBatch { rows, counts, .. } = taken;
            let function = log.function_id;
            let records = taken.refused.into_iter();
            refused.extend(records.map(|call| call.into_record(function)));
            counted.push((Arc::clone(&log), counts, rows.len()));
            calls.push(of_function(function, counts, rows));
        }
        let recorded = self.store.record_calls(calls, self.kept.calls).await;
        let of_refused = refused.len();
        let refused = match refused.is_empty() {
            true => Ok(()),
            false => self.store.record_refused(refused, self.kept.refused).await,
        };
        self.backlog.release(held);
        if let Err(error) = refused {
            self.backlog.lose(of_refused as u64);
            tracing::error!(%error, "refused calls could not be written to the log: their rows are lost");
        }
        let rows: usize = counted.iter().map(|(.., rows)| *rows).sum();
        let Err(error) = recorded else {
            return Ok(rows + of_refused);
        };
        for (log, counts, rows) in counted {
            log.restore(counts, rows as u64);
        }
        self.backlog.lose(rows as u64);
        Err(error)
    }
}

impl Writer for LogWriter {
    type Item = Arc<FunctionLog>;
    const BATCH: usize = BATCH;
    // Calls take precedence: the log may use a third of one core, and drops the rows that it cannot write.
    const REST: u32 = 2;
    const RESTS_WHEN_FULL: bool = true;

    async fn write(
        &mut self,
        logs: &mut VecDeque<Arc<FunctionLog>>,
    ) -> Result<usize, WriteFailure> {
        let (mut taken, mut bytes) = (vec![], 0);
        while taken.len() < BATCH
            && bytes < BATCH_BYTES
            && let Some(log) = logs.pop_front()
        {
            let one = log.take();
            bytes += one.held;
            taken.push((log, one));
        }
        let recorded = self.record(taken).await;
        self.backlog.report();
        recorded.map_err(|error| {
            tracing::error!(%error, "calls could not be written to the log: their rows are lost, and they are counted later");
            WriteFailure
        })
    }

    async fn finish(&mut self, logs: VecDeque<Arc<FunctionLog>>, deadline: Instant) {
        let (mut counts, mut waiting) = (vec![], vec![]);
        for log in logs {
            let mut taken = log.take();
            counts.push(of_function(log.function_id, taken.counts, VecDeque::new()));
            taken.counts = Counts::default();
            if !taken.rows.is_empty() || !taken.refused.is_empty() {
                waiting.push((log, taken));
            }
        }
        let mut left = rows_of(&waiting);
        self.backlog.set_left(left);
        if let Err(error) = self.store.record_calls(counts, self.kept.calls).await {
            tracing::error!(%error, "calls could not be counted before the stop; they are missing from the usage");
        }
        // The newest rows come last, where rows are taken from. Within a function, the order of numbers is that of
        // time, so a function's rows stay together.
        waiting.sort_by_cached_key(|(_, taken)| taken.rows.back().map(|row| row.at));
        while !waiting.is_empty() && Instant::now() < deadline {
            let (mut taken, mut bytes) = (vec![], 0);
            while bytes < LAST_BYTES
                && let Some((log, one)) = waiting.pop()
            {
                bytes += one.held;
                taken.push((log, one));
            }
            let rows = rows_of(&taken);
            if let Err(error) = self.record(taken).await {
                tracing::error!(%error, "calls could not be written to the log before the stop: their rows are lost");
            }
            left -= rows;
            self.backlog.set_left(left);
        }
        self.backlog.close(left as u64);
    }

    async fn tidy(&mut self) {}
}

fn rows_of(taken: &[(Arc<FunctionLog>, LogBatch)]) -> usize {
    taken
        .iter()
        .map(|(_, taken)| taken.rows.len() + taken.refused.len())
        .sum()
}

fn of_function(function_id: i64, counts: Counts, rows: VecDeque<Row>) -> Calls {
    Calls {
        function_id,
        invocations: counts.invocations,
        guest_ns: nanoseconds(counts.guest),
        latest_ns: nanoseconds(counts.latest),
        newest: rows
            .into_iter()
            .map(|row| row.into_call(function_id))
            .collect(),
    }
}
