//! Conversions between columns and Rust types.

use sqlx::Row as _;

use super::driver::SqlRow;
use super::error::{Failure, Result};
use crate::error::Error;

/// A column that holds a SHA-256.
pub(super) fn bytes(row: &SqlRow, column: &'static str) -> Result<[u8; 32]> {
    row.try_get::<&[u8], _>(column)?
        .try_into()
        .map_err(|_| damaged(column))
}

/// A column that holds a count.
pub(super) fn count(row: &SqlRow, column: &'static str) -> Result<u64> {
    row.try_get::<i64, _>(column)?
        .try_into()
        .map_err(|_| damaged(column))
}

/// A count as an SQL INTEGER: it saturates at the largest.
pub(super) fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The error for a column that this release cannot have written.
pub(super) fn damaged(column: &str) -> Failure {
    Failure::from(Error::Damaged {
        what: "the database".into(),
        detail: format!(
            "the column {column} has a value that iof does not write. Restore it from a backup"
        ),
    })
}
