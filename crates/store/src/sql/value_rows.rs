//! The rows of one function's values, within a transaction: their size and their lifetimes.
//!
//! A function's values are bounded together. Their sum is a row of its own, changed in the transaction that changes a
//! value: summing the values would read every value's header on every save. A value whose lifetime is over is not seen,
//! and a later change removes its row: each change removes a fixed number of such rows, and all of them if room is
//! needed.

use bytes::Bytes;

use super::column::{count, integer};
use super::driver::SqlConnection;
use super::error::Result;
use crate::clock::unix_ms;
use crate::error::Error;
use crate::model::{Saved, ValueKey};

/// The values of one function within a transaction.
pub(super) struct FunctionRows<'a> {
    connection: &'a mut SqlConnection,
    function_id: i64,
    now: i64,
}

/// A change of one value: its key, and the value with its end; `None` removes it.
pub(super) type Placed<'a> = (&'a ValueKey, Option<(&'a [u8], Option<i64>)>);

/// The rows of ended values that one change removes whether or not it needs their room.
const SWEEP: i64 = 32;

impl<'a> FunctionRows<'a> {
    pub(super) fn new(connection: &'a mut SqlConnection, function_id: i64) -> Self {
        Self {
            connection,
            function_id,
            now: unix_ms(),
        }
    }

    /// Makes changes, if they fit. Rows of ended values make room.
    pub(super) async fn place(
        &mut self,
        changes: &[Placed<'_>],
        total_limit: u64,
    ) -> Result<Result<Saved, Error>> {
        let function_id = self.function_id;
        self.sweep(SWEEP).await?;
        let mut swept = false;
        let after = loop {
            let Some(total) = self.total().await? else {
                return Ok(Err(Error::NotFound { function_id }));
            };
            let mut after = total;
            for (key, placed) in changes {
                let size = placed.map_or(0, |(value, _)| key.len() + value.len());
                after = after.saturating_sub(self.taken(key).await?);
                after = after.saturating_add(size as u64);
            }
            match after > total_limit.max(total) {
                false => break after,
                true if swept => return Ok(Ok(Saved::QuotaExceeded)),
                true => self.sweep(i64::MAX).await?,
            }
            swept = true;
        };
        for (key, placed) in changes {
            match placed {
                Some((value, expires_at)) => self.put(key, value, *expires_at).await?,
                None => self.delete(key).await?,
            }
        }
        self.set_total(after).await?;
        Ok(Ok(Saved::Stored))
    }

    /// The sum of all rows; `None` if there is no such function.
    async fn total(&mut self) -> Result<Option<u64>> {
        let row = sqlx::query(
            "SELECT COALESCE(t.bytes, 0) AS total FROM functions f
               LEFT JOIN stored_totals t ON t.function_id = f.function_id
              WHERE f.function_id = $1",
        )
        .bind(self.function_id)
        .fetch_optional(&mut *self.connection)
        .await?;
        row.map(|row| count(&row, "total")).transpose()
    }

    /// The bytes that the row of a key takes.
    async fn taken(&mut self, key: &ValueKey) -> Result<u64> {
        let row = sqlx::query(
            "SELECT CAST(length(key) + length(value) + COALESCE(length(name), 0) AS BIGINT) AS bytes
               FROM stored_values WHERE function_id = $1 AND key = $2",
        )
        .bind(self.function_id)
        .bind(&key.digest[..])
        .fetch_optional(&mut *self.connection)
        .await?;
        row.map_or(Ok(0), |row| count(&row, "bytes"))
    }

    /// The value under a key, and its end.
    pub(super) async fn value(&mut self, key: &[u8; 32]) -> Result<Option<(Bytes, Option<i64>)>> {
        let row: Option<(Vec<u8>, Option<i64>)> = sqlx::query_as(
            "SELECT value, expires_at FROM stored_values
              WHERE function_id = $1 AND key = $2 AND (expires_at IS NULL OR expires_at > $3)",
        )
        .bind(self.function_id)
        .bind(&key[..])
        .bind(self.now)
        .fetch_optional(&mut *self.connection)
        .await?;
        Ok(row.map(|(value, expires_at)| (Bytes::from(value), expires_at)))
    }

    async fn put(&mut self, key: &ValueKey, value: &[u8], expires_at: Option<i64>) -> Result<()> {
        sqlx::query(
            "INSERT INTO stored_values (function_id, key, value, name, expires_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (function_id, key) DO UPDATE
                SET value = excluded.value, name = excluded.name, expires_at = excluded.expires_at",
        )
        .bind(self.function_id)
        .bind(&key.digest[..])
        .bind(value)
        .bind(key.name.as_deref())
        .bind(expires_at)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    async fn delete(&mut self, key: &ValueKey) -> Result<()> {
        sqlx::query("DELETE FROM stored_values WHERE function_id = $1 AND key = $2")
            .bind(self.function_id)
            .bind(&key.digest[..])
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    /// Removes rows of ended values, at most `most`, the oldest first.
    async fn sweep(&mut self, most: i64) -> Result<()> {
        let gone: Vec<i64> = sqlx::query_scalar(
            "DELETE FROM stored_values WHERE function_id = $1 AND key IN
                (SELECT key FROM stored_values WHERE function_id = $1 AND expires_at <= $2
                  ORDER BY expires_at LIMIT $3)
             RETURNING CAST(length(key) + length(value) + COALESCE(length(name), 0) AS BIGINT)",
        )
        .bind(self.function_id)
        .bind(self.now)
        .bind(most)
        .fetch_all(&mut *self.connection)
        .await?;
        if gone.is_empty() {
            return Ok(());
        }
        sqlx::query("UPDATE stored_totals SET bytes = bytes - $2 WHERE function_id = $1")
            .bind(self.function_id)
            .bind(gone.iter().sum::<i64>())
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    async fn set_total(&mut self, bytes: u64) -> Result<()> {
        sqlx::query(
            "INSERT INTO stored_totals (function_id, bytes) VALUES ($1, $2)
             ON CONFLICT (function_id) DO UPDATE SET bytes = excluded.bytes",
        )
        .bind(self.function_id)
        .bind(integer(bytes))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }
}
