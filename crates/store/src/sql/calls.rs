//! Calls, as rows: the newest of each function, and the counters of all.
//!
//! Calls are logged many at a time and listed seldom, so the calls of a function that came together are one row of the
//! table (`call_chunk`). Rows are trimmed whole; a number of the function (`usage.trimmed`) tells which of their calls
//! are still in the log, so that a list is exact.

use std::collections::BTreeMap;

use sqlx::Row as _;

use super::call_chunk::{self, CALLS, columns};
use super::column::count;
use super::database::Database;
use super::driver::{SqlPool, greatest, straight_join};
use super::error::Result;
use super::record_calls::RecordCalls;
use crate::error::Error;
use crate::model::{Calls, LoggedCall, Usage};
use crate::rows::CallLog;

impl CallLog for Database {
    async fn record_calls(&self, calls: Vec<Calls>, keep: u32) -> Result<(), Error> {
        self.write(RecordCalls::new(calls, keep)).await
    }

    async fn calls(
        &self,
        function_id: i64,
        newest_first: bool,
        count: u32,
    ) -> Result<Vec<LoggedCall>, Error> {
        Ok(match newest_first {
            true => newest(&self.readers, function_id, count).await?,
            false => oldest(&self.readers, function_id, count).await?,
        })
    }

    async fn calls_after(
        &self,
        function_id: i64,
        after: i64,
        count: u32,
    ) -> Result<Vec<LoggedCall>, Error> {
        Ok(list_after(&self.readers, function_id, after, count).await?)
    }

    async fn usage(&self, function_id: i64) -> Result<Usage, Error> {
        Ok(usage(&self.readers, function_id).await?)
    }
}

pub(super) const NEWEST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM usage AS u ",
    straight_join!(),
    " call_log AS c
          ON c.function_id = u.function_id AND c.through > ",
    greatest!(),
    "(u.trimmed, u.logged - $2)
       WHERE u.function_id = $1 ORDER BY c.through DESC"
);

async fn newest(readers: &SqlPool, function_id: i64, count: u32) -> Result<Vec<LoggedCall>> {
    let rows = sqlx::query(NEWEST)
        .bind(function_id)
        .bind(i64::from(count))
        .fetch_all(readers)
        .await?;
    let mut calls = vec![];
    for row in &rows {
        let chunk = call_chunk::list(row, function_id)?;
        calls.extend(chunk.into_iter().rev());
    }
    calls.truncate(count as usize);
    Ok(calls)
}

/// Rows from the first call in the log. The last row may begin before the last call of the list ($2), and ends less
/// than a chunk ($3) after it.
pub(super) const OLDEST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM usage AS u ", straight_join!(), " call_log AS c
          ON c.function_id = u.function_id AND c.through > u.trimmed AND c.through < u.trimmed + $2 + $3
       WHERE u.function_id = $1 ORDER BY c.through"
);

async fn oldest(readers: &SqlPool, function_id: i64, count: u32) -> Result<Vec<LoggedCall>> {
    let rows = sqlx::query(OLDEST)
        .bind(function_id)
        .bind(i64::from(count))
        .bind(CALLS as i64)
        .fetch_all(readers)
        .await?;
    let mut calls = vec![];
    for row in &rows {
        calls.append(&mut call_chunk::list(row, function_id)?);
    }
    calls.truncate(count as usize);
    Ok(calls)
}

/// Rows from the first one that ends after the call $4, which is found by walking the function's part of the index: it
/// has an entry for each row, and no text.
pub(super) const AFTER: &str = concat!(
    "WITH start (through) AS (
         SELECT c.through FROM usage AS u ", straight_join!(), " call_log AS c
             ON c.function_id = u.function_id AND c.through > u.trimmed
          WHERE u.function_id = $1 AND c.last > $4 ORDER BY c.through LIMIT 1)
     SELECT ",
    columns!(),
    " FROM start ", straight_join!(), " usage AS u ON u.function_id = $1 ", straight_join!(), " call_log AS c
          ON c.function_id = u.function_id AND c.through >= start.through AND c.through < start.through + $2 + $3"
);

async fn list_after(
    readers: &SqlPool,
    function_id: i64,
    after: i64,
    count: u32,
) -> Result<Vec<LoggedCall>> {
    let rows = sqlx::query(AFTER)
        .bind(function_id)
        .bind(i64::from(count))
        .bind(CALLS as i64)
        .bind(after)
        .fetch_all(readers)
        .await?;
    let mut calls = vec![];
    for row in &rows {
        let chunk = call_chunk::list(row, function_id)?;
        calls.extend(chunk.into_iter().filter(|call| call.log_id > after));
    }
    // The rows are in order already; SQLite, which does not know that there is one start, would sort their texts.
    calls.sort_by_key(|call| call.log_id);
    calls.truncate(count as usize);
    Ok(calls)
}

/// Counters and rows in one statement, so that both are of one moment.
pub(super) const USAGE: &str = concat!(
    "SELECT u.invocations, u.guest_ns, u.latest_ns, ",
    columns!(),
    " FROM usage AS u LEFT JOIN call_log AS c ON c.function_id = u.function_id AND c.through > u.trimmed
       WHERE u.function_id = $1"
);

async fn usage(readers: &SqlPool, function_id: i64) -> Result<Usage> {
    let rows = sqlx::query(USAGE)
        .bind(function_id)
        .fetch_all(readers)
        .await?;
    let Some(first) = rows.first() else {
        return Ok(Usage::default());
    };
    // Not by SUM, because SQLite fails if that overflows.
    let mut seconds: BTreeMap<i64, u64> = BTreeMap::new();
    for row in &rows {
        if row.try_get::<Option<i64>, _>("last")?.is_some() {
            for (called_at, guest_ns) in call_chunk::costs(row)? {
                let second = seconds.entry(called_at.div_euclid(1000)).or_default();
                *second = second.saturating_add(guest_ns);
            }
        }
    }
    Ok(Usage {
        invocations: count(first, "invocations")?,
        guest_ns: count(first, "guest_ns")?,
        latest_ns: count(first, "latest_ns")?,
        seconds: seconds.into_iter().collect(),
    })
}
