//! The tests of SQLite: those of every database, and those of its file.

#[path = "../api_keys.rs"]
mod api_keys;
#[path = "../artefacts.rs"]
mod artefacts;
#[path = "../batches.rs"]
mod batches;
#[path = "../call_log.rs"]
mod call_log;
#[path = "../call_log_upgrade.rs"]
mod call_log_upgrade;
#[path = "../calls.rs"]
mod calls;
#[path = "../changes.rs"]
mod changes;
#[path = "../ephemeral.rs"]
mod ephemeral;
#[path = "../failures.rs"]
mod failures;
#[path = "../failures_rows.rs"]
mod failures_rows;
#[path = "../functions.rs"]
mod functions;
#[path = "../job_leases.rs"]
mod job_leases;
#[path = "../job_queues.rs"]
mod job_queues;
#[path = "../job_upgrade.rs"]
mod job_upgrade;
#[path = "../jobs.rs"]
mod jobs;
#[path = "../jobs_room.rs"]
mod jobs_room;
#[path = "../kill.rs"]
mod kill;
#[path = "../kill_jobs.rs"]
mod kill_jobs;
#[path = "../kill_rows.rs"]
mod kill_rows;
#[path = "../kill_secrets.rs"]
mod kill_secrets;
#[path = "../many.rs"]
mod many;
#[path = "../names.rs"]
mod names;
#[path = "../opening.rs"]
mod opening;
#[path = "../outbound.rs"]
mod outbound;
#[path = "../outbound_limits.rs"]
mod outbound_limits;
#[path = "../races.rs"]
mod races;
#[path = "../recordings.rs"]
mod recordings;
#[path = "../rollout.rs"]
mod rollout;
#[path = "../rotation.rs"]
mod rotation;
#[path = "../schedules.rs"]
mod schedules;
#[path = "../secrets.rs"]
mod secrets;
#[path = "../sources.rs"]
mod sources;
#[path = "../speed.rs"]
mod speed;
#[path = "../speed_rows.rs"]
mod speed_rows;
#[path = "../sqlite_files.rs"]
mod sqlite_files;
#[path = "../sqlite_plans.rs"]
mod sqlite_plans;
#[path = "../transfer.rs"]
mod transfer;
#[path = "../upgrade_names.rs"]
mod upgrade_names;
#[path = "../upgrades.rs"]
mod upgrades;
#[path = "../values.rs"]
mod values;
#[path = "../versions.rs"]
mod versions;

pub(crate) use super::*;

pub(crate) const NAME: &str = "sqlite";

/// The statement for this database.
pub(crate) fn sql(sqlite: &'static str, _: &'static str) -> &'static str {
    sqlite
}

/// A data directory that is removed when the test ends.
pub(crate) struct Home(Folder);

impl Home {
    pub(crate) fn new() -> Self {
        Self(Folder::new(StoreSettings::default()))
    }

    pub(crate) fn url(&self) -> &str {
        ""
    }
}

impl Deref for Home {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.0
    }
}

/// Ends all leases: a start of this database asks for none to have ended.
pub(crate) async fn end_leases(_: &Home) {}

/// A connection to the database, as another program has it.
pub(crate) async fn outside(home: &Home) -> sqlx::SqliteConnection {
    let file = home.data().join("iof.db");
    let url = format!("sqlite://{}", file.display());
    sqlx::SqliteConnection::connect(&url).await.unwrap()
}

/// The number that `query` returns, from outside the store.
pub(crate) async fn count(home: &Home, query: &'static str, about: i64) -> i64 {
    let mut outside = outside(home).await;
    let found = sqlx::query_scalar(query).bind(about);
    found.fetch_one(&mut outside).await.unwrap()
}
