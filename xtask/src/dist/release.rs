//! A release, and the files from which it is built.

use std::{fs, io, path::Path};

use crate::step::{Outcome, Problem};

/// A release: its version, and the machine that it is for.
pub(super) struct Release {
    pub(super) version: &'static str,
    /// The machine, as `uname -m` prints it.
    pub(super) machine: &'static str,
}

impl Release {
    pub(super) fn name(&self) -> String {
        format!("iof-{}-{}-linux", self.version, self.machine)
    }
}

/// The time that all files get, in seconds since 1970.
pub(super) fn epoch() -> String {
    std::env::var("SOURCE_DATE_EPOCH").unwrap_or_else(|_| "0".into())
}

pub(super) fn renew(folder: &Path) -> Outcome {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed(folder, &error));
        }
        _ => {}
    }
    make(folder)
}

pub(super) fn make(folder: &Path) -> Outcome {
    fs::create_dir_all(folder).map_err(|e| failed(folder, &e))
}

pub(super) fn write(file: &Path, bytes: &[u8]) -> Outcome {
    fs::write(file, bytes).map_err(|e| failed(file, &e))
}

pub(super) fn copy(from: &Path, to: &Path, mode: u32) -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    if let Some(parent) = to.parent() {
        make(parent)?;
    }
    fs::copy(from, to)
        .and_then(|_| fs::set_permissions(to, fs::Permissions::from_mode(mode)))
        .map_err(|e| failed(from, &e))
}

/// Copies the files of a folder, and of those below it.
pub(super) fn copy_folder(from: &Path, to: &Path) -> Outcome {
    for entry in fs::read_dir(from).map_err(|e| failed(from, &e))? {
        let from = entry.map_err(|e| failed(from, &e))?.path();
        let to = to.join(from.file_name().unwrap_or_default());
        match from.is_dir() {
            true => copy_folder(&from, &to)?,
            false => copy(&from, &to, 0o644)?,
        }
    }
    Ok(())
}

pub(super) fn failed(path: &Path, error: &io::Error) -> Problem {
    Problem::new(format!("{}: {error}", path.display()))
}
