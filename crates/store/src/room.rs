//! Room on the disk: whether a write got what it needed.
//!
//! A write that fails for lack of room is noted, at no cost to others. From then on the disk counts as full until a test gets
//! room: a file that is written, flushed and removed. Only who asks makes a test, and one in [`PAUSE`] at most, however many
//! ask. The rejected alternatives: the free bytes that the system tells, which know nothing of quotas; a write for each
//! question, which wears a healthy disk; the next write of a client, which never comes to a server that says it is full.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::lock::lock;
use crate::objects::blocking;

/// The time between a write that failed, or a test, and the next test.
const PAUSE: Duration = Duration::from_secs(5);
/// Bytes of a test.
const TEST: usize = 1 << 20;
/// Bytes that are written at a time.
const CHUNK: usize = 64 << 10;

/// Whether the disk of a data directory has room.
pub(crate) struct Room {
    full: AtomicBool,
    /// The last write that failed, or test.
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

    /// Notes how a write ended, if it was for lack of room.
    pub(crate) fn note<T>(&self, written: Result<T, Error>) -> Result<T, Error> {
        if matches!(written, Err(Error::DiskFull(_))) {
            *lock(&self.last) = Some(Instant::now());
            if !self.full.swap(true, Ordering::Relaxed) {
                tracing::error!("the disk of the data directory is full: the server is not ready");
            }
        }
        written
    }

    /// Succeeds while no write failed for lack of room, or once a test got some.
    ///
    /// # Errors
    /// [`Error::DiskFull`]
    pub(crate) async fn check(&self) -> Result<(), Error> {
        if !self.full.load(Ordering::Relaxed) {
            return Ok(());
        }
        let begun = Instant::now();
        {
            let mut last = lock(&self.last);
            if last.is_some_and(|last| begun.duration_since(last) < PAUSE) {
                let why = "a write failed for lack of room, and no test has succeeded since";
                return Err(Error::DiskFull(why.into()));
            }
            *last = Some(begun);
        }
        let file = self.file.clone();
        self.note(blocking(move || test(&file)).await)?;
        // Not if a write failed meanwhile.
        if *lock(&self.last) == Some(begun) && self.full.swap(false, Ordering::Relaxed) {
            tracing::info!("the disk of the data directory has room again");
        }
        Ok(())
    }
}

/// Writes, flushes and removes a file. What a test before was killed over is overwritten.
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
    async fn room_that_failed_is_tested_once_in_a_while() {
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
        *lock(&room.last) = Instant::now().checked_sub(PAUSE);
        room.check().await.unwrap();
        room.check().await.unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
