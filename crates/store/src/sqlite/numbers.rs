//! Numbers that are never used again: SQLite's own, of a table whose key is AUTOINCREMENT.

use super::driver::SqlConnection;
use super::error::Result;

/// A sequence of numbers.
#[derive(Clone, Copy)]
pub(super) enum Numbers {
    /// Those of calls in the log.
    Calls,
    /// Those of the outbound log.
    Outbound,
}

impl Numbers {
    fn table(self) -> &'static str {
        match self {
            Self::Calls => "call_log",
            Self::Outbound => "audit",
        }
    }
}

/// Reserves the next `count` numbers, and returns the last one before them.
pub(super) async fn reserve(
    connection: &mut SqlConnection,
    numbers: Numbers,
    count: i64,
) -> Result<i64> {
    let table = numbers.table();
    let last: Option<i64> = sqlx::query_scalar(
        "UPDATE sqlite_sequence SET seq = seq + $1 WHERE name = $2 RETURNING seq - $1",
    )
    .bind(count)
    .bind(table)
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(last) = last {
        return Ok(last);
    }
    sqlx::query("INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)")
        .bind(table)
        .bind(count)
        .execute(connection)
        .await?;
    Ok(0)
}
