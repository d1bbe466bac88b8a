//! Numbers that are never used again: sequences, which no transaction holds until its commit, as it would a counter's
//! row. A function of the database (`reserve_numbers`) takes many at once, one after the other.

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

/// Reserves the next `count` numbers, and returns the last one before them.
pub(super) async fn reserve(
    connection: &mut SqlConnection,
    numbers: Numbers,
    count: i64,
) -> Result<i64> {
    let sequence = match numbers {
        Numbers::Calls => "call_numbers",
        Numbers::Outbound => "outbound_numbers",
    };
    let last = sqlx::query_scalar("SELECT reserve_numbers(CAST($1 AS text), $2)");
    Ok(last
        .bind(sequence)
        .bind(count)
        .fetch_one(connection)
        .await?)
}
