//! Which version of a function runs: the active one, and for a share of the calls another, the canary.
//!
//! Versions never change, so everything here moves a pointer: a rollback is the same act as a promotion, takes effect
//! for the next call, and cannot fail for want of a module. Each act that moves the pointer to the active version ends
//! the canary, because the share was a share of what ran before. Which of the two runs a call is for the server to
//! decide; the store keeps what was decided about all of them.

use std::fmt;

use sqlx::{Row as _, SqliteConnection};

use crate::change::Change;
use crate::functions::found;
use crate::versions::{self, VersionRow};
use crate::{Error, NewVersion, Store, Uploaded, Version, VersionId};

/// What becomes of a new version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rollout {
    /// It is the active one, and no version is the canary.
    Active,
    /// It is the canary, in place of any other, and gets this share of the calls.
    Canary(Percent),
    /// It runs no calls of the function; nothing else changes.
    Idle,
}

/// A share of the calls: 1 to 99 of a hundred. None and all are not shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u8);

impl Percent {
    /// A share of so many of a hundred calls.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is not 1 to 99.
    pub fn new(percent: u8) -> Result<Self, Error> {
        Self::within(percent).ok_or_else(|| Error::Invalid {
            what: format!("a canary gets 1 to 99 percent of the calls, and not {percent}"),
        })
    }

    pub(crate) fn within(percent: u8) -> Option<Self> {
        (1..=99).contains(&percent).then_some(Self(percent))
    }

    /// So many of a hundred calls.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

/// The version that gets a share of the calls; the active one gets the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// What these calls run. Never the active one.
    pub version: Version,
    /// Their share.
    pub percent: Percent,
}

impl Store {
    /// Adds the next version of a function and does with it what `rollout` says. When this returns `Ok`, it is on the
    /// disk.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of [`Store::create_function`]; the function then runs what it ran before.
    pub async fn add_version(
        &self,
        wasm_id: i64,
        new: NewVersion,
        rollout: Rollout,
    ) -> Result<Uploaded, Error> {
        let id = VersionId::now();
        let number = self
            .upload(id, new, move |version| AddVersion {
                wasm_id,
                version,
                rollout,
            })
            .await?;
        Ok(Uploaded { id, number })
    }

    /// Makes a version the active one, whether it came before (a rollback) or after, and ends the canary. Does the
    /// latter too if it is the active one already.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NoVersion`], and those of [`Store::delete_function`]; nothing was changed.
    pub async fn activate(&self, wasm_id: i64, number: i64) -> Result<(), Error> {
        self.write(Activate { wasm_id, number }).await?
    }

    /// Makes a version the canary, with its share of the calls, in place of any other; or lets the active one run all
    /// calls again (`None`).
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NoVersion`]; [`Error::Invalid`] if that version is the active one; and those of
    /// [`Store::delete_function`]. Nothing was changed.
    pub async fn set_canary(
        &self,
        wasm_id: i64,
        canary: Option<(i64, Percent)>,
    ) -> Result<(), Error> {
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

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
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

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
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

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
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

fn active_canary(wasm_id: i64, number: i64) -> Error {
    Error::Invalid {
        what: format!(
            "version {number} of function {wasm_id} is the active one, which runs all calls that a canary does not; choose another version for the canary"
        ),
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
) -> Result<Result<Found, Error>, Error> {
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
) -> Result<Result<(), Error>, Error> {
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
) -> Result<Result<(), Error>, Error> {
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
