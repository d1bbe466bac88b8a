//! The secrets of functions: set from outside, read by calls alone, encrypted at rest.
//!
//! Whoever sets a secret can replace it and delete it, and see its name; nothing that lists secrets ever decrypts one.
//! A value is encrypted before it is queued for the writer, so the one task that touches the file never has a value in
//! the clear, and neither has SQLite, its log, or whatever SQLite spills.
//!
//! Keys are handed over with each call rather than kept in [`Store`]: a server that has none still opens its data
//! directory and serves every function that has no secrets, and a new list of keys needs no restart.
//!
//! Rotation re-encrypts a row only if it is still the row that was read (its nonce says so), so it neither stops others
//! from setting secrets nor undoes what they set. It remembers nothing: a row under an earlier key is the work left, so
//! a rotation that was killed is finished by starting it again. One transaction around all of it was rejected, because
//! it would keep every other write waiting.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, SqlitePool};

use crate::change::Change;
use crate::secret_keys::{Place, Sealed};
use crate::{Error, SecretKeys, SecretValue, Store, unix_ms};

/// The most secrets that one function has.
pub const MAX_SECRETS: usize = 100;
/// The longest name, in bytes.
pub const MAX_SECRET_NAME: usize = 64;
/// The longest value, in bytes. Keys, tokens and certificates fit; files do not belong here.
pub const MAX_SECRET_VALUE: usize = 4096;

/// Rows that a rotation re-encrypts in one transaction.
const BATCH: i64 = 64;

/// What anyone may see of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretName {
    /// Its name within its function.
    pub name: String,
    /// When this value was set, in Unix milliseconds. Rotation leaves it as it is.
    pub created_at: i64,
    /// The key that it is encrypted under.
    pub key_id: String,
}

/// A secret to be stored under another key, if it is still the one that was read.
struct Reseal {
    wasm_id: i64,
    name: String,
    read: [u8; 24],
    sealed: Sealed,
}

impl Store {
    /// Stores a secret of a function, in place of the one of that name. When this returns `Ok`, it is on the disk,
    /// encrypted under the current key.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the name is not a capital letter and up to 63 capital letters, digits and `_`, if the value
    /// is empty or longer than [`MAX_SECRET_VALUE`], or if the function has [`MAX_SECRETS`] others;
    /// [`Error::NotFound`]; and those of [`Store::delete_function`]. Nothing was changed.
    pub async fn set_secret(
        &self,
        keys: &SecretKeys,
        wasm_id: i64,
        name: String,
        value: SecretValue,
    ) -> Result<(), Error> {
        check(&name, &value)?;
        let place = Place {
            wasm_id,
            name: &name,
        };
        let sealed = keys.seal(&place, &value)?;
        drop(value);
        self.write(SetSecret {
            wasm_id,
            name,
            sealed,
        })
        .await?
    }

    /// All secrets of a function in the clear, by name: for its calls. Empty if it has none, or does not exist.
    ///
    /// # Errors
    /// [`Error::MissingKey`], [`Error::Damaged`] if a row was changed by someone else, and those of [`Store::function`].
    /// One secret that cannot be read fails them all: a call without it would do something else.
    pub async fn secrets(
        &self,
        keys: &SecretKeys,
        wasm_id: i64,
    ) -> Result<Vec<(String, SecretValue)>, Error> {
        all(self.readers(), wasm_id)
            .await?
            .into_iter()
            .map(|row| Ok((row.name.clone(), row.open(keys)?)))
            .collect()
    }

    /// What a function's secrets are called, by name; never what they are. Needs no key.
    ///
    /// # Errors
    /// As [`Store::function`].
    pub async fn secret_names(&self, wasm_id: i64) -> Result<Vec<SecretName>, Error> {
        names(self.readers(), wasm_id).await
    }

    /// Deletes a secret. `false`: there was none.
    ///
    /// # Errors
    /// As [`Store::delete_function`]; nothing was changed.
    pub async fn delete_secret(&self, wasm_id: i64, name: String) -> Result<bool, Error> {
        self.write(DeleteSecret { wasm_id, name }).await
    }

    /// Encrypts every secret that is under an earlier key anew, under the current one, and says how many that were.
    /// May be killed, or fail, at any moment: no secret is lost, and the next rotation does the rest. When this
    /// returns `Ok`, nothing that was stored before it began needs an earlier key.
    ///
    /// # Errors
    /// [`Error::MissingKey`] and [`Error::Damaged`] for the first secret that cannot be read, after all others were
    /// rotated; and those of [`Store::delete_function`].
    pub async fn rotate_secrets(&self, keys: &SecretKeys) -> Result<u64, Error> {
        let mut rotated = 0;
        let mut unreadable = None;
        let mut after = (i64::MIN, String::new());
        loop {
            let rows = stale(self.readers(), keys.current_id(), &after).await?;
            let Some(last) = rows.last() else { break };
            after = (last.wasm_id, last.name.clone());
            let mut batch = Vec::with_capacity(rows.len());
            for row in rows {
                match row.open(keys) {
                    Ok(value) => batch.push(Reseal {
                        sealed: keys.seal(&row.place(), &value)?,
                        wasm_id: row.wasm_id,
                        read: row.sealed.nonce,
                        name: row.name,
                    }),
                    // A damaged row of one function must not keep the old key in use for all others.
                    Err(error) => drop(unreadable.get_or_insert(error)),
                }
            }
            rotated += self.write(ResealSecrets(batch)).await?;
        }
        unreadable.map_or(Ok(rotated), Err)
    }
}

fn check(name: &str, value: &SecretValue) -> Result<(), Error> {
    let well_formed = name.starts_with(|first: char| first.is_ascii_uppercase())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'));
    // The name is not repeated: people paste values into the wrong field.
    if !well_formed || name.len() > MAX_SECRET_NAME {
        return Err(invalid(format!(
            "the name of a secret is a capital letter and up to {} more capital letters, digits and underscores, such as API_TOKEN",
            MAX_SECRET_NAME - 1
        )));
    }
    match value.expose().len() {
        0 => Err(invalid(format!(
            "the value of the secret {name} is empty; delete the secret instead"
        ))),
        1..=MAX_SECRET_VALUE => Ok(()),
        length => Err(invalid(format!(
            "the value of the secret {name} has {length} bytes; at most {MAX_SECRET_VALUE} are kept"
        ))),
    }
}

fn invalid(what: String) -> Error {
    Error::Invalid { what }
}

/// A row of the table.
struct Stored {
    wasm_id: i64,
    name: String,
    sealed: Sealed,
}

impl Stored {
    fn read(row: &SqliteRow) -> Result<Self, Error> {
        let (wasm_id, name): (i64, String) = (row.try_get("wasm_id")?, row.try_get("name")?);
        let nonce = row.try_get::<&[u8], _>("nonce")?.try_into();
        Ok(Self {
            sealed: Sealed {
                key_id: row.try_get("key_id")?,
                nonce: nonce.map_err(|_| Error::Damaged {
                    what: format!("the secret {name} of function {wasm_id}"),
                    detail: "its nonce has not 24 bytes; set it again".into(),
                })?,
                bytes: row.try_get("sealed")?,
            },
            wasm_id,
            name,
        })
    }

    fn place(&self) -> Place<'_> {
        Place {
            wasm_id: self.wasm_id,
            name: &self.name,
        }
    }

    fn open(&self, keys: &SecretKeys) -> Result<SecretValue, Error> {
        keys.open(&self.place(), &self.sealed)
    }
}

async fn all(readers: &SqlitePool, wasm_id: i64) -> Result<Vec<Stored>, Error> {
    sqlx::query(
        "SELECT wasm_id, name, key_id, nonce, sealed FROM secrets WHERE wasm_id = $1 ORDER BY name",
    )
    .bind(wasm_id)
    .fetch_all(readers)
    .await?
    .iter()
    .map(Stored::read)
    .collect()
}

async fn names(readers: &SqlitePool, wasm_id: i64) -> Result<Vec<SecretName>, Error> {
    sqlx::query("SELECT name, created_at, key_id FROM secrets WHERE wasm_id = $1 ORDER BY name")
        .bind(wasm_id)
        .fetch_all(readers)
        .await?
        .iter()
        .map(|row| {
            Ok(SecretName {
                name: row.try_get("name")?,
                created_at: row.try_get("created_at")?,
                key_id: row.try_get("key_id")?,
            })
        })
        .collect()
}

/// The next rows that are not under `current`. Going on from the last one, rather than asking again for any, reads the
/// table once in all, and passes over what cannot be rotated.
async fn stale(
    readers: &SqlitePool,
    current: &str,
    after: &(i64, String),
) -> Result<Vec<Stored>, Error> {
    sqlx::query(
        "SELECT wasm_id, name, key_id, nonce, sealed FROM secrets
          WHERE (wasm_id, name) > ($1, $2) AND key_id <> $3
          ORDER BY wasm_id, name LIMIT $4",
    )
    .bind(after.0)
    .bind(&after.1)
    .bind(current)
    .bind(BATCH)
    .fetch_all(readers)
    .await?
    .iter()
    .map(Stored::read)
    .collect()
}

/// Stores a secret, if its function has room for it.
struct SetSecret {
    wasm_id: i64,
    name: String,
    sealed: Sealed,
}

impl Change for SetSecret {
    type Output = Result<(), Error>;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
        let wasm_id = self.wasm_id;
        let others: Option<i64> = sqlx::query_scalar(
            "SELECT (SELECT COUNT(*) FROM secrets WHERE wasm_id = $1 AND name <> $2) FROM functions WHERE wasm_id = $1",
        )
        .bind(wasm_id)
        .bind(&self.name)
        .fetch_optional(&mut *connection)
        .await?;
        match others {
            None => return Ok(Err(Error::NotFound { wasm_id })),
            Some(others) if others >= MAX_SECRETS as i64 => return Ok(Err(too_many(wasm_id))),
            Some(_) => {}
        }
        sqlx::query(
            "INSERT INTO secrets (wasm_id, name, key_id, nonce, sealed, created_at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (wasm_id, name) DO UPDATE
                SET key_id = excluded.key_id, nonce = excluded.nonce, sealed = excluded.sealed,
                    created_at = excluded.created_at",
        )
        .bind(wasm_id)
        .bind(&self.name)
        .bind(&self.sealed.key_id)
        .bind(&self.sealed.nonce[..])
        .bind(&self.sealed.bytes)
        .bind(unix_ms())
        .execute(connection)
        .await?;
        Ok(Ok(()))
    }
}

fn too_many(wasm_id: i64) -> Error {
    invalid(format!(
        "function {wasm_id} has {MAX_SECRETS} secrets, the most that there can be; delete one first"
    ))
}

/// Deletes a secret. Its output is `false` if there was none.
struct DeleteSecret {
    wasm_id: i64,
    name: String,
}

impl Change for DeleteSecret {
    type Output = bool;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
        let gone = sqlx::query("DELETE FROM secrets WHERE wasm_id = $1 AND name = $2")
            .bind(self.wasm_id)
            .bind(&self.name)
            .execute(connection)
            .await?;
        Ok(gone.rows_affected() > 0)
    }
}

/// Stores secrets under another key. Its output is the number of those that had not changed in the meantime.
struct ResealSecrets(Vec<Reseal>);

impl Change for ResealSecrets {
    type Output = u64;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
        let mut rows = 0;
        for one in &self.0 {
            // Drawn at random for every write, the nonce tells this value from any that was set since.
            let changed = sqlx::query(
                "UPDATE secrets SET key_id = $1, nonce = $2, sealed = $3
                  WHERE wasm_id = $4 AND name = $5 AND nonce = $6",
            )
            .bind(&one.sealed.key_id)
            .bind(&one.sealed.nonce[..])
            .bind(&one.sealed.bytes)
            .bind(one.wasm_id)
            .bind(&one.name)
            .bind(&one.read[..])
            .execute(&mut *connection)
            .await?;
            rows += changed.rows_affected();
        }
        Ok(rows)
    }
}
