//! The files of a backup: named, copied and checked against their digests, flushed, and published at once. All
//! functions block.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::manifest::FileEntry;
use crate::error::Error;

const CHUNK: usize = 256 << 10;

/// An empty directory beside `path`, whose name marks it as incomplete.
pub(super) fn folder_beside(path: &Path) -> Result<TempDir, Error> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = path.file_name().ok_or_else(|| Error::Invalid {
        what: format!(
            "the backup has no name: got {}. Name a directory that does not exist.",
            path.display()
        ),
    })?;
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    prefix.push(".unfinished-");
    tempfile::Builder::new()
        .prefix(&prefix)
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(parent)
        .map_err(Error::at(parent))
}

/// An empty directory in the directory of temporary files.
pub(super) fn temporary_folder() -> Result<TempDir, Error> {
    tempfile::Builder::new()
        .prefix("iof-backup-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir()
        .map_err(Error::at(&std::env::temp_dir()))
}

/// Renames the directory to its final name, unless that exists by now.
pub(super) fn publish(folder: TempDir, to: &Path) -> Result<(), Error> {
    rustix::fs::renameat_with(CWD, folder.path(), CWD, to, RenameFlags::NOREPLACE)
        .map_err(|errno| Error::at(to)(errno.into()))?;
    let _ = folder.keep(); // after the rename, nothing is left at the old name
    match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => flush(parent),
        _ => flush(Path::new(".")),
    }
}

/// Copies a file whose digest is known. Returns `false` if there is no such file.
pub(super) fn copy_checked(from: &Path, to: &Path, sha256: &[u8; 32]) -> Result<bool, Error> {
    let mut source = match File::open(from) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::at(from)(error)),
    };
    write_checked(&mut source, from, to, &hex::encode(sha256), u64::MAX)?;
    flush(to)?;
    Ok(true)
}

/// Copies `from` into a new file, and refuses it if its digest is not `sha256`, or if it is longer than `most`. `name`
/// is its name in messages. Returns its size.
pub(super) fn write_checked(
    from: &mut impl Read,
    name: &Path,
    to: &Path,
    sha256: &str,
    most: u64,
) -> Result<u64, Error> {
    if let Some(parent) = to.parent() {
        private_dir(parent)?;
    }
    let mut target = new_file(to)?;
    let (size, digest) = pump(from, name, most, |chunk| {
        target.write_all(chunk).map_err(Error::at(to))
    })?;
    if digest != sha256 {
        return Err(Error::Damaged {
            what: name.display().to_string(),
            detail: format!(
                "its digest is not {sha256}: got {digest} ({size} bytes). Take another copy of it"
            ),
        });
    }
    Ok(size)
}

/// Copies `from` into a new file, unchecked.
pub(super) fn write_from(from: &mut impl Read, name: &Path, to: &Path) -> Result<(), Error> {
    if let Some(parent) = to.parent() {
        private_dir(parent)?;
    }
    let mut target = new_file(to)?;
    pump(from, name, u64::MAX, |chunk| {
        target.write_all(chunk).map_err(Error::at(to))
    })?;
    Ok(())
}

/// The name, size and digest of an existing file.
pub(super) fn describe(folder: &Path, name: &str) -> Result<FileEntry, Error> {
    let path = folder.join(name);
    let mut file = File::open(&path).map_err(Error::at(&path))?;
    let (size, digest) = pump(&mut file, &path, u64::MAX, |_| Ok(()))?;
    Ok(FileEntry::new(name.to_owned(), size, digest))
}

fn pump(
    from: &mut impl Read,
    name: &Path,
    most: u64,
    mut each: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(u64, String), Error> {
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::at(name)(error)),
        };
        let chunk = buffer.get(..read).unwrap_or_default();
        size += read as u64;
        if size > most {
            return Err(Error::Damaged {
                what: name.display().to_string(),
                detail: format!(
                    "it is longer than the {most} bytes stated in backup.json. Take another copy of it"
                ),
            });
        }
        hash.update(chunk);
        each(chunk)?;
    }
    Ok((size, hex::encode(hash.finalize())))
}

pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = new_file(path)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(Error::at(path))
}

/// Reads at most `most` bytes.
pub(super) fn read(path: &Path, most: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![];
    File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .map_err(Error::at(path))?;
    Ok(bytes)
}

fn new_file(path: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(Error::at(path))
}

pub(super) fn private_dir(path: &Path) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(Error::at(path))
}

pub(super) fn size(path: &Path) -> Result<u64, Error> {
    fs::metadata(path)
        .map(|data| data.len())
        .map_err(Error::at(path))
}

pub(super) fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::at(path)(error)),
        _ => Ok(()),
    }
}

/// Flushes a file, or the names in a directory.
pub(super) fn flush(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(Error::at(path))
}

/// Flushes the names in a directory and in those of its sources.
pub(super) fn flush_tree(folder: &Path) -> Result<(), Error> {
    let sources = folder.join("objects/source");
    if sources.is_dir() {
        for shard in fs::read_dir(&sources).map_err(Error::at(&sources))? {
            flush(&shard.map_err(Error::at(&sources))?.path())?;
        }
        flush(&sources)?;
        flush(&folder.join("objects"))?;
    }
    flush(folder)
}
