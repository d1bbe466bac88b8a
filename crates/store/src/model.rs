//! The shapes that go in and out: what a deployer hands over, what a call needs, and what is remembered of it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::{Canary, Key, KeyHash, Percent};

/// A function to be created, with its first version.
#[derive(Debug, Clone)]
pub struct NewFunction {
    /// Another way to it than its number: a lower-case letter and up to 62 lower-case letters, digits and hyphens, of
    /// which a hyphen is not the last. It never changes.
    pub name: Option<String>,
    /// Free text.
    pub description: String,
    /// Whether callers need a usage key.
    pub private: bool,
    /// What it runs.
    pub version: NewVersion,
}

/// One uploaded module and what the host found out about it.
#[derive(Debug, Clone)]
pub struct NewVersion {
    /// The module, as it was uploaded.
    pub source: Bytes,
    /// SHA-256 of `source`. The store checks it: a source under a wrong name could never be read back.
    pub sha256: [u8; 32],
    /// The digest that the Second State API shows: `0x` and the SHA-256 of the bytes written as comma-joined decimals.
    pub legacy_sha256: String,
    /// How the host talks to the module: `bindgen`, `wasi-command`, `http`, `typed`. Opaque to the store.
    pub kind: String,
    /// JSON that the engine and the server agree on. Opaque to the store.
    pub manifest: String,
    /// What the version is granted, as JSON; `None`: it came without saying. Opaque to the store.
    pub declaration: Option<String>,
}

/// The answer to a creation, and the only time that its keys exist in the clear.
#[derive(Debug, Clone)]
pub struct Created {
    /// The function's number. Ascending, never used again.
    pub wasm_id: i64,
    /// Its first version.
    pub version: VersionId,
    /// That version's place in the function.
    pub number: i64,
    /// Changes and deletes the function.
    pub admin_key: Key,
    /// Calls the function; `None` when it is public.
    pub usage_key: Option<Key>,
}

/// The answer to a further version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uploaded {
    /// Its name across all functions.
    pub id: VersionId,
    /// Its place in its function: one more than the largest before it.
    pub number: i64,
}

/// Names a version across all functions: a UUIDv7, so that versions sort by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersionId(Uuid);

impl VersionId {
    pub(crate) fn now() -> Self {
        Self(Uuid::now_v7())
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Uuid::parse_str(text).ok().map(Self)
    }

    /// The identifier itself.
    #[must_use]
    pub fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Everything that a call of a function needs, read at one moment by one query.
#[derive(Clone)]
pub struct Function {
    /// The function's number.
    pub wasm_id: i64,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Free text.
    pub description: String,
    /// The state that the Second State API keeps for it; `{}` at first. Any text.
    pub state: String,
    /// Names the function's own storage, which its guests see as `storage_key`: 32 hexadecimal digits.
    pub storage_key: String,
    /// The stored callback, JSON text; `{}` at first.
    pub callback: String,
    /// Recognises the usage key; `None`: the function is public.
    pub usage_key_hash: Option<KeyHash>,
    /// Recognises the admin key.
    pub admin_key_hash: KeyHash,
    /// When it was created, in Unix milliseconds.
    pub created_at: i64,
    /// What it runs now.
    pub version: Version,
    /// What a share of its calls runs instead.
    pub canary: Option<Canary>,
}

/// Leaves out what belongs to the function's owner: state, callback and storage key do not belong in a log.
impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function")
            .field("wasm_id", &self.wasm_id)
            .field("name", &self.name)
            .field("description", &self.description)
            .field("private", &self.usage_key_hash.is_some())
            .field("version", &self.version)
            .field("canary", &self.canary)
            .finish_non_exhaustive()
    }
}

/// What a list shows of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The function's number.
    pub wasm_id: i64,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Free text.
    pub description: String,
    /// Whether callers need a usage key.
    pub private: bool,
    /// When it was created, in Unix milliseconds.
    pub created_at: i64,
    /// The number of the active version.
    pub version: i64,
    /// How many versions there are.
    pub versions: u64,
    /// The number of the version that a share of the calls runs instead, and that share.
    pub canary: Option<(i64, Percent)>,
    /// All calls ever.
    pub invocations: u64,
}

/// One immutable version of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its name across all functions.
    pub id: VersionId,
    /// Its place in its function: 1, 2, 3…
    pub number: i64,
    /// SHA-256 of the source; what [`Store::source`](crate::Store::source) takes.
    pub sha256: [u8; 32],
    /// The digest that the Second State API shows.
    pub legacy_sha256: String,
    /// Bytes of the source.
    pub size: u64,
    /// How the host talks to the module.
    pub kind: String,
    /// JSON that the engine and the server agree on.
    pub manifest: String,
    /// What it was granted, JSON text; `None`: it was uploaded without saying.
    pub declaration: Option<String>,
    /// When it was uploaded, in Unix milliseconds.
    pub created_at: i64,
}

/// What became of a value that is bounded by a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a value that does not fit was not saved"]
pub enum Saved {
    /// It is on the disk.
    Done,
    /// It does not fit; nothing was changed.
    Full,
}

/// Calls of one function, to be counted together and to be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls {
    /// The function.
    pub wasm_id: i64,
    /// How many.
    pub invocations: u64,
    /// What they cost together, in nanoseconds.
    pub guest_ns: u64,
    /// What the last of them cost.
    pub latest_ns: u64,
    /// The last of them, oldest first. There may have been more than these.
    pub newest: Vec<Call>,
}

/// One call, as it goes into the log.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// When it came, in Unix milliseconds.
    pub called_at: i64,
    /// The function's state at that time; shared, because a burst of calls finds the same.
    pub state: Arc<str>,
    /// JSON that the server understands. Opaque to the store.
    pub record: String,
    /// What it cost, in nanoseconds.
    pub guest_ns: u64,
}

/// One call, as the log holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct LoggedCall {
    /// Its number among all calls of all functions. Ascending, never used again.
    pub log_id: i64,
    /// The function.
    pub wasm_id: i64,
    /// When it came, in Unix milliseconds.
    pub called_at: i64,
    /// The function's state at that time.
    pub state: String,
    /// JSON that the server understands.
    pub record: String,
    /// What it cost, in nanoseconds.
    pub guest_ns: u64,
}

/// Leaves out what belongs to the function's owner and its callers.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("called_at", &self.called_at)
            .field("guest_ns", &self.guest_ns)
            .finish_non_exhaustive()
    }
}

/// Leaves out what belongs to the function's owner and its callers.
impl fmt::Debug for LoggedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoggedCall")
            .field("log_id", &self.log_id)
            .field("wasm_id", &self.wasm_id)
            .field("called_at", &self.called_at)
            .field("guest_ns", &self.guest_ns)
            .finish_non_exhaustive()
    }
}

/// What a function used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// All calls ever.
    pub invocations: u64,
    /// What they cost together, in nanoseconds.
    pub guest_ns: u64,
    /// What the last of them cost.
    pub latest_ns: u64,
    /// Of the calls that are still in the log: the Unix seconds in which any came, ascending, and what those cost.
    pub seconds: Vec<(i64, u64)>,
}
