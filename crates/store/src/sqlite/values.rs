//! Stored values, as rows.
//!
//! A function's values are bounded together. Their sum is a row of its own, changed in the transaction that changes a
//! value: adding up what is there would read every value's header on every save. The writer applies one change at a
//! time, so the rows that the check reads are the rows that the change finds.

use bytes::Bytes;
use sqlx::{SqliteConnection, SqlitePool};

use super::change::Change;
use super::column::{count, integer};
use super::database::Database;
use super::error::Result;
use crate::error::Error;
use crate::model::{Saved, ValueKey};
use crate::rows::Values;

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

    async fn value_names(
        &self,
        function_id: i64,
        prefix: &[u8],
        after: &[u8],
        limit: u32,
    ) -> Result<Vec<Bytes>, Error> {
        Ok(names(&self.readers, function_id, prefix, after, limit).await?)
    }
}

async fn load(readers: &SqlitePool, function_id: i64, key: &[u8; 32]) -> Result<Option<Bytes>> {
    let value: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT value FROM stored_values WHERE function_id = $1 AND key = $2")
            .bind(function_id)
            .bind(&key[..])
            .fetch_optional(readers)
            .await?;
    Ok(value.map(Bytes::from))
}

async fn names(
    readers: &SqlitePool,
    function_id: i64,
    prefix: &[u8],
    after: &[u8],
    limit: u32,
) -> Result<Vec<Bytes>> {
    let names: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT name FROM stored_values
          WHERE function_id = $1 AND name IS NOT NULL AND name > $2 AND name >= $3 AND ($4 IS NULL OR name < $4)
          ORDER BY name LIMIT $5",
    )
    .bind(function_id)
    .bind(after)
    .bind(prefix)
    .bind(beyond(prefix))
    .bind(i64::from(limit))
    .fetch_all(readers)
    .await?;
    Ok(names.into_iter().map(Bytes::from).collect())
}

/// The first bytes after all that begin with `prefix`; `None`: nothing comes after them.
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

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output> {
        let function_id = self.function_id;
        let before = sqlx::query(
            "SELECT COALESCE(t.bytes, 0) AS total,
                    COALESCE(length(v.key) + length(v.value) + COALESCE(length(v.name), 0), 0) AS replaced
               FROM functions f
               LEFT JOIN stored_totals t ON t.function_id = f.function_id
               LEFT JOIN stored_values v ON v.function_id = f.function_id AND v.key = $2
              WHERE f.function_id = $1",
        )
        .bind(function_id)
        .bind(&self.key.digest[..])
        .fetch_optional(&mut *connection)
        .await?;
        let Some(before) = before else {
            return Ok(Err(Error::NotFound { function_id }));
        };
        let total = count(&before, "total")?;
        let after = total
            .saturating_sub(count(&before, "replaced")?)
            .saturating_add((self.key.len() + self.value.len()) as u64);
        if after > self.total_limit.max(total) {
            return Ok(Ok(Saved::QuotaExceeded));
        }

        sqlx::query(
            "INSERT INTO stored_values (function_id, key, value, name) VALUES ($1, $2, $3, $4)
             ON CONFLICT (function_id, key) DO UPDATE SET value = excluded.value, name = excluded.name",
        )
        .bind(function_id)
        .bind(&self.key.digest[..])
        .bind(&self.value[..])
        .bind(self.key.name.as_deref())
        .execute(&mut *connection)
        .await?;
        sqlx::query(
            "INSERT INTO stored_totals (function_id, bytes) VALUES ($1, $2)
             ON CONFLICT (function_id) DO UPDATE SET bytes = excluded.bytes",
        )
        .bind(function_id)
        .bind(integer(after))
        .execute(connection)
        .await?;
        Ok(Ok(Saved::Stored))
    }
}

/// Removes a value. Its output is `false` if there was none.
struct RemoveValue {
    function_id: i64,
    key: [u8; 32],
}

impl Change for RemoveValue {
    type Output = bool;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output> {
        let gone = sqlx::query(
            "DELETE FROM stored_values WHERE function_id = $1 AND key = $2
             RETURNING length(key) + length(value) + COALESCE(length(name), 0) AS bytes",
        )
        .bind(self.function_id)
        .bind(&self.key[..])
        .fetch_optional(&mut *connection)
        .await?;
        let Some(gone) = gone else { return Ok(false) };
        sqlx::query("UPDATE stored_totals SET bytes = bytes - $2 WHERE function_id = $1")
            .bind(self.function_id)
            .bind(integer(count(&gone, "bytes")?))
            .execute(connection)
            .await?;
        Ok(true)
    }
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
