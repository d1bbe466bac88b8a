//! A look at a database without a node.

use sqlx::{Connection as _, Row as _};

use super::database::Use;
use super::error::Result;
use super::migrations;
use super::session::{Durability, Sessions};
use crate::error::Error;
use crate::fleet_check::FleetCheck;

/// Looks at a database. Nothing is changed.
pub(crate) async fn check(wanted: &Use) -> Result<FleetCheck, Error> {
    Ok(look(wanted).await?)
}

/// Makes the migrations that are missing.
pub(crate) async fn migrate(wanted: &Use) -> Result<(), Error> {
    Ok(migrations::run(&wanted.address).await?)
}

async fn look(wanted: &Use) -> Result<FleetCheck> {
    let sessions = Sessions {
        address: wanted.address.clone(),
        timeout: wanted.timeout,
    };
    let mut connection = sessions.connect(Durability::Flushed).await?;
    let row = sqlx::query(
        "SELECT current_setting('server_version') AS release,
                (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS sessions,
                CAST(current_setting('max_connections') AS BIGINT) AS most,
                to_regclass('_sqlx_migrations') IS NOT NULL AS made",
    )
    .fetch_one(&mut connection)
    .await?;
    let made: Vec<i64> = match row.try_get("made")? {
        false => vec![],
        true => {
            let made = sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success");
            made.fetch_all(&mut connection).await?
        }
    };
    let found = FleetCheck {
        release: row.try_get("release")?,
        missing: migrations::missing(&made),
        newer: migrations::newer(&made),
        sessions: row.try_get("sessions")?,
        most_sessions: row.try_get("most")?,
    };
    connection.close().await?;
    Ok(found)
}
