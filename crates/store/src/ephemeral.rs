//! Texts that anyone may keep for a while, under a key of the server's.
//!
//! The total counts the rows that are there, and each put first removes the ones that expired longest ago: a fixed
//! number of them, and only if the new value does not fit yet, more. So an expired row never costs a live one its
//! place, and yet no put pays for a million rows that expired together: beyond the fixed number, it removes no more than
//! what it brings needs. A sweep in the background was rejected: it would be one more task to own, for the sake
//! of rows that no one can see.
//!
//! Time is the server's clock, because a life may outlast the process. Set back, the clock lengthens lives.

use std::time::Duration;

use sqlx::{Row as _, SqliteConnection, SqlitePool};

use crate::database::{count, integer};
use crate::writer::{Outcome, Write};
use crate::{Error, Saved, Store, saved, unix_ms};

/// Expired rows that one put removes whether or not it needs their place. More than one, so that they grow fewer.
const SWEEP: i64 = 32;

/// A text to be kept.
pub(crate) struct PutEphemeral {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) life: Duration,
    pub(crate) total_limit: u64,
}

impl Store {
    /// Keeps `value` under `key` for `life` (in whole milliseconds) from now, in place of what was there. When this
    /// returns [`Saved::Done`], it is on the disk.
    ///
    /// `total_limit` bounds the keys and values of all rows that have not expired, in bytes. [`Saved::Full`]: the value
    /// would take them over it, and what was there under `key` still is.
    ///
    /// # Errors
    /// As [`Store::delete_function`]; nothing was changed.
    pub async fn put_ephemeral(
        &self,
        key: String,
        value: String,
        life: Duration,
        total_limit: u64,
    ) -> Result<Saved, Error> {
        let put = Write::PutEphemeral(PutEphemeral {
            key,
            value,
            life,
            total_limit,
        });
        saved(&self.write(put).await?)
    }

    /// What is kept under `key`, unless it expired.
    ///
    /// # Errors
    /// As [`Store::function`].
    pub async fn ephemeral(&self, key: &str) -> Result<Option<String>, Error> {
        get(self.readers(), key).await
    }

    /// Forgets what is kept under `key`. `false`: there was nothing, or it had expired.
    ///
    /// # Errors
    /// As [`Store::delete_function`]; nothing was changed.
    pub async fn delete_ephemeral(&self, key: String) -> Result<bool, Error> {
        let outcome = self.write(Write::DeleteEphemeral { key }).await?;
        Ok(!matches!(outcome, Outcome::Missing))
    }
}

async fn get(readers: &SqlitePool, key: &str) -> Result<Option<String>, Error> {
    Ok(
        sqlx::query_scalar("SELECT value FROM ephemeral WHERE key = $1 AND expires_at > $2")
            .bind(key)
            .bind(unix_ms())
            .fetch_optional(readers)
            .await?,
    )
}

pub(crate) async fn put(
    connection: &mut SqliteConnection,
    put: &PutEphemeral,
) -> Result<Outcome, Error> {
    let now = unix_ms();
    let size = (put.key.len() + put.value.len()) as u64;
    let outcome = loop {
        let swept = sweep(connection, now).await?;
        let before = sqlx::query(
            "SELECT t.bytes AS total, COALESCE(e.size, 0) AS replaced
               FROM ephemeral_total t LEFT JOIN ephemeral e ON e.key = $1",
        )
        .bind(&put.key)
        .fetch_one(&mut *connection)
        .await?;
        let others = count(&before, "total")?.saturating_sub(count(&before, "replaced")?);
        if others.saturating_add(size) <= put.total_limit {
            total(
                connection,
                integer(size) - integer(count(&before, "replaced")?),
            )
            .await?;
            break Outcome::Done;
        }
        if swept < SWEEP {
            return Ok(Outcome::Full);
        }
    };

    let life = i64::try_from(put.life.as_millis()).unwrap_or(i64::MAX);
    sqlx::query(
        "INSERT INTO ephemeral (key, value, size, expires_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, size = excluded.size, expires_at = excluded.expires_at",
    )
    .bind(&put.key)
    .bind(&put.value)
    .bind(integer(size))
    .bind(now.saturating_add(life))
    .execute(connection)
    .await?;
    Ok(outcome)
}

pub(crate) async fn delete(connection: &mut SqliteConnection, key: &str) -> Result<Outcome, Error> {
    let gone = sqlx::query("DELETE FROM ephemeral WHERE key = $1 RETURNING size, expires_at")
        .bind(key)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(gone) = gone else {
        return Ok(Outcome::Missing);
    };
    total(connection, -integer(count(&gone, "size")?)).await?;
    if gone.try_get::<i64, _>("expires_at")? > unix_ms() {
        Ok(Outcome::Done)
    } else {
        Ok(Outcome::Missing)
    }
}

/// Removes up to [`SWEEP`] rows, those that expired first, and says how many.
async fn sweep(connection: &mut SqliteConnection, now: i64) -> Result<i64, Error> {
    let gone = sqlx::query(
        "DELETE FROM ephemeral
          WHERE key IN (SELECT key FROM ephemeral WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)
         RETURNING size",
    )
    .bind(now)
    .bind(SWEEP)
    .fetch_all(&mut *connection)
    .await?;
    let (mut rows, mut freed) = (0, 0);
    for row in &gone {
        rows += 1;
        freed += integer(count(row, "size")?);
    }
    if rows > 0 {
        total(connection, -freed).await?;
    }
    Ok(rows)
}

async fn total(connection: &mut SqliteConnection, change: i64) -> Result<(), Error> {
    sqlx::query("UPDATE ephemeral_total SET bytes = bytes + $1")
        .bind(change)
        .execute(connection)
        .await?;
    Ok(())
}
