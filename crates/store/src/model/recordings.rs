//! A recording of a call.

use std::fmt;

use bytes::Bytes;
use uuid::Uuid;

/// A call, so that it can be run again.
#[derive(Clone, PartialEq, Eq)]
pub struct Recording {
    /// The call.
    pub call: Uuid,
    /// The function.
    pub function_id: i64,
    /// The number of the version that ran.
    pub version: i64,
    /// When the call began, in Unix milliseconds.
    pub at: i64,
    /// `ok`, or the code of its fault.
    pub outcome: String,
    /// The recorded call, as the server needs it. Opaque to the store.
    pub data: Bytes,
}

/// Leaves out what belongs to the function's callers.
impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("call", &self.call)
            .field("function_id", &self.function_id)
            .field("version", &self.version)
            .field("at", &self.at)
            .field("outcome", &self.outcome)
            .field("size", &self.data.len())
            .finish_non_exhaustive()
    }
}

/// A recording as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingHead {
    /// The call.
    pub call: Uuid,
    /// The function.
    pub function_id: i64,
    /// The number of the version that ran.
    pub version: i64,
    /// When the call began, in Unix milliseconds.
    pub at: i64,
    /// `ok`, or the code of its fault.
    pub outcome: String,
    /// Bytes of its data.
    pub size: u64,
}

/// The limits of recordings. All hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordingsKept {
    /// The newest of each function that is written, so many of them.
    pub per_function: u32,
    /// The newest of all functions, as long as their data has no more bytes than this.
    pub total_bytes: u64,
    /// Those of calls that began then or later, in Unix milliseconds.
    pub from: i64,
}
