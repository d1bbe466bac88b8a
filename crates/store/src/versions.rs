//! The versions of a function: all that there were, and how the next one is added.
//!
//! A version never changes and goes only with its function, so what a caller learned of one stays true: a call that
//! began under an earlier version can still be explained, and run again, from that version.

use std::ops::RangeInclusive;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, SqlitePool};

use crate::database::damaged;
use crate::{Error, Store, Version, VersionId};

/// The most that one list holds.
const LISTED: i64 = 1000;

impl Store {
    /// One version of a function, active or not. `None`: there is no such version, or no such function.
    ///
    /// # Errors
    /// As [`Store::function`].
    pub async fn version(&self, wasm_id: i64, number: i64) -> Result<Option<Version>, Error> {
        let mut found = list(self.readers(), wasm_id, number..=number).await?;
        Ok(found.pop())
    }

    /// The versions of a function, newest first, and no more than the 1000 newest. Empty if there is no such function.
    ///
    /// # Errors
    /// As [`Store::function`].
    pub async fn versions(&self, wasm_id: i64) -> Result<Vec<Version>, Error> {
        list(self.readers(), wasm_id, 1..=i64::MAX).await
    }
}

async fn list(
    readers: &SqlitePool,
    wasm_id: i64,
    numbers: RangeInclusive<i64>,
) -> Result<Vec<Version>, Error> {
    sqlx::query(
        "SELECT id, number, sha256, legacy_sha256, size, kind, manifest, declaration, created_at
           FROM versions
          WHERE function_id = $1 AND number BETWEEN $2 AND $3
          ORDER BY number DESC LIMIT $4",
    )
    .bind(wasm_id)
    .bind(numbers.start())
    .bind(numbers.end())
    .bind(LISTED)
    .fetch_all(readers)
    .await?
    .iter()
    .map(|row| read(row, 0))
    .collect()
}

/// How many columns of a row [`read`] reads.
pub(crate) const COLUMNS: usize = 9;

/// The columns of a version, from `first` on, in the order in which the list above has them. By their places, because a
/// row may hold two versions.
pub(crate) fn read(row: &SqliteRow, first: usize) -> Result<Version, Error> {
    let sha256 = row.try_get::<&[u8], _>(first + 2)?.try_into();
    let size = row.try_get::<i64, _>(first + 4)?.try_into();
    Ok(Version {
        id: VersionId::parse(row.try_get(first)?).ok_or_else(|| damaged("id"))?,
        number: row.try_get(first + 1)?,
        sha256: sha256.map_err(|_| damaged("sha256"))?,
        legacy_sha256: row.try_get(first + 3)?,
        size: size.map_err(|_| damaged("size"))?,
        kind: row.try_get(first + 5)?,
        manifest: row.try_get(first + 6)?,
        declaration: row.try_get(first + 7)?,
        created_at: row.try_get(first + 8)?,
    })
}

/// A version to be stored.
pub(crate) struct VersionRow {
    pub(crate) id: VersionId,
    pub(crate) sha256: [u8; 32],
    pub(crate) legacy_sha256: String,
    pub(crate) size: i64,
    pub(crate) kind: String,
    pub(crate) manifest: String,
    pub(crate) declaration: Option<String>,
    pub(crate) created_at: i64,
}

/// Adds the next version of a function, and returns its number.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    wasm_id: i64,
    version: &VersionRow,
) -> Result<i64, Error> {
    let number = sqlx::query_scalar(
        "INSERT INTO versions (id, function_id, number, sha256, legacy_sha256, size, kind, manifest, declaration, created_at)
         VALUES ($1, $2, (SELECT COALESCE(MAX(number), 0) + 1 FROM versions WHERE function_id = $2), $3, $4, $5, $6, $7, $8, $9)
         RETURNING number",
    )
    .bind(version.id.to_string())
    .bind(wasm_id)
    .bind(&version.sha256[..])
    .bind(&version.legacy_sha256)
    .bind(version.size)
    .bind(&version.kind)
    .bind(&version.manifest)
    .bind(&version.declaration)
    .bind(version.created_at)
    .fetch_one(connection)
    .await?;
    Ok(number)
}
