//! The content of a tape: the host's responses to one call, each kind in its own order.

use crate::blob::Blob;
use serde::{Deserialize, Serialize};

/// The host's responses to one call, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostResponses {
    /// Runs of commands.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<RecordedCommand>,
    /// Values that were loaded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub loads: Vec<RecordedLoad>,
    /// Values that were stored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub saves: Vec<RecordedSave>,
    /// Names of values that were listed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<RecordedList>,
    /// Batches of changes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commits: Vec<RecordedCommit>,
    /// Additions to numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub adds: Vec<RecordedAdd>,
    /// Times of day, in nanoseconds since 1970.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wall_clock: Vec<u64>,
    /// Times of the monotonic clock, in nanoseconds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub monotonic_clock: Vec<u64>,
    /// Random bytes, in the order in which they were drawn.
    #[serde(skip_serializing_if = "Blob::is_empty")]
    pub random: Blob,
}

/// One run of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedCommand {
    /// The name of the command.
    pub name: String,
    /// The arguments of the command.
    pub args: Vec<String>,
    /// The environment of the command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
    /// The stdin of the command.
    #[serde(default, skip_serializing_if = "Blob::is_empty")]
    pub stdin: Blob,
    /// The status that the function saw.
    pub status: i32,
    /// The stdout of the command.
    #[serde(default, skip_serializing_if = "Blob::is_empty")]
    pub stdout: Blob,
    /// The stderr of the command.
    #[serde(default, skip_serializing_if = "Blob::is_empty")]
    pub stderr: Blob,
}

/// One value that was loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedLoad {
    /// The key of the value.
    pub key: Blob,
    /// The value under it, if there was one.
    pub value: Option<Blob>,
}

/// One value that was stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedSave {
    /// The key of the value.
    pub key: Blob,
    /// The value to be stored under the key.
    pub value: Blob,
    /// True if it was stored; false if there was no room.
    pub saved: bool,
}

/// One batch of changes; the values that it stored are among the saves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedCommit {
    /// The batch as the guest wrote it.
    pub batch: Blob,
    /// True if it was committed.
    pub made: bool,
}

/// One addition to a number; the sum is among the saves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedAdd {
    /// The key of the value.
    pub key: Blob,
    /// The number that was added.
    pub delta: i64,
    /// The value of the sum, if there is one.
    pub value: Option<Blob>,
}

/// One page of names of values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedList {
    /// The prefix of the names.
    pub prefix: Blob,
    /// The name after which the page begins.
    pub after: Blob,
    /// The names.
    pub names: Vec<Blob>,
}
