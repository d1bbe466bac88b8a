//! Stored values, as rows.
//!
//! The writer applies one change at a time, so the rows that a check reads are the rows that its change finds.

use bytes::Bytes;
use serde_json::json;
use sqlx::Row as _;

use super::change::{Change, Locks};
use super::changes::of_function;
use super::column::{count, integer};
use super::database::Database;
use super::driver::{SqlConnection, SqlPool};
use super::error::Result;
use super::value_rows::{FunctionRows, Placed};
use crate::clock::unix_ms;
use crate::error::Error;
use crate::model::{
    Author, Committed, NewRecord, Saved, Updated, ValueBatch, ValueChange, ValueHead, ValueKey,
};
use crate::rows::Values;

/// The characters of a value's name that the audit log keeps.
const NAME_IN_RECORD: usize = 200;

impl Values for Database {
    async fn load_value(&self, function_id: i64, key: &[u8; 32]) -> Result<Option<Bytes>, Error> {
        Ok(load(&self.readers, function_id, key).await?)
    }

    async fn save_value(
        &self,
        function_id: i64,
        key: ValueKey,
        value: Bytes,
        total_limit: u64,
    ) -> Result<Saved, Error> {
        self.write(SaveValue {
            function_id,
            key,
            value,
            total_limit,
        })
        .await?
    }

    async fn remove_value(&self, function_id: i64, key: [u8; 32]) -> Result<bool, Error> {
        self.write(RemoveValue { function_id, key }).await
    }

    async fn delete_value(
        &self,
        by: Author,
        function_id: i64,
        key: ValueKey,
    ) -> Result<bool, Error> {
        self.write(DeleteValue {
            by,
            function_id,
            key,
        })
        .await
    }

    async fn commit_values(
        &self,
        function_id: i64,
        batch: ValueBatch,
        total_limit: u64,
    ) -> Result<Committed, Error> {
        self.write(CommitValues {
            function_id,
            batch,
            total_limit,
        })
        .await?
    }

    async fn update_value(
        &self,
        function_id: i64,
        key: ValueKey,
        change: ValueChange,
        total_limit: u64,
    ) -> Result<Updated, Error> {
        self.write(UpdateValue {
            function_id,
            key,
            change,
            total_limit,
        })
        .await?
    }

    async fn value_names(
        &self,
        function_id: i64,
        prefix: &[u8],
        after: &[u8],
        limit: u32,
    ) -> Result<Vec<Bytes>, Error> {
        let heads = heads(&self.readers, function_id, prefix, after, limit).await?;
        Ok(heads.into_iter().map(|head| head.name).collect())
    }

    async fn value_heads(
        &self,
        function_id: i64,
        prefix: &[u8],
        after: &[u8],
        limit: u32,
    ) -> Result<Vec<ValueHead>, Error> {
        Ok(heads(&self.readers, function_id, prefix, after, limit).await?)
    }
}

async fn load(readers: &SqlPool, function_id: i64, key: &[u8; 32]) -> Result<Option<Bytes>> {
    let value: Option<Vec<u8>> = sqlx::query_scalar(
        "SELECT value FROM stored_values
          WHERE function_id = $1 AND key = $2 AND (expires_at IS NULL OR expires_at > $3)",
    )
    .bind(function_id)
    .bind(&key[..])
    .bind(unix_ms())
    .fetch_optional(readers)
    .await?;
    Ok(value.map(Bytes::from))
}

async fn heads(
    readers: &SqlPool,
    function_id: i64,
    prefix: &[u8],
    after: &[u8],
    limit: u32,
) -> Result<Vec<ValueHead>> {
    // SQLite knows the length of a value without reading it.
    sqlx::query(
        "SELECT name, CAST(length(value) AS BIGINT) AS size, expires_at FROM stored_values
          WHERE function_id = $1 AND name IS NOT NULL AND name > $2 AND name >= $3 AND ($4 IS NULL OR name < $4)
            AND (expires_at IS NULL OR expires_at > $6)
          ORDER BY name LIMIT $5",
    )
    .bind(function_id)
    .bind(after)
    .bind(prefix)
    .bind(beyond(prefix))
    .bind(i64::from(limit))
    .bind(unix_ms())
    .fetch_all(readers)
    .await?
    .iter()
    .map(|row| {
        Ok(ValueHead {
            name: row.try_get::<Vec<u8>, _>("name")?.into(),
            size: count(row, "size")?,
            expires_at: row.try_get("expires_at")?,
        })
    })
    .collect()
}

/// The first bytes after all that begin with `prefix`; `None` if there are none.
fn beyond(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut beyond = prefix.get(..=last)?.to_vec();
    if let Some(byte) = beyond.last_mut() {
        *byte += 1;
    }
    Some(beyond)
}

/// Stores a value, if it fits.
struct SaveValue {
    function_id: i64,
    key: ValueKey,
    value: Bytes,
    total_limit: u64,
}

impl Change for SaveValue {
    type Output = Result<Saved, Error>;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let mut rows = FunctionRows::new(connection, self.function_id);
        let change = (&self.key, Some((&self.value[..], None)));
        rows.place(&[change], self.total_limit).await
    }

    fn locks(&self, locks: &mut Locks) {
        locks.values.insert(self.function_id);
    }

    fn record(&self, _: &Self::Output) -> Option<NewRecord> {
        None
    }
}

/// Makes a batch, if its conditions hold and it fits.
struct CommitValues {
    function_id: i64,
    batch: ValueBatch,
    total_limit: u64,
}

impl Change for CommitValues {
    type Output = Result<Committed, Error>;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let mut rows = FunctionRows::new(connection, self.function_id);
        for (key, expected) in &self.batch.expected {
            let value = rows.value(key).await?.map(|(value, _)| value);
            if value.filter(|value| !value.is_empty()) != *expected {
                return Ok(Ok(Committed::Conflict));
            }
        }
        let changes = self.batch.writes.iter().map(|write| {
            let value = write.value.as_deref();
            (&write.key, value.map(|value| (value, write.expires_at)))
        });
        let changes: Vec<Placed<'_>> = changes.collect();
        let placed = rows.place(&changes, self.total_limit).await?;
        Ok(placed.map(|saved| match saved {
            Saved::Stored => Committed::Stored,
            Saved::QuotaExceeded => Committed::QuotaExceeded,
        }))
    }

    fn locks(&self, locks: &mut Locks) {
        locks.values.insert(self.function_id);
    }

    fn record(&self, _: &Self::Output) -> Option<NewRecord> {
        None
    }
}

/// Replaces a value by the result of a change, if that fits.
struct UpdateValue {
    function_id: i64,
    key: ValueKey,
    change: ValueChange,
    total_limit: u64,
}

impl Change for UpdateValue {
    type Output = Result<Updated, Error>;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let mut rows = FunctionRows::new(connection, self.function_id);
        let (before, expires_at) = match rows.value(&self.key.digest).await? {
            Some((value, expires_at)) => (Some(value), expires_at),
            None => (None, None),
        };
        let before = before.filter(|value| !value.is_empty());
        let Some(value) = (self.change)(before) else {
            return Ok(Ok(Updated::Unchanged));
        };
        let change = (&self.key, Some((&value[..], expires_at)));
        let placed = rows.place(&[change], self.total_limit).await?;
        Ok(placed.map(|saved| match saved {
            Saved::Stored => Updated::Stored(value),
            Saved::QuotaExceeded => Updated::QuotaExceeded,
        }))
    }

    fn locks(&self, locks: &mut Locks) {
        locks.values.insert(self.function_id);
    }

    fn record(&self, _: &Self::Output) -> Option<NewRecord> {
        None
    }
}

/// Removes a value. Its output is `false` if there was none.
struct RemoveValue {
    function_id: i64,
    key: [u8; 32],
}

impl Change for RemoveValue {
    type Output = bool;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<bool> {
        remove(connection, self.function_id, &self.key).await
    }

    fn locks(&self, locks: &mut Locks) {
        locks.values.insert(self.function_id);
    }

    fn record(&self, _: &bool) -> Option<NewRecord> {
        None
    }
}

/// Removes a value for a person. Its output is `false` if there was none.
struct DeleteValue {
    by: Author,
    function_id: i64,
    key: ValueKey,
}

impl Change for DeleteValue {
    type Output = bool;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<bool> {
        remove(connection, self.function_id, &self.key.digest).await
    }

    fn locks(&self, locks: &mut Locks) {
        locks.values.insert(self.function_id);
    }

    fn record(&self, deleted: &bool) -> Option<NewRecord> {
        // A name is the function's own text, of any length.
        let name = String::from_utf8_lossy(self.key.name.as_deref().unwrap_or_default());
        let name: String = name.chars().take(NAME_IN_RECORD).collect();
        let details = json!({ "name": name });
        deleted.then(|| of_function(&self.by, "value.delete", self.function_id, details))
    }

    fn may_use_reserve(&self) -> bool {
        true
    }
}

async fn remove(connection: &mut SqlConnection, function_id: i64, key: &[u8; 32]) -> Result<bool> {
    let deleted = sqlx::query(
        "DELETE FROM stored_values WHERE function_id = $1 AND key = $2
         RETURNING CAST(length(key) + length(value) + COALESCE(length(name), 0) AS BIGINT) AS bytes",
    )
    .bind(function_id)
    .bind(&key[..])
    .fetch_optional(&mut *connection)
    .await?;
    let Some(deleted) = deleted else {
        return Ok(false);
    };
    sqlx::query("UPDATE stored_totals SET bytes = bytes - $2 WHERE function_id = $1")
        .bind(function_id)
        .bind(integer(count(&deleted, "bytes")?))
        .execute(connection)
        .await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::beyond;

    #[test]
    fn names_that_begin_with_a_prefix_end_before_the_next() {
        assert_eq!(beyond(b"ab").unwrap(), b"ac");
        assert_eq!(beyond(b"a\xff\xff").unwrap(), b"b");
        assert_eq!(beyond(b"\xff"), None);
        assert_eq!(beyond(b""), None);
    }
}
