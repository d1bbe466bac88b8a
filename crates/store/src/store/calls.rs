//! The log of calls: the newest of each function, and a count of all.
//!
//! A row for each call, written as it ends, would make every call wait for the disk, or a queue of them grow. So the
//! server passes many calls at once, and they share a transaction. Calls that were trimmed from the log still count:
//! counters are separate from it and never reset.
//!
//! Counters saturate: a count that stays at its maximum is better than one that starts again at zero.

use super::Store;
use crate::error::Error;
use crate::model::{Calls, LoggedCall, RefusedCall, Usage};
use crate::rows::{CallLog as _, RefusedCalls as _};

impl Store {
    /// Counts calls and logs the newest of them, in one transaction; after it, the log has at most the `keep` newest of
    /// each function named. Calls of a function that no longer exists are skipped. When this returns `Ok`, the rest is
    /// on the disk, and [`Store::calls`] and [`Store::usage`] see it.
    ///
    /// # Errors
    /// The errors of [`Store::delete_function`]; nothing was counted.
    pub async fn record_calls(&self, calls: Vec<Calls>, keep: u32) -> Result<(), Error> {
        self.finish(move |inner| async move { inner.rows.record_calls(calls, keep).await })
            .await
    }

    /// Up to `count` logged calls of a function: the oldest ones, oldest first, or the newest ones, newest first. Empty
    /// if it was never called, or does not exist.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn calls(
        &self,
        function_id: i64,
        newest_first: bool,
        count: u32,
    ) -> Result<Vec<LoggedCall>, Error> {
        self.rows().calls(function_id, newest_first, count).await
    }

    /// Up to `count` logged calls of a function that came after the one numbered `after`, oldest first.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn calls_after(
        &self,
        function_id: i64,
        after: i64,
        count: u32,
    ) -> Result<Vec<LoggedCall>, Error> {
        self.rows().calls_after(function_id, after, count).await
    }

    /// Logs calls that were refused before their function ran, in one transaction; after it, the log has at most the
    /// `keep` newest of them of each function named. They are not counted, and push out no call that ran. Their numbers
    /// are of the same sequence. Those of a function that no longer exists are skipped.
    ///
    /// # Errors
    /// The errors of [`Store::delete_function`]; none was logged.
    pub async fn record_refused(&self, calls: Vec<RefusedCall>, keep: u32) -> Result<(), Error> {
        self.finish(move |inner| async move { inner.rows.record_refused(calls, keep).await })
            .await
    }

    /// Up to `count` refused calls of a function, oldest first: the first ones after the number `after`, or the newest.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn refused_calls(
        &self,
        function_id: i64,
        after: Option<i64>,
        count: u32,
    ) -> Result<Vec<LoggedCall>, Error> {
        self.rows().refused_calls(function_id, after, count).await
    }

    /// The use of a function, at one moment. All zero if it was never called, or does not exist.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn usage(&self, function_id: i64) -> Result<Usage, Error> {
        self.rows().usage(function_id).await
    }
}
