//! The keys of the server's own API: who may deploy, call, read, or all of it, for one function or for all.
//!
//! They are not the two keys of a function (`key`), which the API of 2020 hands out and which are the function's own
//! columns. These are made and deleted one by one, have a label to be told apart by, and may end by themselves. As of
//! those, only the SHA-256 is stored; it is looked up by an index, which compares what nobody can choose: whoever could
//! measure how far two digests agree would learn nothing about a key that has one.
//!
//! A key begins with `iof_`, so that programs that look for keys in places where none belong find it.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, SqlitePool};

use crate::change::Change;
use crate::database::damaged;
use crate::{Error, Key, KeyHash, Scopes, Store, unix_ms};

/// The most keys that a server has. What needs more than these has users, and those are somebody else's to keep.
pub const MAX_API_KEYS: usize = 1000;
/// The longest label, in characters.
pub const MAX_KEY_LABEL: usize = 100;

/// A key to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// What people tell it apart by; need not be unique. Up to [`MAX_KEY_LABEL`] characters.
    pub label: String,
    /// What it may be used for. At least one thing.
    pub scopes: Scopes,
    /// The one function that it may be used for; `None`: all functions, and what concerns none.
    pub wasm_id: Option<i64>,
    /// When it ends, in Unix milliseconds; `None`: when it is deleted.
    pub expires_at: Option<i64>,
}

/// What is known of a key; never the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its number. Ascending, never used again.
    pub id: i64,
    /// What people tell it apart by.
    pub label: String,
    /// What it may be used for.
    pub scopes: Scopes,
    /// The one function that it may be used for; `None`: all functions, and what concerns none.
    pub wasm_id: Option<i64>,
    /// When it was made, in Unix milliseconds.
    pub created_at: i64,
    /// When it ends, in Unix milliseconds; `None`: when it is deleted.
    pub expires_at: Option<i64>,
}

impl Store {
    /// Makes a key, and returns it beside what is kept of it: the only time that it exists in the clear. When this
    /// returns `Ok`, it is on the disk.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the label is too long, if there are no scopes, if it would have ended already, or if there
    /// are [`MAX_API_KEYS`] that have not; [`Error::NotFound`] if there is no such function; and those of
    /// [`Store::delete_function`]. No key was made.
    pub async fn create_key(&self, new: NewKey) -> Result<(ApiKey, Key), Error> {
        let created_at = unix_ms();
        check(&new, created_at)?;
        let key = Key::random_of_api();
        let create = CreateKey {
            new: new.clone(),
            hash: key.hash(),
            created_at,
        };
        let made = ApiKey {
            id: self.write(create).await??,
            label: new.label,
            scopes: new.scopes,
            wasm_id: new.wasm_id,
            created_at,
            expires_at: new.expires_at,
        };
        Ok((made, key))
    }

    /// What is known of `candidate`, exactly as a client sent it. `None`: it is no key, or not any more. One query by an
    /// index, and none for what does not begin as a key does.
    ///
    /// # Errors
    /// As [`Store::function`].
    pub async fn key(&self, candidate: &str) -> Result<Option<ApiKey>, Error> {
        if !candidate.starts_with(Key::API_PREFIX) {
            return Ok(None);
        }
        find(self.readers(), &KeyHash::of(candidate), unix_ms()).await
    }

    /// The keys that are for one function alone, or all keys there are (`None`), by number. Those that have ended are
    /// among them until their place is needed.
    ///
    /// # Errors
    /// As [`Store::function`].
    pub async fn keys(&self, wasm_id: Option<i64>) -> Result<Vec<ApiKey>, Error> {
        list(self.readers(), wasm_id).await
    }

    /// Deletes a key: from now on it is none. `false`: there was none of this number.
    ///
    /// # Errors
    /// As [`Store::delete_function`]; nothing was changed.
    pub async fn delete_key(&self, id: i64) -> Result<bool, Error> {
        self.write(DeleteKey { id }).await
    }
}

fn check(new: &NewKey, now: i64) -> Result<(), Error> {
    let length = new.label.chars().count();
    if length > MAX_KEY_LABEL {
        return Err(invalid(format!(
            "the label of the key has {length} characters; at most {MAX_KEY_LABEL} are kept"
        )));
    }
    if new.scopes.is_empty() {
        return Err(invalid(
            "a key without scopes opens nothing; give it deploy, call, read or admin".into(),
        ));
    }
    if new.expires_at.is_some_and(|end| end <= now) {
        return Err(invalid(
            "the key would have expired already; let it end in the future".into(),
        ));
    }
    Ok(())
}

fn invalid(what: String) -> Error {
    Error::Invalid { what }
}

async fn find(readers: &SqlitePool, hash: &KeyHash, now: i64) -> Result<Option<ApiKey>, Error> {
    let row = sqlx::query(
        "SELECT id, label, scopes, wasm_id, created_at, expires_at FROM api_keys
          WHERE hash = $1 AND (expires_at IS NULL OR expires_at > $2)",
    )
    .bind(&hash.as_bytes()[..])
    .bind(now)
    .fetch_optional(readers)
    .await?;
    row.map(|row| read(&row)).transpose()
}

async fn list(readers: &SqlitePool, wasm_id: Option<i64>) -> Result<Vec<ApiKey>, Error> {
    sqlx::query(
        "SELECT id, label, scopes, wasm_id, created_at, expires_at FROM api_keys
          WHERE $1 IS NULL OR wasm_id = $1 ORDER BY id",
    )
    .bind(wasm_id)
    .fetch_all(readers)
    .await?
    .iter()
    .map(read)
    .collect()
}

fn read(row: &SqliteRow) -> Result<ApiKey, Error> {
    Ok(ApiKey {
        id: row.try_get("id")?,
        label: row.try_get("label")?,
        scopes: Scopes::parse(row.try_get("scopes")?).ok_or_else(|| damaged("scopes"))?,
        wasm_id: row.try_get("wasm_id")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
    })
}

/// Stores a key. Its output is the number of the key.
struct CreateKey {
    new: NewKey,
    hash: KeyHash,
    created_at: i64,
}

impl Change for CreateKey {
    type Output = Result<i64, Error>;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
        let new = &self.new;
        if let Some(wasm_id) = new.wasm_id {
            let there = sqlx::query("SELECT 1 FROM functions WHERE wasm_id = $1").bind(wasm_id);
            if there.fetch_optional(&mut *connection).await?.is_none() {
                return Ok(Err(Error::NotFound { wasm_id }));
            }
        }
        if full(connection).await? {
            // Not before: whoever asks why a key does not work any more should see that it has ended.
            sqlx::query("DELETE FROM api_keys WHERE expires_at <= $1")
                .bind(self.created_at)
                .execute(&mut *connection)
                .await?;
            if full(connection).await? {
                return Ok(Err(invalid(format!(
                    "there are {MAX_API_KEYS} keys, the most that there can be; delete one first"
                ))));
            }
        }
        let id = sqlx::query_scalar(
            "INSERT INTO api_keys (hash, label, scopes, wasm_id, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
        )
        .bind(&self.hash.as_bytes()[..])
        .bind(&new.label)
        .bind(new.scopes.to_string())
        .bind(new.wasm_id)
        .bind(self.created_at)
        .bind(new.expires_at)
        .fetch_one(connection)
        .await?;
        Ok(Ok(id))
    }
}

async fn full(connection: &mut SqliteConnection) -> Result<bool, Error> {
    let keys: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM api_keys")
        .fetch_one(connection)
        .await?;
    Ok(keys >= MAX_API_KEYS as i64)
}

/// Deletes a key. Its output is `false` if there was none.
struct DeleteKey {
    id: i64,
}

impl Change for DeleteKey {
    type Output = bool;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
        let gone = sqlx::query("DELETE FROM api_keys WHERE id = $1")
            .bind(self.id)
            .execute(connection)
            .await?;
        Ok(gone.rows_affected() > 0)
    }
}
