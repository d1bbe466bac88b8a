//! What the guests of one function store under keys of 32 bytes: the storage of 2020.
//!
//! A function's values are bounded together. Their sum is a row of its own, changed in the transaction that changes a
//! value: adding up what is there would read every value's header on every save. The writer applies one change at a
//! time, so what the check reads is what the change finds.
//!
//! A save that does not make the total larger is always taken: after an operator lowers the limit, a function must
//! still be able to overwrite what it has, because the guests of 2020 cannot remove anything.

use bytes::Bytes;
use sqlx::{SqliteConnection, SqlitePool};

use crate::database::{count, integer};
use crate::writer::{Outcome, Write};
use crate::{Error, Saved, Store, saved};

/// A value to be stored.
pub(crate) struct SaveValue {
    pub(crate) wasm_id: i64,
    pub(crate) key: [u8; 32],
    pub(crate) value: Bytes,
    pub(crate) total_limit: u64,
}

impl Store {
    /// What the function stored under `key`. `None`: nothing, or there is no such function.
    ///
    /// # Errors
    /// As [`Store::function`].
    pub async fn load_value(&self, wasm_id: i64, key: &[u8; 32]) -> Result<Option<Bytes>, Error> {
        load(self.readers(), wasm_id, key).await
    }

    /// Stores `value` under `key`, in place of what was there. When this returns [`Saved::Done`], it is on the disk.
    ///
    /// `total_limit` bounds the function's keys and values together, in bytes. [`Saved::Full`]: the value would take
    /// them over it, and nothing was changed. A value no longer than the one that it replaces always fits.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of [`Store::delete_function`]; nothing was changed.
    pub async fn save_value(
        &self,
        wasm_id: i64,
        key: [u8; 32],
        value: Bytes,
        total_limit: u64,
    ) -> Result<Saved, Error> {
        let save = Write::SaveValue(SaveValue {
            wasm_id,
            key,
            value,
            total_limit,
        });
        match self.write(save).await? {
            Outcome::Missing => Err(Error::NotFound { wasm_id }),
            outcome => saved(&outcome),
        }
    }
}

async fn load(readers: &SqlitePool, wasm_id: i64, key: &[u8; 32]) -> Result<Option<Bytes>, Error> {
    let value: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT value FROM stored_values WHERE wasm_id = $1 AND key = $2")
            .bind(wasm_id)
            .bind(&key[..])
            .fetch_optional(readers)
            .await?;
    Ok(value.map(Bytes::from))
}

pub(crate) async fn save(
    connection: &mut SqliteConnection,
    save: &SaveValue,
) -> Result<Outcome, Error> {
    let before = sqlx::query(
        "SELECT COALESCE(t.bytes, 0) AS total, COALESCE(length(v.key) + length(v.value), 0) AS replaced
           FROM functions f
           LEFT JOIN stored_totals t ON t.wasm_id = f.wasm_id
           LEFT JOIN stored_values v ON v.wasm_id = f.wasm_id AND v.key = $2
          WHERE f.wasm_id = $1",
    )
    .bind(save.wasm_id)
    .bind(&save.key[..])
    .fetch_optional(&mut *connection)
    .await?;
    let Some(before) = before else {
        return Ok(Outcome::Missing);
    };
    let total = count(&before, "total")?;
    let after = total
        .saturating_sub(count(&before, "replaced")?)
        .saturating_add((save.key.len() + save.value.len()) as u64);
    if after > save.total_limit.max(total) {
        return Ok(Outcome::Full);
    }

    sqlx::query(
        "INSERT INTO stored_values (wasm_id, key, value) VALUES ($1, $2, $3)
         ON CONFLICT (wasm_id, key) DO UPDATE SET value = excluded.value",
    )
    .bind(save.wasm_id)
    .bind(&save.key[..])
    .bind(&save.value[..])
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO stored_totals (wasm_id, bytes) VALUES ($1, $2)
         ON CONFLICT (wasm_id) DO UPDATE SET bytes = excluded.bytes",
    )
    .bind(save.wasm_id)
    .bind(integer(after))
    .execute(connection)
    .await?;
    Ok(Outcome::Done)
}
