//! Which version of a function runs: the active one, and for a share of the calls another, the canary.
//!
//! Versions never change, so everything here moves a pointer: a rollback is the same act as a promotion, takes effect
//! for the next call, and cannot fail for want of a module. Each act that moves the pointer to the active version ends
//! the canary, because the share was a share of what ran before. Which of the two runs a call is for the server to
//! decide; the store keeps what was decided about all of them.

use std::fmt;

use sqlx::{Row as _, SqliteConnection};

use crate::writer::{Outcome, VersionRow, Write};
use crate::{Error, NewVersion, Store, Uploaded, Version, VersionId, found, versions};

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
        let outcome = self
            .upload(id, new, move |version| Write::AddVersion {
                wasm_id,
                version,
                rollout,
            })
            .await?;
        match outcome {
            Outcome::Added(number) => Ok(Uploaded { id, number }),
            Outcome::Missing => Err(Error::NotFound { wasm_id }),
            _ => Err(Error::Unavailable("the new version vanished".into())),
        }
    }

    /// Makes a version the active one, whether it came before (a rollback) or after, and ends the canary. Does the
    /// latter too if it is the active one already.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NoVersion`], and those of [`Store::delete_function`]; nothing was changed.
    pub async fn activate(&self, wasm_id: i64, number: i64) -> Result<(), Error> {
        match self.write(Write::Activate { wasm_id, number }).await? {
            Outcome::NoVersion => Err(Error::NoVersion { wasm_id, number }),
            outcome => found(wasm_id, &outcome),
        }
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
        let outcome = self.write(Write::SetCanary { wasm_id, canary }).await?;
        match (outcome, canary) {
            (Outcome::NoVersion, Some((number, _))) => Err(Error::NoVersion { wasm_id, number }),
            (Outcome::Taken, Some((number, _))) => Err(Error::Invalid {
                what: format!(
                    "version {number} of function {wasm_id} is the active one, which runs all calls that a canary does not; choose another version for the canary"
                ),
            }),
            (outcome, _) => found(wasm_id, &outcome),
        }
    }
}

pub(crate) async fn add(
    connection: &mut SqliteConnection,
    wasm_id: i64,
    version: &VersionRow,
    rollout: Rollout,
) -> Result<Outcome, Error> {
    let there = sqlx::query("SELECT 1 FROM functions WHERE wasm_id = $1");
    if there
        .bind(wasm_id)
        .fetch_optional(&mut *connection)
        .await?
        .is_none()
    {
        return Ok(Outcome::Missing);
    }
    let number = versions::insert(connection, wasm_id, version).await?;
    let id = version.id.to_string();
    match rollout {
        Rollout::Active => point(connection, wasm_id, &id).await?,
        Rollout::Canary(percent) => share(connection, wasm_id, Some((&id, percent))).await?,
        Rollout::Idle => Outcome::Done,
    };
    Ok(Outcome::Added(number))
}

pub(crate) async fn activate(
    connection: &mut SqliteConnection,
    wasm_id: i64,
    number: i64,
) -> Result<Outcome, Error> {
    match find(connection, wasm_id, number).await? {
        None => Ok(Outcome::Missing),
        Some(Found { id: None, .. }) => Ok(Outcome::NoVersion),
        Some(Found { id: Some(id), .. }) => point(connection, wasm_id, &id).await,
    }
}

pub(crate) async fn set_canary(
    connection: &mut SqliteConnection,
    wasm_id: i64,
    canary: Option<(i64, Percent)>,
) -> Result<Outcome, Error> {
    let Some((number, percent)) = canary else {
        return share(connection, wasm_id, None).await;
    };
    match find(connection, wasm_id, number).await? {
        None => Ok(Outcome::Missing),
        Some(Found { id: None, .. }) => Ok(Outcome::NoVersion),
        Some(Found { active: true, .. }) => Ok(Outcome::Taken),
        Some(Found { id: Some(id), .. }) => share(connection, wasm_id, Some((&id, percent))).await,
    }
}

/// A version of a function that there is.
struct Found {
    /// `None`: there is no such version.
    id: Option<String>,
    active: bool,
}

/// `None`: there is no such function.
async fn find(
    connection: &mut SqliteConnection,
    wasm_id: i64,
    number: i64,
) -> Result<Option<Found>, Error> {
    let row = sqlx::query(
        "SELECT v.id, COALESCE(v.id = f.active_version, FALSE) AS active
           FROM functions f LEFT JOIN versions v ON v.function_id = f.wasm_id AND v.number = $2
          WHERE f.wasm_id = $1",
    )
    .bind(wasm_id)
    .bind(number)
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        Ok(Found {
            id: row.try_get("id")?,
            active: row.try_get("active")?,
        })
    })
    .transpose()
}

/// Moves the pointer to the active version, and ends the canary.
async fn point(
    connection: &mut SqliteConnection,
    wasm_id: i64,
    id: &str,
) -> Result<Outcome, Error> {
    let moved = sqlx::query(
        "UPDATE functions SET active_version = $1, canary_version = NULL, canary_percent = NULL WHERE wasm_id = $2",
    )
    .bind(id)
    .bind(wasm_id)
    .execute(connection)
    .await?;
    Ok(Outcome::of_rows(moved.rows_affected()))
}

/// Says who gets which share of the calls.
async fn share(
    connection: &mut SqliteConnection,
    wasm_id: i64,
    canary: Option<(&str, Percent)>,
) -> Result<Outcome, Error> {
    let shared = sqlx::query(
        "UPDATE functions SET canary_version = $1, canary_percent = $2 WHERE wasm_id = $3",
    )
    .bind(canary.map(|(id, _)| id))
    .bind(canary.map(|(_, percent)| i64::from(percent.get())))
    .bind(wasm_id)
    .execute(connection)
    .await?;
    Ok(Outcome::of_rows(shared.rows_affected()))
}
