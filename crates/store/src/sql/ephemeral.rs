//! Ephemeral texts, as rows.
//!
//! The total counts all rows in the table, and each put first removes the rows that expired longest ago: a fixed number
//! of them, and more only if the new value does not fit yet. So an expired row never takes the room of a live one, and
//! yet no put pays for a million rows that expired together: beyond the fixed number, it removes only as many as the
//! new value needs. A sweep in the background was rejected: it would be one more task to manage, for rows that nobody
//! can see.

use sqlx::Row as _;

use super::change::{Change, Locks};
use super::column::{count, integer};
use super::database::Database;
use super::driver::{SqlConnection, SqlPool, as_text, text};
use super::error::Result;
use crate::clock::unix_ms;
use crate::error::Error;
use crate::model::{EphemeralPut, NewEphemeral, NewRecord};
use crate::rows::Ephemeral;

/// The expired rows that one put removes whether or not it needs their room. More than one, so that their number falls.
const SWEEP: i64 = 32;

impl Ephemeral for Database {
    async fn put_ephemeral(&self, new: NewEphemeral) -> Result<EphemeralPut, Error> {
        self.write(PutEphemeral(new)).await
    }

    async fn ephemeral(&self, key: &str) -> Result<Option<String>, Error> {
        Ok(get(&self.readers, key).await?)
    }

    async fn delete_ephemeral(&self, key: String) -> Result<bool, Error> {
        self.write(DeleteEphemeral { key }).await
    }
}

async fn get(readers: &SqlPool, key: &str) -> Result<Option<String>> {
    let row = sqlx::query("SELECT value FROM ephemeral WHERE key = $1 AND expires_at > $2")
        .bind(as_text(key))
        .bind(unix_ms())
        .fetch_optional(readers)
        .await?;
    row.map(|row| text(&row, "value")).transpose()
}

/// Keeps a text, if it fits.
struct PutEphemeral(NewEphemeral);

impl Change for PutEphemeral {
    type Output = EphemeralPut;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let new = &self.0;
        let now = unix_ms();
        let size = (new.key.len() + new.value.len()) as u64;
        let (owner, share_limit) = match &new.share {
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
            .bind(as_text(&new.key))
            .bind(owner)
            .fetch_one(&mut *connection)
            .await?;
            let after = |all, replaced| -> Result<u64> {
                let others = count(&before, all)?.saturating_sub(count(&before, replaced)?);
                Ok(others.saturating_add(size))
            };
            let fits = after("total", "replaced")? <= new.total_limit;
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

        let life = i64::try_from(new.life.as_millis()).unwrap_or(i64::MAX);
        sqlx::query(
            "INSERT INTO ephemeral (key, value, size, expires_at, owner) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, size = excluded.size, expires_at = excluded.expires_at,
                                             owner = excluded.owner",
        )
        .bind(as_text(&new.key))
        .bind(as_text(&new.value))
        .bind(integer(size))
        .bind(now.saturating_add(life))
        .bind(owner)
        .execute(connection)
        .await?;
        Ok(EphemeralPut::Done)
    }

    fn locks(&self, locks: &mut Locks) {
        locks.ephemeral = true;
    }

    fn record(&self, _: &Self::Output) -> Option<NewRecord> {
        None
    }
}

/// Removes a text. Its output is `false` if there was none, or if it had expired.
struct DeleteEphemeral {
    key: String,
}

impl Change for DeleteEphemeral {
    type Output = bool;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let removed =
            sqlx::query("DELETE FROM ephemeral WHERE key = $1 RETURNING size, expires_at")
                .bind(as_text(&self.key))
                .fetch_optional(&mut *connection)
                .await?;
        let Some(removed) = removed else {
            return Ok(false);
        };
        total(connection, -integer(count(&removed, "size")?)).await?;
        Ok(removed.try_get::<i64, _>("expires_at")? > unix_ms())
    }

    fn locks(&self, locks: &mut Locks) {
        locks.ephemeral = true;
    }

    fn record(&self, _: &Self::Output) -> Option<NewRecord> {
        None
    }

    fn may_use_reserve(&self) -> bool {
        true
    }
}

/// Removes up to [`SWEEP`] rows, the earliest expired first, and returns their number.
async fn sweep(connection: &mut SqlConnection, now: i64) -> Result<i64> {
    let removed = sqlx::query(
        "DELETE FROM ephemeral
          WHERE key IN (SELECT key FROM ephemeral WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)
         RETURNING size",
    )
    .bind(now)
    .bind(SWEEP)
    .fetch_all(&mut *connection)
    .await?;
    let (mut rows, mut freed) = (0, 0);
    for row in &removed {
        rows += 1;
        freed += integer(count(row, "size")?);
    }
    if rows > 0 {
        total(connection, -freed).await?;
    }
    Ok(rows)
}

async fn total(connection: &mut SqlConnection, change: i64) -> Result<()> {
    sqlx::query("UPDATE ephemeral_total SET bytes = bytes + $1")
        .bind(change)
        .execute(connection)
        .await?;
    Ok(())
}
