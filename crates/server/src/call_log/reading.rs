//! The log of a function, as readers see it: calls that ran and calls that were refused, in the order of their numbers.

use super::CallLog;
use super::row::OWN_FIELD;
use iof_store::{LoggedCall, Store};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// The result of a call.
#[derive(Default, Deserialize, Serialize, ToSchema)]
pub(crate) struct CallResult {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) call: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) export: Option<String>,
    /// `schedule` if a schedule of the function made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) caller: Option<String>,
    /// True if it was refused before the function ran.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) refused: bool,
    /// The code of the fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fault: Option<String>,
    /// The message of the fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
    /// The functions that were under way when it failed, the innermost first, with the lines of their source if the module
    /// says them: `divide (src/lib.rs:12:5)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) trace: Vec<String>,
    /// The most bytes of memory that it had at once. Calls that older releases logged, and refused ones, have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) memory_peak_bytes: Option<u64>,
    /// The first 4 KiB that it printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stdout: Option<String>,
    /// The first 4 KiB that it printed to stderr.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stderr: Option<String>,
}

impl CallResult {
    /// The result in a row of the log; `None` for a row of a result that was sent to a callback.
    pub(crate) fn of(row: &LoggedCall) -> Option<Self> {
        let mut record: Value = serde_json::from_str(&row.record).ok()?;
        if record.get("callback_data_payload").is_some() {
            return None;
        }
        let own = record.get_mut(OWN_FIELD).map(Value::take);
        Some(serde_json::from_value(own.unwrap_or_default()).unwrap_or_default())
    }
}

impl CallLog {
    /// Up to `limit` rows of the log of a function, oldest first: the first ones after the number `after`, or the newest.
    ///
    /// # Errors
    /// The errors of the store.
    pub(crate) async fn rows(
        &self,
        store: &Store,
        id: i64,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<LoggedCall>, iof_store::Error> {
        self.flush().await;
        let mut rows = match after {
            Some(after) => store.calls_after(id, after, limit).await?,
            None => store.calls(id, true, limit).await?,
        };
        rows.extend(store.refused_calls(id, after, limit).await?);
        rows.sort_by_key(|row| row.log_id);
        match after {
            Some(_) => rows.truncate(limit as usize),
            None => drop(rows.drain(..rows.len().saturating_sub(limit as usize))),
        }
        Ok(rows)
    }
}
