//! The types of versions.

use std::fmt;

use bytes::Bytes;
use uuid::Uuid;

/// An uploaded module and its manifest.
#[derive(Debug, Clone)]
pub struct NewVersion {
    /// The module, as it was uploaded.
    pub source: Bytes,
    /// The SHA-256 of `source`. The store checks it: a source under a wrong name could never be read back.
    pub sha256: [u8; 32],
    /// The digest that the Second State API shows: `0x` and the SHA-256 of the bytes written as comma-joined decimals.
    pub legacy_sha256: String,
    /// The kind, which is how the host talks to the module: `bindgen`, `wasi-command`, `http`, `typed`. Opaque to the
    /// store.
    pub kind: String,
    /// JSON that the engine and the server agree on. Opaque to the store.
    pub manifest: String,
    /// The declared grants, as JSON; `None` if there is no declaration. Opaque to the store.
    pub declaration: Option<String>,
}

/// The answer to a further version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uploaded {
    /// The id of the version, unique across all functions.
    pub id: VersionId,
    /// The number of the version in its function: one more than the largest before it.
    pub number: i64,
}

/// The id of a version, unique across all functions: a UUIDv7, so that versions sort by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersionId(Uuid);

impl VersionId {
    pub(crate) fn now() -> Self {
        Self(Uuid::now_v7())
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Uuid::parse_str(text).ok().map(Self)
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One immutable version of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The id of the version, unique across all functions.
    pub id: VersionId,
    /// The number of the version in its function: 1, 2, 3…
    pub number: i64,
    /// The SHA-256 of the source, which [`Store::source`](crate::Store::source) takes.
    pub sha256: [u8; 32],
    /// The digest that the Second State API shows.
    pub legacy_sha256: String,
    /// Bytes of the source.
    pub size: u64,
    /// The kind, which is how the host talks to the module.
    pub kind: String,
    /// JSON that the engine and the server agree on.
    pub manifest: String,
    /// The declared grants, as JSON; `None` if there was no declaration.
    pub declaration: Option<String>,
    /// The time at which it was uploaded, in Unix milliseconds.
    pub created_at: i64,
}

/// A version to be stored.
pub(crate) struct VersionRow {
    pub(crate) id: VersionId,
    pub(crate) sha256: [u8; 32],
    pub(crate) legacy_sha256: String,
    pub(crate) size: i64,
    pub(crate) kind: String,
    pub(crate) manifest: String,
    pub(crate) declaration: Option<String>,
    pub(crate) created_at: i64,
}

/// A version of any function, in a list of the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deploy {
    /// The function.
    pub function_id: i64,
    /// The name of the function.
    pub name: Option<String>,
    /// The number of the version.
    pub number: i64,
    /// The time at which it was added, in Unix milliseconds.
    pub created_at: i64,
    /// True if the function runs it.
    pub active: bool,
}
