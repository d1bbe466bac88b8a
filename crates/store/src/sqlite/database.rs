//! The open database of a data directory.

use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;

use sqlx::SqlitePool;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::change::Change;
use super::changes::KeptChanges;
use super::connection;
use super::error::Failure;
use super::writer::Writer;
use crate::directory::Lock;
use crate::error::Error;
use crate::model::WriteFigures;
use crate::room::Room;

/// A few connections that read, and the task that writes.
///
/// A database that is dropped without [`close`](crate::rows::Database::close) loses nothing, but its last write may
/// still be in progress when the drop returns.
pub(crate) struct Database {
    /// The readers, which never wait for a write.
    pub(super) readers: SqlitePool,
    writer: Writer,
    /// The limits of the audit log.
    pub(super) kept: Arc<KeptChanges>,
    /// The task that writes, for `close` to wait for.
    writing: Mutex<Option<JoinHandle<Result<(), Error>>>>,
}

impl Database {
    /// Opens the file at `path` and brings its tables up to date. Nobody else gets the directory before the last
    /// connection is closed: `directory` is dropped after it.
    pub(crate) async fn open(path: &Path, directory: Lock, room: Arc<Room>) -> Result<Self, Error> {
        let (connection, readers) = connection::open(path).await?;
        let kept = Arc::<KeptChanges>::default();
        let (writer, writing) = Writer::new(connection, directory, room, Arc::clone(&kept));
        Ok(Self {
            readers,
            writer,
            kept,
            writing: Mutex::new(Some(TaskTracker::new().spawn(writing))),
        })
    }

    /// Returns once the change is on the disk, or was refused.
    pub(super) async fn write<C: Change>(&self, change: C) -> Result<C::Output, Error> {
        self.writer.write(change).await
    }
}

impl crate::rows::Database for Database {
    async fn ready(&self) -> Result<(), Error> {
        if !self.writer.alive() {
            return Err(Error::Unavailable("the task that writes has ended".into()));
        }
        sqlx::query("SELECT 1")
            .execute(&self.readers)
            .await
            .map_err(Failure::from)?;
        Ok(())
    }

    fn write_figures(&self) -> WriteFigures {
        self.writer.figures()
    }

    async fn identity(&self) -> Result<String, Error> {
        let identity = sqlx::query_scalar("SELECT identity FROM server");
        Ok(identity
            .fetch_one(&self.readers)
            .await
            .map_err(Failure::from)?)
    }

    async fn close(&self) -> Result<(), Error> {
        self.readers.close().await;
        self.writer.close();
        let writing = self.writing.lock().take();
        match writing {
            Some(writing) => writing.await?,
            None => Ok(()),
        }
    }
}
