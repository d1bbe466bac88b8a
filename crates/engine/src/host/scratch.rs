//! The directory that a call sees as `/`: its own, empty, gone when the call ends.
//!
//! In 2020 it was the host's `/tmp`, shared by all functions. Removing a tree blocks, so a thread of its own does it;
//! the common case, a call that left nothing, is one system call on the spot.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::{fs, io};
use uuid::Uuid;

/// Where calls' directories are made.
#[derive(Debug)]
pub(crate) struct Scratch {
    root: PathBuf,
    /// `None` once dropped, which ends the thread.
    remove: Option<Sender<PathBuf>>,
    remover: Option<JoinHandle<()>>,
}

impl Scratch {
    /// Empties `root` of what an earlier process left, and starts the thread that removes trees.
    pub(crate) fn new(root: PathBuf) -> io::Result<Self> {
        match fs::remove_dir_all(&root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(&root)?,
        }
        let (remove, trees) = channel::<PathBuf>();
        let remover = std::thread::Builder::new()
            .name("iof-scratch".into())
            .spawn(move || {
                for tree in trees {
                    if let Err(error) = fs::remove_dir_all(&tree) {
                        tracing::warn!(%error, "a scratch directory could not be removed");
                    }
                }
            })?;
        Ok(Self {
            root,
            remove: Some(remove),
            remover: Some(remover),
        })
    }

    /// A new empty directory for one call.
    pub(crate) fn directory(&self, call: Uuid) -> io::Result<Directory> {
        let path = self.root.join(call.simple().to_string());
        fs::create_dir(&path)?;
        Ok(Directory {
            path,
            remove: self.remove.clone(),
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.remove = None;
        if let Some(remover) = self.remover.take() {
            // It ends when the last call's directory is gone; an error would be its panic, already printed.
            let _ = remover.join();
        }
    }
}

/// One call's directory; dropping it removes it.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    remove: Option<Sender<PathBuf>>,
}

impl Directory {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if fs::remove_dir(&self.path).is_err()
            && let Some(remove) = &self.remove
        {
            // The receiver outlives every sender: it is joined after they are gone.
            let _ = remove.send(std::mem::take(&mut self.path));
        }
    }
}
