//! Functions, versions and keys, and what functions keep, so that whatever was acknowledged survives `kill -9` and
//! loss of power.
//!
//! A function is a row; a version is a row and an object, the module's source; compiled code is an object that can be
//! lost. Rows live in SQLite, because they must change together; objects live in files, because module sources are
//! megabytes that SQLite would copy through its log twice. That leaves one rule to keep the two in step: **an object is
//! written before the row that names it, and removed after it**. A crash in between leaves an object without a row,
//! never a row without its object, and [`Store::open`] removes such objects. The alternative, a row that says "upload
//! under way", needs a second commit on every upload to say that it no longer is.
//!
//! The one race left is a deletion that finds a source unused while an upload of the same bytes has written its object
//! and not yet its row. Uploads therefore share a lock, which a deletion's removal of objects takes alone.
//!
//! What a function runs is a pointer to a version (`rollout`), so that going back is as quick and as safe as going on.
//!
//! What functions keep is rows too: the values that their guests store (`values`), texts that anyone keeps for a while
//! (`ephemeral`), what is remembered of calls (`calls`), secrets, encrypted (`secrets`), what left (`sent`), calls
//! that can be run again (`recordings`), and calls that are run later (`jobs`); and so are the keys of the server's own
//! API (`api_keys`). All of it goes through the one task that writes, so that a limit is checked and kept in one
//! transaction that no other can slip into.
//!
//! Reading order: [`Store`] here; `model` and `key` for what goes in and out; `directory`, `database` and `sweep` for
//! what `open` does; `writer` for rows, `objects` and `seal` for bytes; then `functions`, `versions`, `rollout`,
//! `values`, `ephemeral`, `calls`, `secrets` (with `secret_keys`), `sent`, `recordings`, `api_keys` (with `scopes`) and
//! `jobs`, which add to [`Store`]. This crate knows neither HTTP nor wasm.

mod api_keys;
mod calls;
mod database;
mod directory;
mod ephemeral;
mod error;
mod functions;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod jobs;
mod key;
mod migrations;
mod model;
mod objects;
mod recordings;
mod rollout;
mod scopes;
mod seal;
mod secret_keys;
mod secrets;
mod sent;
mod sweep;
mod values;
mod versions;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sqlx::SqlitePool;
use tokio::sync::RwLock;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

pub use api_keys::{ApiKey, MAX_API_KEYS, MAX_KEY_LABEL, NewKey};
pub use ephemeral::{EphemeralPut, EphemeralShare};
pub use error::Error;
pub use functions::MAX_FUNCTION_NAME;
pub use jobs::{Finished, Job, JobRoom, JobState, NewJob, Submitted};
pub use key::{Key, KeyHash};
pub use model::{
    Call, Calls, Created, Function, LoggedCall, NewFunction, NewVersion, Saved, Summary, Uploaded,
    Usage, Version, VersionId,
};
use objects::Objects;
pub use recordings::{Recording, RecordingHead, RecordingsKept};
pub use rollout::{Canary, Percent, Rollout};
pub use scopes::{Scope, Scopes};
pub use secret_keys::{SecretKeys, SecretKeysError, SecretValue};
pub use secrets::{MAX_SECRET_NAME, MAX_SECRET_VALUE, MAX_SECRETS, SecretName};
pub use sent::{Sent, SentKind, SentLine, SentQuery, SentRow};
pub use values::ValueKey;
use writer::{Outcome, VersionRow, Write, Writer};

/// The data directory of one server, open and owned by this process.
///
/// Cheap to clone (one `Arc`); clones are the same store. Call [`Store::close`] to shut down. A store that is merely
/// dropped loses nothing either, but its last write may still be under way when the drop returns.
///
/// What changes something is finished even if the future that asked for it is dropped.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    /// Reads; never waits for a write.
    readers: SqlitePool,
    objects: Objects,
    /// Shared by uploads from before their object is written until their row is; taken alone to remove objects.
    uploads: RwLock<()>,
    /// The queue of the task that writes rows; gone once the store is closed.
    writer: Mutex<Option<Writer>>,
    /// That task, for `close` to wait for.
    writing: Mutex<Option<JoinHandle<Result<(), Error>>>>,
    /// Changes under way, for `close` to wait for.
    tasks: TaskTracker,
}

impl Store {
    /// Takes `data_dir`, creating it (mode 0700) or bringing it up to date, and removes what torn uploads left.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process has it, [`Error::Directory`] if this user cannot write there,
    /// [`Error::Newer`] if a newer release wrote it, [`Error::Damaged`] if what is there cannot be what was stored.
    pub async fn open(data_dir: &Path) -> Result<Self, Error> {
        let path = data_dir.to_owned();
        let directory = blocking(move || directory::prepare(&path)).await?;
        let (connection, readers) = database::open(&directory.database).await?;
        let live = database::live(&readers).await?;
        let (root, key) = (directory.objects, directory.artefact_key);
        let objects = blocking(move || {
            sweep::sweep(&root, &live)?;
            Objects::open(&root, key)
        })
        .await?;
        let tasks = TaskTracker::new();
        let (writer, writing) = Writer::new(connection, directory.lock);
        // Not among `tasks`: it ends after them, when the last of them has dropped its `Writer`.
        let writing = TaskTracker::new().spawn(writing);
        Ok(Self(Arc::new(Inner {
            readers,
            objects,
            uploads: RwLock::new(()),
            writer: Mutex::new(Some(writer)),
            writing: Mutex::new(Some(writing)),
            tasks,
        })))
    }

    /// A module's source. `None` if no version refers to it, which a caller may also meet right after a deletion.
    ///
    /// # Errors
    /// [`Error::Damaged`], naming the digest, if the bytes on the disk are not the ones that were uploaded.
    pub async fn source(&self, sha256: [u8; 32]) -> Result<Option<Bytes>, Error> {
        self.0.objects.source(sha256).await
    }

    /// The compiled code of a source for one engine. `None` if it has to be compiled: there is none, or it is torn, or
    /// this host did not make it (it is then removed and logged).
    ///
    /// # Errors
    /// [`Error::Invalid`] if `fingerprint` is not up to 128 of letters, digits, `-`, `_`, `.`; [`Error::Unavailable`].
    pub async fn artefact(
        &self,
        fingerprint: &str,
        sha256: [u8; 32],
    ) -> Result<Option<Bytes>, Error> {
        self.0.objects.artefact(fingerprint, sha256).await
    }

    /// Keeps compiled code, sealed with this host's key. Not flushed: a crash may lose it, and it is compiled again.
    ///
    /// # Errors
    /// As [`Store::artefact`], and [`Error::DiskFull`].
    pub async fn put_artefact(
        &self,
        fingerprint: &str,
        sha256: [u8; 32],
        code: &[u8],
    ) -> Result<(), Error> {
        self.0
            .objects
            .put_artefact(fingerprint, sha256, code.to_vec())
            .await
    }

    /// Whether requests that need the store can be answered now.
    ///
    /// # Errors
    /// Why they cannot.
    pub async fn ready(&self) -> Result<(), Error> {
        if !self.0.writer()?.alive() {
            return Err(Error::Unavailable("the task that writes has ended".into()));
        }
        sqlx::query("SELECT 1").execute(&self.0.readers).await?;
        Ok(())
    }

    /// Waits for the changes under way, flushes the log into the database, and lets go of the directory. From then on,
    /// changes and queries fail with [`Error::Closed`]. A second call does nothing.
    ///
    /// # Errors
    /// That the log could not be flushed; nothing is lost, the next start reads it.
    pub async fn close(&self) -> Result<(), Error> {
        let Some(writer) = lock(&self.0.writer).take() else {
            return Ok(());
        };
        self.0.tasks.close();
        self.0.tasks.wait().await;
        self.0.readers.close().await;
        drop(writer);
        let writing = lock(&self.0.writing).take();
        match writing {
            Some(writing) => writing.await?,
            None => Ok(()),
        }
    }

    /// Writes the object, then the row. What was refused leaves neither.
    async fn upload<F>(&self, id: VersionId, new: NewVersion, row: F) -> Result<Outcome, Error>
    where
        F: FnOnce(VersionRow) -> Write + Send + 'static,
    {
        self.finish(move |inner, writer| async move {
            let version = VersionRow {
                id,
                sha256: new.sha256,
                legacy_sha256: new.legacy_sha256,
                size: i64::try_from(new.source.len()).unwrap_or(i64::MAX), // no allocation is that long
                kind: new.kind,
                manifest: new.manifest,
                declaration: new.declaration,
                created_at: unix_ms(),
            };
            let outcome = {
                let _shared = inner.uploads.read().await;
                inner.objects.put_source(new.sha256, new.source).await?;
                writer.write(row(version)).await?
            };
            if matches!(outcome, Outcome::Missing | Outcome::Taken) {
                // A client that tries one name after the other must not fill the disk until the next start.
                let _alone = inner.uploads.write().await;
                if let Err(error) = inner.remove_unused(new.sha256).await {
                    tracing::warn!(%error, "a refused upload's source could not be removed yet");
                }
            }
            Ok(outcome)
        })
        .await
    }

    /// A change of rows alone.
    async fn write(&self, write: Write) -> Result<Outcome, Error> {
        self.finish(move |_, writer| async move { writer.write(write).await })
            .await
    }

    fn readers(&self) -> &SqlitePool {
        &self.0.readers
    }

    /// Runs a change as a task of its own: a caller that goes away in the middle, as an HTTP handler does when its
    /// client hangs up, must not let go of the lock on uploads while a file is still being written or removed.
    async fn finish<F, T>(&self, change: impl FnOnce(Arc<Inner>, Writer) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
        T: Send + 'static,
    {
        let writer = self.0.writer()?;
        self.0.tasks.spawn(change(self.0.clone(), writer)).await?
    }
}

impl Inner {
    fn writer(&self) -> Result<Writer, Error> {
        lock(&self.writer).clone().ok_or(Error::Closed)
    }

    /// The caller holds `uploads` alone.
    async fn remove_unused(&self, sha256: [u8; 32]) -> Result<(), Error> {
        if database::refers(&self.readers, &sha256).await? {
            return Ok(());
        }
        self.objects.remove(sha256).await
    }
}

fn found(wasm_id: i64, outcome: &Outcome) -> Result<(), Error> {
    match outcome {
        Outcome::Missing => Err(Error::NotFound { wasm_id }),
        _ => Ok(()),
    }
}

fn saved(outcome: &Outcome) -> Result<Saved, Error> {
    match outcome {
        Outcome::Done => Ok(Saved::Done),
        Outcome::Full => Ok(Saved::Full),
        _ => Err(Error::Unavailable(
            "a value was neither saved nor refused".into(),
        )),
    }
}

/// For what waits for the disk or hashes megabytes: neither belongs on a thread that serves requests.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await?
}

/// What these locks guard is replaced whole, so a panic elsewhere cannot have left it half done.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unix_ms() -> i64 {
    // A clock before 1970 or after the year 292 million is recorded as such, not worth failing an upload.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
}
