//! Outbound records, as rows, and the removal of the oldest.
//!
//! Records are written many at a time and read seldom, so up to [`ROWS_PER_CHUNK`] of them are one row of the table, as
//! JSON, beside the columns that find them: their numbers, their functions, and the span of their calls, which is
//! narrow because calls are numbered by their time. One row of the table for each record cost four times as much, and
//! made the record more than half of the cost of a call that sends a request.

use std::collections::BTreeSet;

use sqlx::Row as _;
use uuid::Uuid;

use super::change::Change;
use super::column::integer;
use super::database::Database;
use super::driver::SqlConnection;
use super::error::Result;
use super::numbers::{self, Numbers};
use super::outbound_query::{self, ROWS_PER_CHUNK};
use crate::error::Error;
use crate::model::{NewRecord, OutboundLine, OutboundQuery, OutboundRow};
use crate::rows::Outbound;

/// The rows that one transaction removes, beyond as many as it adds.
const REMOVED: usize = 2000;

impl Outbound for Database {
    async fn record_outbound(
        &self,
        rows: Vec<OutboundLine>,
        keep_rows: u64,
        keep_from: i64,
    ) -> Result<bool, Error> {
        self.write(RecordOutbound {
            rows,
            keep_rows,
            keep_from,
        })
        .await
    }

    async fn outbound(&self, query: &OutboundQuery) -> Result<Vec<OutboundRow>, Error> {
        Ok(outbound_query::list(&self.readers, query).await?)
    }
}

/// Adds rows, and removes those that exceed the limits of number and age. Its output is `true` if more are left to be
/// removed.
struct RecordOutbound {
    rows: Vec<OutboundLine>,
    keep_rows: u64,
    keep_from: i64,
}

impl Change for RecordOutbound {
    type Output = bool;

    const RELAXED: bool = true;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let mut last = match self.rows.len() {
            0 => 0,
            rows => numbers::reserve(connection, Numbers::Outbound, integer(rows as u64)).await?,
        };
        for rows in self.rows.chunks(ROWS_PER_CHUNK) {
            let first = last + 1;
            last += rows.len() as i64;
            add(connection, rows, first, last).await?;
        }
        remove(connection, self).await
    }

    fn record(&self, _: &Self::Output) -> Option<NewRecord> {
        None
    }
}

/// Adds one row of the table.
async fn add(
    connection: &mut SqlConnection,
    rows: &[OutboundLine],
    first: i64,
    last: i64,
) -> Result<()> {
    let size = rows.iter().map(|row| row.json.len() + 1).sum::<usize>();
    let mut json = String::with_capacity(size + 1);
    for row in rows {
        json.push(if json.is_empty() { '[' } else { ',' });
        json.push_str(&row.json);
    }
    json.push(']');
    let (mut newest, mut calls) = (i64::MIN, (Uuid::max(), Uuid::nil()));
    let mut functions = BTreeSet::new();
    for row in rows {
        newest = newest.max(row.at);
        calls = (calls.0.min(row.call), calls.1.max(row.call));
        functions.insert(row.function_id);
    }
    sqlx::query(
        "INSERT INTO audit (last, first, newest, call_from, call_to, rows) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(last)
    .bind(first)
    .bind(newest)
    .bind(&calls.0.as_bytes()[..])
    .bind(&calls.1.as_bytes()[..])
    .bind(json)
    .execute(&mut *connection)
    .await?;
    for function_id in functions {
        sqlx::query("INSERT INTO audit_functions (function_id, last) VALUES ($1, $2)")
            .bind(function_id)
            .bind(last)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn remove(connection: &mut SqlConnection, record: &RecordOutbound) -> Result<bool> {
    let ends = sqlx::query(
        "SELECT first, newest, (SELECT MAX(last) FROM audit) AS latest FROM audit ORDER BY last LIMIT 1",
    );
    let Some(ends) = ends.fetch_optional(&mut *connection).await? else {
        return Ok(false);
    };
    let (oldest, last): (i64, i64) = (ends.try_get("first")?, ends.try_get("latest")?);
    let mut target = last.saturating_sub(integer(record.keep_rows));
    // The bound of one transaction.
    let step = oldest.saturating_add(integer((record.rows.len() + REMOVED) as u64));
    if ends.try_get::<i64, _>("newest")? < record.keep_from {
        let next = sqlx::query_scalar::<_, i64>(
            "SELECT first FROM audit WHERE newest >= $1 AND last < $2 ORDER BY last LIMIT 1",
        );
        let young = next.bind(record.keep_from).bind(step);
        let young = young.fetch_optional(&mut *connection).await?;
        // All rows up to the step are too old; whether more are is found out the next time.
        target = target.max(young.map_or(last.min(step), |first| first - 1));
    }
    sqlx::query("DELETE FROM audit WHERE last <= $1")
        .bind(target.min(step))
        .execute(connection)
        .await?;
    Ok(target >= step)
}
