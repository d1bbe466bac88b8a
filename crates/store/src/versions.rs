//! The versions of a function: the next one, and those that there were.
//!
//! A version never changes and goes only with its function, so what a caller learned of one stays true: a call that
//! began under an earlier version can still be explained, and run again, from that version.

use std::ops::RangeInclusive;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqlitePool};

use crate::database::{bytes, count, damaged};
use crate::writer::{Outcome, Write};
use crate::{Error, NewVersion, Store, Uploaded, Version, VersionId};

/// The most that one list holds.
const LISTED: i64 = 1000;

impl Store {
    /// Adds the next version and makes it the active one. When this returns `Ok`, it is on the disk.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of [`Store::create_function`]; the function then runs what it ran before.
    pub async fn replace_version(&self, wasm_id: i64, new: NewVersion) -> Result<Uploaded, Error> {
        let id = VersionId::now();
        let outcome = self
            .upload(id, new, move |version| Write::Replace { wasm_id, version })
            .await?;
        match outcome {
            Outcome::Added(number) => Ok(Uploaded { id, number }),
            Outcome::Missing => Err(Error::NotFound { wasm_id }),
            _ => Err(Error::Unavailable("the new version vanished".into())),
        }
    }

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
        "SELECT id, number, sha256, legacy_sha256, size, kind, manifest, declaration, created_at AS uploaded_at
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
    .map(read)
    .collect()
}

/// A row with the columns of a version; its `created_at` is called `uploaded_at`, because functions have one, too.
pub(crate) fn read(row: &SqliteRow) -> Result<Version, Error> {
    let id: &str = row.try_get("id")?;
    Ok(Version {
        id: VersionId::parse(id).ok_or_else(|| damaged("id"))?,
        number: row.try_get("number")?,
        sha256: bytes(row, "sha256")?,
        legacy_sha256: row.try_get("legacy_sha256")?,
        size: count(row, "size")?,
        kind: row.try_get("kind")?,
        manifest: row.try_get("manifest")?,
        declaration: row.try_get("declaration")?,
        created_at: row.try_get("uploaded_at")?,
    })
}
