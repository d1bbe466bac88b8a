//! Tests of the store from outside, with real files in temporary directories; one file for each guarantee.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "clippy.toml allows these in tests, but not in code that tests share"
)]

mod api_keys;
mod artefacts;
mod batches;
mod call_log;
mod calls;
mod changes;
mod ephemeral;
mod failures;
mod failures_rows;
mod functions;
mod job_leases;
mod job_queues;
mod jobs;
mod jobs_room;
mod kill;
mod kill_jobs;
mod kill_rows;
mod kill_secrets;
mod many;
mod names;
mod opening;
mod outbound;
mod outbound_limits;
mod races;
mod recordings;
mod rollout;
mod rotation;
mod schedules;
mod secrets;
mod sources;
mod speed;
mod speed_rows;
mod upgrade_names;
mod upgrades;
mod values;
mod versions;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use iof_store::{NewFunction, NewVersion, Store};
use sha2::{Digest as _, Sha256};
use sqlx::{Connection as _, SqliteConnection};

/// A data directory that is removed when the test ends.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    async fn open(&self) -> Store {
        Store::open(&self.data()).await.unwrap()
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

/// A connection to the database, as another program has it.
async fn outside(home: &Home) -> SqliteConnection {
    SqliteConnection::connect(&format!(
        "sqlite://{}",
        home.data().join("iof.db").display()
    ))
    .await
    .unwrap()
}

/// The number that `query` returns, from outside the store.
async fn count(home: &Home, query: &'static str, about: i64) -> i64 {
    let mut outside = outside(home).await;
    let found = sqlx::query_scalar(query).bind(about);
    found.fetch_one(&mut outside).await.unwrap()
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
