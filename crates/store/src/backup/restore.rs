//! Restoring a backup into a data directory that has no database.
//!
//! The database gets its name last: a killed restore leaves sources without a database, which a server refuses with a
//! message, and onto which the same restore may be tried again.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::manifest::{BackupSummary, Manifest};
use super::names::{DATABASE, MANIFEST, SECRET_KEYS, source_name};
use super::{archive, files};
use crate::directory;
use crate::error::Error;
use crate::objects::blocking;
use crate::sqlite::snapshot;

/// The most bytes of a manifest: enough for ten million files.
const MOST_MANIFEST: u64 = 2 << 30;

/// The place of a backup.
pub enum RestoreSource {
    /// A directory or a tar archive.
    Path(PathBuf),
    /// A tar archive, as a stream.
    Archive(Box<dyn Read + Send>),
}

/// Restores a backup into a data directory, which is made if it does not exist, and checks each file against its
/// digest.
///
/// # Errors
/// [`Error::Invalid`] if the data directory has a database, or the input is not a backup; [`Error::Damaged`] if
/// something is missing in it or has another digest; [`Error::Newer`] if a newer release made it; [`Error::Locked`] if
/// a server uses the data directory.
pub async fn restore(from: RestoreSource, data_dir: &Path) -> Result<BackupSummary, Error> {
    let data_dir = data_dir.to_owned();
    // Held to the end, so that no server starts on half of a backup.
    let _lock = {
        let data_dir = data_dir.clone();
        blocking(move || claim(&data_dir)).await?
    };
    let (unpacked, folder) = blocking(move || open(from)).await?;
    let manifest = blocking({
        let folder = folder.clone();
        move || read_manifest(&folder)
    })
    .await?;
    if manifest.migration() > snapshot::newest_migration() {
        let migration = manifest.migration();
        return Err(Error::Newer { migration });
    }
    let summary = BackupSummary(manifest);
    let copied = summary.clone();
    let new = blocking(move || copy(&copied.0, &folder, &data_dir)).await?;
    drop(unpacked);
    let contents = snapshot::contents(&new.0).await?;
    let listed: HashSet<_> = summary.0.files().iter().map(|file| &file.name).collect();
    let mut named = contents.sources.iter().map(source_name);
    if let Some(missing) = named.find(|name| !listed.contains(name)) {
        return Err(Error::Damaged {
            what: "the backup".into(),
            detail: format!("{missing} is missing in it. Take another backup"),
        });
    }
    if contents.functions != summary.functions() || contents.versions != summary.versions() {
        return Err(Error::Damaged {
            what: "the database of the backup".into(),
            detail: format!(
                "its counts differ from backup.json: got {} functions and {} versions, expected {} and {}. Take another backup",
                contents.functions,
                contents.versions,
                summary.functions(),
                summary.versions()
            ),
        });
    }
    blocking(move || finish(&new)).await?;
    Ok(summary)
}

/// Locks a data directory that has no database.
fn claim(data_dir: &Path) -> Result<directory::Lock, Error> {
    files::private_dir(data_dir)?;
    let (lock, _) = directory::lock(data_dir)?;
    if data_dir.join(DATABASE).symlink_metadata().is_ok() {
        let what = format!(
            "the data directory {} has a database already. Name one that has none, or move {DATABASE} and objects away first.",
            data_dir.display()
        );
        return Err(Error::Invalid { what });
    }
    Ok(lock)
}

/// Finds the files of a backup; an archive is unpacked into a temporary directory, which is removed when the first part
/// is dropped.
fn open(from: RestoreSource) -> Result<(Option<tempfile::TempDir>, PathBuf), Error> {
    let archive: Box<dyn Read + Send> = match from {
        RestoreSource::Path(path) if path.is_dir() => return Ok((None, path)),
        RestoreSource::Path(path) => Box::new(File::open(&path).map_err(Error::at(&path))?),
        RestoreSource::Archive(archive) => archive,
    };
    let folder = files::temporary_folder()?;
    archive::unpack(archive, folder.path())?;
    let path = folder.path().to_owned();
    Ok((Some(folder), path))
}

fn read_manifest(folder: &Path) -> Result<Manifest, Error> {
    let path = folder.join(MANIFEST);
    if !path.is_file() {
        let what = format!(
            "the backup {} is not whole: it has no {MANIFEST}, which is written last. Take another one.",
            folder.display()
        );
        return Err(Error::Invalid { what });
    }
    Manifest::read(&files::read(&path, MOST_MANIFEST)?)
}

/// The restored database: its temporary name, and its final one.
#[derive(Clone)]
struct RestoredDatabase(PathBuf, PathBuf);

/// Copies all files of a backup, the database under a temporary name.
fn copy(manifest: &Manifest, folder: &Path, data_dir: &Path) -> Result<RestoredDatabase, Error> {
    let database = data_dir.join(DATABASE);
    let new = data_dir.join("iof.db.restoring");
    for file in manifest.files() {
        let from = folder.join(&file.name);
        let to = match file.name.as_str() {
            DATABASE => new.clone(),
            name => data_dir.join(name),
        };
        if file.name == SECRET_KEYS && to.symlink_metadata().is_ok() {
            let what = format!("{} exists already. Move it away first.", to.display());
            return Err(Error::Invalid { what });
        }
        let mut source = File::open(&from).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::Damaged {
                what: "the backup".into(),
                detail: format!("{} is missing in it. Take another copy of it", file.name),
            },
            _ => Error::at(&from)(error),
        })?;
        files::write_checked(&mut source, &from, &to, &file.sha256, file.size)?;
        files::flush(&to)?;
    }
    files::flush_tree(data_dir)?;
    Ok(RestoredDatabase(new, database))
}

fn finish(RestoredDatabase(new, database): &RestoredDatabase) -> Result<(), Error> {
    std::fs::rename(new, database).map_err(Error::at(database))?;
    match database.parent() {
        Some(parent) => files::flush(parent),
        None => Ok(()),
    }
}
