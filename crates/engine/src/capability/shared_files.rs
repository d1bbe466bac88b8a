//! The account of a component's files: bytes that it may still write, and files that it has open. Its streams share it.

use super::scratch::Scratch;
use crate::limits::{LimitExceeded, Limits};
use iof_fault::Fault;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Files of a call whose streams write and close them.
#[derive(Debug)]
pub(crate) struct SharedFiles {
    /// Bytes that may still be written.
    left: AtomicU64,
    /// Bytes with which the account began.
    all: u64,
    /// Files, directories and streams that are open.
    open: AtomicU32,
    most_open: u32,
    /// The account of all calls' open files.
    of_all: Arc<Scratch>,
}

impl SharedFiles {
    pub(super) fn new(left: u64, limits: &Limits, of_all: Arc<Scratch>) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicU64::new(left),
            all: left,
            open: AtomicU32::new(0),
            most_open: limits.files,
            of_all,
        })
    }

    /// Counts bytes before they are written.
    ///
    /// # Errors
    /// [`LimitExceeded::Scratch`]
    pub(crate) fn spend(&self, bytes: u64) -> Result<(), LimitExceeded> {
        let less = |left: u64| left.checked_sub(bytes);
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .map(drop)
            .map_err(|_| LimitExceeded::Scratch)
    }

    /// Bytes that were counted.
    pub(super) fn spent(&self) -> u64 {
        self.all - self.left.load(Ordering::Relaxed)
    }

    /// Files that are open.
    pub(super) fn still_open(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }

    /// Counts a file before it is opened.
    ///
    /// # Errors
    /// `files`, and the `open-files` of [`Scratch::open_file`].
    pub(crate) fn open(&self, limits: &Limits) -> Result<(), Fault> {
        if self.open.load(Ordering::Relaxed) >= self.most_open {
            return Err(LimitExceeded::Files.fault(limits));
        }
        self.of_all.open_file()?;
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Counts a file that stays open until the returned value is dropped.
    ///
    /// # Errors
    /// The errors of [`SharedFiles::open`].
    pub(crate) fn open_stream(self: &Arc<Self>, limits: &Limits) -> Result<OpenFile, Fault> {
        self.open(limits)?;
        Ok(OpenFile(Arc::clone(self)))
    }

    /// Records that a file was closed, or not opened.
    pub(crate) fn close(&self) {
        let less = |open: u32| open.checked_sub(1);
        let closed = self
            .open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        if closed.is_ok() {
            self.of_all.close_files(1);
        }
    }
}

/// A file that is open; closed on drop.
#[derive(Debug)]
pub(crate) struct OpenFile(Arc<SharedFiles>);

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_and_descriptors_share_one_account() {
        let limits = Limits {
            files: 2,
            ..Limits::default()
        };
        let directory = tempfile::tempdir().unwrap();
        let all = Arc::new(Scratch::new(directory.path(), 2).unwrap());
        let files = SharedFiles::new(100, &limits, Arc::clone(&all));
        let other = SharedFiles::new(100, &limits, all);
        files.open(&limits).unwrap();
        let stream = files.open_stream(&limits).unwrap();
        assert_eq!(files.open(&limits).unwrap_err().code(), "files");
        assert_eq!(other.open(&limits).unwrap_err().code(), "open-files");
        drop(stream);
        other.open(&limits).unwrap();
        files.close();
        files.close();
        assert_eq!(files.still_open(), 0);
        files.spend(60).unwrap();
        assert_eq!(files.spend(41), Err(LimitExceeded::Scratch));
        files.spend(40).unwrap();
        assert_eq!(files.spent(), 100);
    }
}
