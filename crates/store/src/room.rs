//! Room on the disk: a flag that a write failed for lack of it, the test that clears the flag, and a reserve for deletes.
//!
//! A write that fails for lack of room sets a flag, at no cost to other writes. From then on the disk counts as full
//! until a test gets room: a file that is written and flushed. A test runs only for a caller that needs the
//! answer, and at most once per [`PAUSE`], however many callers there are. Rejected alternatives: the system's number
//! of free bytes, which ignores quotas; a write for each query, which wears a healthy disk; the next write of a client,
//! which never comes to a server that reports a full disk.
//!
//! A delete writes, too: pages of the database, and its record. On a full disk it would fail, and nothing could be freed.
//! So a file of [`RESERVE`] bytes holds room that only deletes and revocations get: the first of them that fails
//! removes the file. Until a test has found room, and has left its own file as the new reserve, other changes of rows are
//! refused, or else the call log would take what was freed for the next delete.

use parking_lot::Mutex;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::objects::blocking;

/// The time between a write that failed, or a test, and the next test.
const PAUSE: Duration = Duration::from_secs(5);
/// Bytes of the reserve, and of a test.
const RESERVE: usize = 1 << 20;
/// Bytes that are written at a time.
const CHUNK: usize = 64 << 10;

/// The state of the disk of a data directory: it has room, or a write failed.
pub(crate) struct Room {
    full: AtomicBool,
    /// True while there is no reserve.
    released: AtomicBool,
    /// The time of the last failed write, or of the last test.
    last: Mutex<Option<Instant>>,
    reserve: PathBuf,
}

impl Room {
    /// Makes the reserve of the data directory, unless it is there. Without room for it, the disk counts as full.
    ///
    /// It blocks.
    ///
    /// # Errors
    /// [`Error::Directory`]
    pub(crate) fn open(data_dir: &Path) -> Result<Self, Error> {
        let reserve = data_dir.join("reserve");
        let made = make_reserve(&reserve);
        let room = Self {
            full: AtomicBool::new(false),
            released: AtomicBool::new(made.is_err()),
            last: Mutex::new(None),
            reserve,
        };
        match room.note(made) {
            Ok(()) | Err(Error::DiskFull(_)) => Ok(room),
            Err(error) => Err(error),
        }
    }

    /// Sets the flag if a write failed for lack of room.
    pub(crate) fn note<T>(&self, written: Result<T, Error>) -> Result<T, Error> {
        if matches!(written, Err(Error::DiskFull(_))) {
            *self.last.lock() = Some(Instant::now());
            if !self.full.swap(true, Ordering::Relaxed) {
                tracing::error!("the disk of the data directory is full: the server is not ready");
            }
        }
        written
    }

    /// Succeeds while no write has failed for lack of room, or once a test has found some.
    ///
    /// # Errors
    /// [`Error::DiskFull`]
    pub(crate) async fn check(&self) -> Result<(), Error> {
        if !self.full.load(Ordering::Relaxed) {
            return Ok(());
        }
        let begun = Instant::now();
        {
            let mut last = self.last.lock();
            if last.is_some_and(|last| begun.duration_since(last) < PAUSE) {
                return Err(Self::none());
            }
            *last = Some(begun);
        }
        let reserve = self.reserve.clone();
        self.note(blocking(move || test(&reserve)).await)?;
        self.released.store(false, Ordering::Relaxed);
        // The flag stays if a write failed meanwhile.
        if *self.last.lock() == Some(begun) && self.full.swap(false, Ordering::Relaxed) {
            tracing::info!("the disk of the data directory has room again");
        }
        Ok(())
    }

    /// Removes the reserve, for a delete that failed for lack of room.
    pub(crate) fn release(&self) {
        if !self.released.swap(true, Ordering::Relaxed)
            && let Err(error) = fs::remove_file(&self.reserve)
        {
            tracing::error!(%error, "the reserve for deletes on a full disk cannot be removed");
        }
    }

    /// Succeeds while there is a reserve, or once a test has made one.
    ///
    /// # Errors
    /// [`Error::DiskFull`]
    pub(crate) async fn reserved(&self) -> Result<(), Error> {
        if !self.released.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.check().await?;
        // A delete may have released it during the test.
        match self.released.load(Ordering::Relaxed) {
            false => Ok(()),
            true => self.note(Err(Self::none())),
        }
    }

    fn none() -> Error {
        Error::DiskFull("a write failed for lack of room, and no test has succeeded since".into())
    }
}

/// Makes the reserve, unless it is there in full.
fn make_reserve(path: &Path) -> Result<(), Error> {
    if fs::metadata(path).is_ok_and(|file| file.len() == RESERVE as u64) {
        return Ok(());
    }
    let make = || {
        let mut file = File::create(path)?;
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, RESERVE as u64) {
            // A file system that does not know it.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => fill(&mut file),
            made => Ok(made?),
        }
    };
    make()
        .inspect_err(|_| drop(fs::remove_file(path)))
        .map_err(Error::at(path))
}

/// Writes and flushes a file beside the reserve, and makes it the reserve. The file of an earlier test that was killed is
/// overwritten.
fn test(reserve: &Path) -> Result<(), Error> {
    let path = reserve.with_extension("new");
    let written = File::create(&path).and_then(|mut file| {
        fill(&mut file)?;
        file.sync_all()
    });
    let done = match written {
        Ok(()) => fs::rename(&path, reserve),
        Err(error) => match fs::remove_file(&path) {
            Err(left) if left.kind() != ErrorKind::NotFound => Err(left),
            _ => Err(error),
        },
    };
    done.map_err(Error::at(&path))
}

fn fill(file: &mut File) -> io::Result<()> {
    for _ in 0..RESERVE / CHUNK {
        // Not zeros, which some file systems store without room.
        file.write_all(&[0xa5; CHUNK])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_is_tested_at_most_once_per_pause() {
        let folder = tempfile::tempdir().unwrap();
        let room = Room::open(folder.path()).unwrap();
        room.check().await.unwrap();
        assert!(room.note(Err::<(), _>(Error::Busy)).is_err());
        room.check().await.unwrap();
        assert!(
            room.note(Err::<(), _>(Error::DiskFull("x".into())))
                .is_err()
        );
        // A write just failed.
        assert_eq!(room.check().await.unwrap_err().code(), "disk_full");
        *room.last.lock() = Instant::now().checked_sub(PAUSE);
        room.check().await.unwrap();
        room.check().await.unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_reserve_that_was_released_is_made_again_by_a_test() {
        let folder = tempfile::tempdir().unwrap();
        let room = Room::open(folder.path()).unwrap();
        let size = || fs::metadata(folder.path().join("reserve")).map_or(0, |file| file.len());
        assert_eq!(size(), RESERVE as u64);
        room.reserved().await.unwrap();
        let _ = room.note(Err::<(), _>(Error::DiskFull("x".into())));
        room.reserved().await.unwrap();
        room.release();
        room.release();
        assert_eq!(size(), 0);
        assert_eq!(room.reserved().await.unwrap_err().code(), "disk_full");
        *room.last.lock() = Instant::now().checked_sub(PAUSE);
        room.reserved().await.unwrap();
        assert_eq!(size(), RESERVE as u64);
        drop(room);
        // A start after a kill finds none, or a part.
        File::create(folder.path().join("reserve")).unwrap();
        Room::open(folder.path()).unwrap();
        assert_eq!(size(), RESERVE as u64);
    }
}
