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

use crate::{Error, Function, KeyHash, versions};

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
    sqlx::migrate!("migrations/sqlite")
        .run(writer.get().await?)
        .await?;
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

pub(crate) async fn list(readers: &SqlitePool) -> Result<Vec<i64>, Error> {
    Ok(
        sqlx::query_scalar("SELECT wasm_id FROM functions ORDER BY wasm_id")
            .fetch_all(readers)
            .await?,
    )
}

pub(crate) async fn function(
    readers: &SqlitePool,
    wasm_id: i64,
) -> Result<Option<Function>, Error> {
    let row = sqlx::query(
        "SELECT f.wasm_id, f.description, f.state, f.storage_key, f.callback, f.usage_key_hash, f.admin_key_hash,
                f.created_at, v.id, v.number, v.sha256, v.legacy_sha256, v.size, v.kind, v.manifest, v.declaration,
                v.created_at AS uploaded_at
           FROM functions f JOIN versions v ON v.id = f.active_version
          WHERE f.wasm_id = $1",
    )
    .bind(wasm_id)
    .fetch_optional(readers)
    .await?;
    row.map(|row| read_function(&row)).transpose()
}

fn read_function(row: &SqliteRow) -> Result<Function, Error> {
    let public = row.try_get::<Option<&[u8]>, _>("usage_key_hash")?.is_none();
    Ok(Function {
        wasm_id: row.try_get("wasm_id")?,
        description: row.try_get("description")?,
        state: row.try_get("state")?,
        storage_key: row.try_get("storage_key")?,
        callback: row.try_get("callback")?,
        usage_key_hash: if public {
            None
        } else {
            Some(KeyHash::from_bytes(bytes(row, "usage_key_hash")?))
        },
        admin_key_hash: KeyHash::from_bytes(bytes(row, "admin_key_hash")?),
        created_at: row.try_get("created_at")?,
        version: versions::read(row)?,
    })
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
