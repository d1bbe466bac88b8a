//! A look at the database of a fleet, and its migration, without a node.

use crate::error::Error;
use crate::postgres;
use crate::settings::StoreSettings;

/// The findings of a look at the database of a fleet. Nothing in it was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetCheck {
    /// The release of PostgreSQL.
    pub release: String,
    /// Migrations that the next start makes, such as `0001 tables`.
    pub missing: Vec<String>,
    /// The number of the last migration, if a newer release made it.
    pub newer: Option<i64>,
    /// Sessions at this moment, this one included.
    pub sessions: i64,
    /// The most sessions that the database allows.
    pub most_sessions: i64,
}

/// Reaches the database that the settings name and compares its tables with those of this release.
///
/// # Errors
/// [`Error::Invalid`] for the settings, [`Error::Unreachable`].
pub async fn check_fleet(settings: &StoreSettings) -> Result<FleetCheck, Error> {
    postgres::check(&wanted(settings)?).await
}

/// Brings the tables of the database that the settings name up to date.
///
/// # Errors
/// Those of [`check_fleet`], and [`Error::Newer`].
pub async fn migrate(settings: &StoreSettings) -> Result<(), Error> {
    postgres::migrate(&wanted(settings)?).await
}

fn wanted(settings: &StoreSettings) -> Result<postgres::Use, Error> {
    settings.database()?.ok_or_else(|| Error::Invalid {
        what: "store.url is empty. Set it to the database of the fleet".into(),
    })
}
