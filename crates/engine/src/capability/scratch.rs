//! The directory that a call sees as `/`: its own, empty at the start, removed when the call ends.
//!
//! In 2020 it was the host's `/tmp`, shared by all functions. Removing a tree blocks, so a separate thread does it; an
//! empty directory, the common case, is removed at once by one system call. The same thread removes directories of
//! earlier processes: every process makes its directories in a new one, so leftovers never keep a server from starting.

use iof_fault::{Fault, FaultKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fs, io};
use uuid::Uuid;

/// The most bytes of trees that wait to be removed, entries included; above this, no call that may write begins.
const BACKLOG: u64 = 1 << 30;
/// Attempts at one removal: one that failed for lack of a descriptor may succeed later.
const TRIES: u32 = 5;

/// The parent of calls' directories, and the thread that removes them.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// The root of this process, in the directory that outlives processes.
    root: PathBuf,
    /// `None` once dropped, which ends the thread.
    remove: Option<Sender<Tree>>,
    remover: Option<JoinHandle<()>>,
    backlog: Arc<AtomicU64>,
    /// The number of files and directories that calls have open; each takes a descriptor of the server.
    open: AtomicU32,
    most_open: u32,
}

/// A directory to be removed.
#[derive(Debug)]
struct Tree {
    path: PathBuf,
    bytes: u64,
}

impl Scratch {
    /// Makes a directory in `all`, and starts the thread that removes trees, first those of earlier processes.
    pub(crate) fn new(all: &Path, most_open: u32) -> io::Result<Self> {
        let root = all.join(Uuid::new_v4().simple().to_string());
        fs::create_dir_all(&root)?;
        let (remove, trees) = channel();
        let backlog = Arc::<AtomicU64>::default();
        let remover = std::thread::Builder::new()
            .name("iof-scratch".into())
            .spawn({
                let (all, root, backlog) = (all.to_owned(), root.clone(), Arc::clone(&backlog));
                move || work(&all, &root, &trees, &backlog)
            })?;
        Ok(Self {
            root,
            remove: Some(remove),
            remover: Some(remover),
            backlog,
            open: AtomicU32::new(0),
            most_open,
        })
    }

    /// Counts a file that a call is about to open.
    ///
    /// # Errors
    /// `open-files`
    pub(crate) fn open_file(&self) -> Result<(), Fault> {
        if self.open.fetch_add(1, Ordering::Relaxed) < self.most_open {
            return Ok(());
        }
        self.close_files(1);
        Err(Fault::new(
            FaultKind::OpenFiles,
            format!(
                "Calls have more files open than server.open_files = {}. Try again soon.",
                self.most_open
            ),
        ))
    }

    /// Notes that `files` files were closed.
    pub(crate) fn close_files(&self, files: u32) {
        self.open.fetch_sub(files, Ordering::Relaxed);
    }

    /// Returns whether more bytes wait to be removed than the backlog allows.
    pub(crate) fn is_behind(&self) -> bool {
        self.backlog.load(Ordering::Relaxed) > BACKLOG
    }

    /// A new empty directory for one call.
    pub(crate) fn directory(&self, call: Uuid) -> io::Result<Directory> {
        let path = self.root.join(call.simple().to_string());
        fs::create_dir(&path)?;
        Ok(Directory {
            path,
            bytes: 0,
            remove: self.remove.clone(),
            backlog: Arc::clone(&self.backlog),
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.remove = None;
        if let Some(remover) = self.remover.take() {
            // The thread ends when the last call's directory is gone; an error is its panic, which is already printed.
            let _ = remover.join();
        }
    }
}

/// The directory of one call, which is removed on drop.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Bytes that the call has written here, as `limits.scratch` counts them.
    pub(crate) bytes: u64,
    remove: Option<Sender<Tree>>,
    backlog: Arc<AtomicU64>,
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
            self.backlog.fetch_add(self.bytes, Ordering::Relaxed);
            // The receiver outlives every sender: it is joined after they are gone.
            let _ = remove.send(Tree {
                path: std::mem::take(&mut self.path),
                bytes: self.bytes,
            });
        }
    }
}

/// The loop of the removing thread: before each tree of an earlier process, it removes the trees of calls that wait.
fn work(all: &Path, root: &Path, trees: &Receiver<Tree>, backlog: &AtomicU64) {
    let left = fs::read_dir(all).into_iter().flatten().flatten();
    for entry in left.filter(|entry| entry.path() != root) {
        for tree in trees.try_iter() {
            remove(&tree, backlog);
        }
        remove(
            &Tree {
                path: entry.path(),
                bytes: 0,
            },
            backlog,
        );
    }
    for tree in trees {
        remove(&tree, backlog);
    }
    // The root is empty, unless a tree in it could not be removed; the next process tries that again.
    let _ = fs::remove_dir(root);
}

#[expect(
    clippy::disallowed_methods,
    reason = "a separate thread, for which only a stop waits"
)]
fn remove(tree: &Tree, backlog: &AtomicU64) {
    let mut tries = 0;
    while let Err(error) = iof_scratch::remove_tree(&tree.path) {
        tries += 1;
        if tries == TRIES {
            tracing::warn!(
                %error,
                "a scratch directory could not be removed; the next start tries again"
            );
            break;
        }
        std::thread::sleep(Duration::from_millis(10 << tries));
    }
    backlog.fetch_sub(tree.bytes, Ordering::Relaxed);
}
