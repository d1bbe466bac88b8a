//! The sweep of a start: it removes everything in the object directories that no row vouches for.
//!
//! An upload writes its object first and its row last, so a process killed in between leaves an object (or a temporary
//! file) that nobody was promised. The next start removes them, before anything else can happen: it owns the directory,
//! so whatever no row names is garbage and not an upload under way. Sweeping in the background was rejected, because it
//! would have to be told apart from uploads, to save the tens of milliseconds that it takes with 10,000 functions.
//!
//! Artefacts go when their source goes. Those of an engine that this host no longer runs go 30 days after it last did
//! (so that going back a release does not compile everything again); those of the engine used last never do.
//!
//! Only names that the store itself writes are ever removed; a file that an operator put there stays.

use std::collections::HashSet;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::Error;
use crate::objects::hex;

/// The time that artefacts outlive the last use of their engine.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Removes what no digest in `live` vouches for. Blocking.
pub(crate) fn sweep(objects: &Path, live: &HashSet<[u8; 32]>) -> Result<(), Error> {
    let live: HashSet<String> = live.iter().map(|sha256| hex(sha256)).collect();
    let sources = objects.join("source");
    let mut seen = 0;
    let mut removed = 0;
    for_each_file(&sources, &mut |path, name| {
        match name {
            Name::Object(digest) if live.contains(digest) => seen += 1,
            Name::Object(_) | Name::Temporary => removed += remove(path)?,
        }
        Ok(())
    })?;
    if seen < live.len() {
        tracing::error!(
            missing = live.len() - seen,
            "sources of stored versions are missing; calls of them fail until they are restored or uploaded again"
        );
    }

    let artefacts = objects.join("artefact");
    for engine in expired(&artefacts)? {
        tracing::info!(engine = %engine.display(), "removing compiled code of an engine unused for 30 days");
        iof_scratch::remove_tree(&engine).map_err(Error::at(&engine))?;
    }
    for engine in directories(&artefacts)? {
        for_each_file(&engine.path(), &mut |path, name| {
            if !matches!(name, Name::Object(digest) if live.contains(digest)) {
                removed += remove(path)?;
            }
            Ok(())
        })?;
    }
    if removed > 0 {
        tracing::info!(removed, "removed files that no stored version refers to");
    }
    Ok(())
}

/// `true` if any source is stored under `objects`. Blocking.
pub(crate) fn holds_sources(objects: &Path) -> Result<bool, Error> {
    let mut found = false;
    for_each_file(&objects.join("source"), &mut |_, name| {
        found |= matches!(name, Name::Object(_));
        Ok(())
    })?;
    Ok(found)
}

enum Name<'a> {
    /// A digest in hexadecimal.
    Object(&'a str),
    /// A file that `object_store` writes before it renames: `<digest>#<number>`.
    Temporary,
}

/// Calls `visit` for each file `<base>/<two digits>/<digest>` that the store can have written.
fn for_each_file(
    base: &Path,
    visit: &mut dyn FnMut(&Path, Name<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    for shard in directories(base)? {
        let shard = shard.path();
        for entry in entries(&shard)? {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let (digest, number) = name
                .split_once('#')
                .map_or((name, None), |(digest, number)| (digest, Some(number)));
            if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                continue;
            }
            match number {
                None => visit(&entry.path(), Name::Object(digest))?,
                Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                    visit(&entry.path(), Name::Temporary)?;
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}

/// The directories of engines that were used neither last nor lately.
fn expired(artefacts: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut engines = Vec::new();
    for engine in directories(artefacts)? {
        let used = engine
            .metadata()
            .and_then(|data| data.modified())
            .map_err(Error::at(&engine.path()))?;
        engines.push((used, engine.path()));
    }
    engines.sort();
    engines.pop(); // the one used last
    let now = SystemTime::now();
    // A time in the future is a clock that was set back: not old.
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

fn remove(path: &Path) -> Result<u64, Error> {
    fs::remove_file(path).map_err(Error::at(path))?;
    Ok(1)
}
