//! The record of a run for the operator: one event on the target `iof::command` and one [`Run`] for
//! the [`Observer`]s, for every requested run.
//!
//! Both are written when the run is dropped, so that one whose call was cancelled halfway is recorded
//! too.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use iof_trace::CallTrace;
use uuid::Uuid;

use crate::call::{CallContext, Output, Refusal, Request};

/// The longest name in a [`Run`], in bytes: a name that was not granted is any text that a guest wrote.
const LONGEST: usize = 128;

/// A receiver of records of runs, besides the log.
pub trait Observer: Send + Sync {
    /// Takes the record of one run. It is called on a thread of the runtime, also while a cancelled
    /// call is dropped, so it must neither block nor panic.
    fn ran(&self, run: &Run<'_>);
}

/// One run of a command, and its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run<'a> {
    /// The time at which it began.
    pub at: SystemTime,
    /// The call's id.
    pub call: Uuid,
    /// The function's number.
    pub function_id: i64,
    /// The function's version.
    pub version: i64,
    /// The requested name.
    pub command: &'a str,
    /// The exit status, if it ran to its end.
    pub status: Option<i32>,
    /// Bytes of its arguments and of standard input.
    pub bytes_out: u64,
    /// Bytes of standard output and standard error.
    pub bytes_in: u64,
    /// The time from its beginning to its end.
    pub took: Duration,
    /// `ok` whatever the status, `not-granted`, `not-found`, `timed-out`, `cancelled`, or the code of
    /// the limit that ended it, such as `command-memory`.
    pub outcome: &'static str,
    /// The trace of its call, if traces are exported.
    pub trace: Option<&'a CallTrace>,
}

/// A run in progress.
pub(crate) struct RunRecord<'a> {
    call: &'a CallContext,
    observers: &'a [Arc<dyn Observer>],
    command: &'a str,
    at: SystemTime,
    started: Instant,
    status: Option<i32>,
    bytes_out: usize,
    bytes_in: usize,
    outcome: &'static str,
}

impl<'a> RunRecord<'a> {
    pub(crate) fn new(
        call: &'a CallContext,
        observers: &'a [Arc<dyn Observer>],
        command: &'a str,
        request: &Request,
    ) -> RunRecord<'a> {
        let args: usize = request.args.iter().map(String::len).sum();
        RunRecord {
            call,
            observers,
            command,
            at: SystemTime::now(),
            started: Instant::now(),
            status: None,
            bytes_out: args + request.stdin.len(),
            bytes_in: 0,
            outcome: "cancelled",
        }
    }

    pub(crate) fn done(mut self, result: &Result<Output, Refusal>) {
        match result {
            Ok(output) => {
                self.status = Some(output.status);
                self.bytes_in = output.stdout.len() + output.stderr.len();
                self.outcome = output.stopped.unwrap_or("ok");
            }
            Err(refusal) => self.outcome = refusal.outcome(),
        }
    }
}

impl Drop for RunRecord<'_> {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let (id, function, command) = (self.call.call, self.call.function_id, self.command);
        match self.status {
            Some(status) => tracing::debug!(
                target: "iof::command", call = %id, function, command, status, ms,
                outcome = self.outcome,
            ),
            None => tracing::info!(
                target: "iof::command", call = %id, function, command, ms,
                outcome = self.outcome,
            ),
        }
        if !self.observers.is_empty() {
            let run = Run {
                at: self.at,
                call: id,
                function_id: self.call.function_id,
                version: self.call.version,
                command: &command[..command.floor_char_boundary(LONGEST)],
                status: self.status,
                bytes_out: self.bytes_out as u64,
                bytes_in: self.bytes_in as u64,
                took,
                outcome: self.outcome,
                trace: self.call.trace.as_deref(),
            };
            for observer in self.observers {
                observer.ran(&run);
            }
        }
    }
}
