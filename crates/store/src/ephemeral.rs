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

use crate::change::Change;
use crate::database::{count, integer};
use crate::{Error, Store, unix_ms};

/// Expired rows that one put removes whether or not it needs their place. More than one, so that they grow fewer.
const SWEEP: i64 = 32;

/// The part of the ephemeral storage that one owner may fill.
#[derive(Clone, Debug)]
pub struct EphemeralShare {
    /// Whom the rows are counted for: a text that is not empty.
    pub owner: String,
    /// Bytes of the keys and values of the owner's rows that have not expired.
    pub limit: u64,
}

/// The outcome of [`Store::put_ephemeral`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EphemeralPut {
    /// The text is on the disk.
    Done,
    /// It would take all rows over their limit; nothing was changed.
    Full,
    /// It would take the rows of its owner over their limit; nothing was changed.
    ShareFull,
}

impl Store {
    /// Keeps `value` under `key` for `life` (in whole milliseconds) from now, in place of what was there. When this
    /// returns [`EphemeralPut::Done`], it is on the disk.
    ///
    /// `total_limit` bounds the keys and values of all rows that have not expired, in bytes, and `share` those of one
    /// owner, to whom the row belongs from now on. Where it does not fit, what was there under `key` still is.
    ///
    /// # Errors
    /// As [`Store::delete_function`]; nothing was changed.
    pub async fn put_ephemeral(
        &self,
        key: String,
        value: String,
        life: Duration,
        total_limit: u64,
        share: Option<EphemeralShare>,
    ) -> Result<EphemeralPut, Error> {
        self.write(PutEphemeral {
            key,
            value,
            life,
            total_limit,
            share,
        })
        .await
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
        self.write(DeleteEphemeral { key }).await
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

/// Keeps a text, if it fits.
struct PutEphemeral {
    key: String,
    value: String,
    life: Duration,
    total_limit: u64,
    share: Option<EphemeralShare>,
}

impl Change for PutEphemeral {
    type Output = EphemeralPut;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
        let now = unix_ms();
        let size = (self.key.len() + self.value.len()) as u64;
        let (owner, share_limit) = match &self.share {
            None => ("", u64::MAX),
            Some(share) => (share.owner.as_str(), share.limit),
        };
        loop {
            let swept = sweep(connection, now).await?;
            let before = sqlx::query(
                "SELECT t.bytes AS total, COALESCE(e.size, 0) AS replaced, COALESCE(s.bytes, 0) AS share,
                        CASE WHEN e.owner = $2 THEN e.size ELSE 0 END AS replaced_of_share
                   FROM ephemeral_total t
                   LEFT JOIN ephemeral e ON e.key = $1
                   LEFT JOIN ephemeral_shares s ON s.owner = $2",
            )
            .bind(&self.key)
            .bind(owner)
            .fetch_one(&mut *connection)
            .await?;
            let after = |all, replaced| -> Result<u64, Error> {
                let others = count(&before, all)?.saturating_sub(count(&before, replaced)?);
                Ok(others.saturating_add(size))
            };
            let fits = after("total", "replaced")? <= self.total_limit;
            let fits_share = after("share", "replaced_of_share")? <= share_limit;
            if fits && fits_share {
                total(
                    connection,
                    integer(size) - integer(count(&before, "replaced")?),
                )
                .await?;
                break;
            }
            if swept < SWEEP {
                return Ok(if fits {
                    EphemeralPut::ShareFull
                } else {
                    EphemeralPut::Full
                });
            }
        }

        let life = i64::try_from(self.life.as_millis()).unwrap_or(i64::MAX);
        sqlx::query(
            "INSERT INTO ephemeral (key, value, size, expires_at, owner) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, size = excluded.size, expires_at = excluded.expires_at,
                                             owner = excluded.owner",
        )
        .bind(&self.key)
        .bind(&self.value)
        .bind(integer(size))
        .bind(now.saturating_add(life))
        .bind(owner)
        .execute(connection)
        .await?;
        Ok(EphemeralPut::Done)
    }
}

/// Removes a text. Its output is `false` if there was none, or if it had expired.
struct DeleteEphemeral {
    key: String,
}

impl Change for DeleteEphemeral {
    type Output = bool;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
        let gone = sqlx::query("DELETE FROM ephemeral WHERE key = $1 RETURNING size, expires_at")
            .bind(&self.key)
            .fetch_optional(&mut *connection)
            .await?;
        let Some(gone) = gone else { return Ok(false) };
        total(connection, -integer(count(&gone, "size")?)).await?;
        Ok(gone.try_get::<i64, _>("expires_at")? > unix_ms())
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
