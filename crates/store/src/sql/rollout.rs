//! The pointers from a function to its active version and its canary.

use serde_json::json;
use sqlx::Row as _;

use super::change::{Change, Locks};
use super::changes::of_function;
use super::column::bytes;
use super::database::Database;
use super::driver::SqlConnection;
use super::error::Result;
use super::functions::found;
use super::{schedules, versions};
use crate::clock::unix_ms;
use crate::error::Error;
use crate::model::{Author, NewRecord, Percent, Rollout, VersionRow, active_canary};
use crate::rows::Rollouts;

impl Rollouts for Database {
    async fn add_version(
        &self,
        by: Author,
        function_id: i64,
        version: VersionRow,
        rollout: Rollout,
    ) -> Result<i64, Error> {
        self.write(AddVersion {
            by,
            function_id,
            version,
            rollout,
        })
        .await?
        .map(|(number, _)| number)
    }

    async fn activate(&self, by: Author, function_id: i64, number: i64) -> Result<(), Error> {
        self.write(Activate {
            by,
            function_id,
            number,
        })
        .await?
        .map(drop)
    }

    async fn set_canary(
        &self,
        by: Author,
        function_id: i64,
        canary: Option<(i64, Percent)>,
    ) -> Result<(), Error> {
        self.write(SetCanary {
            by,
            function_id,
            canary,
        })
        .await?
        .map(drop)
    }
}

/// Adds a version and rolls it out. Its output is the number of the version, and the version that was active before.
struct AddVersion {
    by: Author,
    function_id: i64,
    version: VersionRow,
    rollout: Rollout,
}

impl Change for AddVersion {
    type Output = Result<(i64, Pointers), Error>;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let function_id = self.function_id;
        let Some(before) = pointers(connection, function_id).await? else {
            return Ok(Err(Error::NotFound { function_id }));
        };
        let number = versions::insert(connection, function_id, &self.version).await?;
        let id = self.version.id.to_string();
        let rolled_out = match self.rollout {
            Rollout::Active => set_active(connection, function_id, &id).await?,
            Rollout::Canary(percent) => {
                set_share(connection, function_id, Some((&id, percent))).await?
            }
            Rollout::Idle => Ok(()),
        };
        Ok(rolled_out.map(|()| (number, before)))
    }

    fn locks(&self, locks: &mut Locks) {
        locks.change(self.function_id);
        locks.jobs = true; // its schedules
    }

    fn record(&self, output: &Self::Output) -> Option<NewRecord> {
        let (number, before) = output.as_ref().ok()?;
        let version = &self.version;
        let mut details = json!({
            "version": number,
            "active_before": before.active,
            "sha256": hex::encode(version.sha256),
            "bytes": version.size,
            "same_module": before.sha256 == version.sha256,
        });
        versions::declared(&mut details, before.declaration.as_deref(), version);
        let action = match self.rollout {
            Rollout::Active => "version.deploy",
            Rollout::Canary(percent) => {
                details["percent"] = percent.get().into();
                "version.deploy-canary"
            }
            Rollout::Idle => "version.deploy-idle",
        };
        Some(of_function(&self.by, action, self.function_id, details))
    }
}

/// Makes a version the active one. Its output is the versions that ran before.
struct Activate {
    by: Author,
    function_id: i64,
    number: i64,
}

impl Change for Activate {
    type Output = Result<Pointers, Error>;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let function_id = self.function_id;
        let Some(before) = pointers(connection, function_id).await? else {
            return Ok(Err(Error::NotFound { function_id }));
        };
        let moved = match find(connection, function_id, self.number).await? {
            Ok(version) => set_active(connection, function_id, &version.id).await?,
            Err(error) => Err(error),
        };
        Ok(moved.map(|()| before))
    }

    fn locks(&self, locks: &mut Locks) {
        locks.change(self.function_id);
        locks.jobs = true; // its schedules
    }

    fn record(&self, output: &Self::Output) -> Option<NewRecord> {
        let before = output.as_ref().ok()?;
        let action = match before.active {
            _ if before.canary == Some(self.number) => "version.promote",
            active if self.number < active => "version.roll-back",
            _ => "version.activate",
        };
        let details = json!({ "version": self.number, "active_before": before.active });
        Some(of_function(&self.by, action, self.function_id, details))
    }
}

/// Makes a version the canary, or ends the canary. Its output is the versions that ran before.
struct SetCanary {
    by: Author,
    function_id: i64,
    canary: Option<(i64, Percent)>,
}

impl Change for SetCanary {
    type Output = Result<Pointers, Error>;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let function_id = self.function_id;
        let Some(before) = pointers(connection, function_id).await? else {
            return Ok(Err(Error::NotFound { function_id }));
        };
        let set = match self.canary {
            None => set_share(connection, function_id, None).await?,
            Some((number, percent)) => match find(connection, function_id, number).await? {
                Ok(version) if version.active => Err(active_canary(function_id, number)),
                Ok(version) => {
                    set_share(connection, function_id, Some((&version.id, percent))).await?
                }
                Err(error) => Err(error),
            },
        };
        Ok(set.map(|()| before))
    }

    fn locks(&self, locks: &mut Locks) {
        locks.change(self.function_id);
    }

    fn record(&self, output: &Self::Output) -> Option<NewRecord> {
        let before = output.as_ref().ok()?;
        let (action, details) = match self.canary {
            Some((number, percent)) => (
                "canary.set",
                json!({ "version": number, "percent": percent.get() }),
            ),
            // There was none to end.
            None => ("canary.end", json!({ "version": before.canary? })),
        };
        Some(of_function(&self.by, action, self.function_id, details))
    }
}

/// The versions that a function ran before a change.
struct Pointers {
    /// The number of the active version, its source and its declaration.
    active: i64,
    sha256: [u8; 32],
    declaration: Option<String>,
    /// The number of the canary.
    canary: Option<i64>,
}

/// The versions that a function runs; `None` if there is no such function.
async fn pointers(connection: &mut SqlConnection, function_id: i64) -> Result<Option<Pointers>> {
    let row = sqlx::query(
        "SELECT v.number AS active, v.sha256, v.declaration, c.number AS canary
           FROM functions f JOIN versions v ON v.id = f.active_version
           LEFT JOIN versions c ON c.id = f.canary_version
          WHERE f.function_id = $1",
    )
    .bind(function_id)
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        Ok(Pointers {
            active: row.try_get("active")?,
            sha256: bytes(&row, "sha256")?,
            declaration: row.try_get("declaration")?,
            canary: row.try_get("canary")?,
        })
    })
    .transpose()
}

/// An existing version.
struct Found {
    id: String,
    active: bool,
}

/// The version of this number; [`Error::NotFound`] or [`Error::NoVersion`] if there is none.
async fn find(
    connection: &mut SqlConnection,
    function_id: i64,
    number: i64,
) -> Result<Result<Found, Error>> {
    let row = sqlx::query(
        "SELECT v.id, COALESCE(v.id = f.active_version, FALSE) AS active
           FROM functions f LEFT JOIN versions v ON v.function_id = f.function_id AND v.number = $2
          WHERE f.function_id = $1",
    )
    .bind(function_id)
    .bind(number)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else {
        return Ok(Err(Error::NotFound { function_id }));
    };
    Ok(match row.try_get("id")? {
        Some(id) => Ok(Found {
            id,
            active: row.try_get("active")?,
        }),
        None => Err(Error::NoVersion {
            function_id,
            number,
        }),
    })
}

/// Moves the pointer to the active version, which brings its schedules, and ends the canary.
async fn set_active(
    connection: &mut SqlConnection,
    function_id: i64,
    id: &str,
) -> Result<Result<(), Error>> {
    let moved = sqlx::query(
        "UPDATE functions SET active_version = $1, canary_version = NULL, canary_percent = NULL WHERE function_id = $2",
    )
    .bind(id)
    .bind(function_id)
    .execute(&mut *connection)
    .await?;
    schedules::replace(connection, function_id, unix_ms()).await?;
    Ok(found(function_id, &moved))
}

/// Sets the canary and its share of the calls; `None` for no canary.
async fn set_share(
    connection: &mut SqlConnection,
    function_id: i64,
    canary: Option<(&str, Percent)>,
) -> Result<Result<(), Error>> {
    let shared = sqlx::query(
        "UPDATE functions SET canary_version = $1, canary_percent = $2 WHERE function_id = $3",
    )
    .bind(canary.map(|(id, _)| id))
    .bind(canary.map(|(_, percent)| i64::from(percent.get())))
    .bind(function_id)
    .execute(connection)
    .await?;
    Ok(found(function_id, &shared))
}
