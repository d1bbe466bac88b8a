//! The statements that count and log calls, whatever the number of functions.
//!
//! Each statement costs a message to SQLite's thread and back, and its own parsing and planning, which together cost
//! more than the row that it writes. So a statement takes all functions at once, as JSON that is bound once
//! (`json_each`), and the texts of all chunks as one blob, of which each row takes its part.
//!
//! Rejected: rows of values (`VALUES (…), (…)`), which need another statement for each number of rows.

use std::collections::{BTreeSet, HashMap};

use super::column::damaged;
use super::driver::SqlConnection;
use super::error::Result;
use super::record_calls::{CallCount, NewRow};
use crate::model::RefusedCall;

/// Adds to the counters; `invocations` of 0 leave the cost of the latest call as it is. Deleted functions are not
/// joined.
const COUNT: &str = "
INSERT INTO usage (function_id, invocations, guest_ns, latest_ns, logged, trimmed)
SELECT f.function_id, new.value ->> 1, new.value ->> 2, new.value ->> 3, new.value ->> 4, max(0, new.value ->> 4 - $2)
  FROM json_each($1) AS new CROSS JOIN functions AS f ON f.function_id = new.value ->> 0
 WHERE TRUE
    ON CONFLICT (function_id) DO UPDATE SET
       invocations = min(invocations, 9223372036854775807 - excluded.invocations) + excluded.invocations,
       guest_ns = min(guest_ns, 9223372036854775807 - excluded.guest_ns) + excluded.guest_ns,
       latest_ns = iif(excluded.invocations = 0, latest_ns, excluded.latest_ns),
       logged = logged + excluded.logged,
       trimmed = max(trimmed, logged + excluded.logged - $2)";

/// The existing functions, each with the number of calls that it ever logged.
const LOGGED: &str = "
SELECT json_group_array(json_array(u.function_id, u.logged))
  FROM json_each($1) AS new CROSS JOIN usage AS u ON u.function_id = new.value ->> 0";

const LOG: &str = "
INSERT INTO call_log (last, first, function_id, through, calls)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, CAST(substr($2, value ->> 4, value ->> 5) AS TEXT)
  FROM json_each($1)";

pub(super) const TRIM: &str = "
DELETE FROM call_log WHERE last IN (
    SELECT c.last FROM json_each($1) AS new
     CROSS JOIN usage AS u ON u.function_id = new.value ->> 0
     CROSS JOIN call_log AS c ON c.function_id = u.function_id AND c.through <= u.trimmed)";

/// Deleted functions are not joined.
const LOG_REFUSED: &str = "
INSERT INTO refused_calls (log_id, function_id, called_at, record)
SELECT $1 + 1 + new.key, f.function_id, new.value ->> 1, new.value ->> 2
  FROM json_each($2) AS new CROSS JOIN functions AS f ON f.function_id = new.value ->> 0";

/// The rows that are older than the $2 newest of their function.
const TRIM_REFUSED: &str = "
DELETE FROM refused_calls WHERE log_id IN (
    SELECT r.log_id FROM json_each($1) AS named CROSS JOIN refused_calls AS r
        ON r.function_id = named.value AND r.log_id <= (
            SELECT n.log_id FROM refused_calls AS n
             WHERE n.function_id = named.value ORDER BY n.log_id DESC LIMIT 1 OFFSET $2))";

/// The additions to the counters, as JSON: function, invocations, cost of all, cost of the latest, calls logged.
pub(super) struct Counts(String);

impl Counts {
    pub(super) fn new(counts: Vec<CallCount>) -> Self {
        let of = |count: &CallCount| {
            [
                count.function_id,
                count.invocations,
                count.guest_ns,
                count.latest_ns,
                count.logged,
            ]
        };
        Self(json(&counts.iter().map(of).collect::<Vec<_>>()))
    }
}

/// Adds to the counters of functions that exist. Of their calls, the `keep` newest stay in the log.
pub(super) async fn count(
    connection: &mut SqlConnection,
    counts: &Counts,
    keep: i64,
) -> Result<()> {
    let count = sqlx::query(COUNT).bind(&counts.0).bind(keep);
    count.execute(connection).await?;
    Ok(())
}

/// The existing functions, each with the number of calls that it ever logged.
pub(super) async fn logged(
    connection: &mut SqlConnection,
    counts: &Counts,
) -> Result<HashMap<i64, i64>> {
    let logged = sqlx::query_scalar(LOGGED).bind(&counts.0);
    let logged: String = logged.fetch_one(connection).await?;
    let logged: Vec<(i64, i64)> = serde_json::from_str(&logged).map_err(|_| damaged("usage"))?;
    Ok(logged.into_iter().collect())
}

/// Adds rows, each with its part of `text`.
pub(super) async fn log(
    connection: &mut SqlConnection,
    rows: &[NewRow],
    text: &[u8],
) -> Result<()> {
    let position = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
    let of = |row: &NewRow| {
        let (start, length) = (position(row.text.start + 1), position(row.text.len()));
        [
            row.last,
            row.first,
            row.function_id,
            row.through,
            start,
            length,
        ]
    };
    let rows = json(&rows.iter().map(of).collect::<Vec<_>>());
    let log = sqlx::query(LOG).bind(rows).bind(text);
    log.execute(connection).await?;
    Ok(())
}

/// Removes the rows of which no call is in the log any more.
pub(super) async fn trim(connection: &mut SqlConnection, counts: &Counts) -> Result<()> {
    let trim = sqlx::query(TRIM).bind(&counts.0);
    trim.execute(connection).await?;
    Ok(())
}

/// Adds refused calls of functions that exist, under the numbers after `last`.
pub(super) async fn log_refused(
    connection: &mut SqlConnection,
    last: i64,
    calls: &[RefusedCall],
) -> Result<()> {
    let of = |call: &'_ RefusedCall| (call.function_id, call.called_at, call.record.clone());
    let calls = json(&calls.iter().map(of).collect::<Vec<_>>());
    let log = sqlx::query(LOG_REFUSED).bind(last).bind(calls);
    log.execute(connection).await?;
    Ok(())
}

/// Removes the rows that are older than the `keep` newest of their function.
pub(super) async fn trim_refused(
    connection: &mut SqlConnection,
    functions: BTreeSet<i64>,
    keep: i64,
) -> Result<()> {
    let trim = sqlx::query(TRIM_REFUSED).bind(json(&functions)).bind(keep);
    trim.execute(connection).await?;
    Ok(())
}

/// The JSON of numbers and texts, which cannot fail.
fn json(values: &impl serde::Serialize) -> String {
    serde_json::to_string(values).unwrap_or_default()
}
