//! The catalogue: all that calls are served from. Each change of it makes the next version in its own transaction, and
//! names the functions that it changed; every node looks at the version each second, and a notification, which only these
//! rare changes send, makes it look at once.
//!
//! `NOTIFY` takes a lock of the whole database at its commit, so no call and no job sends one.
//!
//! A node that cannot reach the database keeps what it has loaded. Once it has not reached it for `store.stale_limit`,
//! it refuses changes at once, and says so.

use parking_lot::Mutex;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgListener};
use tokio::time::timeout;

use super::error::{Failure, Result, silent};
use super::session::Sessions;
use crate::error::Error;

/// The channel of notifications.
const CHANNEL: &str = "iof_catalogue";
/// The time between two looks at the version.
const INTERVAL: Duration = Duration::from_secs(1);
/// The time between two attempts to reach a database.
const RETRY: Duration = Duration::from_millis(500);
/// The versions whose functions are known; a node that missed more drops all.
const KNOWN: i64 = 1000;

/// A function that is told which functions have changed; `None` for all.
type ChangeListener = Box<dyn Fn(Option<&[i64]>) + Send + Sync>;

/// The knowledge of a node of the catalogue.
pub(crate) struct Catalogue {
    /// Called with the functions that changed; `None` for all. Keys may have changed as well.
    changed: OnceLock<ChangeListener>,
    seen: Mutex<Seen>,
    stale_limit: Duration,
}

struct Seen {
    version: i64,
    /// The time of the last answer.
    at: Instant,
    stale: bool,
}

impl Catalogue {
    pub(super) fn new(version: i64, stale_limit: Duration) -> Self {
        Self {
            changed: OnceLock::new(),
            seen: Mutex::new(Seen {
                version,
                at: Instant::now(),
                stale: false,
            }),
            stale_limit,
        }
    }

    /// Sets the function that is called when the catalogue has changed. Only the first one counts.
    pub(crate) fn on_change(&self, changed: ChangeListener) {
        // There is one server for each store.
        let _ = self.changed.set(changed);
    }

    /// The time since the database last answered, once that exceeds the limit.
    pub(crate) fn stale(&self) -> Option<Duration> {
        let since = self.seen.lock().at.elapsed();
        (since > self.stale_limit).then_some(since)
    }

    /// Follows the catalogue until it is dropped.
    pub(super) async fn follow(&self, sessions: &Sessions) {
        loop {
            let lost = self.listen(sessions).await;
            if let Err(error) = lost {
                self.lost(&error.into());
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn listen(&self, sessions: &Sessions) -> Result<()> {
        let pool = sessions.pool(1);
        let mut listener = sessions
            .within(async {
                let mut listener = PgListener::connect_with(&pool)
                    .await
                    .map_err(Failure::from)?;
                listener.listen(CHANNEL).await.map_err(Failure::from)?;
                Ok(listener)
            })
            .await?;
        loop {
            let since = self.seen.lock().version;
            let look = async { Ok(look(&mut listener, since).await?) };
            self.see(sessions.within(look).await?);
            match timeout(INTERVAL, listener.try_recv()).await {
                Err(_) | Ok(Ok(Some(_))) => {}
                Ok(Ok(None)) => return Err(silent().into()),
                Ok(Err(error)) => return Err(error.into()),
            }
        }
    }

    /// Passes on what changed.
    fn see(&self, looked: Looked) {
        let (moved, was_stale) = {
            let mut seen = self.seen.lock();
            let moved = seen.version != looked.version;
            seen.version = looked.version;
            seen.at = Instant::now();
            (moved, std::mem::take(&mut seen.stale))
        };
        if was_stale {
            tracing::info!("the database is reached again: changes are accepted");
        }
        if moved && let Some(changed) = self.changed.get() {
            changed(looked.functions.as_deref());
        }
    }

    fn lost(&self, error: &Error) {
        let since = self.seen.lock().at.elapsed();
        tracing::debug!(%error, "the database cannot be reached");
        if since > self.stale_limit && !std::mem::replace(&mut self.seen.lock().stale, true) {
            tracing::error!(%error, seconds = since.as_secs(), "the database cannot be reached: functions that are loaded keep answering, and changes are refused (store.stale_limit)");
        }
    }
}

/// The version, and the functions that changed since another.
struct Looked {
    version: i64,
    /// `None`: too many, or not known any more.
    functions: Option<Vec<i64>>,
}

async fn look(listener: &mut PgListener, since: i64) -> Result<Looked> {
    let version = sqlx::query_scalar("SELECT version FROM catalogue");
    let version: i64 = version.fetch_one(&mut *listener).await?;
    if version == since {
        return Ok(Looked {
            version,
            functions: Some(vec![]),
        });
    }
    // A database that was restored has a lower version.
    if since > version || version - since >= KNOWN {
        return Ok(Looked {
            version,
            functions: None,
        });
    }
    // Changes that came since the version was read are passed on now, and again with the next look.
    let functions =
        sqlx::query_scalar("SELECT DISTINCT function_id FROM catalogue_changes WHERE version > $1");
    let functions = functions.bind(since).fetch_all(listener).await?;
    Ok(Looked {
        version,
        functions: Some(functions),
    })
}

/// The version of the catalogue.
pub(super) async fn version(connection: &mut PgConnection) -> Result<i64> {
    let row = sqlx::query("SELECT version FROM catalogue");
    Ok(row.fetch_one(connection).await?.try_get(0)?)
}

/// Makes the next version, for a change of these functions. All changes of the catalogue wait for each other here, so
/// that versions become visible in their order.
pub(super) async fn advance(
    connection: &mut PgConnection,
    functions: impl Iterator<Item = i64>,
) -> Result<()> {
    let next = sqlx::query_scalar("UPDATE catalogue SET version = version + 1 RETURNING version");
    let next: i64 = next.fetch_one(&mut *connection).await?;
    let functions: Vec<i64> = functions.collect();
    sqlx::query(
        "INSERT INTO catalogue_changes (version, function_id) SELECT $1, * FROM unnest($2)",
    )
    .bind(next)
    .bind(functions)
    .execute(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM catalogue_changes WHERE version <= $1")
        .bind(next - KNOWN)
        .execute(&mut *connection)
        .await?;
    // Sent when the transaction is committed.
    sqlx::query("SELECT pg_notify($1, '')")
        .bind(CHANNEL)
        .execute(connection)
        .await?;
    Ok(())
}
