//! The tests of PostgreSQL: those of every database.

#[path = "../api_keys.rs"]
mod api_keys;
#[path = "../artefacts.rs"]
mod artefacts;
#[path = "../batches.rs"]
mod batches;
#[path = "../call_log.rs"]
mod call_log;
#[path = "../calls.rs"]
mod calls;
#[path = "../changes.rs"]
mod changes;
#[path = "../ephemeral.rs"]
mod ephemeral;
#[path = "../functions.rs"]
mod functions;
#[path = "../job_leases.rs"]
mod job_leases;
#[path = "../job_queues.rs"]
mod job_queues;
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
#[path = "../names.rs"]
mod names;
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
#[path = "../values.rs"]
mod values;
#[path = "../versions.rs"]
mod versions;

pub(crate) use super::*;

pub(crate) const NAME: &str = "postgres";

/// The statement for this database.
pub(crate) fn sql(_: &'static str, postgres: &'static str) -> &'static str {
    postgres
}

/// A data directory and a database that are removed when the test ends.
pub(crate) struct Home {
    node: Folder,
    database: cluster::Database<'static>,
}

impl Home {
    pub(crate) fn new() -> Self {
        let database = cluster::Database::new();
        let settings = StoreSettings {
            url: database.url(),
            ..StoreSettings::default()
        };
        Self {
            node: Folder::new(settings),
            database,
        }
    }

    pub(crate) fn url(&self) -> String {
        self.database.url()
    }
}

impl Deref for Home {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.node
    }
}

/// Ends all leases: a node does not take jobs over from others before.
pub(crate) async fn end_leases(home: &Home) {
    sqlx::query("UPDATE jobs SET lease_until = 0 WHERE state = 'running'")
        .execute(&mut outside(home).await)
        .await
        .unwrap();
}

/// A connection to the database, as another program has it.
pub(crate) async fn outside(home: &Home) -> sqlx::PgConnection {
    sqlx::PgConnection::connect(&home.url()).await.unwrap()
}

/// The number that `query` returns, from outside the store.
pub(crate) async fn count(home: &Home, query: &'static str, about: i64) -> i64 {
    let mut outside = outside(home).await;
    let query = sqlx::AssertSqlSafe(format!("SELECT CAST(({query}) AS BIGINT)"));
    let found = sqlx::query_scalar(query).bind(about);
    found.fetch_one(&mut outside).await.unwrap()
}
