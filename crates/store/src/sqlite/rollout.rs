//! The pointers of a function to its active version and its canary.

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
        wasm_id: i64,
        version: VersionRow,
        rollout: Rollout,
    ) -> Result<i64, Error> {
        self.write(AddVersion {
            wasm_id,
            version,
            rollout,
        })
        .await?
    }

    async fn activate(&self, wasm_id: i64, number: i64) -> Result<(), Error> {
        self.write(Activate { wasm_id, number }).await?
    }

    async fn set_canary(&self, wasm_id: i64, canary: Option<(i64, Percent)>) -> Result<(), Error> {
        self.write(SetCanary { wasm_id, canary }).await?
    }
}

/// Adds a version and rolls it out. Its output is the number of the version.
struct AddVersion {
    wasm_id: i64,
    version: VersionRow,
    rollout: Rollout,
}

impl Change for AddVersion {
    type Output = Result<i64, Error>;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output> {
        let wasm_id = self.wasm_id;
        let function = sqlx::query("SELECT 1 FROM functions WHERE wasm_id = $1").bind(wasm_id);
        if function.fetch_optional(&mut *connection).await?.is_none() {
            return Ok(Err(Error::NotFound { wasm_id }));
        }
        let number = versions::insert(connection, wasm_id, &self.version).await?;
        let id = self.version.id.to_string();
        let rolled_out = match self.rollout {
            Rollout::Active => set_active(connection, wasm_id, &id).await?,
            Rollout::Canary(percent) => {
                set_share(connection, wasm_id, Some((&id, percent))).await?
            }
            Rollout::Idle => Ok(()),
        };
        Ok(rolled_out.map(|()| number))
    }
}

/// Makes a version the active one.
struct Activate {
    wasm_id: i64,
    number: i64,
}

impl Change for Activate {
    type Output = Result<(), Error>;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output> {
        match find(connection, self.wasm_id, self.number).await? {
            Ok(version) => set_active(connection, self.wasm_id, &version.id).await,
            Err(error) => Ok(Err(error)),
        }
    }
}

/// Makes a version the canary, or ends the canary.
struct SetCanary {
    wasm_id: i64,
    canary: Option<(i64, Percent)>,
}

impl Change for SetCanary {
    type Output = Result<(), Error>;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output> {
        let wasm_id = self.wasm_id;
        let Some((number, percent)) = self.canary else {
            return set_share(connection, wasm_id, None).await;
        };
        match find(connection, wasm_id, number).await? {
            Ok(version) if version.active => Ok(Err(active_canary(wasm_id, number))),
            Ok(version) => set_share(connection, wasm_id, Some((&version.id, percent))).await,
            Err(error) => Ok(Err(error)),
        }
    }
}

/// A version that exists.
struct Found {
    id: String,
    active: bool,
}

/// The version of this number; [`Error::NotFound`] or [`Error::NoVersion`] if there is none.
async fn find(
    connection: &mut SqliteConnection,
    wasm_id: i64,
    number: i64,
) -> Result<Result<Found, Error>> {
    let row = sqlx::query(
        "SELECT v.id, COALESCE(v.id = f.active_version, FALSE) AS active
           FROM functions f LEFT JOIN versions v ON v.function_id = f.wasm_id AND v.number = $2
          WHERE f.wasm_id = $1",
    )
    .bind(wasm_id)
    .bind(number)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else {
        return Ok(Err(Error::NotFound { wasm_id }));
    };
    Ok(match row.try_get("id")? {
        Some(id) => Ok(Found {
            id,
            active: row.try_get("active")?,
        }),
        None => Err(Error::NoVersion { wasm_id, number }),
    })
}

/// Moves the pointer to the active version, and ends the canary.
async fn set_active(
    connection: &mut SqliteConnection,
    wasm_id: i64,
    id: &str,
) -> Result<Result<(), Error>> {
    let moved = sqlx::query(
        "UPDATE functions SET active_version = $1, canary_version = NULL, canary_percent = NULL WHERE wasm_id = $2",
    )
    .bind(id)
    .bind(wasm_id)
    .execute(connection)
    .await?;
    Ok(found(wasm_id, &moved))
}

/// Names the canary and its share of the calls; `None`: there is no canary.
async fn set_share(
    connection: &mut SqliteConnection,
    wasm_id: i64,
    canary: Option<(&str, Percent)>,
) -> Result<Result<(), Error>> {
    let shared = sqlx::query(
        "UPDATE functions SET canary_version = $1, canary_percent = $2 WHERE wasm_id = $3",
    )
    .bind(canary.map(|(id, _)| id))
    .bind(canary.map(|(_, percent)| i64::from(percent.get())))
    .bind(wasm_id)
    .execute(connection)
    .await?;
    Ok(found(wasm_id, &shared))
}
