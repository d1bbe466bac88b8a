//! The types of PostgreSQL's driver, and the words of SQL that it has for itself: the modules of `sql` are compiled with
//! these for PostgreSQL, and with those of `sqlite` for SQLite.

use sqlx::Row as _;

use super::column::damaged;
use super::error::Result;

pub(super) type Sql = sqlx::Postgres;
pub(super) type SqlConnection = sqlx::PgConnection;
pub(super) type SqlPool = sqlx::PgPool;
pub(super) type SqlRow = sqlx::postgres::PgRow;
pub(super) type SqlDone = sqlx::postgres::PgQueryResult;

/// True if one process at a time has the database.
pub(super) const ONE_PROCESS: bool = false;

/// A join whose left side is read first, as PostgreSQL finds out by itself.
macro_rules! straight_join {
    () => {
        "JOIN"
    };
}
/// The function that returns the largest of its arguments.
macro_rules! greatest {
    () => {
        "greatest"
    };
}
/// The function that returns the smallest of its arguments.
macro_rules! least {
    () => {
        "least"
    };
}
/// The function that returns the position of a text in another, from 1 on; 0 if it is not in it.
macro_rules! index_of {
    () => {
        "strpos"
    };
}
/// The clause that names the index of a statement, which PostgreSQL chooses by itself.
macro_rules! indexed_by {
    ($index:literal) => {
        ""
    };
}
/// The clause by which a transaction takes rows that no other takes.
macro_rules! skip_locked {
    () => {
        " FOR UPDATE SKIP LOCKED"
    };
}
pub(super) use {greatest, index_of, indexed_by, least, skip_locked, straight_join};

/// A text of a client's, for a column: as bytes, because a TEXT of PostgreSQL has no U+0000.
pub(super) fn as_text(text: &(impl AsRef<str> + ?Sized)) -> &[u8] {
    text.as_ref().as_bytes()
}

/// A text of a client's, from a column.
pub(super) fn text(row: &SqlRow, column: &'static str) -> Result<String> {
    String::from_utf8(row.try_get(column)?).map_err(|_| damaged(column))
}

/// A text of a client's, from a column that may be NULL.
pub(super) fn optional_text(row: &SqlRow, column: &'static str) -> Result<Option<String>> {
    let text: Option<Vec<u8>> = row.try_get(column)?;
    text.map(String::from_utf8)
        .transpose()
        .map_err(|_| damaged(column))
}
