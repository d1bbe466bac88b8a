//! Calls that were refused before their function ran, as rows.

use std::collections::BTreeSet;

use sqlx::{Row as _, SqliteConnection};

use super::change::Change;
use super::database::Database;
use super::error::{Failure, Result};
use crate::error::Error;
use crate::model::{LoggedCall, NewRecord, RefusedCall};
use crate::rows::RefusedCalls;

impl RefusedCalls for Database {
    async fn record_refused(&self, calls: Vec<RefusedCall>, keep: u32) -> Result<(), Error> {
        self.write(RecordRefused::new(&calls, keep)).await
    }

    async fn refused_calls(
        &self,
        function_id: i64,
        after: Option<i64>,
        count: u32,
    ) -> Result<Vec<LoggedCall>, Error> {
        let list = match after {
            Some(_) => AFTER,
            None => NEWEST,
        };
        let rows = sqlx::query(list)
            .bind(function_id)
            .bind(i64::from(count))
            .bind(after)
            .fetch_all(&self.readers)
            .await
            .map_err(Failure::from)?;
        let read = |row: &sqlx::sqlite::SqliteRow| -> Result<LoggedCall> {
            Ok(LoggedCall {
                log_id: row.try_get("log_id")?,
                function_id,
                called_at: row.try_get("called_at")?,
                state: String::new(),
                record: row.try_get("record")?,
                guest_ns: 0,
            })
        };
        Ok(rows.iter().map(read).collect::<Result<Vec<_>>>()?)
    }
}

const AFTER: &str = "
SELECT log_id, called_at, record FROM refused_calls
 WHERE function_id = $1 AND log_id > $3 ORDER BY log_id LIMIT $2";

const NEWEST: &str = "
SELECT log_id, called_at, record FROM
    (SELECT log_id, called_at, record FROM refused_calls WHERE function_id = $1 ORDER BY log_id DESC LIMIT $2)
 WHERE $3 IS NULL ORDER BY log_id";

const LAST: &str = "SELECT COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'call_log'), 0)";

/// Deleted functions are not joined.
const LOG: &str = "
INSERT INTO refused_calls (log_id, function_id, called_at, record)
SELECT $1 + 1 + new.key, f.function_id, new.value ->> 1, new.value ->> 2
  FROM json_each($2) AS new CROSS JOIN functions AS f ON f.function_id = new.value ->> 0";

/// The rows that are older than the $2 newest of their function.
const TRIM: &str = "
DELETE FROM refused_calls WHERE log_id IN (
    SELECT r.log_id FROM json_each($1) AS named CROSS JOIN refused_calls AS r
        ON r.function_id = named.value AND r.log_id <= (
            SELECT n.log_id FROM refused_calls AS n
             WHERE n.function_id = named.value ORDER BY n.log_id DESC LIMIT 1 OFFSET $2))";

/// Logs refused calls, under numbers that no other call has.
struct RecordRefused {
    /// The calls as JSON: function, time, record.
    calls: String,
    count: i64,
    /// The functions, as JSON.
    functions: String,
    keep: u32,
}

impl RecordRefused {
    fn new(calls: &[RefusedCall], keep: u32) -> Self {
        let rows: Vec<_> = calls
            .iter()
            .map(|call| (call.function_id, call.called_at, &call.record))
            .collect();
        let functions: BTreeSet<i64> = calls.iter().map(|call| call.function_id).collect();
        // Serialising texts and numbers cannot fail.
        Self {
            calls: serde_json::to_string(&rows).unwrap_or_default(),
            count: i64::try_from(rows.len()).unwrap_or(i64::MAX),
            functions: serde_json::to_string(&functions).unwrap_or_default(),
            keep,
        }
    }
}

impl Change for RecordRefused {
    type Output = ();

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output> {
        let last: i64 = sqlx::query_scalar(LAST).fetch_one(&mut *connection).await?;
        let log = sqlx::query(LOG).bind(last).bind(&self.calls);
        log.execute(&mut *connection).await?;
        let through = last.saturating_add(self.count);
        let moved = sqlx::query("UPDATE sqlite_sequence SET seq = $1 WHERE name = 'call_log'")
            .bind(through)
            .execute(&mut *connection)
            .await?;
        if moved.rows_affected() == 0 {
            sqlx::query("INSERT INTO sqlite_sequence (name, seq) VALUES ('call_log', $1)")
                .bind(through)
                .execute(&mut *connection)
                .await?;
        }
        let trim = sqlx::query(TRIM)
            .bind(&self.functions)
            .bind(i64::from(self.keep));
        trim.execute(connection).await?;
        Ok(())
    }

    fn record(&self, _: &Self::Output) -> Option<NewRecord> {
        None
    }
}
