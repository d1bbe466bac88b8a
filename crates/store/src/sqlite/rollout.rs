//! The pointers from a function to its active version and its canary.

use sqlx::{Row as _, SqliteConnection};

use super::change::Change;
use super::database::Database;
use super::error::Result;
use super::functions::found;
use super::versions;
use crate::error::Error;
use crate::model::{Percent, Rollout, VersionRow, active_canary};
use crate::rows::Rollouts;

impl Rollouts for Database {
    async fn add_version(
        &self,
        function_id: i64,
        version: VersionRow,
        rollout: Rollout,
    ) -> Result<i64, Error> {
        self.write(AddVersion {
            function_id,
            version,
            rollout,
        })
        .await?
    }

    async fn activate(&self, function_id: i64, number: i64) -> Result<(), Error> {
        self.write(Activate {
            function_id,
            number,
        })
        .await?
    }

    async fn set_canary(
        &self,
        function_id: i64,
        canary: Option<(i64, Percent)>,
    ) -> Result<(), Error> {
        self.write(SetCanary {
            function_id,
            canary,
        })
        .await?
    }
}

/// Adds a version and rolls it out. Its output is the number of the version.
struct AddVersion {
    function_id: i64,
    version: VersionRow,
    rollout: Rollout,
}

impl Change for AddVersion {
    type Output = Result<i64, Error>;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output> {
        let function_id = self.function_id;
        let function =
            sqlx::query("SELECT 1 FROM functions WHERE function_id = $1").bind(function_id);
        if function.fetch_optional(&mut *connection).await?.is_none() {
            return Ok(Err(Error::NotFound { function_id }));
        }
        let number = versions::insert(connection, function_id, &self.version).await?;
        let id = self.version.id.to_string();
        let rolled_out = match self.rollout {
            Rollout::Active => set_active(connection, function_id, &id).await?,
            Rollout::Canary(percent) => {
                set_share(connection, function_id, Some((&id, percent))).await?
            }
            Rollout::Idle => Ok(()),
        };
        Ok(rolled_out.map(|()| number))
    }
}

/// Makes a version the active one.
struct Activate {
    function_id: i64,
    number: i64,
}

impl Change for Activate {
    type Output = Result<(), Error>;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output> {
        match find(connection, self.function_id, self.number).await? {
            Ok(version) => set_active(connection, self.function_id, &version.id).await,
            Err(error) => Ok(Err(error)),
        }
    }
}

/// Makes a version the canary, or ends the canary.
struct SetCanary {
    function_id: i64,
    canary: Option<(i64, Percent)>,
}

impl Change for SetCanary {
    type Output = Result<(), Error>;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output> {
        let function_id = self.function_id;
        let Some((number, percent)) = self.canary else {
            return set_share(connection, function_id, None).await;
        };
        match find(connection, function_id, number).await? {
            Ok(version) if version.active => Ok(Err(active_canary(function_id, number))),
            Ok(version) => set_share(connection, function_id, Some((&version.id, percent))).await,
            Err(error) => Ok(Err(error)),
        }
    }
}

/// An existing version.
struct Found {
    id: String,
    active: bool,
}

/// The version of this number; [`Error::NotFound`] or [`Error::NoVersion`] if there is none.
async fn find(
    connection: &mut SqliteConnection,
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

/// Moves the pointer to the active version, and ends the canary.
async fn set_active(
    connection: &mut SqliteConnection,
    function_id: i64,
    id: &str,
) -> Result<Result<(), Error>> {
    let moved = sqlx::query(
        "UPDATE functions SET active_version = $1, canary_version = NULL, canary_percent = NULL WHERE function_id = $2",
    )
    .bind(id)
    .bind(function_id)
    .execute(connection)
    .await?;
    Ok(found(function_id, &moved))
}

/// Sets the canary and its share of the calls; `None` for no canary.
async fn set_share(
    connection: &mut SqliteConnection,
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
