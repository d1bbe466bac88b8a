//! Inspection of a data directory before a server of this release is started on it. Nothing in it is changed.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use rustix::fs::FlockOperation;

use crate::directory::check_database;
use crate::error::Error;
use crate::objects::{artefact_file, blocking, source_file};
use crate::sqlite::snapshot::{self, Tables};

/// The findings of an inspection, and the actions of a server that is started now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// The holder of the directory, if a process has it: its pid, if its lock file has it.
    pub held: Option<Option<u32>>,
    /// Migrations that the next start makes, such as `0012 refused_calls`.
    pub migrations: Vec<String>,
    /// The number of the last migration, if a newer release made it.
    pub newer: Option<i64>,
    /// A migration whose text differs in this release, or that was not finished.
    pub foreign: Option<i64>,
    /// Modules that versions refer to.
    pub modules: u64,
    /// Those of them that are compiled at their first call.
    pub to_compile: u64,
    /// Those of them whose source is missing.
    pub missing: u64,
    /// The ids of the keys that secrets are encrypted under.
    pub secret_keys: Vec<String>,
}

/// Looks at `data_dir` for an engine of this fingerprint. `None`: there is no database.
///
/// # Errors
/// [`Error::Directory`] if this user cannot read it, [`Error::Damaged`] if the database is not one.
pub async fn inspect(data_dir: &Path, fingerprint: &str) -> Result<Option<Inspection>, Error> {
    let database = data_dir.join("iof.db");
    match tokio::fs::metadata(&database).await {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::at(&database)(error)),
    }
    let held = {
        let data_dir = data_dir.to_owned();
        blocking(move || {
            check_database(&data_dir)?;
            holder(&data_dir)
        })
        .await?
    };
    let Tables {
        missing: migrations,
        newer,
        foreign,
        sources,
        secret_keys,
    } = snapshot::tables(&database).await?;
    let (objects, fingerprint) = (data_dir.join("objects"), fingerprint.to_owned());
    let modules = sources.len() as u64;
    let (to_compile, missing) = blocking(move || {
        let without = |file: &dyn Fn(&[u8; 32]) -> Result<std::path::PathBuf, Error>| {
            sources.iter().try_fold(0, |count, sha256| {
                Ok::<u64, Error>(count + u64::from(!objects.join(file(sha256)?).is_file()))
            })
        };
        let to_compile = without(&|sha256| artefact_file(&fingerprint, sha256))?;
        let missing = without(&|sha256| Ok(source_file(sha256)))?;
        Ok((to_compile, missing))
    })
    .await?;
    Ok(Some(Inspection {
        held,
        migrations,
        newer,
        foreign,
        modules,
        to_compile,
        missing,
        secret_keys,
    }))
}

/// The process that has a data directory, if one has: its pid, if its lock file has it. Blocking. Tested by a shared
/// lock, which is released when this function returns.
///
/// # Errors
/// [`Error::Directory`] if this user cannot read the lock.
pub fn holder(data_dir: &Path) -> Result<Option<Option<u32>>, Error> {
    let path = &data_dir.join("lock");
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::at(path)(error)),
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            drop(file.read_to_string(&mut text)); // best effort: the pid is only for the message
            Ok(Some(text.trim().parse().ok()))
        }
        Err(errno) => Err(Error::at(path)(errno.into())),
    }
}
