//! Removal of a directory tree that untrusted code made.
//!
//! `std::fs::remove_dir_all` recurses and holds a descriptor for each level: a tree of 16,000 levels overflows a stack,
//! or uses up the descriptors of a process. Here a directory that is not empty is moved up to the top of the tree
//! before it is read, so that each one is opened once, at a depth of one: stack and descriptors are the same for every
//! tree, and the time is linear in its entries.
//!
//! Names are looked up in opened directories, one component at a time, and a symbolic link is never followed: if a
//! program still runs and swaps a directory for a link, the link is removed, and nothing beyond it.

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// Removes `path`, of any type, with everything in it. A missing path counts as removed.
///
/// This blocks, for longer the larger the tree is.
///
/// # Errors
/// The system's error for the first entry that cannot be removed; all others are removed.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    match unlink(CWD, path) {
        Err(Errno::NOTEMPTY | Errno::EXIST | Errno::ACCESS) => {}
        done => return Ok(done?),
    }
    Top::open(path)?.empty()?;
    Ok(unlink(CWD, path)?)
}

/// The directory to which all others are moved.
struct Top {
    opened: OwnedFd,
    /// The number of directories that were moved, which makes their new names.
    moved: u64,
}

impl Top {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            opened: enter(CWD, path)?,
            moved: 0,
        })
    }

    /// Removes all its entries.
    fn empty(&mut self) -> io::Result<()> {
        loop {
            let (mut entries, mut removed, mut failed) = (0u64, 0u64, None);
            for entry in Dir::read_from(&self.opened)? {
                let entry = entry?;
                if is_itself(entry.file_name()) {
                    continue;
                }
                entries += 1;
                match self.remove(entry.file_name()) {
                    Ok(()) => removed += 1,
                    Err(error) => failed = Some(error),
                }
            }
            // Directories that were moved here may have come behind the position that was read.
            match failed {
                _ if entries == 0 => return Ok(()),
                Some(error) if removed == 0 => return Err(error.into()),
                _ => {}
            }
        }
    }

    /// Removes one entry; the directories in it are moved beside it.
    fn remove(&mut self, name: &CStr) -> rustix::io::Result<()> {
        match unlink(self.opened.as_fd(), name) {
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::ACCESS) => {}
            done => return done,
        }
        let directory = enter(self.opened.as_fd(), name)?;
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let inner = entry.file_name();
            if is_itself(inner) {
                continue;
            }
            match unlink(directory.as_fd(), inner) {
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::ACCESS) => {
                    self.take(&directory, inner)?;
                }
                done => done?,
            }
        }
        unlink(self.opened.as_fd(), name)
    }

    /// Moves a directory to the top, under a name that is free there.
    fn take(&mut self, from: &OwnedFd, name: &CStr) -> rustix::io::Result<()> {
        loop {
            self.moved += 1;
            let free = format!(".iof-removal-{}", self.moved);
            match rustix::fs::renameat(from, name, &self.opened, free) {
                // The untrusted code chose that name before; the number of tries is bounded by the names it made.
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                // A directory is changed when it moves, by the entry `..`.
                Err(Errno::ACCESS) if open_up(from.as_fd(), name)? => {}
                Err(Errno::NOENT) => return Ok(()),
                done => return done,
            }
        }
    }
}

/// Removes a file, a link or an empty directory. A missing one counts as removed.
fn unlink(directory: impl AsFd, name: impl rustix::path::Arg + Copy) -> rustix::io::Result<()> {
    let removed = match rustix::fs::unlinkat(&directory, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {
            rustix::fs::unlinkat(&directory, name, AtFlags::REMOVEDIR)
        }
        other => other,
    };
    match removed {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Opens a directory whose entries are to be removed, and makes sure that they can be.
fn enter(directory: impl AsFd, name: impl rustix::path::Arg + Copy) -> rustix::io::Result<OwnedFd> {
    let open = || {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&directory, name, flags, Mode::empty())
    };
    let opened = match open() {
        Err(Errno::ACCESS) if open_up(&directory, name)? => open()?,
        other => other?,
    };
    if !is_open(&rustix::fs::fstat(&opened)?) {
        // Entries of other users stay closed; a removal that fails then reports its own error.
        let _ = rustix::fs::fchmod(&opened, Mode::RWXU);
    }
    Ok(opened)
}

/// Gives the owner access to a directory without permissions; returns `true` if that changed anything.
fn open_up(directory: impl AsFd, name: impl rustix::path::Arg + Copy) -> rustix::io::Result<bool> {
    // A path could lead through a link; an opened directory cannot.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = rustix::fs::openat(&directory, name, flags, Mode::empty())?;
    if is_open(&rustix::fs::fstat(&place)?) {
        return Ok(false);
    }
    rustix::fs::chmod(format!("/proc/self/fd/{}", place.as_raw_fd()), Mode::RWXU)?;
    Ok(true)
}

fn is_open(stat: &Stat) -> bool {
    Mode::from_raw_mode(stat.st_mode).contains(Mode::RWXU)
}

fn is_itself(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test may block")]
mod tests {
    use super::*;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// A chain of directories of a depth beyond the longest path.
    fn chain(at: &Path, depth: usize) {
        fs::create_dir(at).unwrap();
        let mut here = enter(CWD, at).unwrap();
        for _ in 0..depth {
            rustix::fs::mkdirat(&here, "d", Mode::RWXU).unwrap();
            rustix::fs::openat(&here, "f", OFlags::CREATE | OFlags::WRONLY, Mode::RWXU).unwrap();
            here = enter(&here, "d").unwrap();
        }
    }

    #[test]
    fn a_chain_of_any_depth_takes_a_small_stack_and_few_descriptors() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        chain(&tree, 20_000);
        let before = getrlimit(Resource::Nofile);
        let open = fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(open + 16),
                maximum: before.maximum,
            },
        )
        .unwrap();
        let removed = std::thread::Builder::new()
            .stack_size(64 << 10)
            .spawn({
                let tree = tree.clone();
                move || remove_tree(&tree)
            })
            .unwrap()
            .join()
            .unwrap();
        setrlimit(Resource::Nofile, before).unwrap();
        removed.unwrap();
        assert!(!tree.exists());
    }

    #[test]
    fn a_link_is_removed_but_not_its_target() {
        let folder = tempfile::tempdir().unwrap();
        let (tree, other) = (folder.path().join("tree"), folder.path().join("other"));
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(other.join("kept"), "x").unwrap();
        for at in ["link", "a/link", "a/b/link"] {
            symlink(&other, tree.join(at)).unwrap();
        }
        let to_tree = folder.path().join("to-tree");
        symlink(&tree, &to_tree).unwrap();
        remove_tree(&to_tree).unwrap();
        assert!(tree.exists(), "a link at the top is only a link");
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && other.join("kept").exists());
    }

    #[test]
    fn a_closed_directory_is_opened_and_a_taken_name_is_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir_all(tree.join("a/b/c/d")).unwrap();
        for n in 1..5 {
            let taken = tree.join(format!(".iof-removal-{n}"));
            match n % 2 {
                0 => fs::write(taken, "x").unwrap(),
                _ => fs::create_dir_all(taken.join("x/y")).unwrap(),
            }
        }
        for closed in ["a/b/c", "a/b", "a"] {
            fs::set_permissions(tree.join(closed), fs::Permissions::from_mode(0o0)).unwrap();
        }
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
    }

    #[test]
    fn files_and_missing_paths_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        remove_tree(&file).unwrap();
        assert!(!file.exists());
        remove_tree(&file).unwrap();
    }
}
