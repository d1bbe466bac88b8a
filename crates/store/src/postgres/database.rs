//! The database of a fleet, as one node uses it.

use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::address::Address;
use super::catalogue::{self, Catalogue};
use super::change::Change;
use super::changes::KeptChanges;
use super::driver::SqlPool;
use super::error::{Failure, silent};
use super::migrations;
use super::session::{Durability, Sessions};
use super::writer::Writer;
use crate::error::Error;
use crate::model::WriteFigures;

/// A few connections that read, two that write, and one that follows the catalogue.
pub(crate) struct Database {
    pub(super) readers: SqlPool,
    /// For what is promised.
    writer: Writer,
    /// For what is shed first.
    relaxed: Writer,
    /// The limits of the record of changes.
    pub(super) kept: Arc<KeptChanges>,
    catalogue: Arc<Catalogue>,
    sessions: Sessions,
    /// The tasks that write, for `close` to wait for.
    writing: Mutex<JoinSet<()>>,
    /// The task that follows the catalogue.
    following: Mutex<JoinSet<()>>,
}

/// The use that a node makes of a database.
pub(crate) struct Use {
    pub(crate) address: Address,
    /// The connections that read.
    pub(crate) connections: u32,
    /// The time within which the database has to answer.
    pub(crate) timeout: Duration,
    /// The time without an answer from when on changes are refused at once.
    pub(crate) stale_limit: Duration,
}

impl Database {
    /// Reaches the database and brings its tables up to date.
    pub(crate) async fn open(wanted: Use) -> Result<Self, Error> {
        let sessions = Sessions {
            address: wanted.address,
            timeout: wanted.timeout,
        };
        // The first connection tells at once whether there is a database at all.
        let mut first = sessions.connect(Durability::Flushed).await?;
        migrations::run(&sessions.address).await?;
        let version = catalogue::version(&mut first).await?;
        drop(first);
        let kept = Arc::<KeptChanges>::default();
        let catalogue = Arc::new(Catalogue::new(version, wanted.stale_limit));
        let new = |durability| Writer::new(sessions.clone(), durability, Arc::clone(&kept));
        let (writer, promised) = new(Durability::Flushed);
        let (relaxed, shed) = new(Durability::Relaxed);
        let mut writing = JoinSet::new();
        writing.spawn(promised);
        writing.spawn(shed);
        let mut following = JoinSet::new();
        following.spawn({
            let (catalogue, sessions) = (Arc::clone(&catalogue), sessions.clone());
            async move { catalogue.follow(&sessions).await }
        });
        Ok(Self {
            readers: sessions.pool(wanted.connections),
            writer,
            relaxed,
            kept,
            catalogue,
            sessions,
            writing: Mutex::new(writing),
            following: Mutex::new(following),
        })
    }

    /// The knowledge of this node of the catalogue.
    pub(crate) fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// Returns once the change is committed, or was refused.
    pub(super) async fn write<C: Change>(&self, change: C) -> Result<C::Output, Error> {
        if self.catalogue.stale().is_some() {
            return Err(silent());
        }
        match C::RELAXED {
            true => self.relaxed.write(change).await,
            false => self.writer.write(change).await,
        }
    }

    /// The output of a read or a change, or the error of a database that does not answer. A change has time for what
    /// waits before it, too.
    pub(crate) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let limit = 4 * self.sessions.timeout;
        let silent = Error::Unreachable {
            uncertain: true,
            source: "the database did not answer in time (store.timeout)".into(),
        };
        tokio::time::timeout(limit, work)
            .await
            .unwrap_or(Err(silent))
    }
}

impl crate::rows::Database for Database {
    async fn ready(&self) -> Result<(), Error> {
        // A node that cannot reach the database serves what it has: it says so, and stays ready.
        match self.writer.alive() && self.relaxed.alive() {
            true => Ok(()),
            false => Err(Error::Unavailable("a task that writes has ended".into())),
        }
    }

    fn write_figures(&self) -> WriteFigures {
        let (promised, shed) = (self.writer.figures(), self.relaxed.figures());
        WriteFigures {
            waiting: promised.waiting + shed.waiting,
            committed: promised.committed + shed.committed,
            failed: promised.failed + shed.failed,
            time: promised.time + shed.time,
        }
    }

    async fn identity(&self) -> Result<String, Error> {
        let identity = sqlx::query_scalar("SELECT identity FROM server");
        Ok(identity
            .fetch_one(&self.readers)
            .await
            .map_err(Failure::from)?)
    }

    async fn close(&self) -> Result<(), Error> {
        self.following.lock().abort_all();
        self.writer.close();
        self.relaxed.close();
        let mut writing = std::mem::take(&mut *self.writing.lock());
        while let Some(ended) = writing.join_next().await {
            ended?;
        }
        // A connection that hangs is closed with the process.
        drop(tokio::time::timeout(self.sessions.timeout, self.readers.close()).await);
        Ok(())
    }
}
