//! Module sources and compiled artefacts, as objects under `<data>/objects`.
//!
//! Sources are acknowledged data, so each is flushed to the disk, with its directory, before its row is written
//! (`LocalFileSystem::with_fsync`, which `object_store` has had since 0.14). Artefacts can always be rebuilt, and their
//! seal shows a truncated one, so they are not flushed: a deploy does not wait for the disk to write megabytes of
//! machine code that can be made again.
//!
//! Objects are named by the digest of the source. An upload always writes its object, even if one of that name exists:
//! the rename replaces it whole, costs no more than a check would, and repairs a damaged one.

use parking_lot::Mutex;
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use sha2::{Digest as _, Sha256};

use crate::directory::ObjectPlaces;
use crate::error::Error;
use crate::seal::Seal;

pub(crate) struct Objects {
    /// The store that flushes each write.
    durable: Arc<dyn ObjectStore>,
    /// The store of artefacts, which does not wait for the disk.
    relaxed: Arc<dyn ObjectStore>,
    seal: Arc<Seal>,
    /// The directory of artefacts.
    root: PathBuf,
    /// Fingerprints that this process has already marked.
    marked: Mutex<HashSet<String>>,
}

impl Objects {
    /// Opens the objects. Blocking.
    pub(crate) fn open(places: &ObjectPlaces, artefact_key: [u8; 32]) -> Result<Self, Error> {
        let sources = LocalFileSystem::new_with_prefix(&places.sources)?;
        Ok(Self {
            durable: Arc::new(sources.with_fsync(true)),
            relaxed: Arc::new(LocalFileSystem::new_with_prefix(&places.artefacts)?),
            seal: Arc::new(Seal::new(artefact_key)),
            root: places.artefacts.clone(),
            marked: Mutex::default(),
        })
    }

    /// Returns once the source is on the disk under its name.
    pub(crate) async fn put_source(&self, sha256: [u8; 32], source: Bytes) -> Result<(), Error> {
        let checked = source.clone();
        let actual = blocking(move || Ok(digest(&checked))).await?;
        if actual != sha256 {
            let (stated, found) = (hex::encode(sha256), hex::encode(actual));
            return Err(Error::Invalid {
                what: format!("the digest of the source is not {stated}: got {found}"),
            });
        }
        self.durable
            .put(&source_path(&sha256), source.into())
            .await?;
        Ok(())
    }

    pub(crate) async fn source(&self, sha256: [u8; 32]) -> Result<Option<Bytes>, Error> {
        let Some(source) = get(&*self.durable, &source_path(&sha256)).await? else {
            return Ok(None);
        };
        let checked = source.clone();
        if blocking(move || Ok(digest(&checked))).await? == sha256 {
            return Ok(Some(source));
        }
        Err(Error::Damaged {
            what: format!("source {}", hex::encode(sha256)),
            detail: format!(
                "its {} bytes have another digest. Restore the file from a backup, or upload the module again",
                source.len()
            ),
        })
    }

    pub(crate) async fn put_artefact(
        &self,
        fingerprint: &str,
        sha256: [u8; 32],
        code: Vec<u8>,
    ) -> Result<(), Error> {
        let path = artefact_path(fingerprint, &sha256)?;
        let (seal, engine) = (self.seal.clone(), fingerprint.to_owned());
        let file = blocking(move || Ok(seal.close(&engine, &sha256, &code))).await?;
        self.relaxed.put(&path, file.into()).await?;
        self.mark(fingerprint).await;
        Ok(())
    }

    /// Passes an artefact to `work`. A call of an unloaded function waits for it, so it is read, checked and processed
    /// in one step, on one thread.
    pub(crate) async fn artefact<T: Send + 'static>(
        &self,
        fingerprint: &str,
        sha256: [u8; 32],
        work: impl FnOnce(&[u8]) -> T + Send + 'static,
    ) -> Result<Option<T>, Error> {
        let path = artefact_path(fingerprint, &sha256)?;
        let file = self.root.join(path.as_ref());
        let (seal, engine) = (self.seal.clone(), fingerprint.to_owned());
        #[expect(clippy::disallowed_methods, reason = "on a thread that may block")]
        let read = blocking(move || {
            let file = match std::fs::read(&file) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(Error::at(&file)(error)),
            };
            Ok(Some(seal.open(&engine, &sha256, &file).map(work)))
        });
        match read.await? {
            None => Ok(None),
            Some(None) => {
                tracing::warn!(artefact = %path, "the artefact is truncated, or was not made by this host: removed it, so that it is compiled again");
                remove(&*self.relaxed, &path).await?;
                Ok(None)
            }
            Some(worked) => {
                self.mark(fingerprint).await;
                Ok(worked)
            }
        }
    }

    /// Returns whether a source is there.
    pub(crate) async fn has_source(&self, sha256: [u8; 32]) -> Result<bool, Error> {
        match self.durable.head(&source_path(&sha256)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Moves a source out of the way, where a sweep removes it. Returns `false` if it was not there.
    pub(crate) async fn set_aside(&self, sha256: [u8; 32]) -> Result<bool, Error> {
        let (from, to) = (source_path(&sha256), aside_path(&sha256));
        match self.durable.rename(&from, &to).await {
            Ok(()) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Moves a source back that was moved out of the way.
    pub(crate) async fn put_back(&self, sha256: [u8; 32]) -> Result<(), Error> {
        let (from, to) = (aside_path(&sha256), source_path(&sha256));
        Ok(self.durable.rename(&from, &to).await?)
    }

    /// Removes a source that was moved out of the way, and the artefacts of it.
    pub(crate) async fn remove_aside(&self, sha256: [u8; 32]) -> Result<(), Error> {
        remove(&*self.durable, &aside_path(&sha256)).await?;
        self.remove(sha256).await
    }

    /// Removes a source and its artefacts. The caller has made sure that no version refers to it.
    pub(crate) async fn remove(&self, sha256: [u8; 32]) -> Result<(), Error> {
        remove(&*self.durable, &source_path(&sha256)).await?;
        for engine in self
            .relaxed
            .list_with_delimiter(Some(&Path::from("artefact")))
            .await?
            .common_prefixes
        {
            remove(&*self.relaxed, &sharded(engine, &sha256)).await?;
        }
        Ok(())
    }

    /// Notes, once per process, that an engine's artefacts are in use: the sweep keeps those that were used lately.
    async fn mark(&self, fingerprint: &str) {
        if !self.marked.lock().insert(fingerprint.to_owned()) {
            return;
        }
        let dir = self.root.join("artefact").join(fingerprint);
        let touch = blocking(move || {
            File::open(&dir)
                .and_then(|dir| dir.set_modified(SystemTime::now()))
                .map_err(Error::at(&dir))
        });
        if let Err(error) = touch.await {
            tracing::warn!(fingerprint, %error, "could not mark this engine's artefacts as used; a later start may compile again");
        }
    }
}

async fn get(objects: &dyn ObjectStore, path: &Path) -> Result<Option<Bytes>, Error> {
    match objects.get(path).await {
        Ok(found) => Ok(Some(found.bytes().await?)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn remove(objects: &dyn ObjectStore, path: &Path) -> Result<(), Error> {
    match objects.delete(path).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn source_path(sha256: &[u8; 32]) -> Path {
    sharded(Path::from("source"), sha256)
}

/// The name of a source that is to be removed: that of a temporary file, which a sweep removes.
fn aside_path(sha256: &[u8; 32]) -> Path {
    let source = source_path(sha256);
    Path::from(format!("{source}#0"))
}

/// The file of a source, below the directory of objects.
pub(crate) fn source_file(sha256: &[u8; 32]) -> PathBuf {
    source_path(sha256).as_ref().into()
}

/// The file of an artefact, below the directory of objects.
pub(crate) fn artefact_file(fingerprint: &str, sha256: &[u8; 32]) -> Result<PathBuf, Error> {
    Ok(artefact_path(fingerprint, sha256)?.as_ref().into())
}

/// A fingerprint becomes a directory's name, so it has to be one, on every file system.
fn artefact_path(fingerprint: &str, sha256: &[u8; 32]) -> Result<Path, Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if fingerprint.is_empty()
        || fingerprint.len() > 128
        || fingerprint.starts_with('.')
        || !fingerprint.bytes().all(plain)
    {
        let what = format!(
            "the engine fingerprint is not up to 128 letters, digits, '-', '_' and '.': got {fingerprint:?}"
        );
        return Err(Error::Invalid { what });
    }
    Ok(sharded(Path::from("artefact").join(fingerprint), sha256))
}

/// 256 directories for each kind: 10,000 functions make 40 files in each, and listing one stays cheap.
fn sharded(base: Path, sha256: &[u8; 32]) -> Path {
    let name = hex::encode(sha256);
    base.join(&name[..2]).join(name.as_str())
}

/// Runs work that waits for the disk or hashes megabytes, off the threads that serve requests.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await?
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_cannot_name_another_place() {
        for bad in [
            "",
            ".",
            "..",
            ".hidden",
            "a/b",
            "../source",
            "a\\b",
            "a\0b",
            "é",
            "a b",
            "a#1",
            &"x".repeat(129),
        ] {
            assert_eq!(
                artefact_path(bad, &[0; 32]).unwrap_err().code(),
                "invalid",
                "{bad:?}"
            );
        }
        let path = artefact_path("wasmtime-48.0.8_x86-64", &[0xab; 32]).unwrap();
        assert_eq!(
            path.as_ref(),
            format!("artefact/wasmtime-48.0.8_x86-64/ab/{}", "ab".repeat(32))
        );
    }
}
