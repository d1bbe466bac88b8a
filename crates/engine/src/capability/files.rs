//! The files of one call: its scratch directory, and the bytes, directories and open files that it still may use.
//!
//! A file counts as open from just before it is opened until it is closed, toward the limit of the call and toward that
//! of all calls together: each open file takes a descriptor of the server.

use super::scratch::{Directory, Scratch};
use super::shared_files::SharedFiles;
use crate::limits::{LimitExceeded, Limits};
use iof_fault::Fault;
use std::sync::Arc;

/// The files of one call.
pub(crate) struct Files {
    /// The scratch directory, which is removed when the call ends.
    directory: Option<Directory>,
    /// Bytes that may still be written.
    left: u64,
    /// Bytes that the host function in progress has spent.
    pending: u64,
    /// Directories that may still be made.
    directories: u32,
    /// Files and directories that are open.
    open: u32,
    /// The account of all calls' open files, once this call opened one.
    of_all: Option<Arc<Scratch>>,
    /// The account of a component, once it used a file.
    shared: Option<Arc<SharedFiles>>,
}

impl Files {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            directory: None,
            left: limits.scratch.as_u64(),
            pending: 0,
            directories: limits.scratch_directories,
            open: 0,
            of_all: None,
            shared: None,
        }
    }

    /// The account of a component's files, which replaces this one; `all` contains the call's directory.
    pub(crate) fn shared(&mut self, all: &Arc<Scratch>, limits: &Limits) -> &Arc<SharedFiles> {
        let left = &mut self.left;
        self.shared
            .get_or_insert_with(|| SharedFiles::new(std::mem::take(left), limits, Arc::clone(all)))
    }

    /// Takes the directory of the call's files.
    pub(crate) fn keep(&mut self, directory: Directory) {
        self.directory = Some(directory);
    }

    /// Counts bytes before they are written.
    ///
    /// # Errors
    /// [`LimitExceeded::Scratch`]
    pub(crate) fn spend(&mut self, bytes: u64) -> Result<(), LimitExceeded> {
        self.left = self.left.checked_sub(bytes).ok_or(LimitExceeded::Scratch)?;
        self.pending += bytes;
        if let Some(directory) = &mut self.directory {
            directory.bytes += bytes;
        }
        Ok(())
    }

    /// Ends a host function, and gives back the bytes that it spent but did not write.
    pub(crate) fn settle(&mut self, written: bool) {
        let bytes = std::mem::take(&mut self.pending);
        if written {
            return;
        }
        self.left += bytes;
        if let Some(directory) = &mut self.directory {
            directory.bytes = directory.bytes.saturating_sub(bytes);
        }
    }

    /// Counts a directory. A tree is never deeper than its number of directories, whatever links and renames do.
    ///
    /// # Errors
    /// [`LimitExceeded::ScratchDirectories`]
    pub(crate) fn spend_directory(&mut self) -> Result<(), LimitExceeded> {
        let left = self.directories.checked_sub(1);
        self.directories = left.ok_or(LimitExceeded::ScratchDirectories)?;
        Ok(())
    }

    /// Counts a file before it is opened; `all` is the parent of the call's directory.
    ///
    /// # Errors
    /// `files`, and the `open-files` of [`Scratch::open_file`].
    pub(crate) fn open(
        &mut self,
        all: Option<&Arc<Scratch>>,
        limits: &Limits,
    ) -> Result<(), Fault> {
        if self.open >= limits.files {
            return Err(LimitExceeded::Files.fault(limits));
        }
        // Without a scratch directory, nothing can be opened.
        if let Some(all) = all {
            all.open_file()?;
            self.of_all.get_or_insert_with(|| Arc::clone(all));
            self.open += 1;
        }
        Ok(())
    }

    /// Records that a file was closed, or not opened. The streams with which a call begins are never counted.
    pub(crate) fn close(&mut self) {
        if let (Some(all), 1..) = (&self.of_all, self.open) {
            self.open -= 1;
            all.close_files(1);
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            if let Some(directory) = &mut self.directory {
                directory.bytes += shared.spent();
            }
            for _ in 0..shared.still_open() {
                shared.close();
            }
        }
        if let Some(all) = &self.of_all {
            all.close_files(self.open);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytesize::ByteSize;

    fn limits() -> Limits {
        Limits {
            scratch: ByteSize::b(100),
            scratch_directories: 1,
            files: 2,
            ..Limits::default()
        }
    }

    #[test]
    fn what_is_written_and_made_has_an_end() {
        let mut files = Files::new(&limits());
        assert_eq!(files.spend(60), Ok(()));
        assert_eq!(files.spend(41), Err(LimitExceeded::Scratch));
        assert_eq!(files.spend(40), Ok(()));
        files.settle(false);
        assert_eq!(files.spend(100), Ok(()));
        files.settle(true);
        files.settle(false);
        assert_eq!(files.spend(1), Err(LimitExceeded::Scratch));
        assert_eq!(files.spend_directory(), Ok(()));
        assert_eq!(
            files.spend_directory(),
            Err(LimitExceeded::ScratchDirectories)
        );
    }

    #[test]
    fn open_files_count_for_a_call_and_for_all() {
        let limits = limits();
        let all = tempfile::tempdir().unwrap();
        let all = Arc::new(Scratch::new(all.path(), 3).unwrap());
        let code = |opened: Result<(), Fault>| opened.map_err(|fault| fault.code().to_owned());
        let (mut one, mut other) = (Files::new(&limits), Files::new(&limits));
        one.open(Some(&all), &limits).unwrap();
        one.open(Some(&all), &limits).unwrap();
        assert_eq!(code(one.open(Some(&all), &limits)), Err("files".into()));
        other.open(Some(&all), &limits).unwrap();
        assert_eq!(
            code(other.open(Some(&all), &limits)),
            Err("open-files".into())
        );
        one.close();
        other.open(Some(&all), &limits).unwrap();
        drop((one, other));
        let mut none = Files::new(&limits);
        none.close();
        for _ in 0..2 {
            none.open(Some(&all), &limits).unwrap();
        }
    }
}
