//! What the guests of one function store under keys of 32 bytes: the storage of 2020, and that of today, whose keys are
//! digests of a name by which they are listed.
//!
//! A function's values are bounded together. Their sum is a row of its own, changed in the transaction that changes a
//! value: adding up what is there would read every value's header on every save. The writer applies one change at a
//! time, so what the check reads is what the change finds.
//!
//! A save that does not make the total larger is always taken: after an operator lowers the limit, a function must
//! still be able to overwrite what it has, because the guests of 2020 cannot remove anything. What is removed takes
//! nothing any more.

use bytes::Bytes;
use sqlx::{SqliteConnection, SqlitePool};

use crate::change::Change;
use crate::database::{count, integer};
use crate::{Error, Saved, Store};

/// The key of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueKey {
    /// The key itself.
    pub digest: [u8; 32],
    /// The name that it is the digest of; `None` for a key of 2020.
    pub name: Option<Bytes>,
}

impl From<[u8; 32]> for ValueKey {
    fn from(digest: [u8; 32]) -> Self {
        Self { digest, name: None }
    }
}

impl ValueKey {
    /// Bytes that it takes.
    fn len(&self) -> usize {
        self.digest.len() + self.name.as_ref().map_or(0, Bytes::len)
    }
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
        key: impl Into<ValueKey>,
        value: Bytes,
        total_limit: u64,
    ) -> Result<Saved, Error> {
        self.write(SaveValue {
            wasm_id,
            key: key.into(),
            value,
            total_limit,
        })
        .await?
    }

    /// Removes what the function stored under `key`, and its place with it. `false`: there was nothing.
    ///
    /// # Errors
    /// As [`Store::delete_function`]; nothing was changed.
    pub async fn remove_value(&self, wasm_id: i64, key: [u8; 32]) -> Result<bool, Error> {
        self.write(RemoveValue { wasm_id, key }).await
    }

    /// The names of the function's values that begin with `prefix` and come after `after`, in the order of their bytes,
    /// at most `limit`.
    ///
    /// # Errors
    /// As [`Store::function`].
    pub async fn value_names(
        &self,
        wasm_id: i64,
        prefix: &[u8],
        after: &[u8],
        limit: u32,
    ) -> Result<Vec<Bytes>, Error> {
        let names: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT name FROM stored_values
              WHERE wasm_id = $1 AND name IS NOT NULL AND name > $2 AND name >= $3 AND ($4 IS NULL OR name < $4)
              ORDER BY name LIMIT $5",
        )
        .bind(wasm_id)
        .bind(after)
        .bind(prefix)
        .bind(beyond(prefix))
        .bind(i64::from(limit))
        .fetch_all(self.readers())
        .await?;
        Ok(names.into_iter().map(Bytes::from).collect())
    }
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

async fn load(readers: &SqlitePool, wasm_id: i64, key: &[u8; 32]) -> Result<Option<Bytes>, Error> {
    let value: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT value FROM stored_values WHERE wasm_id = $1 AND key = $2")
            .bind(wasm_id)
            .bind(&key[..])
            .fetch_optional(readers)
            .await?;
    Ok(value.map(Bytes::from))
}

/// Stores a value, if it fits.
struct SaveValue {
    wasm_id: i64,
    key: ValueKey,
    value: Bytes,
    total_limit: u64,
}

impl Change for SaveValue {
    type Output = Result<Saved, Error>;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
        let wasm_id = self.wasm_id;
        let before = sqlx::query(
            "SELECT COALESCE(t.bytes, 0) AS total,
                    COALESCE(length(v.key) + length(v.value) + COALESCE(length(v.name), 0), 0) AS replaced
               FROM functions f
               LEFT JOIN stored_totals t ON t.wasm_id = f.wasm_id
               LEFT JOIN stored_values v ON v.wasm_id = f.wasm_id AND v.key = $2
              WHERE f.wasm_id = $1",
        )
        .bind(wasm_id)
        .bind(&self.key.digest[..])
        .fetch_optional(&mut *connection)
        .await?;
        let Some(before) = before else {
            return Ok(Err(Error::NotFound { wasm_id }));
        };
        let total = count(&before, "total")?;
        let after = total
            .saturating_sub(count(&before, "replaced")?)
            .saturating_add((self.key.len() + self.value.len()) as u64);
        if after > self.total_limit.max(total) {
            return Ok(Ok(Saved::Full));
        }

        sqlx::query(
            "INSERT INTO stored_values (wasm_id, key, value, name) VALUES ($1, $2, $3, $4)
             ON CONFLICT (wasm_id, key) DO UPDATE SET value = excluded.value, name = excluded.name",
        )
        .bind(wasm_id)
        .bind(&self.key.digest[..])
        .bind(&self.value[..])
        .bind(self.key.name.as_deref())
        .execute(&mut *connection)
        .await?;
        sqlx::query(
            "INSERT INTO stored_totals (wasm_id, bytes) VALUES ($1, $2)
             ON CONFLICT (wasm_id) DO UPDATE SET bytes = excluded.bytes",
        )
        .bind(wasm_id)
        .bind(integer(after))
        .execute(connection)
        .await?;
        Ok(Ok(Saved::Done))
    }
}

/// Removes a value. Its output is `false` if there was none.
struct RemoveValue {
    wasm_id: i64,
    key: [u8; 32],
}

impl Change for RemoveValue {
    type Output = bool;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
        let gone = sqlx::query(
            "DELETE FROM stored_values WHERE wasm_id = $1 AND key = $2
             RETURNING length(key) + length(value) + COALESCE(length(name), 0) AS bytes",
        )
        .bind(self.wasm_id)
        .bind(&self.key[..])
        .fetch_optional(&mut *connection)
        .await?;
        let Some(gone) = gone else { return Ok(false) };
        sqlx::query("UPDATE stored_totals SET bytes = bytes - $2 WHERE wasm_id = $1")
            .bind(self.wasm_id)
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
