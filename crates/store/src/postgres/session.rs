//! A connection to the database, with the settings that every connection of iof has.
//!
//! A node that is cut off from the database must not hold locks there until its connection is found dead, which takes
//! hours, so the database itself ends a transaction that is idle and a statement that takes long.

use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use tokio::time::timeout;

use super::address::Address;
use super::error::{Result, silent};
use crate::error::Error;

/// The options of connections.
#[derive(Clone)]
pub(super) struct Sessions {
    pub(super) address: Address,
    /// The time within which the database has to answer.
    pub(super) timeout: Duration,
}

/// The point until which a commit is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// Until it is on the database's disk.
    Flushed,
    /// Not at all: the last second is lost if the database's machine fails.
    Relaxed,
}

impl Sessions {
    /// Connects.
    pub(super) async fn connect(&self, durability: Durability) -> Result<PgConnection> {
        let connect = async {
            let mut connection = PgConnection::connect_with(self.address.options()).await?;
            self.prepare(&mut connection, durability).await?;
            Ok(connection)
        };
        match timeout(self.timeout, connect).await {
            Ok(connected) => connected,
            Err(_) => Err(silent().into()),
        }
    }

    /// A pool of up to `connections`, which are made when they are needed.
    pub(super) fn pool(&self, connections: u32) -> PgPool {
        let sessions = self.clone();
        PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(self.timeout)
            .after_connect(move |connection, _| {
                let sessions = sessions.clone();
                Box::pin(async move {
                    let settings = sessions.settings(Durability::Flushed);
                    sqlx::raw_sql(settings).execute(connection).await?;
                    Ok(())
                })
            })
            .connect_lazy_with(self.address.options().clone())
    }

    async fn prepare(&self, connection: &mut PgConnection, durability: Durability) -> Result<()> {
        sqlx::raw_sql(self.settings(durability))
            .execute(connection)
            .await?;
        Ok(())
    }

    fn settings(&self, durability: Durability) -> sqlx::AssertSqlSafe<String> {
        let milliseconds = self.timeout.as_millis();
        // A database that promises less than its disk does not keep this server's promises.
        let commit = match durability {
            Durability::Flushed => {
                "SELECT set_config('synchronous_commit', 'on', false)
                  WHERE current_setting('synchronous_commit') IN ('off', 'local')"
            }
            Durability::Relaxed => "SET synchronous_commit = off",
        };
        sqlx::AssertSqlSafe(format!(
            "SET statement_timeout = {milliseconds}; SET lock_timeout = {milliseconds};
             SET idle_in_transaction_session_timeout = {milliseconds}; SET client_encoding = 'UTF8'; {commit}"
        ))
    }

    /// The output of `work`, or the error of a database that does not answer.
    pub(super) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        timeout(self.timeout, work)
            .await
            .unwrap_or_else(|_| Err(silent()))
    }
}
