//! How the database is opened: one connection that writes, a few that read.
//!
//! SQLite has one writer at a time. With a pool of equals, a burst of uploads fights for that place by sleeping and
//! trying again (`busy_timeout`), which is unfair and ends in SQLITE_BUSY under load. Here the one writing connection
//! belongs to one task (`writer.rs`) with a queue before it, so no two ever meet; readers see the last commit (WAL) and
//! never wait for it.
//!
//! `synchronous=FULL` flushes the log at each commit: without it, WAL loses acknowledged commits when power fails.
//! The timeout stays for whoever opens the file from outside (`sqlite3`, a backup).

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteRow, SqliteSynchronous,
};
use sqlx::{Connection as _, Row as _};

use crate::{Error, migrations};

/// Reads are a few tens of microseconds each; more connections than this would only wait for a processor.
const READERS: u32 = 4;

/// The connection that writes, opened anew after a failure.
///
/// SQLite ends a transaction by itself when the disk is full or fails, and sqlx does not notice: it goes on counting
/// the transaction as open and refuses to begin another (`InvalidSavePointStatement`), for ever. A new connection is
/// right whatever happened to the old one, and costs a millisecond.
pub(crate) struct Connection {
    options: SqliteConnectOptions,
    open: Option<SqliteConnection>,
}

impl Connection {
    pub(crate) async fn get(&mut self) -> Result<&mut SqliteConnection, Error> {
        let open = match self.open.take() {
            Some(open) => open,
            None => SqliteConnection::connect_with(&self.options).await?,
        };
        Ok(self.open.insert(open))
    }

    pub(crate) async fn discard(&mut self) {
        if let Some(broken) = self.open.take() {
            drop(broken.close_hard().await); // an error here says again what is known
        }
    }

    /// Flushes the log into the database, so that the directory holds one file that can be copied.
    pub(crate) async fn close(mut self) -> Result<(), Error> {
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(self.get().await?)
            .await?;
        if let Some(open) = self.open.take() {
            open.close().await?;
        }
        Ok(())
    }
}

/// Opens `path`, brings its tables up to date, and returns the writing connection and the readers.
pub(crate) async fn open(path: &Path) -> Result<(Connection, SqlitePool), Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5));
    let mut writer = Connection {
        options: options.clone(),
        open: None,
    };
    migrations::migrator().run(writer.get().await?).await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(Duration::from_secs(10))
        // A file does not hang up: connections are kept, and taken without asking whether they still work.
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options.read_only(true))
        .await?;
    Ok((writer, readers))
}

/// The digests of all sources that versions refer to.
pub(crate) async fn live(readers: &SqlitePool) -> Result<HashSet<[u8; 32]>, Error> {
    sqlx::query("SELECT DISTINCT sha256 FROM versions")
        .fetch_all(readers)
        .await?
        .iter()
        .map(|row| bytes(row, "sha256"))
        .collect()
}

/// Whether any version refers to this source.
pub(crate) async fn refers(readers: &SqlitePool, sha256: &[u8; 32]) -> Result<bool, Error> {
    let found = sqlx::query("SELECT 1 FROM versions WHERE sha256 = $1 LIMIT 1")
        .bind(&sha256[..])
        .fetch_optional(readers)
        .await?;
    Ok(found.is_some())
}

/// A column that holds a SHA-256.
pub(crate) fn bytes(row: &SqliteRow, column: &'static str) -> Result<[u8; 32], Error> {
    row.try_get::<&[u8], _>(column)?
        .try_into()
        .map_err(|_| damaged(column))
}

/// A column that counts something.
pub(crate) fn count(row: &SqliteRow, column: &'static str) -> Result<u64, Error> {
    row.try_get::<i64, _>(column)?
        .try_into()
        .map_err(|_| damaged(column))
}

/// A count as SQL can hold it: it stands still at the largest INTEGER.
pub(crate) fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(crate) fn damaged(column: &str) -> Error {
    Error::Damaged {
        what: "the database".into(),
        detail: format!("{column} is not what its name says; restore it from a backup"),
    }
}
