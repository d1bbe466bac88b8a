//! Backups: a copy of everything that was acknowledged, made while the server runs, and checked as it is made.
//!
//! ```text
//! <backup>/iof.db                     a copy of the database, of one moment
//! <backup>/objects/source/ab/<sha256> each source that a version of it refers to
//! <backup>/secrets.key                only on request
//! <backup>/backup.json                what is there, with digests; written last
//! ```
//!
//! SQLite copies the database within one read transaction (`VACUUM INTO`), so the copy is of one moment whatever is
//! written meanwhile. Sources are copied after it. They never change, and an upload writes its source before its row,
//! so each source that the copy refers to exists, unless its function was deleted in between; then that function is
//! deleted from the copy as well. Copying the database again instead would never end on a server where functions come
//! and go.
//!
//! Artefacts, and the key that authenticates them, are left out: with both, an attacker could make a server run code
//! that nobody uploaded. The restored server makes a new key, and compiles again.
//!
//! A backup appears under its name complete, or not at all: everything is written beside it, flushed, and renamed. The
//! leftovers of a killed process have no `backup.json`, without which nothing is restored.
//!
//! Rejected: copying the files (the database and its log are of two moments), and SQLite's stepwise backup (it restarts
//! whenever another process writes, so on a busy server it never ends).

mod archive;
mod files;
mod manifest;
mod names;
mod restore;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

pub use manifest::BackupSummary;
pub use restore::{RestoreSource, restore};

use crate::error::Error;
use crate::objects::blocking;
use crate::sqlite::snapshot;
use manifest::{FileEntry, Manifest};
use names::{DATABASE, MANIFEST, SECRET_KEYS, source_name};

/// Backs a data directory up into the directory `to`, which must not exist. A server may run on it.
///
/// # Errors
/// [`Error::Invalid`] if `to` exists, or the data directory has no database; [`Error::Damaged`] if a source is not the
/// one that was uploaded. Nothing is then at `to`.
pub async fn back_up(
    data_dir: &Path,
    to: &Path,
    secret_keys: Option<String>,
) -> Result<BackupSummary, Error> {
    if to.symlink_metadata().is_ok() {
        let what = format!(
            "the backup {} exists already. Name a directory that does not exist.",
            to.display()
        );
        return Err(Error::Invalid { what });
    }
    let folder = files::folder_beside(to)?;
    let full = |error| full_at(to, error);
    let summary = gather(data_dir, folder.path(), secret_keys)
        .await
        .map_err(full)?;
    let target = to.to_owned();
    blocking(move || files::publish(folder, &target))
        .await
        .map_err(full)?;
    Ok(summary)
}

/// Backs a data directory up into a tar archive. Everything is first gathered and checked in the directory of temporary
/// files, so that nothing is written of a backup that fails.
///
/// # Errors
/// The errors of [`back_up`], and of `to`.
pub async fn back_up_as_archive(
    data_dir: &Path,
    to: impl Write + Send + 'static,
    secret_keys: Option<String>,
) -> Result<BackupSummary, Error> {
    let folder = files::temporary_folder()?;
    let summary = gather(data_dir, folder.path(), secret_keys)
        .await
        .map_err(|error| full_at(folder.path(), error))?;
    let written = summary.clone();
    blocking(move || archive::write(folder.path(), &written.0, to)).await?;
    Ok(summary)
}

/// Names the disk that is full: that of the data directory may have room.
fn full_at(place: &Path, error: Error) -> Error {
    match error {
        Error::DiskFull(_) => Error::Invalid {
            what: format!(
                "the disk of {} is full, and the partial backup was removed. Free some space there, or name another place.",
                place.display()
            ),
        },
        error => error,
    }
}

/// Gathers all files of a backup in `folder`, the manifest last.
async fn gather(
    data_dir: &Path,
    folder: &Path,
    secret_keys: Option<String>,
) -> Result<BackupSummary, Error> {
    let database = data_dir.join(DATABASE);
    if !database.is_file() {
        let what = format!(
            "the data directory {} has no database. Name the directory of a server in --data.",
            data_dir.display()
        );
        return Err(Error::Invalid { what });
    }
    let copy = folder.join(DATABASE);
    // Readable only by its owner; SQLite copies into an empty file.
    files::write_private(&copy, b"")?;
    snapshot::copy(&database, &copy).await?;
    let mut contents = snapshot::contents(&copy).await?;
    let (copied, missing) = copy_sources(data_dir, folder, &contents.sources).await?;
    if !missing.is_empty() {
        if let Some(source) = snapshot::forget_deleted(&copy, &database, &missing).await? {
            return Err(Error::Damaged {
                what: format!("source {}", hex::encode(source)),
                detail: "a version refers to it, but its file is missing. Restore the file from an earlier backup, or upload the module again".into(),
            });
        }
        contents = snapshot::contents(&copy).await?;
    }
    finish(folder, contents, copied, secret_keys).await
}

/// Copies sources, and returns those that were copied and those that are missing.
async fn copy_sources(
    data_dir: &Path,
    folder: &Path,
    sources: &BTreeSet<[u8; 32]>,
) -> Result<(Vec<[u8; 32]>, Vec<[u8; 32]>), Error> {
    let (from, to) = (data_dir.to_owned(), folder.to_owned());
    let wanted: Vec<_> = sources.iter().copied().collect();
    blocking(move || {
        let (mut copied, mut missing) = (vec![], vec![]);
        for digest in wanted {
            let name = source_name(&digest);
            match files::copy_checked(&from.join(&name), &to.join(&name), &digest)? {
                true => copied.push(digest),
                false => missing.push(digest),
            }
        }
        Ok((copied, missing))
    })
    .await
}

/// Removes sources of functions that were deleted meanwhile, and writes the manifest.
async fn finish(
    folder: &Path,
    contents: snapshot::Contents,
    copied: Vec<[u8; 32]>,
    secret_keys: Option<String>,
) -> Result<BackupSummary, Error> {
    let folder: PathBuf = folder.to_owned();
    blocking(move || {
        let of_no_version = |digest: &&[u8; 32]| !contents.sources.contains(*digest);
        for digest in copied.iter().filter(of_no_version) {
            files::remove_file(&folder.join(source_name(digest)))?;
        }
        if let Some(keys) = &secret_keys {
            files::write_private(&folder.join(SECRET_KEYS), keys.as_bytes())?;
        }
        let database = files::describe(&folder, DATABASE)?;
        files::flush(&folder.join(DATABASE))?;
        let mut entries = vec![database];
        if secret_keys.is_some() {
            entries.push(files::describe(&folder, SECRET_KEYS)?);
        }
        for digest in &contents.sources {
            let name = source_name(digest);
            let size = files::size(&folder.join(&name))?;
            entries.push(FileEntry::new(name, size, hex::encode(digest)));
        }
        let manifest = Manifest::new(
            contents.functions,
            contents.versions,
            contents.migration,
            entries,
        );
        files::write_private(&folder.join(MANIFEST), manifest.to_json()?.as_bytes())?;
        files::flush_tree(&folder)?;
        Ok(BackupSummary(manifest))
    })
    .await
}
