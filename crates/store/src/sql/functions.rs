//! Functions, as rows.
//!
//! More than 400 lines: the statements of functions and versions, for both databases.

use serde_json::json;
use sqlx::Row as _;

use super::change::{Change, Locks};
use super::changes::{of_function, recorded};
use super::column::{bytes, count, damaged};
use super::database::Database;
use super::delete_function::DeleteFunction;
use super::driver::{SqlConnection, SqlDone, SqlPool, SqlRow, as_text, index_of, text};
use super::error::{Failure, Result};
use super::{schedules, versions};
use crate::error::Error;
use crate::key::KeyHash;
use crate::model::{
    Author, Canary, Function, FunctionFilter, FunctionRow, NewRecord, Percent, Summary, VersionRow,
};
use crate::rows::Functions;

impl Functions for Database {
    async fn create_function(
        &self,
        by: Author,
        function: FunctionRow,
        version: VersionRow,
    ) -> Result<i64, Error> {
        self.write(CreateFunction {
            by,
            function,
            version,
        })
        .await?
    }

    async fn function(&self, function_id: i64) -> Result<Option<Function>, Error> {
        Ok(read(&self.readers, function_id).await?)
    }

    async fn named(&self, name: &str) -> Result<Option<i64>, Error> {
        if name.contains('\0') {
            return Ok(None); // no name does, and not every database takes it
        }
        let named = sqlx::query_scalar("SELECT function_id FROM functions WHERE name = $1");
        let id = named.bind(name).fetch_optional(&self.readers).await;
        Ok(id.map_err(Failure::from)?)
    }

    async fn functions(
        &self,
        which: &FunctionFilter,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Summary>, Error> {
        Ok(summaries(&self.readers, which, after, limit).await?)
    }

    async fn list(&self) -> Result<Vec<i64>, Error> {
        let all = sqlx::query_scalar("SELECT function_id FROM functions ORDER BY function_id");
        Ok(all.fetch_all(&self.readers).await.map_err(Failure::from)?)
    }

    async fn delete_function(
        &self,
        by: Author,
        function_id: i64,
    ) -> Result<Option<Vec<[u8; 32]>>, Error> {
        let deleted = self.write(DeleteFunction { by, function_id }).await?;
        Ok(deleted.map(|deleted| deleted.sources))
    }

    async fn set_usage_key(
        &self,
        by: Author,
        function_id: i64,
        hash: Option<KeyHash>,
    ) -> Result<(), Error> {
        self.write(SetUsageKey {
            by,
            function_id,
            hash,
        })
        .await?
    }

    async fn set_admin_key(
        &self,
        by: Author,
        function_id: i64,
        hash: KeyHash,
    ) -> Result<(), Error> {
        self.write(SetAdminKey {
            by,
            function_id,
            hash,
        })
        .await?
    }

    async fn set_state(&self, by: Author, function_id: i64, state: String) -> Result<(), Error> {
        self.write(SetState {
            by,
            function_id,
            state,
        })
        .await?
    }

    async fn set_callback(
        &self,
        by: Author,
        function_id: i64,
        callback: String,
    ) -> Result<(), Error> {
        self.write(SetCallback {
            by,
            function_id,
            callback,
        })
        .await?
    }
}

async fn read(readers: &SqlPool, function_id: i64) -> Result<Option<Function>> {
    let row = sqlx::query(
        "SELECT v.id, v.number, v.sha256, v.legacy_sha256, v.size, v.kind, v.manifest, v.declaration, v.created_at,
                c.id, c.number, c.sha256, c.legacy_sha256, c.size, c.kind, c.manifest, c.declaration, c.created_at,
                f.canary_percent, f.function_id, f.name, f.description, f.state, f.storage_key, f.callback,
                f.usage_key_hash, f.admin_key_hash, f.created_at AS since
           FROM functions f
           JOIN versions v ON v.id = f.active_version
           LEFT JOIN versions c ON c.id = f.canary_version
          WHERE f.function_id = $1",
    )
    .bind(function_id)
    .fetch_optional(readers)
    .await?;
    row.map(|row| read_function(&row)).transpose()
}

fn read_function(row: &SqlRow) -> Result<Function> {
    let public = row.try_get::<Option<&[u8]>, _>("usage_key_hash")?.is_none();
    Ok(Function {
        function_id: row.try_get("function_id")?,
        name: row.try_get("name")?,
        description: text(row, "description")?,
        state: text(row, "state")?,
        storage_key: row.try_get("storage_key")?,
        callback: text(row, "callback")?,
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

fn percent(row: &SqlRow) -> Result<Option<Percent>> {
    let percent: Option<i64> = row.try_get("canary_percent")?;
    let read = |percent: i64| u8::try_from(percent).ok().and_then(Percent::within);
    percent
        .map(|percent| read(percent).ok_or_else(|| damaged("canary_percent")))
        .transpose()
}

async fn summaries(
    readers: &SqlPool,
    which: &FunctionFilter,
    after: i64,
    limit: u32,
) -> Result<Vec<Summary>> {
    if which
        .name_has
        .as_ref()
        .is_some_and(|part| part.contains('\0'))
    {
        return Ok(vec![]);
    }
    // A part of a name is looked for in the index of names, which is small: rows of functions have their states before it.
    sqlx::query(concat!(
        "SELECT f.function_id, f.name, f.description, f.usage_key_hash IS NOT NULL AS private, f.created_at,
                v.number AS version, c.number AS canary, f.canary_percent,
                (SELECT COUNT(*) FROM versions n WHERE n.function_id = f.function_id) AS versions,
                COALESCE(u.invocations, 0) AS invocations
           FROM functions f
           JOIN versions v ON v.id = f.active_version
           LEFT JOIN versions c ON c.id = f.canary_version
           LEFT JOIN usage u ON u.function_id = f.function_id
          WHERE f.function_id > $1
            AND ($3 IS NULL OR f.function_id IN (SELECT function_id FROM functions WHERE ", index_of!(), "(name, $3) > 0))
            AND ($4 IS NULL OR (f.usage_key_hash IS NOT NULL) = $4)
          ORDER BY f.function_id LIMIT $2",
    ))
    .bind(after)
    .bind(i64::from(limit))
    .bind(which.name_has.as_deref())
    .bind(which.private)
    .fetch_all(readers)
    .await?
    .iter()
    .map(read_summary)
    .collect()
}

fn read_summary(row: &SqlRow) -> Result<Summary> {
    Ok(Summary {
        function_id: row.try_get("function_id")?,
        name: row.try_get("name")?,
        description: text(row, "description")?,
        private: row.try_get("private")?,
        created_at: row.try_get("created_at")?,
        version: row.try_get("version")?,
        versions: count(row, "versions")?,
        canary: row.try_get::<Option<i64>, _>("canary")?.zip(percent(row)?),
        invocations: count(row, "invocations")?,
    })
}

/// Stores a function and its first version. Its output is the number of the function.
struct CreateFunction {
    by: Author,
    function: FunctionRow,
    version: VersionRow,
}

impl Change for CreateFunction {
    type Output = Result<i64, Error>;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let Self {
            function, version, ..
        } = self;
        // Checked by a query first: a statement that fails would undo the other changes of the batch, too.
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
        let function_id = sqlx::query_scalar(
            "INSERT INTO functions (name, description, storage_key, usage_key_hash, admin_key_hash, active_version, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING function_id",
        )
        .bind(&function.name)
        .bind(as_text(&function.description))
        .bind(&function.storage_key)
        .bind(function.usage_key.as_ref().map(|hash| &hash.as_bytes()[..]))
        .bind(&function.admin_key.as_bytes()[..])
        .bind(version.id.to_string())
        .bind(version.created_at)
        .fetch_one(&mut *connection)
        .await?;
        versions::insert(connection, function_id, version).await?; // its number is 1
        schedules::replace(connection, function_id, version.created_at).await?;
        Ok(Ok(function_id))
    }

    fn locks(&self, locks: &mut Locks) {
        locks.catalogue();
        locks.jobs = true; // its schedules
    }

    fn record(&self, output: &Self::Output) -> Option<NewRecord> {
        let version = &self.version;
        let mut details = json!({
            "version": 1,
            "sha256": hex::encode(version.sha256),
            "bytes": version.size,
            "private": self.function.usage_key.is_some(),
        });
        versions::declared(&mut details, None, version);
        output
            .as_ref()
            .ok()
            .map(|id| of_function(&self.by, "function.create", *id, details))
    }
}

/// Replaces the usage key of a function; `None`: anyone may call it.
struct SetUsageKey {
    by: Author,
    function_id: i64,
    hash: Option<KeyHash>,
}

impl Change for SetUsageKey {
    type Output = Result<(), Error>;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let set = sqlx::query("UPDATE functions SET usage_key_hash = $1 WHERE function_id = $2")
            .bind(self.hash.as_ref().map(|hash| &hash.as_bytes()[..]))
            .bind(self.function_id)
            .execute(connection)
            .await?;
        Ok(found(self.function_id, &set))
    }

    fn locks(&self, locks: &mut Locks) {
        locks.change(self.function_id);
    }

    fn record(&self, output: &Self::Output) -> Option<NewRecord> {
        let action = match self.hash {
            Some(_) => "usage-key.set",
            None => "usage-key.remove",
        };
        recorded(output, &self.by, action, self.function_id, json!({}))
    }
}

/// Replaces the admin key of a function.
struct SetAdminKey {
    by: Author,
    function_id: i64,
    hash: KeyHash,
}

impl Change for SetAdminKey {
    type Output = Result<(), Error>;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let set = sqlx::query("UPDATE functions SET admin_key_hash = $1 WHERE function_id = $2")
            .bind(&self.hash.as_bytes()[..])
            .bind(self.function_id)
            .execute(connection)
            .await?;
        Ok(found(self.function_id, &set))
    }

    fn locks(&self, locks: &mut Locks) {
        locks.change(self.function_id);
    }

    fn record(&self, output: &Self::Output) -> Option<NewRecord> {
        recorded(
            output,
            &self.by,
            "admin-key.set",
            self.function_id,
            json!({}),
        )
    }
}

/// Replaces the state of a function.
struct SetState {
    by: Author,
    function_id: i64,
    state: String,
}

impl Change for SetState {
    type Output = Result<(), Error>;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let set = sqlx::query("UPDATE functions SET state = $1 WHERE function_id = $2")
            .bind(as_text(&self.state))
            .bind(self.function_id)
            .execute(connection)
            .await?;
        Ok(found(self.function_id, &set))
    }

    fn locks(&self, locks: &mut Locks) {
        locks.change(self.function_id);
    }

    fn record(&self, output: &Self::Output) -> Option<NewRecord> {
        let details = json!({ "bytes": self.state.len() });
        recorded(output, &self.by, "state.set", self.function_id, details)
    }
}

/// Replaces the callback of a function.
struct SetCallback {
    by: Author,
    function_id: i64,
    callback: String,
}

impl Change for SetCallback {
    type Output = Result<(), Error>;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let set = sqlx::query("UPDATE functions SET callback = $1 WHERE function_id = $2")
            .bind(as_text(&self.callback))
            .bind(self.function_id)
            .execute(connection)
            .await?;
        Ok(found(self.function_id, &set))
    }

    fn locks(&self, locks: &mut Locks) {
        locks.change(self.function_id);
    }

    fn record(&self, output: &Self::Output) -> Option<NewRecord> {
        let details = json!({ "bytes": self.callback.len() });
        recorded(output, &self.by, "callback.set", self.function_id, details)
    }
}

/// [`Error::NotFound`] if a statement about one function changed no row.
pub(super) fn found(function_id: i64, done: &SqlDone) -> Result<(), Error> {
    match done.rows_affected() {
        0 => Err(Error::NotFound { function_id }),
        _ => Ok(()),
    }
}
