//! Calls that were refused before their function ran, as rows.

use std::collections::BTreeSet;

use sqlx::Row as _;

use super::call_statements;
use super::change::Change;
use super::column::integer;
use super::database::Database;
use super::driver::{SqlConnection, SqlRow};
use super::error::{Failure, Result};
use super::numbers::{self, Numbers};
use crate::error::Error;
use crate::model::{LoggedCall, NewRecord, RefusedCall};
use crate::rows::RefusedCalls;

impl RefusedCalls for Database {
    async fn record_refused(&self, calls: Vec<RefusedCall>, keep: u32) -> Result<(), Error> {
        self.write(RecordRefused { calls, keep }).await
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
        let read = |row: &SqlRow| -> Result<LoggedCall> {
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
    (SELECT log_id, called_at, record FROM refused_calls WHERE function_id = $1 ORDER BY log_id DESC LIMIT $2) AS newest
 WHERE $3 IS NULL ORDER BY log_id";

/// Logs refused calls, under numbers that no other call has.
struct RecordRefused {
    calls: Vec<RefusedCall>,
    keep: u32,
}

impl Change for RecordRefused {
    type Output = ();

    const RELAXED: bool = true;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let count = integer(self.calls.len() as u64);
        let last = numbers::reserve(connection, Numbers::Calls, count).await?;
        call_statements::log_refused(connection, last, &self.calls).await?;
        let functions: BTreeSet<i64> = self.calls.iter().map(|call| call.function_id).collect();
        call_statements::trim_refused(connection, functions, self.keep.into()).await
    }

    fn record(&self, _: &Self::Output) -> Option<NewRecord> {
        None
    }
}
