//! Calls, as rows: the newest of each function, and the counters of them all.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection, SqlitePool};

use super::change::Change;
use super::column::{count, integer};
use super::database::Database;
use super::error::Result;
use crate::error::Error;
use crate::model::{Call, Calls, LoggedCall, Usage};
use crate::rows::CallLog;

impl CallLog for Database {
    async fn record_calls(&self, calls: Vec<Calls>, keep: u32) -> Result<(), Error> {
        self.write(RecordCalls { calls, keep }).await
    }

    async fn calls(
        &self,
        function_id: i64,
        newest_first: bool,
        count: u32,
    ) -> Result<Vec<LoggedCall>, Error> {
        Ok(list(&self.readers, function_id, newest_first, count).await?)
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

/// Counts and logs calls.
struct RecordCalls {
    calls: Vec<Calls>,
    keep: u32,
}

impl Change for RecordCalls {
    type Output = ();

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output> {
        for calls in &self.calls {
            if counted(connection, calls).await? {
                let passed_over = calls.newest.len().saturating_sub(self.keep as usize);
                for rows in calls.newest[passed_over..].chunks(ROWS_PER_CHUNK) {
                    log(connection, calls.function_id, rows).await?;
                }
                trim(connection, calls.function_id, self.keep).await?;
            }
        }
        Ok(())
    }
}

/// Adds to a function's counters. `false`: there is no such function.
async fn counted(connection: &mut SqliteConnection, calls: &Calls) -> Result<bool> {
    let before = sqlx::query(
        "SELECT COALESCE(u.invocations, 0) AS invocations, COALESCE(u.guest_ns, 0) AS guest_ns,
                COALESCE(u.latest_ns, 0) AS latest_ns
           FROM functions f LEFT JOIN usage u ON u.function_id = f.function_id
          WHERE f.function_id = $1",
    )
    .bind(calls.function_id)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(before) = before else {
        return Ok(false);
    };
    let latest = if calls.invocations == 0 {
        count(&before, "latest_ns")?
    } else {
        calls.latest_ns
    };
    sqlx::query(
        "INSERT INTO usage (function_id, invocations, guest_ns, latest_ns) VALUES ($1, $2, $3, $4)
         ON CONFLICT (function_id) DO UPDATE
            SET invocations = excluded.invocations, guest_ns = excluded.guest_ns, latest_ns = excluded.latest_ns",
    )
    .bind(calls.function_id)
    .bind(integer(
        count(&before, "invocations")?.saturating_add(calls.invocations),
    ))
    .bind(integer(
        count(&before, "guest_ns")?.saturating_add(calls.guest_ns),
    ))
    .bind(integer(latest))
    .execute(connection)
    .await?;
    Ok(true)
}

/// Rows of one statement. Each statement is a message to SQLite's thread and one back, which costs more than the row.
const ROWS_PER_CHUNK: usize = 100;

async fn log(connection: &mut SqliteConnection, function_id: i64, calls: &[Call]) -> Result<()> {
    let head = "INSERT INTO calls (function_id, called_at, guest_ns, state, record) ";
    let mut insert = QueryBuilder::<Sqlite>::new(head);
    insert.push_values(calls, |mut row, call| {
        row.push_bind(function_id)
            .push_bind(call.called_at)
            .push_bind(integer(call.guest_ns))
            .push_bind(&*call.state)
            .push_bind(&call.record);
    });
    // Every number of rows is a statement of its own: those that come seldom are not kept prepared.
    let common = matches!(calls.len(), 1 | ROWS_PER_CHUNK);
    insert
        .build()
        .persistent(common)
        .execute(connection)
        .await?;
    Ok(())
}

/// Walks `keep` entries of the index, back from the newest, to where the log has to end.
async fn trim(connection: &mut SqliteConnection, function_id: i64, keep: u32) -> Result<()> {
    sqlx::query(
        "DELETE FROM calls
          WHERE function_id = $1
            AND log_id <= (SELECT log_id FROM calls WHERE function_id = $1 ORDER BY log_id DESC LIMIT 1 OFFSET $2)",
    )
    .bind(function_id)
    .bind(i64::from(keep))
    .execute(connection)
    .await?;
    Ok(())
}

async fn list_after(
    readers: &SqlitePool,
    function_id: i64,
    after: i64,
    count: u32,
) -> Result<Vec<LoggedCall>> {
    sqlx::query(
        "SELECT log_id, function_id, called_at, guest_ns, state, record FROM calls
          WHERE function_id = $1 AND log_id > $2 ORDER BY log_id LIMIT $3",
    )
    .bind(function_id)
    .bind(after)
    .bind(i64::from(count))
    .fetch_all(readers)
    .await?
    .iter()
    .map(read_call)
    .collect()
}

async fn list(
    readers: &SqlitePool,
    function_id: i64,
    newest_first: bool,
    count: u32,
) -> Result<Vec<LoggedCall>> {
    let query = if newest_first {
        "SELECT log_id, function_id, called_at, guest_ns, state, record FROM calls
          WHERE function_id = $1 ORDER BY log_id DESC LIMIT $2"
    } else {
        "SELECT log_id, function_id, called_at, guest_ns, state, record FROM calls
          WHERE function_id = $1 ORDER BY log_id LIMIT $2"
    };
    sqlx::query(query)
        .bind(function_id)
        .bind(i64::from(count))
        .fetch_all(readers)
        .await?
        .iter()
        .map(read_call)
        .collect()
}

fn read_call(row: &SqliteRow) -> Result<LoggedCall> {
    Ok(LoggedCall {
        log_id: row.try_get("log_id")?,
        function_id: row.try_get("function_id")?,
        called_at: row.try_get("called_at")?,
        guest_ns: count(row, "guest_ns")?,
        state: row.try_get("state")?,
        record: row.try_get("record")?,
    })
}

/// Counters and rows in one statement, so that both are of one moment.
async fn usage(readers: &SqlitePool, function_id: i64) -> Result<Usage> {
    let rows = sqlx::query(
        "SELECT u.invocations, u.guest_ns AS total_ns, u.latest_ns, c.called_at, COALESCE(c.guest_ns, 0) AS guest_ns
           FROM usage u LEFT JOIN calls c ON c.function_id = u.function_id
          WHERE u.function_id = $1",
    )
    .bind(function_id)
    .fetch_all(readers)
    .await?;
    let Some(first) = rows.first() else {
        return Ok(Usage::default());
    };
    // Not by SUM: SQLite fails where it overflows.
    let mut seconds: BTreeMap<i64, u64> = BTreeMap::new();
    for row in &rows {
        if let Some(called_at) = row.try_get::<Option<i64>, _>("called_at")? {
            let second = seconds.entry(called_at.div_euclid(1000)).or_default();
            *second = second.saturating_add(count(row, "guest_ns")?);
        }
    }
    Ok(Usage {
        invocations: count(first, "invocations")?,
        guest_ns: count(first, "total_ns")?,
        latest_ns: count(first, "latest_ns")?,
        seconds: seconds.into_iter().collect(),
    })
}
