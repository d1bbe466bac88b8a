//! The data directory: one owner, and all files in place before anything else starts.
//!
//! ```text
//! <data>/lock            held (flock) for as long as a process writes here; names its pid
//! <data>/iof.db          functions and versions (SQLite; -wal and -shm beside it)
//! <data>/artefact.key    32 random bytes: the key that authenticates this host's compiled code
//! <data>/objects/source/ab/<sha256>
//! <data>/objects/artefact/<fingerprint>/ab/<sha256>
//! ```
//!
//! Two processes on one directory would sweep each other's uploads away, so a lock decides, and not SQLite's own locks,
//! which would let both in. `flock` and not a pid file: the kernel releases it however the process ends.
//!
//! The 256 directories of sources are made here, once. `object_store` would make them on demand, and would flush a new
//! one into its parent; but a second upload that finds the directory already there does not wait for that flush, and
//! could be acknowledged before its directory is on the disk.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::FlockOperation;
use rustix::rand::GetRandomFlags;

use crate::error::Error;
use crate::sweep;

/// A directory that this process owns until `lock` is dropped.
pub(crate) struct Directory {
    pub(crate) lock: Lock,
    pub(crate) database: PathBuf,
    pub(crate) objects: ObjectPlaces,
    pub(crate) artefact_key: [u8; 32],
    /// The time of opening by the clock of the file system: younger files are this process's.
    pub(crate) opened: SystemTime,
}

/// The directories of objects.
#[derive(Clone)]
pub(crate) struct ObjectPlaces {
    /// The one with `source`.
    pub(crate) sources: PathBuf,
    /// The one with `artefact`.
    pub(crate) artefacts: PathBuf,
}

/// Ownership of a data directory, until this is dropped.
pub(crate) struct Lock {
    _file: File,
}

/// Takes ownership of the directory, and creates what is missing; `elsewhere` is the directory of sources if that is not
/// in it, and `shared` says that its rows are not, either. Blocking.
pub(crate) fn prepare(
    data_dir: &Path,
    elsewhere: Option<PathBuf>,
    shared: bool,
) -> Result<Directory, Error> {
    private_dir(data_dir)?;
    let (lock, opened) = lock(data_dir)?;

    let objects = data_dir.join("objects");
    let places = ObjectPlaces {
        sources: elsewhere.unwrap_or_else(|| objects.clone()),
        artefacts: objects.clone(),
    };
    let sources = places.sources.join("source");
    for dir in [&objects, &sources, &objects.join("artefact")] {
        private_dir(dir)?;
    }
    for shard in 0..=u8::MAX {
        private_dir(&sources.join(format!("{shard:02x}")))?;
    }

    let database = data_dir.join("iof.db");
    if !shared {
        refuse_lost_database(&database, &places.sources)?;
        check_database(data_dir)?;
        // SQLite gives its -wal and -shm files the permissions of the database.
        private_file(&database)?;
    } else if database.exists() {
        tracing::warn!(database = %database.display(), "this database is not used, because store.url names another one. `iof store import` moves its functions there");
    }
    let artefact_key = artefact_key(data_dir)?;

    // Always, not only after creating: the process that created them may have died before this point.
    for dir in [&*sources, &*places.sources, &*objects, data_dir] {
        sync_dir(dir)?;
    }
    if let Some(parent) = data_dir
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        // Best effort: the parent may be a directory that this user cannot open.
        drop(sync_dir(parent));
    }
    Ok(Directory {
        lock,
        database,
        objects: places,
        artefact_key,
        opened,
    })
}

/// Makes a directory of sources, if it is not there. Blocking.
pub(crate) fn prepare_sources(sources: &Path) -> Result<(), Error> {
    let dir = sources.join("source");
    for shard in 0..=u8::MAX {
        private_dir(&dir.join(format!("{shard:02x}")))?;
    }
    for dir in [&*dir, sources] {
        sync_dir(dir)?;
    }
    Ok(())
}

/// Checks that the database of a directory begins as one, if there is one. Blocking.
///
/// # Errors
/// [`Error::Directory`] if this user cannot read it, [`Error::Damaged`] if it is another file.
pub fn check_database(data_dir: &Path) -> Result<(), Error> {
    /// The first bytes of every database of SQLite 3 (its file format, section 1.3.1).
    const BEGINS: &[u8] = b"SQLite format 3\0";
    let path = data_dir.join("iof.db");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::at(&path)(error)),
    };
    let mut begins = vec![];
    let read = file.take(BEGINS.len() as u64).read_to_end(&mut begins);
    read.map_err(Error::at(&path))?;
    match begins.is_empty() || begins == BEGINS {
        true => Ok(()),
        false => Err(Error::Damaged {
            what: path.display().to_string(),
            detail: "it is not an SQLite database: its first bytes are different. Name the folder of a server's data (--data), or restore a backup into an empty one (`iof restore`)".into(),
        }),
    }
}

/// Sources without a database belong to functions whose rows are missing (a restore that left out a file). A new
/// database would refer to none of them, and the sweep would remove the sources. Checked before the database's file is
/// made, so that a second attempt gets the same answer.
fn refuse_lost_database(database: &Path, objects: &Path) -> Result<(), Error> {
    if fs::metadata(database).is_ok_and(|file| file.len() > 0) || !sweep::holds_sources(objects)? {
        return Ok(());
    }
    Err(Error::Damaged {
        what: "the data directory".into(),
        detail: format!(
            "{} is missing or empty, but {} holds the sources of functions. Restore the database from a backup or, to start anew, move the sources away",
            database.display(),
            objects.display()
        ),
    })
}

/// Takes the lock, and returns the time at which its file was written.
pub(crate) fn lock(data_dir: &Path) -> Result<(Lock, SystemTime), Error> {
    let path = data_dir.join("lock");
    let mut file = private_file(&path)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            drop(file.read_to_string(&mut text)); // best effort: the pid is only for the message
            return Err(Error::Locked {
                data_dir: data_dir.to_owned(),
                pid: text.trim().parse().ok(),
            });
        }
        Err(errno) => return Err(Error::at(&path)(errno.into())),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(Error::at(&path))?;
    let written = file.metadata().and_then(|data| data.modified());
    let written = written.map_err(Error::at(&path))?;
    Ok((Lock { _file: file }, written))
}

/// Reads the host's key, or makes one. The file appears under its name complete and flushed, or not at all.
fn artefact_key(data_dir: &Path) -> Result<[u8; 32], Error> {
    let path = data_dir.join("artefact.key");
    let mut stored = Vec::new();
    match File::open(&path).and_then(|mut file| file.read_to_end(&mut stored)) {
        Ok(_) => {
            return stored.try_into().map_err(|stored: Vec<u8>| Error::Damaged {
                what: format!("the key {}", path.display()),
                detail: format!(
                    "its length is not 32 bytes: got {}. Remove it; iof then makes a new one and compiles again",
                    stored.len()
                ),
            });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::at(&path)(error)),
    }

    let mut key = [0; 32];
    // getrandom(2) fills up to 256 bytes whole, or fails.
    rustix::rand::getrandom(&mut key, GetRandomFlags::empty())
        .map_err(|errno| Error::at(&path)(errno.into()))?;
    let write = || {
        let mut file = tempfile::Builder::new()
            .prefix(".artefact.key.")
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(data_dir)?;
        file.write_all(&key)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(&path)?;
        Ok(())
    };
    write().map_err(Error::at(&path))?;
    Ok(key)
}

fn private_dir(path: &Path) -> Result<(), Error> {
    // Recursive, so that an existing directory is fine; it keeps the permissions that its owner chose.
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(Error::at(path))
}

fn private_file(path: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(Error::at(path))
}

fn sync_dir(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(Error::at(path))
}
