//! The newest failed calls of all functions, in memory, for an operator's first look. The logs of functions keep all
//! calls, and keep them longer.

use crate::calls::EndedCall;
use crate::http::truncate;
use crate::time::unix_ms_now;
use parking_lot::Mutex;
use std::collections::VecDeque;
use uuid::Uuid;

/// The number of calls that are kept.
const KEPT: usize = 50;
/// The most characters of a message that are kept, because a function may have chosen it.
const MESSAGE: usize = 300;

/// A call that failed.
#[derive(Clone)]
pub(crate) struct FailedCall {
    /// The time at which it ended, in Unix milliseconds.
    pub(crate) at: i64,
    pub(crate) call: Uuid,
    pub(crate) function: i64,
    /// The name of the function, if it has one.
    pub(crate) name: Option<String>,
    pub(crate) version: i64,
    pub(crate) export: String,
    /// The code of the fault.
    pub(crate) fault: String,
    pub(crate) message: String,
}

/// The newest calls that failed, the oldest first.
#[derive(Default)]
pub(crate) struct RecentFaults(Mutex<VecDeque<FailedCall>>);

impl RecentFaults {
    /// Keeps a call if it failed.
    pub(crate) fn note(&self, ended: &EndedCall<'_>) {
        let Err(fault) = &ended.outcome.result else {
            return;
        };
        let failed = FailedCall {
            at: unix_ms_now(),
            call: ended.call,
            function: ended.function.id,
            name: ended.function.label.as_deref().map(str::to_owned),
            version: ended.function.version,
            export: truncate(ended.export),
            fault: truncate(fault.code()),
            message: fault.message.chars().take(MESSAGE).collect(),
        };
        let mut kept = self.0.lock();
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(failed);
    }

    /// Up to `limit` calls, the newest first.
    pub(crate) fn newest(&self, limit: usize) -> Vec<FailedCall> {
        let kept = self.0.lock();
        kept.iter().rev().take(limit).cloned().collect()
    }
}
