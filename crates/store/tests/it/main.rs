//! Tests of the store from outside, with real files in temporary directories; one file for each guarantee.
//! Those of `mod postgres` are compiled a second time, for that database.
#![allow(
    clippy::duplicate_mod,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests of rows are compiled once for each database; clippy.toml allows the others in tests, but not in code that tests share"
)]

#[allow(unreachable_pub, reason = "the harness of other tests has it, too")]
#[path = "../../../../tests/src/postgres.rs"]
mod cluster;
mod fleet;

mod postgres;
mod sqlite;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use iof_store::{Error, NewFunction, NewVersion, Store, StoreSettings};
use sha2::{Digest as _, Sha256};
use sqlx::Connection as _;

/// A data directory that is removed when the test ends, and the settings of its store.
struct Folder {
    folder: tempfile::TempDir,
    settings: StoreSettings,
}

impl Folder {
    fn new(settings: StoreSettings) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            settings,
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    async fn attempt(&self) -> Result<Store, Error> {
        Store::open_with(&self.data(), &self.settings).await
    }

    async fn open(&self) -> Store {
        self.attempt().await.unwrap()
    }

    /// The store as it is, or closed and opened again.
    async fn again(&self, store: &Store, reopened: bool) -> Store {
        if !reopened {
            return store.clone();
        }
        store.close().await.unwrap();
        self.open().await
    }

    fn objects(&self, kind: &str) -> PathBuf {
        self.data().join("objects").join(kind)
    }

    fn source(&self, sha256: [u8; 32]) -> PathBuf {
        let name = hex(&sha256);
        self.objects("source").join(&name[..2]).join(name)
    }

    fn artefact(&self, fingerprint: &str, sha256: [u8; 32]) -> PathBuf {
        let name = hex(&sha256);
        self.objects("artefact")
            .join(fingerprint)
            .join(&name[..2])
            .join(name)
    }
}

fn digest(source: &[u8]) -> [u8; 32] {
    Sha256::digest(source).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(bytes: Bytes) -> String {
    String::from_utf8(bytes.into()).unwrap()
}

fn version(source: impl AsRef<[u8]>) -> NewVersion {
    let source = Bytes::copy_from_slice(source.as_ref());
    NewVersion {
        sha256: digest(&source),
        source,
        legacy_sha256: "0x00".into(),
        kind: "bindgen".into(),
        manifest: r#"{"exports":["say"]}"#.into(),
        declaration: None,
    }
}

fn function(source: impl AsRef<[u8]>) -> NewFunction {
    NewFunction {
        name: None,
        description: "a function".into(),
        private: false,
        version: version(source),
    }
}

/// All files under `dir`, sorted.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
