//! Room on the disk: a flag that a write failed for lack of it, and the test that clears the flag.
//!
//! A write that fails for lack of room sets a flag, at no cost to other writes. From then on the disk counts as full
//! until a test gets room: a file that is written, flushed and removed. A test runs only for a caller that needs the
//! answer, and at most once per [`PAUSE`], however many callers there are. Rejected alternatives: the system's number
//! of free bytes, which ignores quotas; a write for each query, which wears a healthy disk; the next write of a client,
//! which never comes to a server that reports a full disk.

use parking_lot::Mutex;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::objects::blocking;

/// The time between a write that failed, or a test, and the next test.
const PAUSE: Duration = Duration::from_secs(5);
/// Bytes of a test.
const TEST: usize = 1 << 20;
/// Bytes that are written at a time.
const CHUNK: usize = 64 << 10;

/// The state of the disk of a data directory: it has room, or a write failed.
pub(crate) struct Room {
    full: AtomicBool,
    /// The time of the last failed write, or of the last test.
    last: Mutex<Option<Instant>>,
    file: PathBuf,
}

impl Room {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self {
            full: AtomicBool::new(false),
            last: Mutex::new(None),
            file: data_dir.join("room"),
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
                let why = "a write failed for lack of room, and no test has succeeded since";
                return Err(Error::DiskFull(why.into()));
            }
            *last = Some(begun);
        }
        let file = self.file.clone();
        self.note(blocking(move || test(&file)).await)?;
        // The flag stays if a write failed meanwhile.
        if *self.last.lock() == Some(begun) && self.full.swap(false, Ordering::Relaxed) {
            tracing::info!("the disk of the data directory has room again");
        }
        Ok(())
    }
}

/// Writes, flushes and removes a file. The file of an earlier test that was killed is overwritten.
fn test(path: &Path) -> Result<(), Error> {
    let written = File::create(path).and_then(|mut file| {
        for _ in 0..TEST / CHUNK {
            // Not zeros, which some file systems store without room.
            file.write_all(&[0xa5; CHUNK])?;
        }
        file.sync_all()
    });
    let removed = match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    written.and(removed).map_err(Error::at(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_is_tested_at_most_once_per_pause() {
        let folder = tempfile::tempdir().unwrap();
        let room = Room::new(folder.path());
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
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
