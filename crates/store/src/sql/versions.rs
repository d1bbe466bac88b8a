//! Versions, as rows, and the sources to which they refer.

use std::collections::{BTreeSet, HashSet};
use std::ops::RangeInclusive;

use serde_json::{Map, Value};
use sqlx::Row as _;

use super::column::{bytes, damaged};
use super::database::Database;
use super::driver::{SqlConnection, SqlPool, SqlRow};
use super::error::Result;
use crate::error::Error;
use crate::model::{Deploy, Version, VersionId, VersionRow};
use crate::rows::Versions;

/// The most versions of one list.
const LISTED: i64 = 1000;

impl Versions for Database {
    async fn versions(
        &self,
        function_id: i64,
        numbers: RangeInclusive<i64>,
    ) -> Result<Vec<Version>, Error> {
        Ok(list(&self.readers, function_id, numbers).await?)
    }

    async fn deploys(&self, limit: u32) -> Result<Vec<Deploy>, Error> {
        Ok(deploys(&self.readers, limit).await?)
    }

    async fn sources(&self) -> Result<HashSet<[u8; 32]>, Error> {
        Ok(live(&self.readers).await?)
    }

    async fn refers(&self, sha256: &[u8; 32]) -> Result<bool, Error> {
        Ok(refers(&self.readers, sha256).await?)
    }
}

/// Ids of versions begin with their time, so the index of the primary key has them in order.
async fn deploys(readers: &SqlPool, limit: u32) -> Result<Vec<Deploy>> {
    let rows = sqlx::query(
        "SELECT v.function_id, f.name, v.number, v.created_at, f.active_version = v.id AS active
           FROM versions v JOIN functions f ON f.function_id = v.function_id
          ORDER BY v.id DESC LIMIT $1",
    )
    .bind(i64::from(limit))
    .fetch_all(readers)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Deploy {
                function_id: row.try_get("function_id")?,
                name: row.try_get("name")?,
                number: row.try_get("number")?,
                created_at: row.try_get("created_at")?,
                active: row.try_get("active")?,
            })
        })
        .collect()
}

async fn list(
    readers: &SqlPool,
    function_id: i64,
    numbers: RangeInclusive<i64>,
) -> Result<Vec<Version>> {
    sqlx::query(
        "SELECT id, number, sha256, legacy_sha256, size, kind, manifest, declaration, created_at
           FROM versions
          WHERE function_id = $1 AND number BETWEEN $2 AND $3
          ORDER BY number DESC LIMIT $4",
    )
    .bind(function_id)
    .bind(numbers.start())
    .bind(numbers.end())
    .bind(LISTED)
    .fetch_all(readers)
    .await?
    .iter()
    .map(|row| read(row, 0))
    .collect()
}

/// The number of columns that [`read`] reads.
pub(super) const COLUMNS: usize = 9;

/// The columns of a version, from `first` on, in the order of the list above. They are read by index, because a row may
/// hold two versions.
pub(super) fn read(row: &SqlRow, first: usize) -> Result<Version> {
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

/// Adds the next version of a function, and returns its number.
pub(super) async fn insert(
    connection: &mut SqlConnection,
    function_id: i64,
    version: &VersionRow,
) -> Result<i64> {
    let number = sqlx::query_scalar(
        "INSERT INTO versions (id, function_id, number, sha256, legacy_sha256, size, kind, manifest, declaration, created_at)
         VALUES ($1, $2, (SELECT COALESCE(MAX(number), 0) + 1 FROM versions WHERE function_id = $2), $3, $4, $5, $6, $7, $8, $9)
         RETURNING number",
    )
    .bind(version.id.to_string())
    .bind(function_id)
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

/// Adds to the details of a deploy the parts of its declaration that differ from that of the version before.
///
/// A declaration is JSON that the server wrote, and the parts are its names, so they are few and short.
pub(super) fn declared(details: &mut Value, before: Option<&str>, version: &VersionRow) {
    let read = |text: Option<&str>| -> Map<String, Value> {
        text.and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    };
    let (before, now) = (read(before), read(version.declaration.as_deref()));
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    // A part that is empty says as much as one that is not there.
    let said = |of: &Map<String, Value>, name: &String| {
        of.get(name).filter(|part| !is_empty(part)).cloned()
    };
    let differ = names
        .into_iter()
        .filter(|name| said(&before, name) != said(&now, name));
    details["declares"] = differ.cloned().collect::<Vec<_>>().into();
}

fn is_empty(part: &Value) -> bool {
    match part {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(parts) => parts.is_empty(),
        Value::Object(parts) => parts.values().all(is_empty),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// The digests of all sources to which versions refer.
async fn live(readers: &SqlPool) -> Result<HashSet<[u8; 32]>> {
    sqlx::query("SELECT DISTINCT sha256 FROM versions")
        .fetch_all(readers)
        .await?
        .iter()
        .map(|row| bytes(row, "sha256"))
        .collect()
}

/// `true` if any version refers to this source.
async fn refers(readers: &SqlPool, sha256: &[u8; 32]) -> Result<bool> {
    let found = sqlx::query("SELECT 1 FROM versions WHERE sha256 = $1 LIMIT 1")
        .bind(&sha256[..])
        .fetch_optional(readers)
        .await?;
    Ok(found.is_some())
}
