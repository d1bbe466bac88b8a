//! A backup as a tar archive. The manifest comes last, so a truncated archive has none.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use super::files;
use super::manifest::Manifest;
use super::names::{MANIFEST, is_of_backup};
use crate::error::Error;

/// Writes the files of a gathered backup. Blocking.
pub(super) fn write(folder: &Path, manifest: &Manifest, to: impl Write) -> Result<(), Error> {
    let mut archive = tar::Builder::new(to);
    let names = manifest.files().iter().map(|file| file.name.as_str());
    for name in names.chain([MANIFEST]) {
        let path = folder.join(name);
        let mut add = || {
            let mut header = tar::Header::new_gnu();
            header.set_size(path.metadata()?.len());
            header.set_mode(0o600);
            header.set_mtime(0);
            archive.append_data(&mut header, name, File::open(&path)?)
        };
        add().map_err(unwritten)?;
    }
    archive
        .into_inner()
        .and_then(|mut to| to.flush())
        .map_err(unwritten)
}

fn unwritten(error: std::io::Error) -> Error {
    Error::Invalid {
        what: format!(
            "the archive could not be written: {error}. Check that there is room for it and that its reader did not exit, and start again."
        ),
    }
}

/// Unpacks an archive into `folder`: only plain files with the names of a backup. Blocking.
pub(super) fn unpack(from: impl Read, folder: &Path) -> Result<(), Error> {
    let mut archive = tar::Archive::new(from);
    let unreadable = |error: std::io::Error| {
        let why = match error.kind() {
            // The reader's messages quote the file, which may be any file and may hold secrets.
            ErrorKind::Other | ErrorKind::InvalidData => "it is not a tar archive".to_owned(),
            ErrorKind::UnexpectedEof => "it ends early".to_owned(),
            _ => error.to_string(),
        };
        Error::Invalid {
            what: format!(
                "the archive cannot be read: {why}. Name a directory or a tar archive that `iof backup` made."
            ),
        }
    };
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let known = name == MANIFEST || is_of_backup(&name);
        if !known || !entry.header().entry_type().is_file() {
            return Err(Error::Invalid {
                what: format!(
                    "the archive contains a file that does not belong to a backup: got {name:?}. Name an archive that `iof backup` made."
                ),
            });
        }
        let path = folder.join(&name);
        if path.symlink_metadata().is_ok() {
            return Err(Error::Invalid {
                what: format!(
                    "the archive contains a file twice: got {name:?}. Name an archive that `iof backup` made."
                ),
            });
        }
        files::write_from(&mut entry, Path::new(&name), &path)?;
    }
    Ok(())
}
