//! Secrets, as rows; their values are encrypted before they get here.

use serde_json::json;
use sqlx::Row as _;

use super::change::{Change, Locks};
use super::changes::of_function;
use super::database::Database;
use super::driver::{SqlConnection, SqlPool, SqlRow};
use super::error::Result;
use crate::clock::unix_ms;
use crate::error::Error;
use crate::model::{
    Author, MAX_SECRETS, NewRecord, Reseal, SealedSecret, SecretName, too_many_secrets,
};
use crate::rows::Secrets;
use crate::secret_value::SealedValue;

impl Secrets for Database {
    async fn set_secret(&self, by: Author, secret: SealedSecret) -> Result<(), Error> {
        self.write(SetSecret { by, secret }).await?
    }

    async fn secrets(&self, function_id: i64) -> Result<Vec<SealedSecret>, Error> {
        Ok(all(&self.readers, function_id).await?)
    }

    async fn secret_names(&self, function_id: i64) -> Result<Vec<SecretName>, Error> {
        Ok(names(&self.readers, function_id).await?)
    }

    async fn secret_key_in_use(&self) -> Result<Option<String>, Error> {
        Ok(key_in_use(&self.readers).await?)
    }

    async fn delete_secret(
        &self,
        by: Author,
        function_id: i64,
        name: String,
    ) -> Result<bool, Error> {
        self.write(DeleteSecret {
            by,
            function_id,
            name,
        })
        .await
    }

    async fn stale_secrets(
        &self,
        current: &str,
        after: &(i64, String),
        limit: u32,
    ) -> Result<Vec<SealedSecret>, Error> {
        Ok(stale(&self.readers, current, after, limit).await?)
    }

    async fn reseal_secrets(&self, batch: Vec<Reseal>) -> Result<u64, Error> {
        self.write(ResealSecrets(batch)).await
    }
}

async fn key_in_use(readers: &SqlPool) -> Result<Option<String>> {
    let row = sqlx::query("SELECT key_id FROM secrets LIMIT 1")
        .fetch_optional(readers)
        .await?;
    Ok(row.map(|row| row.try_get("key_id")).transpose()?)
}

fn read(row: &SqlRow) -> Result<SealedSecret> {
    let (function_id, name): (i64, String) = (row.try_get("function_id")?, row.try_get("name")?);
    let nonce = row.try_get::<&[u8], _>("nonce")?.try_into();
    Ok(SealedSecret {
        sealed: SealedValue {
            key_id: row.try_get("key_id")?,
            nonce: nonce.map_err(|_| Error::Damaged {
                what: format!("the secret {name} of function {function_id}"),
                detail: "the length of its nonce is not 24 bytes. Set the secret again".into(),
            })?,
            bytes: row.try_get("sealed")?,
        },
        function_id,
        name,
    })
}

async fn all(readers: &SqlPool, function_id: i64) -> Result<Vec<SealedSecret>> {
    sqlx::query(
        "SELECT function_id, name, key_id, nonce, sealed FROM secrets WHERE function_id = $1 ORDER BY name",
    )
    .bind(function_id)
    .fetch_all(readers)
    .await?
    .iter()
    .map(read)
    .collect()
}

async fn names(readers: &SqlPool, function_id: i64) -> Result<Vec<SecretName>> {
    sqlx::query("SELECT name, created_at, key_id FROM secrets WHERE function_id = $1 ORDER BY name")
        .bind(function_id)
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

/// The next rows that are not under `current`. Continuing after the last one, rather than querying again from the
/// start, reads the table once in all, and skips rows that cannot be rotated.
async fn stale(
    readers: &SqlPool,
    current: &str,
    after: &(i64, String),
    limit: u32,
) -> Result<Vec<SealedSecret>> {
    sqlx::query(
        "SELECT function_id, name, key_id, nonce, sealed FROM secrets
          WHERE (function_id, name) > ($1, $2) AND key_id <> $3
          ORDER BY function_id, name LIMIT $4",
    )
    .bind(after.0)
    .bind(&after.1)
    .bind(current)
    .bind(i64::from(limit))
    .fetch_all(readers)
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Stores a secret, if its function has room for it.
struct SetSecret {
    by: Author,
    secret: SealedSecret,
}

impl Change for SetSecret {
    type Output = Result<(), Error>;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let secret = &self.secret;
        let function_id = secret.function_id;
        let others: Option<i64> = sqlx::query_scalar(
            "SELECT (SELECT COUNT(*) FROM secrets WHERE function_id = $1 AND name <> $2) FROM functions WHERE function_id = $1",
        )
        .bind(function_id)
        .bind(&secret.name)
        .fetch_optional(&mut *connection)
        .await?;
        match others {
            None => return Ok(Err(Error::NotFound { function_id })),
            Some(others) if others >= MAX_SECRETS as i64 => {
                return Ok(Err(too_many_secrets(function_id)));
            }
            Some(_) => {}
        }
        sqlx::query(
            "INSERT INTO secrets (function_id, name, key_id, nonce, sealed, created_at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (function_id, name) DO UPDATE
                SET key_id = excluded.key_id, nonce = excluded.nonce, sealed = excluded.sealed,
                    created_at = excluded.created_at",
        )
        .bind(function_id)
        .bind(&secret.name)
        .bind(&secret.sealed.key_id)
        .bind(&secret.sealed.nonce[..])
        .bind(&secret.sealed.bytes)
        .bind(unix_ms())
        .execute(connection)
        .await?;
        Ok(Ok(()))
    }

    fn locks(&self, locks: &mut Locks) {
        locks.change(self.secret.function_id);
    }

    fn record(&self, output: &Self::Output) -> Option<NewRecord> {
        let details = json!({ "name": self.secret.name });
        let set = of_function(&self.by, "secret.set", self.secret.function_id, details);
        output.is_ok().then_some(set)
    }
}

/// Deletes a secret. Its output is `false` if there was none.
struct DeleteSecret {
    by: Author,
    function_id: i64,
    name: String,
}

impl Change for DeleteSecret {
    type Output = bool;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let deleted = sqlx::query("DELETE FROM secrets WHERE function_id = $1 AND name = $2")
            .bind(self.function_id)
            .bind(&self.name)
            .execute(connection)
            .await?;
        Ok(deleted.rows_affected() > 0)
    }

    fn locks(&self, locks: &mut Locks) {
        locks.change(self.function_id);
    }

    fn record(&self, deleted: &bool) -> Option<NewRecord> {
        let details = json!({ "name": self.name });
        deleted.then(|| of_function(&self.by, "secret.delete", self.function_id, details))
    }

    fn may_use_reserve(&self) -> bool {
        true
    }
}

/// Stores secrets under another key. Its output is the number of those that had not changed in the meantime.
struct ResealSecrets(Vec<Reseal>);

impl Change for ResealSecrets {
    type Output = u64;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let mut rows = 0;
        for one in &self.0 {
            // Drawn at random for every write, the nonce distinguishes this value from any that was set since.
            let changed = sqlx::query(
                "UPDATE secrets SET key_id = $1, nonce = $2, sealed = $3
                  WHERE function_id = $4 AND name = $5 AND nonce = $6",
            )
            .bind(&one.secret.sealed.key_id)
            .bind(&one.secret.sealed.nonce[..])
            .bind(&one.secret.sealed.bytes)
            .bind(one.secret.function_id)
            .bind(&one.secret.name)
            .bind(&one.read[..])
            .execute(&mut *connection)
            .await?;
            rows += changed.rows_affected();
        }
        Ok(rows)
    }

    fn record(&self, _: &Self::Output) -> Option<NewRecord> {
        None
    }
}
