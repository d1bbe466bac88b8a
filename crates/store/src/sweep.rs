//! The sweep after a start: it removes files in the object directories to which no row refers.
//!
//! An upload writes its object first and its row last, so a process killed in between leaves an object (or a temporary
//! file) that was not acknowledged. A server of 100,000 functions has twice as many files, and does not keep its
//! callers waiting while they are listed: the sweep runs beside the first calls and uploads. It removes a file only
//! while nothing writes objects, and only if no row refers to it then. It skips files that are younger than the start.
//!
//! Artefacts are removed with their source. Those of an engine that this host no longer runs are removed 30 days after
//! it last did (so that going back a release does not compile everything again); those of the engine used last never
//! are. They are set aside before anything can use them, and removed in the background.
//!
//! Only names that the store itself writes are ever removed; a file that an operator put there stays.

use std::collections::{HashMap, HashSet};
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::directory::ObjectPlaces;
use crate::error::Error;

/// The time for which artefacts outlive the last use of their engine.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The suffix of the name of a directory that was set aside. No fingerprint contains the sign.
const ASIDE: &str = "#aside";

/// The times of opening: younger files are in use.
#[derive(Clone, Copy)]
pub(crate) struct Opened {
    pub(crate) sources: SystemTime,
    pub(crate) artefacts: SystemTime,
}

/// The findings of a sweep.
#[derive(Default)]
pub(crate) struct Leftovers {
    /// Digests of files to which no row referred.
    pub(crate) digests: HashSet<[u8; 32]>,
    /// Files that were written and never renamed.
    pub(crate) temporaries: Vec<PathBuf>,
    /// Digests to which rows refer, but whose source is missing.
    pub(crate) missing: HashSet<[u8; 32]>,
}

/// Renames the directories of engines that have not been used for long, so that nothing finds their artefacts.
/// Blocking.
pub(crate) fn set_aside(objects: &Path) -> Result<(), Error> {
    for engine in expired(&objects.join("artefact"))? {
        tracing::info!(engine = %engine.display(), "removing compiled code of an engine unused for 30 days");
        let mut aside = engine.clone().into_os_string();
        aside.push(ASIDE);
        fs::rename(&engine, aside).map_err(Error::at(&engine))?;
    }
    Ok(())
}

/// Removes the directories that were set aside, by this start or an earlier one that was interrupted. Blocking.
pub(crate) fn remove_aside(objects: &Path) -> Result<(), Error> {
    for engine in directories(&objects.join("artefact"))? {
        if is_aside(&engine) {
            iof_scratch::remove_tree(&engine.path()).map_err(Error::at(&engine.path()))?;
        }
    }
    Ok(())
}

/// Finds the files whose digest is not in `live` and which are not younger than `opened`, until `stopped`. Blocking.
///
/// The clock of files stands still for up to 10 ms. A process that was killed in that time, and this one, write files
/// of the same age as `opened`: the caller distinguishes them, under the lock on uploads.
pub(crate) fn find(
    places: &ObjectPlaces,
    live: HashSet<[u8; 32]>,
    opened: Opened,
    stopped: &dyn Fn() -> bool,
) -> Result<Leftovers, Error> {
    let mut found = Leftovers::default();
    // Each digest, with a flag that its source exists.
    let mut live: HashMap<_, _> = live.into_iter().map(|digest| (digest, false)).collect();
    let is_old = |file: &DirEntry, source: bool| {
        let modified = file.metadata().and_then(|data| data.modified());
        let before = if source {
            opened.sources
        } else {
            opened.artefacts
        };
        // A file that is gone by now needs no removal.
        modified.is_ok_and(|modified| modified <= before)
    };
    let mut visit = |file: &DirEntry, name: Name, source: bool| match name {
        Name::Object(digest) => match live.get_mut(&digest) {
            Some(seen) => *seen |= source,
            None if is_old(file, source) => drop(found.digests.insert(digest)),
            None => {}
        },
        Name::Temporary if is_old(file, source) => found.temporaries.push(file.path()),
        Name::Temporary => {}
    };
    let sources = places.sources.join("source");
    for_each_file(&sources, stopped, &mut |file, name| visit(file, name, true))?;
    for engine in directories(&places.artefacts.join("artefact"))? {
        if !is_aside(&engine) {
            let path = engine.path();
            for_each_file(&path, stopped, &mut |file, name| visit(file, name, false))?;
        }
    }
    if !stopped() {
        let unseen = live.into_iter().filter(|(_, seen)| !seen);
        found.missing = unseen.map(|(digest, _)| digest).collect();
    }
    Ok(found)
}

/// `true` if any source is stored under `objects`. Blocking.
pub(crate) fn holds_sources(objects: &Path) -> Result<bool, Error> {
    let mut found = false;
    for_each_file(&objects.join("source"), &|| false, &mut |_, name| {
        found |= matches!(name, Name::Object(_));
    })?;
    Ok(found)
}

enum Name {
    Object([u8; 32]),
    /// A file that `object_store` writes before it renames: `<digest>#<number>`.
    Temporary,
}

impl Name {
    fn read(name: &str) -> Option<Name> {
        let (digest, number) = name
            .split_once('#')
            .map_or((name, None), |(digest, number)| (digest, Some(number)));
        let object = Name::Object(unhex(digest)?);
        match number {
            None => Some(object),
            Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(Name::Temporary)
            }
            Some(_) => None,
        }
    }
}

/// Reads the digest that is a file's name.
pub(crate) fn unhex(name: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    hex::decode_to_slice(name, &mut digest).ok()?;
    Some(digest)
}

/// Calls `visit` for each file `<base>/<two digits>/<digest>` that the store can have written, until `stopped`.
fn for_each_file(
    base: &Path,
    stopped: &dyn Fn() -> bool,
    visit: &mut dyn FnMut(&DirEntry, Name),
) -> Result<(), Error> {
    for shard in directories(base)? {
        if stopped() {
            break;
        }
        for entry in entries(&shard.path())? {
            if let Some(name) = entry.file_name().to_str().and_then(Name::read) {
                visit(&entry, name);
            }
        }
    }
    Ok(())
}

fn is_aside(directory: &DirEntry) -> bool {
    directory
        .file_name()
        .as_encoded_bytes()
        .ends_with(ASIDE.as_bytes())
}

/// The directories of engines that were used neither last nor recently.
fn expired(artefacts: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut engines = Vec::new();
    for engine in directories(artefacts)? {
        if is_aside(&engine) {
            continue;
        }
        let used = engine
            .metadata()
            .and_then(|data| data.modified())
            .map_err(Error::at(&engine.path()))?;
        engines.push((used, engine.path()));
    }
    engines.sort();
    engines.pop(); // the one used last
    let now = SystemTime::now();
    // A time in the future means that the clock was set back: not old.
    engines.retain(|(used, _)| now.duration_since(*used).is_ok_and(|age| age > UNUSED));
    Ok(engines.into_iter().map(|(_, path)| path).collect())
}

fn directories(path: &Path) -> Result<Vec<DirEntry>, Error> {
    let mut found = entries(path)?;
    found.retain(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    Ok(found)
}

fn entries(path: &Path) -> Result<Vec<DirEntry>, Error> {
    fs::read_dir(path)
        .and_then(Iterator::collect::<io::Result<_>>)
        .map_err(Error::at(path))
}
