//! Functions: made, found by number or by name, listed, changed and deleted.
//!
//! A function is its number. A name is a second way to it, for people and for addresses (`/fn/<name>/…`,
//! `<name>.<domain>`), and therefore a DNS label that begins with a letter: no text is both a number and a name. A name
//! never changes, because others have written it down. Unlike a number it is free again when its function is gone: a
//! name says what is wanted, a number which one it was.

use sqlx::sqlite::{SqliteQueryResult, SqliteRow};
use sqlx::{Row as _, SqliteConnection, SqlitePool};
use uuid::Uuid;

use crate::change::Change;
use crate::database::{bytes, count, damaged};
use crate::versions::{self, VersionRow};
use crate::{
    Canary, Created, Error, Function, Key, KeyHash, NewFunction, Percent, Store, Summary, VersionId,
};

/// The longest name, in bytes: what a label of a host name may have (RFC 1035, 2.3.4).
pub const MAX_FUNCTION_NAME: usize = 63;

/// A function to be created.
pub(crate) struct FunctionRow {
    name: Option<String>,
    description: String,
    storage_key: String,
    usage_key: Option<KeyHash>,
    admin_key: KeyHash,
}

impl Store {
    /// Stores a function and its first version. When this returns `Ok`, both are on the disk.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `sha256` is not the source's, or if the name is not a lower-case letter and up to 62
    /// lower-case letters, digits and hyphens, of which a hyphen is not the last; [`Error::NameTaken`]; and
    /// [`Error::Busy`], [`Error::DiskFull`], [`Error::Unavailable`]. After none of them the function exists.
    pub async fn create_function(&self, new: NewFunction) -> Result<Created, Error> {
        if let Some(name) = &new.name {
            check_name(name)?;
        }
        let admin_key = Key::random();
        let usage_key = new.private.then(Key::random);
        let function = FunctionRow {
            name: new.name,
            description: new.description,
            storage_key: Uuid::new_v4().simple().to_string(),
            usage_key: usage_key.as_ref().map(Key::hash),
            admin_key: admin_key.hash(),
        };
        let version = VersionId::now();
        let wasm_id = self
            .upload(version, new.version, |version| Create { function, version })
            .await?;
        Ok(Created {
            wasm_id,
            version,
            number: 1,
            admin_key,
            usage_key,
        })
    }

    /// Everything that a call needs, in one query; `None` if there is no such function.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Damaged`], [`Error::Closed`], [`Error::Unavailable`].
    pub async fn function(&self, wasm_id: i64) -> Result<Option<Function>, Error> {
        read(self.readers(), wasm_id).await
    }

    /// The number of the function of this name, exactly as it was given. `None`: there is none.
    ///
    /// # Errors
    /// As [`Store::function`].
    pub async fn named(&self, name: &str) -> Result<Option<i64>, Error> {
        Ok(
            sqlx::query_scalar("SELECT wasm_id FROM functions WHERE name = $1")
                .bind(name)
                .fetch_optional(self.readers())
                .await?,
        )
    }

    /// Up to `limit` functions with numbers greater than `after`, ascending. All pages together, each read after the
    /// last number of the one before, have every function that is there all the while.
    ///
    /// # Errors
    /// As [`Store::function`].
    pub async fn functions(&self, after: i64, limit: u32) -> Result<Vec<Summary>, Error> {
        summaries(self.readers(), after, limit).await
    }

    /// The numbers of all functions, ascending.
    ///
    /// # Errors
    /// As [`Store::function`].
    pub async fn list(&self) -> Result<Vec<i64>, Error> {
        Ok(
            sqlx::query_scalar("SELECT wasm_id FROM functions ORDER BY wasm_id")
                .fetch_all(self.readers())
                .await?,
        )
    }

    /// Deletes a function, its versions, the objects that no other version refers to, its stored values, its secrets,
    /// its recordings, its keys, its jobs, and what is remembered of its calls, but not what [`Store::sent`] knows.
    /// `false`: there was none.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::DiskFull`], [`Error::Closed`], [`Error::Unavailable`]; the function then still exists.
    pub async fn delete_function(&self, wasm_id: i64) -> Result<bool, Error> {
        self.finish(move |inner, writer| async move {
            let Some(sources) = writer.write(Delete { wasm_id }).await? else { return Ok(false) };
            let _alone = inner.uploads.write().await;
            for sha256 in sources {
                // The function is gone, whatever happens here; the next start sweeps what stays behind.
                if let Err(error) = inner.remove_unused(sha256).await {
                    tracing::warn!(wasm_id, %error, "a deleted function's source could not be removed yet");
                }
            }
            Ok(true)
        })
        .await
    }

    /// Makes a function private under a new usage key (which replaces the one before), or public (`None`).
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of [`Store::delete_function`].
    pub async fn set_usage_key(&self, wasm_id: i64, private: bool) -> Result<Option<Key>, Error> {
        let key = private.then(Key::random);
        let hash = key.as_ref().map(Key::hash);
        self.write(SetUsageKey { wasm_id, hash }).await??;
        Ok(key)
    }

    /// Replaces a function's state, any text.
    ///
    /// # Errors
    /// As [`Store::set_usage_key`].
    pub async fn set_state(&self, wasm_id: i64, state: String) -> Result<(), Error> {
        self.write(SetState { wasm_id, state }).await?
    }

    /// Replaces a function's callback, JSON text that the server understands.
    ///
    /// # Errors
    /// As [`Store::set_usage_key`].
    pub async fn set_callback(&self, wasm_id: i64, callback: String) -> Result<(), Error> {
        self.write(SetCallback { wasm_id, callback }).await?
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let well_formed = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !name.ends_with('-');
    if well_formed && name.len() <= MAX_FUNCTION_NAME {
        return Ok(());
    }
    Err(Error::Invalid {
        what: format!(
            "the name of a function is a lower-case letter and up to {} more lower-case letters, digits and hyphens, and does not end in a hyphen, such as send-email",
            MAX_FUNCTION_NAME - 1
        ),
    })
}

async fn read(readers: &SqlitePool, wasm_id: i64) -> Result<Option<Function>, Error> {
    let row = sqlx::query(
        "SELECT v.id, v.number, v.sha256, v.legacy_sha256, v.size, v.kind, v.manifest, v.declaration, v.created_at,
                c.id, c.number, c.sha256, c.legacy_sha256, c.size, c.kind, c.manifest, c.declaration, c.created_at,
                f.canary_percent, f.wasm_id, f.name, f.description, f.state, f.storage_key, f.callback,
                f.usage_key_hash, f.admin_key_hash, f.created_at AS since
           FROM functions f
           JOIN versions v ON v.id = f.active_version
           LEFT JOIN versions c ON c.id = f.canary_version
          WHERE f.wasm_id = $1",
    )
    .bind(wasm_id)
    .fetch_optional(readers)
    .await?;
    row.map(|row| read_function(&row)).transpose()
}

fn read_function(row: &SqliteRow) -> Result<Function, Error> {
    let public = row.try_get::<Option<&[u8]>, _>("usage_key_hash")?.is_none();
    Ok(Function {
        wasm_id: row.try_get("wasm_id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        state: row.try_get("state")?,
        storage_key: row.try_get("storage_key")?,
        callback: row.try_get("callback")?,
        usage_key_hash: if public {
            None
        } else {
            Some(KeyHash::from_bytes(bytes(row, "usage_key_hash")?))
        },
        admin_key_hash: KeyHash::from_bytes(bytes(row, "admin_key_hash")?),
        created_at: row.try_get("since")?,
        version: versions::read(row, 0)?,
        canary: match percent(row)? {
            Some(percent) => Some(Canary {
                version: versions::read(row, versions::COLUMNS)?,
                percent,
            }),
            None => None,
        },
    })
}

fn percent(row: &SqliteRow) -> Result<Option<Percent>, Error> {
    let percent: Option<i64> = row.try_get("canary_percent")?;
    let read = |percent: i64| u8::try_from(percent).ok().and_then(Percent::within);
    percent
        .map(|percent| read(percent).ok_or_else(|| damaged("canary_percent")))
        .transpose()
}

async fn summaries(readers: &SqlitePool, after: i64, limit: u32) -> Result<Vec<Summary>, Error> {
    sqlx::query(
        "SELECT f.wasm_id, f.name, f.description, f.usage_key_hash IS NOT NULL AS private, f.created_at,
                v.number AS version, c.number AS canary, f.canary_percent,
                (SELECT COUNT(*) FROM versions n WHERE n.function_id = f.wasm_id) AS versions,
                COALESCE(u.invocations, 0) AS invocations
           FROM functions f
           JOIN versions v ON v.id = f.active_version
           LEFT JOIN versions c ON c.id = f.canary_version
           LEFT JOIN usage u ON u.wasm_id = f.wasm_id
          WHERE f.wasm_id > $1
          ORDER BY f.wasm_id LIMIT $2",
    )
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(readers)
    .await?
    .iter()
    .map(read_summary)
    .collect()
}

fn read_summary(row: &SqliteRow) -> Result<Summary, Error> {
    Ok(Summary {
        wasm_id: row.try_get("wasm_id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        private: row.try_get("private")?,
        created_at: row.try_get("created_at")?,
        version: row.try_get("version")?,
        versions: count(row, "versions")?,
        canary: row.try_get::<Option<i64>, _>("canary")?.zip(percent(row)?),
        invocations: count(row, "invocations")?,
    })
}

/// Stores a function and its first version. Its output is the number of the function.
struct Create {
    function: FunctionRow,
    version: VersionRow,
}

impl Change for Create {
    type Output = Result<i64, Error>;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
        let Self { function, version } = self;
        // Looked for rather than met: a statement that fails would take its neighbours in the batch back with it.
        let taken = sqlx::query("SELECT 1 FROM functions WHERE name = $1");
        if let Some(name) = &function.name
            && taken
                .bind(name)
                .fetch_optional(&mut *connection)
                .await?
                .is_some()
        {
            return Ok(Err(Error::NameTaken { name: name.clone() }));
        }
        let wasm_id = sqlx::query_scalar(
            "INSERT INTO functions (name, description, storage_key, usage_key_hash, admin_key_hash, active_version, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING wasm_id",
        )
        .bind(&function.name)
        .bind(&function.description)
        .bind(&function.storage_key)
        .bind(function.usage_key.as_ref().map(|hash| &hash.as_bytes()[..]))
        .bind(&function.admin_key.as_bytes()[..])
        .bind(version.id.to_string())
        .bind(version.created_at)
        .fetch_one(&mut *connection)
        .await?;
        versions::insert(connection, wasm_id, version).await?; // its number is 1
        Ok(Ok(wasm_id))
    }
}

/// Deletes a function and all rows that are its own. Its output are the digests of the sources that its versions
/// referred to; `None`: there was no such function.
struct Delete {
    wasm_id: i64,
}

impl Change for Delete {
    type Output = Option<Vec<[u8; 32]>>;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
        let versions = sqlx::query("DELETE FROM versions WHERE function_id = $1 RETURNING sha256");
        let versions = versions.bind(self.wasm_id);
        let rows = versions.fetch_all(&mut *connection).await?;
        for of_its_own in [
            "DELETE FROM stored_values WHERE wasm_id = $1",
            "DELETE FROM stored_totals WHERE wasm_id = $1",
            "DELETE FROM calls WHERE wasm_id = $1",
            "DELETE FROM usage WHERE wasm_id = $1",
            "DELETE FROM secrets WHERE wasm_id = $1",
            "DELETE FROM recordings WHERE wasm_id = $1",
            "DELETE FROM api_keys WHERE wasm_id = $1",
            "DELETE FROM jobs WHERE wasm_id = $1",
        ] {
            let rows = sqlx::query(of_its_own).bind(self.wasm_id);
            rows.execute(&mut *connection).await?;
        }
        let function = sqlx::query("DELETE FROM functions WHERE wasm_id = $1").bind(self.wasm_id);
        if function.execute(&mut *connection).await?.rows_affected() == 0 {
            return Ok(None);
        }
        let sources = rows.iter().map(|row| bytes(row, "sha256"));
        Ok(Some(sources.collect::<Result<_, _>>()?))
    }
}

/// Replaces the usage key of a function; `None`: anyone may call it.
struct SetUsageKey {
    wasm_id: i64,
    hash: Option<KeyHash>,
}

impl Change for SetUsageKey {
    type Output = Result<(), Error>;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
        let set = sqlx::query("UPDATE functions SET usage_key_hash = $1 WHERE wasm_id = $2")
            .bind(self.hash.as_ref().map(|hash| &hash.as_bytes()[..]))
            .bind(self.wasm_id)
            .execute(connection)
            .await?;
        Ok(found(self.wasm_id, &set))
    }
}

/// Replaces the state of a function.
struct SetState {
    wasm_id: i64,
    state: String,
}

impl Change for SetState {
    type Output = Result<(), Error>;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
        let set = sqlx::query("UPDATE functions SET state = $1 WHERE wasm_id = $2")
            .bind(&self.state)
            .bind(self.wasm_id)
            .execute(connection)
            .await?;
        Ok(found(self.wasm_id, &set))
    }
}

/// Replaces the callback of a function.
struct SetCallback {
    wasm_id: i64,
    callback: String,
}

impl Change for SetCallback {
    type Output = Result<(), Error>;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
        let set = sqlx::query("UPDATE functions SET callback = $1 WHERE wasm_id = $2")
            .bind(&self.callback)
            .bind(self.wasm_id)
            .execute(connection)
            .await?;
        Ok(found(self.wasm_id, &set))
    }
}

/// Whether a statement about one function met it.
pub(crate) fn found(wasm_id: i64, done: &SqliteQueryResult) -> Result<(), Error> {
    match done.rows_affected() {
        0 => Err(Error::NotFound { wasm_id }),
        _ => Ok(()),
    }
}
