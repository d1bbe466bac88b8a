//! The store: rows in a database, objects in files, and the rule that keeps the two in step (see the crate's page).
//!
//! Each feature adds its methods to [`Store`] in a file of its own: a method checks its arguments, and leaves the rest
//! to the feature's trait of [`rows`](crate::rows).

mod api_keys;
mod calls;
mod changes;
mod ephemeral;
mod fleet;
mod functions;
mod jobs;
mod outbound;
mod recordings;
mod rollout;
mod schedules;
mod secrets;
mod sweeping;
mod values;
mod versions;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::RwLock;
use tokio_util::task::TaskTracker;

use crate::clock::unix_ms;
use crate::error::Error;
use crate::model::{Author, NewVersion, VersionId, VersionRow, WriteFigures};
use crate::objects::{Objects, blocking};
use crate::room::Room;
use crate::rows::{Database as _, Rows, Versions as _};
use crate::settings::StoreSettings;
use crate::{directory, postgres, sqlite, sweep};

/// The age from when on a source without a row is no upload in progress on another node.
const UPLOADED: Duration = Duration::from_secs(60 * 60);

/// The data of one server, or of a fleet: a data directory, open and owned by this process, and its database.
///
/// Cheap to clone (an `Arc`, and one of its author); clones are the same store. Call [`Store::close`] to shut down. A
/// store that is only dropped loses nothing either, but its last write may still be in progress when the drop returns.
///
/// A change is finished even if the future of its caller is dropped.
#[derive(Clone)]
pub struct Store(Arc<Inner>, Option<Arc<Author>>);

struct Inner {
    rows: Rows,
    objects: Objects,
    room: Arc<Room>,
    /// True if other nodes use the database and the sources, too.
    shared: bool,
    /// The keys that calls carried, where the database is another machine.
    keys: fleet::SeenKeys,
    /// The data directory's lock, where the database does not hold it.
    lock: Mutex<Option<directory::Lock>>,
    /// The server's identity. Every client requests it, so it is read once.
    identity: String,
    /// Shared by writers of objects, and by uploads until their row is written too; taken exclusively to remove
    /// objects.
    uploads: RwLock<()>,
    /// The changes in progress, which `close` waits for; closed once the store is.
    changes: TaskTracker,
    /// The sweep after this start.
    sweeping: TaskTracker,
}

impl Store {
    /// Opens `data_dir`, and creates it (mode 0700) or brings it up to date. Leftovers of interrupted uploads are
    /// removed meanwhile.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process has it, [`Error::Directory`] if this user cannot write there,
    /// [`Error::Newer`] if a newer release wrote it, [`Error::Damaged`] if its contents cannot be what was stored.
    pub async fn open(data_dir: &Path) -> Result<Self, Error> {
        Self::open_with(data_dir, &StoreSettings::default()).await
    }

    /// Opens `data_dir` with the database and the modules that the settings name.
    ///
    /// # Errors
    /// Those of [`Store::open`]; [`Error::Invalid`] if the settings cannot be used, [`Error::Unreachable`] if the
    /// database cannot be reached.
    pub async fn open_with(data_dir: &Path, settings: &StoreSettings) -> Result<Self, Error> {
        let wanted = settings.database()?;
        let (path, sources) = (data_dir.to_owned(), settings.sources());
        let shared = wanted.is_some();
        let directory = blocking(move || directory::prepare(&path, sources, shared)).await?;
        let room = data_dir.to_owned();
        let room = Arc::new(blocking(move || Room::open(&room)).await?);
        let (rows, lock) = match wanted {
            None => {
                let (database, lock) = (&directory.database, directory.lock);
                let rows = sqlite::Database::open(database, lock, Arc::clone(&room)).await?;
                (Rows::Sqlite(rows), None)
            }
            Some(wanted) => {
                let rows = postgres::Database::open(wanted).await?;
                (Rows::Postgres(rows), Some(directory.lock))
            }
        };
        let identity = rows.identity().await?;
        let (places, key) = (directory.objects, directory.artefact_key);
        let objects = {
            let places = places.clone();
            blocking(move || {
                sweep::set_aside(&places.artefacts)?;
                Objects::open(&places, key)
            })
            .await?
        };
        let store = Self::of(Inner {
            rows,
            objects,
            room,
            shared,
            keys: fleet::SeenKeys::default(),
            lock: Mutex::new(lock),
            identity,
            uploads: RwLock::new(()),
            changes: TaskTracker::new(),
            sweeping: TaskTracker::new(),
        });
        // Other nodes write modules before their rows, too.
        let opened = sweep::Opened {
            sources: match shared {
                true => directory.opened.checked_sub(UPLOADED).unwrap_or(UNIX_EPOCH),
                false => directory.opened,
            },
            artefacts: directory.opened,
        };
        let sweep = sweeping::run(Arc::downgrade(&store.0), places, opened);
        store.0.sweeping.spawn(sweep);
        store.0.sweeping.close();
        Ok(store)
    }

    fn of(inner: Inner) -> Self {
        Self(Arc::new(inner), None)
    }

    /// Waits until the leftovers of interrupted uploads are removed. Nothing else has to wait for that.
    pub async fn swept(&self) {
        self.0.sweeping.wait().await;
    }

    /// The server's identity: 32 hexadecimal digits, made with the directory and kept with it.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.0.identity
    }

    /// A module's source; `None` if no version refers to it, which may also happen right after a deletion.
    ///
    /// # Errors
    /// [`Error::Damaged`], naming the digest, if the bytes on the disk are not the ones that were uploaded.
    pub async fn source(&self, sha256: [u8; 32]) -> Result<Option<Bytes>, Error> {
        self.0.objects.source(sha256).await
    }

    /// Passes the compiled code of a source for one engine to `work`, on a thread where it may block, and returns the
    /// result. `None` if the source has to be compiled: there is no artefact, or it is truncated, or this host did not
    /// make it (it is then removed and logged).
    ///
    /// # Errors
    /// [`Error::Invalid`] if `fingerprint` is not up to 128 of letters, digits, `-`, `_`, `.`; [`Error::Unavailable`].
    pub async fn artefact<T: Send + 'static>(
        &self,
        fingerprint: &str,
        sha256: [u8; 32],
        work: impl FnOnce(&[u8]) -> T + Send + 'static,
    ) -> Result<Option<T>, Error> {
        self.0.objects.artefact(fingerprint, sha256, work).await
    }

    /// Stores compiled code, sealed with this host's key. Not flushed: a crash may lose it, and it is then compiled
    /// again.
    ///
    /// # Errors
    /// The errors of [`Store::artefact`], and [`Error::DiskFull`].
    pub async fn put_artefact(
        &self,
        fingerprint: &str,
        sha256: [u8; 32],
        code: &[u8],
    ) -> Result<(), Error> {
        let _shared = self.0.uploads.read().await;
        let put = self
            .0
            .objects
            .put_artefact(fingerprint, sha256, code.to_vec());
        self.0.room.note(put.await)
    }

    /// The changes that wait, and the commits so far.
    #[must_use]
    pub fn write_figures(&self) -> WriteFigures {
        self.0.rows.write_figures()
    }

    /// Succeeds if requests that need the store can be answered now.
    ///
    /// # Errors
    /// The reason why they cannot.
    pub async fn ready(&self) -> Result<(), Error> {
        if self.0.changes.is_closed() {
            return Err(Error::Closed);
        }
        self.0.rows.ready().await
    }

    /// Succeeds while the disk has room: no write failed for lack of it, or it has some again. A check costs a look at
    /// a flag; after the disk was full, one check in five seconds costs a write of a mebibyte.
    ///
    /// # Errors
    /// [`Error::DiskFull`]
    pub async fn has_room(&self) -> Result<(), Error> {
        self.0.room.check().await
    }

    /// Waits for the changes in progress, flushes the log into the database, and releases the directory. From then on,
    /// changes and queries fail with [`Error::Closed`]. A second call does nothing.
    ///
    /// # Errors
    /// The log could not be flushed; nothing is lost, the next start reads it.
    pub async fn close(&self) -> Result<(), Error> {
        if !self.0.changes.close() {
            return Ok(());
        }
        self.0.sweeping.wait().await;
        self.0.changes.wait().await;
        let closed = self.0.rows.close().await;
        drop(self.0.lock.lock().take());
        closed
    }

    /// Writes the object, then the row, and returns the number of the row. A refused upload leaves neither.
    async fn upload<F>(
        &self,
        id: VersionId,
        new: NewVersion,
        row: impl FnOnce(Arc<Inner>, VersionRow) -> F + Send + 'static,
    ) -> Result<i64, Error>
    where
        F: Future<Output = Result<i64, Error>> + Send + 'static,
    {
        self.finish(move |inner| async move {
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
            let stored = {
                let _shared = inner.uploads.read().await;
                let source = new.source.clone();
                let put = inner.objects.put_source(new.sha256, new.source).await;
                inner.room.note(put)?;
                let stored = row(inner.clone(), version).await;
                // Another node may have removed it as unused just before its row came (`remove_unused`).
                if inner.shared && stored.is_ok() && !inner.objects.has_source(new.sha256).await? {
                    inner.objects.put_source(new.sha256, source).await?;
                }
                stored
            };
            if matches!(
                stored,
                Err(Error::NotFound { .. } | Error::NameTaken { .. })
            ) {
                // A client that tries one name after another must not fill the disk until the next start.
                let _alone = inner.uploads.write().await;
                if let Err(error) = inner.remove_unused(new.sha256).await {
                    tracing::warn!(%error, "a refused upload's source could not be removed yet");
                }
            }
            stored
        })
        .await
    }

    fn rows(&self) -> &Rows {
        &self.0.rows
    }

    /// Runs a change as a separate task: a caller that goes away halfway, as an HTTP handler does when its client
    /// disconnects, must not release the lock on uploads while a file is still being written or removed, nor drop a
    /// change of rows before it is queued.
    async fn finish<F, T>(&self, change: impl FnOnce(Arc<Inner>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
        T: Send + 'static,
    {
        // Tracked before the check whether the store is closed, so that either `close` waits for it or it sees `close`.
        let tracked = self.0.changes.token();
        if self.0.changes.is_closed() {
            return Err(Error::Closed);
        }
        let change = self.0.changes.spawn(change(self.0.clone()));
        drop(tracked);
        change.await?
    }
}

impl Inner {
    /// Removes a source that no version refers to. The caller holds `uploads` exclusively.
    async fn remove_unused(&self, sha256: [u8; 32]) -> Result<(), Error> {
        if self.rows.refers(&sha256).await? {
            return Ok(());
        }
        if !self.shared {
            return self.objects.remove(sha256).await;
        }
        // Another node may be about to refer to it. One that does so before this look finds its source put back; one
        // that does so after it finds it missing, and writes it again.
        if !self.objects.set_aside(sha256).await? {
            return self.objects.remove(sha256).await; // its artefacts
        }
        match self.rows.refers(&sha256).await? {
            true => self.objects.put_back(sha256).await,
            false => self.objects.remove_aside(sha256).await,
        }
    }
}
