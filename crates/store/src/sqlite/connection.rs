//! The connections to the database: one that writes, and a few that read.
//!
//! SQLite has one writer at a time. With a pool of equal connections, the writers of a burst of uploads would compete
//! by sleeping and trying again (`busy_timeout`), which is unfair and ends in SQLITE_BUSY under load. Here the one
//! writing connection belongs to one task (`writer.rs`) with a queue before it, so writers never compete; readers see
//! the last commit (WAL) and never wait for the writer.
//!
//! `synchronous=FULL` flushes the log at each commit: without it, WAL loses acknowledged commits when power fails. The
//! timeout stays for programs that open the file from outside (`sqlite3`, a backup).

use std::path::Path;
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};

use super::error::Result;
use super::migrations;

/// Each read takes a few tens of microseconds; more connections than this would only wait for a processor.
const READERS: u32 = 4;

/// The connection that writes, reopened after a failure.
///
/// SQLite ends a transaction by itself when the disk is full or fails, and sqlx does not notice: it goes on counting
/// the transaction as open and refuses to begin another (`InvalidSavePointStatement`), forever. A new connection is
/// right whatever happened to the old one, and costs a millisecond.
pub(super) struct Connection {
    options: SqliteConnectOptions,
    open: Option<SqliteConnection>,
}

impl Connection {
    pub(super) async fn get(&mut self) -> Result<&mut SqliteConnection> {
        let open = match self.open.take() {
            Some(open) => open,
            None => SqliteConnection::connect_with(&self.options).await?,
        };
        Ok(self.open.insert(open))
    }

    pub(super) async fn discard(&mut self) {
        if let Some(broken) = self.open.take() {
            drop(broken.close_hard().await); // the failure is known already
        }
    }

    /// Moves what the log holds into the database as far as readers allow, so that the log is written again from its
    /// beginning. A failure changes nothing, and shows at the next write.
    pub(super) async fn checkpoint(&mut self) {
        if let Ok(open) = self.get().await
            && let Err(error) = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
                .execute(open)
                .await
        {
            tracing::warn!(%error, "the log of the database could not be moved into it");
            self.discard().await;
        }
    }

    /// Flushes the log into the database, so that the directory has one file that can be copied.
    pub(super) async fn close(mut self) -> Result<()> {
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
pub(super) async fn open(path: &Path) -> Result<(Connection, SqlitePool)> {
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
        // A file does not disconnect, so connections are kept, and used without a check that they still work.
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options.read_only(true))
        .await?;
    Ok((writer, readers))
}
