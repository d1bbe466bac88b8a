//! The scratch directory between two runs: checked, cleaned, or given up with its warden.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The most leftovers that are removed. For more, a new warden with a new directory is better.
const FEW: usize = 64;

/// The scratch directory, in the state that it must have before each run.
pub(crate) struct Scratch {
    pub(crate) directory: PathBuf,
    /// The directory and those beside it, each opened.
    all: Vec<(PathBuf, File)>,
    /// Free files of a file system of its own, when empty.
    empty: Option<u64>,
}

impl Scratch {
    /// Takes the empty directories `paths`, which are a file system of their own if `sized`.
    pub(crate) fn open(paths: &[&Path], sized: bool) -> io::Result<Scratch> {
        let all = paths
            .iter()
            .map(|path| Ok((path.to_path_buf(), File::open(path)?)));
        let all: Vec<_> = all.collect::<io::Result<_>>()?;
        let (directory, opened) = all.first().ok_or_else(|| io::Error::other("none"))?;
        Ok(Scratch {
            directory: directory.clone(),
            empty: match sized {
                true => Some(rustix::fs::fstatvfs(opened)?.f_ffree),
                false => None,
            },
            all,
        })
    }

    /// Returns whether it is clean. A few leftovers are removed; for many, a new warden is better.
    pub(crate) fn clear(&self) -> bool {
        let settled = self.all.iter().all(|(path, opened)| {
            let mode = opened.metadata().map(|metadata| metadata.mode() & 0o7777);
            mode.is_ok_and(|mode| mode == 0o700)
                || fs::set_permissions(path, fs::Permissions::from_mode(0o700)).is_ok()
        });
        settled && (self.is_empty() || self.remove_few() && self.is_empty())
    }

    fn is_empty(&self) -> bool {
        match (self.empty, self.all.first()) {
            // Free files count everything, also in places that cannot be listed.
            (Some(empty), Some((_, opened))) => {
                rustix::fs::fstatvfs(opened).is_ok_and(|now| now.f_ffree == empty)
            }
            (None, Some((path, _))) => fs::read_dir(path).is_ok_and(|mut all| all.next().is_none()),
            _ => false,
        }
    }

    fn remove_few(&self) -> bool {
        // Without a size, the contents cannot be counted.
        self.empty.is_some() && self.all.iter().all(|(path, _)| remove_in(path))
    }
}

fn remove_in(directory: &Path) -> bool {
    let Ok(entries) = fs::read_dir(directory) else {
        return false;
    };
    let mut left = FEW;
    for entry in entries.flatten() {
        let removed = iof_scratch::remove_tree(&entry.path());
        left -= 1;
        if removed.is_err() || left == 0 {
            return false;
        }
    }
    true
}
