//! Keys of the server's own API, as rows.

use serde_json::json;
use sqlx::Row as _;

use super::change::{Change, Locks};
use super::column::damaged;
use super::database::Database;
use super::driver::{SqlConnection, SqlPool, SqlRow, as_text, text};
use super::error::Result;
use crate::error::Error;
use crate::key::KeyHash;
use crate::model::{ApiKey, Author, MAX_API_KEYS, NewKey, NewRecord, too_many_keys};
use crate::rows::ApiKeys;
use crate::scopes::{Scope, Scopes};

impl ApiKeys for Database {
    async fn create_key(
        &self,
        by: Author,
        new: NewKey,
        hash: KeyHash,
        created_at: i64,
    ) -> Result<i64, Error> {
        let create = CreateKey {
            by,
            new,
            hash,
            created_at,
        };
        self.write(create).await?
    }

    async fn key(&self, hash: &KeyHash, now: i64) -> Result<Option<ApiKey>, Error> {
        Ok(find(&self.readers, hash, now).await?)
    }

    async fn keys(&self, function_id: Option<i64>) -> Result<Vec<ApiKey>, Error> {
        Ok(list(&self.readers, function_id).await?)
    }

    async fn delete_key(&self, by: Author, id: i64) -> Result<bool, Error> {
        Ok(self.write(DeleteKey { by, id }).await?.is_some())
    }
}

async fn find(readers: &SqlPool, hash: &KeyHash, now: i64) -> Result<Option<ApiKey>> {
    let row = sqlx::query(
        "SELECT id, label, scopes, function_id, created_at, expires_at FROM api_keys
          WHERE hash = $1 AND (expires_at IS NULL OR expires_at > $2)",
    )
    .bind(&hash.as_bytes()[..])
    .bind(now)
    .fetch_optional(readers)
    .await?;
    row.map(|row| read(&row)).transpose()
}

async fn list(readers: &SqlPool, function_id: Option<i64>) -> Result<Vec<ApiKey>> {
    sqlx::query(
        "SELECT id, label, scopes, function_id, created_at, expires_at FROM api_keys
          WHERE $1 IS NULL OR function_id = $1 ORDER BY id",
    )
    .bind(function_id)
    .fetch_all(readers)
    .await?
    .iter()
    .map(read)
    .collect()
}

fn read(row: &SqlRow) -> Result<ApiKey> {
    Ok(ApiKey {
        id: row.try_get("id")?,
        label: text(row, "label")?,
        scopes: Scopes::parse(row.try_get("scopes")?).ok_or_else(|| damaged("scopes"))?,
        function_id: row.try_get("function_id")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
    })
}

/// Stores a key. Its output is the number of the key.
struct CreateKey {
    by: Author,
    new: NewKey,
    hash: KeyHash,
    created_at: i64,
}

impl Change for CreateKey {
    type Output = Result<i64, Error>;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let new = &self.new;
        if let Some(function_id) = new.function_id {
            let there =
                sqlx::query("SELECT 1 FROM functions WHERE function_id = $1").bind(function_id);
            if there.fetch_optional(&mut *connection).await?.is_none() {
                return Ok(Err(Error::NotFound { function_id }));
            }
        }
        if full(connection).await? {
            // Expired keys are removed only now: until then, a refusal can tell that the key has expired.
            sqlx::query("DELETE FROM api_keys WHERE expires_at <= $1")
                .bind(self.created_at)
                .execute(&mut *connection)
                .await?;
            if full(connection).await? {
                return Ok(Err(too_many_keys()));
            }
        }
        let id = sqlx::query_scalar(
            "INSERT INTO api_keys (hash, label, scopes, function_id, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
        )
        .bind(&self.hash.as_bytes()[..])
        .bind(as_text(&new.label))
        .bind(new.scopes.to_string())
        .bind(new.function_id)
        .bind(self.created_at)
        .bind(new.expires_at)
        .fetch_one(connection)
        .await?;
        Ok(Ok(id))
    }

    fn locks(&self, locks: &mut Locks) {
        locks.catalogue();
    }

    fn record(&self, output: &Self::Output) -> Option<NewRecord> {
        let new = &self.new;
        let scopes: Vec<_> = new.scopes.iter().map(Scope::as_str).collect();
        output.as_ref().ok().map(|id| NewRecord {
            by: self.by.clone(),
            action: "key.create",
            function_id: new.function_id,
            function_name: None,
            details: json!({
                "key": id,
                "label": new.label,
                "scopes": scopes,
                "expires_at_ms": new.expires_at,
            }),
        })
    }
}

async fn full(connection: &mut SqlConnection) -> Result<bool> {
    let keys: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM api_keys")
        .fetch_one(connection)
        .await?;
    Ok(keys >= MAX_API_KEYS as i64)
}

/// Deletes a key. Its output is the label of the key and its function; `None` if there was no such key.
struct DeleteKey {
    by: Author,
    id: i64,
}

impl Change for DeleteKey {
    type Output = Option<(String, Option<i64>)>;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let deleted =
            sqlx::query("DELETE FROM api_keys WHERE id = $1 RETURNING label, function_id")
                .bind(self.id)
                .fetch_optional(connection)
                .await?;
        deleted
            .map(|row| Ok((text(&row, "label")?, row.try_get("function_id")?)))
            .transpose()
    }

    fn locks(&self, locks: &mut Locks) {
        locks.catalogue();
    }

    fn record(&self, output: &Self::Output) -> Option<NewRecord> {
        output.as_ref().map(|(label, function_id)| NewRecord {
            by: self.by.clone(),
            action: "key.delete",
            function_id: *function_id,
            function_name: None,
            details: json!({ "key": self.id, "label": label }),
        })
    }

    fn may_use_reserve(&self) -> bool {
        true
    }
}
