//! Arguments, environment and the message with which the processes of a warden start each other.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::confine::namespaces::Identity;
use crate::feature::Report;
use crate::wire::Plan;

/// The hidden argument. `ps` shows it.
pub(crate) const WARDEN: &str = "--jail-warden";
/// The second argument of a warden's outer process.
pub(crate) const OUTER: &str = "outer";
/// The second argument of its inner process.
pub(crate) const INNER: &str = "inner";

/// The message of the outer process to the inner one, through its standard output.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Handover {
    pub(crate) plan: Plan,
    pub(crate) report: Report,
    pub(crate) identity: Identity,
    /// The scratch directory, without a mount namespace.
    pub(crate) scratch: Option<PathBuf>,
}

/// The environment of a warden. A binary that allocates with mimalloc reserves a gigabyte at once, as memory that
/// counts against a program's limit; a warden needs none of it. Other allocators ignore the variable.
pub(crate) const ALLOCATOR: [(&str, &str); 1] = [("MIMALLOC_ARENA_EAGER_COMMIT", "0")];

/// Duplicates a standard stream's descriptor above the standard ones, closed on `exec`.
pub(crate) fn own(stream: impl AsFd) -> Result<OwnedFd, String> {
    let owned = stream.as_fd().try_clone_to_owned();
    owned.map_err(|error| format!("a standard stream cannot be duplicated: {error}"))
}
