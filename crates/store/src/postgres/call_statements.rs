//! The statements that count and log calls, whatever the number of functions: each takes all of them as arrays.
//!
//! Functions are taken in the order of their numbers, so that two nodes that count calls of the same functions wait for
//! each other and not in a circle; and each is held (`FOR KEY SHARE`) until its rows are there, so that none is deleted
//! before.

use std::collections::{BTreeSet, HashMap};

use sqlx::Row as _;

use super::column::damaged;
use super::driver::SqlConnection;
use super::error::Result;
use super::record_calls::{CallCount, NewRow};
use crate::model::RefusedCall;

/// Adds to the counters; `invocations` of 0 leave the cost of the latest call as it is. Deleted functions are not
/// joined.
const COUNT: &str = "
INSERT INTO usage AS u (function_id, invocations, guest_ns, latest_ns, logged, trimmed)
SELECT f.function_id, new.invocations, new.guest_ns, new.latest_ns, new.logged, greatest(0, new.logged - $6)
  FROM unnest($1, $2, $3, $4, $5) AS new (function_id, invocations, guest_ns, latest_ns, logged)
  JOIN functions AS f ON f.function_id = new.function_id
 ORDER BY f.function_id FOR KEY SHARE OF f
    ON CONFLICT (function_id) DO UPDATE SET
       invocations = least(u.invocations, 9223372036854775807 - excluded.invocations) + excluded.invocations,
       guest_ns = least(u.guest_ns, 9223372036854775807 - excluded.guest_ns) + excluded.guest_ns,
       latest_ns = CASE WHEN excluded.invocations = 0 THEN u.latest_ns ELSE excluded.latest_ns END,
       logged = u.logged + excluded.logged,
       trimmed = greatest(u.trimmed, u.logged + excluded.logged - $6)";

const LOGGED: &str = "SELECT function_id, logged FROM usage WHERE function_id = ANY($1)";

const LOG: &str = "
INSERT INTO call_log (last, first, function_id, through, calls)
SELECT * FROM unnest($1, $2, $3, $4, $5)";

const TRIM: &str = "
DELETE FROM call_log AS c USING usage AS u
 WHERE u.function_id = ANY($1) AND c.function_id = u.function_id AND c.through <= u.trimmed";

/// Deleted functions are not joined.
const LOG_REFUSED: &str = "
INSERT INTO refused_calls (log_id, function_id, called_at, record)
SELECT $1 + new.place, f.function_id, new.called_at, new.record
  FROM unnest($2, $3, $4) WITH ORDINALITY AS new (function_id, called_at, record, place)
  JOIN functions AS f ON f.function_id = new.function_id
 ORDER BY f.function_id FOR KEY SHARE OF f";

/// The rows that are older than the $2 newest of their function.
const TRIM_REFUSED: &str = "
DELETE FROM refused_calls AS r USING unnest($1) AS named (function_id)
 WHERE r.function_id = named.function_id AND r.log_id <= (
           SELECT n.log_id FROM refused_calls AS n
            WHERE n.function_id = named.function_id ORDER BY n.log_id DESC LIMIT 1 OFFSET $2)";

/// The additions to the counters, by column.
#[derive(Default)]
pub(super) struct Counts {
    functions: Vec<i64>,
    invocations: Vec<i64>,
    guest_ns: Vec<i64>,
    latest_ns: Vec<i64>,
    logged: Vec<i64>,
}

impl Counts {
    pub(super) fn new(counts: Vec<CallCount>) -> Self {
        let mut columns = Self::default();
        for count in counts {
            columns.functions.push(count.function_id);
            columns.invocations.push(count.invocations);
            columns.guest_ns.push(count.guest_ns);
            columns.latest_ns.push(count.latest_ns);
            columns.logged.push(count.logged);
        }
        columns
    }
}

/// Adds to the counters of functions that exist. Of their calls, the `keep` newest stay in the log.
pub(super) async fn count(
    connection: &mut SqlConnection,
    counts: &Counts,
    keep: i64,
) -> Result<()> {
    sqlx::query(COUNT)
        .bind(&counts.functions)
        .bind(&counts.invocations)
        .bind(&counts.guest_ns)
        .bind(&counts.latest_ns)
        .bind(&counts.logged)
        .bind(keep)
        .execute(connection)
        .await?;
    Ok(())
}

/// The existing functions, each with the number of calls that it ever logged.
pub(super) async fn logged(
    connection: &mut SqlConnection,
    counts: &Counts,
) -> Result<HashMap<i64, i64>> {
    let rows = sqlx::query(LOGGED).bind(&counts.functions);
    let rows = rows.fetch_all(connection).await?;
    let of = |row: &super::driver::SqlRow| Ok((row.try_get(0)?, row.try_get(1)?));
    rows.iter().map(of).collect()
}

/// Adds rows, each with its part of `text`.
pub(super) async fn log(
    connection: &mut SqlConnection,
    rows: &[NewRow],
    text: &[u8],
) -> Result<()> {
    let column = |of: fn(&NewRow) -> i64| rows.iter().map(of).collect::<Vec<i64>>();
    let texts = rows.iter().map(|row| {
        let part = text.get(row.text.clone()).map(std::str::from_utf8);
        part.and_then(std::result::Result::ok)
            .ok_or_else(|| damaged("calls"))
    });
    let texts: Vec<&str> = texts.collect::<Result<_>>()?;
    sqlx::query(LOG)
        .bind(column(|row| row.last))
        .bind(column(|row| row.first))
        .bind(column(|row| row.function_id))
        .bind(column(|row| row.through))
        .bind(texts)
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes the rows of which no call is in the log any more.
pub(super) async fn trim(connection: &mut SqlConnection, counts: &Counts) -> Result<()> {
    let trim = sqlx::query(TRIM).bind(&counts.functions);
    trim.execute(connection).await?;
    Ok(())
}

/// Adds refused calls of functions that exist, under the numbers after `last`.
pub(super) async fn log_refused(
    connection: &mut SqlConnection,
    last: i64,
    calls: &[RefusedCall],
) -> Result<()> {
    let functions: Vec<i64> = calls.iter().map(|call| call.function_id).collect();
    let times: Vec<i64> = calls.iter().map(|call| call.called_at).collect();
    let records: Vec<&str> = calls.iter().map(|call| call.record.as_str()).collect();
    sqlx::query(LOG_REFUSED)
        .bind(last)
        .bind(functions)
        .bind(times)
        .bind(records)
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes the rows that are older than the `keep` newest of their function.
pub(super) async fn trim_refused(
    connection: &mut SqlConnection,
    functions: BTreeSet<i64>,
    keep: i64,
) -> Result<()> {
    let functions: Vec<i64> = functions.into_iter().collect();
    let trim = sqlx::query(TRIM_REFUSED).bind(functions).bind(keep);
    trim.execute(connection).await?;
    Ok(())
}
