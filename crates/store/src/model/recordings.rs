//! A recording of a call.

use std::fmt;

use bytes::Bytes;
use uuid::Uuid;

/// A call with what is needed to run it again.
#[derive(Clone, PartialEq, Eq)]
pub struct Recording {
    /// The id of the call.
    pub call: Uuid,
    /// The function.
    pub function_id: i64,
    /// The number of the version that ran.
    pub version: i64,
    /// The time at which the call began, in Unix milliseconds.
    pub at: i64,
    /// `ok`, or the code of its fault.
    pub outcome: String,
    /// The recorded call, as the server needs it. Opaque to the store.
    pub data: Bytes,
}

/// Omits the data of the function's callers.
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

/// A recording as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingHead {
    /// The id of the call.
    pub call: Uuid,
    /// The function.
    pub function_id: i64,
    /// The number of the version that ran.
    pub version: i64,
    /// The time at which the call began, in Unix milliseconds.
    pub at: i64,
    /// `ok`, or the code of its fault.
    pub outcome: String,
    /// Bytes of its data.
    pub size: u64,
}

/// The limits of recordings. All apply at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordingLimits {
    /// The number of recordings that are kept of each function, the newest.
    pub per_function: u32,
    /// The most bytes of the data of all recordings, of which the newest are kept.
    pub total_bytes: u64,
    /// The least start of a recorded call, in Unix milliseconds.
    pub from: i64,
}
