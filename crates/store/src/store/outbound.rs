//! The outbound log: each outbound request of a function, and each command that it ran.
//!
//! The rows are evidence, so deleting a function leaves them, and only the limits of number and age remove them.
//! Callers pass many at once, as they do with calls, and these share a transaction.
//!
//! Rows are numbered without gaps as they arrive. The oldest numbers are removed first, together with those that share
//! a row of the table with them: a limit keeps some rows more, and never one less.
//!
//! A removal is bounded. Every other change waits for the transaction that removes, so a first start with a smaller
//! limit removes a million rows in many short ones. A task that removes in the background was rejected: the server
//! calls often anyway, and knows when it is shutting down.

use super::Store;
use crate::error::Error;
use crate::model::{OutboundLine, OutboundQuery, OutboundRow};
use crate::rows::Outbound as _;

impl Store {
    /// Adds `rows` in their order, in one transaction, and removes the oldest: those that are not among the last
    /// `keep_rows`, and those that began before `keep_from` (Unix milliseconds). Some hundred more of either kind may
    /// stay, as long as they share a row of the table with one that does. When this returns `Ok`, all of it is on the
    /// disk.
    ///
    /// One call removes at least as many as it adds and some thousands more. Returns `true` if there are more to be
    /// removed, which the next call does; it may be made without rows.
    ///
    /// # Errors
    /// The errors of [`Store::delete_function`]; nothing was recorded.
    pub async fn record_outbound<R: Into<OutboundLine>>(
        &self,
        rows: Vec<R>,
        keep_rows: u64,
        keep_from: i64,
    ) -> Result<bool, Error> {
        let rows = rows.into_iter().map(Into::into).collect();
        self.finish(move |inner| async move {
            inner.rows.record_outbound(rows, keep_rows, keep_from).await
        })
        .await
    }

    /// The rows that match `query`. Functions that were deleted still have theirs.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the limit is not 1 to 1000, and the errors of [`Store::function`].
    pub async fn outbound(&self, query: &OutboundQuery) -> Result<Vec<OutboundRow>, Error> {
        query.check()?;
        self.rows().outbound(query).await
    }
}
