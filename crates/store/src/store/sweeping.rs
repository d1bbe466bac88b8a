//! The task that sweeps the object directories after a start (see [`crate::sweep`]).

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Weak;

use super::Inner;
use crate::directory::ObjectPlaces;
use crate::error::Error;
use crate::objects::blocking;
use crate::rows::Versions as _;
use crate::sweep::{self, Leftovers, Opened};

/// Sweeps until it is done, or until the store is closed or dropped. Failures are logged, and left for the next start.
pub(super) async fn run(store: Weak<Inner>, places: ObjectPlaces, opened: Opened) {
    match sweep(&store, places, opened).await {
        Ok(0) | Err(Error::Closed) => {}
        Ok(removed) => {
            tracing::info!(removed, "removed files that no stored version refers to");
        }
        Err(error) => {
            tracing::warn!(%error, "the leftovers of interrupted uploads could not be removed; the next start tries again");
        }
    }
}

async fn sweep(store: &Weak<Inner>, places: ObjectPlaces, opened: Opened) -> Result<usize, Error> {
    let live = open(store)?.rows.sources().await?;
    let found = {
        let (store, places) = (store.clone(), places.clone());
        blocking(move || sweep::find(&places, live, opened, &|| open(&store).is_err())).await?
    };
    let Leftovers {
        digests,
        temporaries,
        mut missing,
    } = found;
    let removed = digests.len() + temporaries.len();
    for digest in digests {
        let inner = open(store)?;
        let _alone = inner.uploads.write().await;
        inner.remove_unused(digest).await?;
    }
    if !temporaries.is_empty() {
        let inner = open(store)?;
        let _alone = inner.uploads.write().await;
        blocking(move || remove_temporaries(&temporaries)).await?;
    }
    blocking(move || sweep::remove_aside(&places.artefacts)).await?;
    if !missing.is_empty() {
        // Some may have been deleted since.
        let live = open(store)?.rows.sources().await?;
        missing.retain(|digest| live.contains(digest));
    }
    if !missing.is_empty() {
        tracing::error!(
            missing = missing.len(),
            "sources of stored versions are missing; calls of them fail until they are restored or uploaded again"
        );
    }
    Ok(removed)
}

/// Removes the temporary files that still exist: a file that was being written has been renamed since.
fn remove_temporaries(temporaries: &[PathBuf]) -> Result<(), Error> {
    for path in temporaries {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::at(path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The store, while it is open.
fn open(store: &Weak<Inner>) -> Result<std::sync::Arc<Inner>, Error> {
    let inner = store.upgrade().ok_or(Error::Closed)?;
    match inner.changes.is_closed() {
        true => Err(Error::Closed),
        false => Ok(inner),
    }
}
