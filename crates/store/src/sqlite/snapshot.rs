//! Copies of a database to which another process may be writing, and their contents.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{Connection as _, Row as _};

use super::change::Change as _;
use super::delete_function::DeleteFunction;
use super::error::Result;
use super::migrations;
use crate::error::Error;
use crate::model::Author;

/// The contents of a copy.
pub(crate) struct Contents {
    pub(crate) functions: u64,
    pub(crate) versions: u64,
    /// The digests of all sources to which versions refer.
    pub(crate) sources: BTreeSet<[u8; 32]>,
    /// The last migration that was made.
    pub(crate) migration: i64,
}

/// Copies the database into a new file, within one read transaction. The writer of the database does not wait for it.
pub(crate) async fn copy(database: &Path, to: &Path) -> Result<(), Error> {
    let Some(name) = to.to_str() else {
        let what = format!(
            "the backup's name is not UTF-8: got {}. Choose another one.",
            to.display()
        );
        return Err(Error::Invalid { what });
    };
    Ok(vacuum_into(database, name).await?)
}

async fn vacuum_into(database: &Path, to: &str) -> Result<()> {
    let mut connection = reader(database).await?;
    sqlx::query("VACUUM INTO $1")
        .bind(to)
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    Ok(())
}

/// Checks a database and counts its contents.
pub(crate) async fn contents(database: &Path) -> Result<Contents, Error> {
    Ok(read(database).await?)
}

async fn read(database: &Path) -> Result<Contents> {
    let mut connection = reader(database).await?;
    let check: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(&mut connection)
        .await?;
    if check != "ok" {
        return Err(Error::Damaged {
            what: "the database".into(),
            detail: format!("{check}. Restore it from an earlier backup"),
        }
        .into());
    }
    let counts = sqlx::query(
        "SELECT (SELECT count(*) FROM functions), (SELECT count(*) FROM versions),
                (SELECT coalesce(max(version), 0) FROM _sqlx_migrations)",
    )
    .fetch_one(&mut connection)
    .await?;
    let sources: Vec<Vec<u8>> = sqlx::query_scalar("SELECT DISTINCT sha256 FROM versions")
        .fetch_all(&mut connection)
        .await?;
    connection.close().await?;
    let sources = sources
        .into_iter()
        .map(|digest| {
            digest.try_into().map_err(|digest: Vec<u8>| Error::Damaged {
                what: "the database".into(),
                detail: format!(
                    "the digest of a source is not 32 bytes long: got {}. Restore it from an earlier backup",
                    digest.len()
                ),
            })
        })
        .collect::<Result<_, _>>()?;
    let count = |index: usize| -> Result<u64> {
        Ok(u64::try_from(counts.try_get::<i64, _>(index)?).unwrap_or(0)) // a count is never negative
    };
    Ok(Contents {
        functions: count(0)?,
        versions: count(1)?,
        migration: counts.try_get(2)?,
        sources,
    })
}

/// The migrations and the modules of a database.
pub(crate) struct Tables {
    pub(crate) missing: Vec<String>,
    pub(crate) newer: Option<i64>,
    pub(crate) foreign: Option<i64>,
    pub(crate) sources: BTreeSet<[u8; 32]>,
    pub(crate) secret_keys: Vec<String>,
}

/// Compares a database with the tables of this release. Nothing is written, neither to it nor beside it.
pub(crate) async fn tables(database: &Path) -> Result<Tables, Error> {
    Ok(compare(database).await?)
}

async fn compare(database: &Path) -> Result<Tables> {
    // Without a log no process has it open; opening it for changes would create a log.
    let log = database.with_extension("db-wal");
    let options = SqliteConnectOptions::new()
        .filename(database)
        .read_only(true)
        .immutable(!log.exists())
        .busy_timeout(Duration::from_secs(30));
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let has = |table: &'static str| {
        sqlx::query_scalar::<_, bool>(
            "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1)",
        )
        .bind(table)
    };
    // A start that was interrupted left a database without tables.
    let mut made = vec![];
    if has("_sqlx_migrations").fetch_one(&mut connection).await? {
        let rows = sqlx::query("SELECT version, checksum, success FROM _sqlx_migrations");
        for row in rows.fetch_all(&mut connection).await? {
            made.push(migrations::AppliedMigration {
                number: row.try_get(0)?,
                checksum: row.try_get(1)?,
                finished: row.try_get(2)?,
            });
        }
    }
    let mut sources = BTreeSet::new();
    if has("versions").fetch_one(&mut connection).await? {
        let rows = sqlx::query_scalar("SELECT DISTINCT sha256 FROM versions");
        let digests: Vec<Vec<u8>> = rows.fetch_all(&mut connection).await?;
        // A digest of another length belongs to a table that this release does not know.
        sources = digests
            .into_iter()
            .filter_map(|digest| digest.try_into().ok())
            .collect();
    }
    let mut secret_keys = vec![];
    if has("secrets").fetch_one(&mut connection).await? {
        let rows = sqlx::query_scalar("SELECT DISTINCT key_id FROM secrets ORDER BY key_id");
        secret_keys = rows.fetch_all(&mut connection).await?;
    }
    connection.close().await?;
    let migrations::Difference {
        missing,
        newer,
        foreign,
    } = migrations::compare(&made);
    Ok(Tables {
        missing,
        newer,
        foreign,
        sources,
        secret_keys,
    })
}

/// Deletes from a copy the functions that have one of these sources and were deleted from the database since. Returns a
/// source to which the database still refers, if there is one; the copy is then unchanged.
pub(crate) async fn forget_deleted(
    copy: &Path,
    database: &Path,
    sources: &[[u8; 32]],
) -> Result<Option<[u8; 32]>, Error> {
    Ok(forget(copy, database, sources).await?)
}

async fn forget(copy: &Path, database: &Path, sources: &[[u8; 32]]) -> Result<Option<[u8; 32]>> {
    let mut live = reader(database).await?;
    let options = SqliteConnectOptions::new()
        .filename(copy)
        .journal_mode(SqliteJournalMode::Delete)
        .foreign_keys(true)
        // A backup contains no deleted data, also not in free pages.
        .pragma("secure_delete", "ON");
    let mut copied = SqliteConnection::connect_with(&options).await?;
    let mut transaction = copied.begin().await?;
    for source in sources {
        let refers: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM versions WHERE sha256 = $1)")
                .bind(&source[..])
                .fetch_one(&mut live)
                .await?;
        if refers {
            return Ok(Some(*source));
        }
        let functions: Vec<i64> =
            sqlx::query_scalar("SELECT DISTINCT function_id FROM versions WHERE sha256 = $1")
                .bind(&source[..])
                .fetch_all(&mut *transaction)
                .await?;
        for function_id in functions {
            let deletion = DeleteFunction {
                by: Author::PROGRAM,
                function_id,
            };
            deletion.apply(&mut transaction).await?;
        }
    }
    transaction.commit().await?;
    copied.close().await?;
    live.close().await?;
    Ok(None)
}

/// The last migration that this release knows.
pub(crate) fn newest_migration() -> i64 {
    migrations::newest()
}

/// A connection that does not change the database.
async fn reader(database: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(database)
        .read_only(true)
        .busy_timeout(Duration::from_secs(30));
    Ok(SqliteConnection::connect_with(&options).await?)
}
