//! The types of SQLite's driver, and the words of SQL that it has for itself: the modules of `sql` are compiled with
//! these for SQLite, and with those of `postgres` for PostgreSQL.

use sqlx::Row as _;

use super::error::Result;

pub(super) type Sql = sqlx::Sqlite;
pub(super) type SqlConnection = sqlx::SqliteConnection;
pub(super) type SqlPool = sqlx::SqlitePool;
pub(super) type SqlRow = sqlx::sqlite::SqliteRow;
pub(super) type SqlDone = sqlx::sqlite::SqliteQueryResult;

/// True if one process at a time has the database.
pub(super) const ONE_PROCESS: bool = true;

/// A join whose left side is read first.
macro_rules! straight_join {
    () => {
        "CROSS JOIN"
    };
}
/// The function that returns the largest of its arguments.
macro_rules! greatest {
    () => {
        "max"
    };
}
/// The function that returns the smallest of its arguments.
macro_rules! least {
    () => {
        "min"
    };
}
/// The function that returns the position of a text in another, from 1 on; 0 if it is not in it.
macro_rules! index_of {
    () => {
        "instr"
    };
}
/// The clause that names the index of a statement, which SQLite might not choose.
macro_rules! indexed_by {
    ($index:literal) => {
        concat!("INDEXED BY ", $index)
    };
}
/// The clause by which a transaction takes rows that no other takes: there is no other.
macro_rules! skip_locked {
    () => {
        ""
    };
}
pub(super) use {greatest, index_of, indexed_by, least, skip_locked, straight_join};

/// A text of a client's, for a column.
pub(super) fn as_text(text: &(impl AsRef<str> + ?Sized)) -> &str {
    text.as_ref()
}

/// A text of a client's, from a column.
pub(super) fn text(row: &SqlRow, column: &'static str) -> Result<String> {
    Ok(row.try_get(column)?)
}

/// A text of a client's, from a column that may be NULL.
pub(super) fn optional_text(row: &SqlRow, column: &'static str) -> Result<Option<String>> {
    Ok(row.try_get(column)?)
}
