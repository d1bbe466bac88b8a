//! Calls, as they are counted and logged.

use std::fmt;
use std::sync::Arc;

/// Calls of one function, to be counted together and to be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls {
    /// The function.
    pub function_id: i64,
    /// Their number.
    pub invocations: u64,
    /// The sum of their costs, in nanoseconds.
    pub guest_ns: u64,
    /// The cost of the last of them, in nanoseconds.
    pub latest_ns: u64,
    /// The last of them, oldest first. There may have been more than these.
    pub newest: Vec<Call>,
}

/// One call, as it goes into the log.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// The time at which it arrived, in Unix milliseconds.
    pub called_at: i64,
    /// The function's state at that time; shared, because the calls of a burst find the same state.
    pub state: Arc<str>,
    /// JSON that the server understands. Opaque to the store.
    pub record: String,
    /// Its cost, in nanoseconds.
    pub guest_ns: u64,
}

/// A call that was refused before its function ran.
#[derive(Clone, PartialEq, Eq)]
pub struct RefusedCall {
    /// The function.
    pub function_id: i64,
    /// The time at which it arrived, in Unix milliseconds.
    pub called_at: i64,
    /// JSON that the server understands. Opaque to the store.
    pub record: String,
}

/// One call, as the log holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct LoggedCall {
    /// Its number among all calls of all functions. Ascending, never used again.
    pub log_id: i64,
    /// The function.
    pub function_id: i64,
    /// The time at which it arrived, in Unix milliseconds.
    pub called_at: i64,
    /// The function's state at that time.
    pub state: String,
    /// JSON that the server understands.
    pub record: String,
    /// Its cost, in nanoseconds.
    pub guest_ns: u64,
}

/// Omits the data of the function's owner and its callers.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("called_at", &self.called_at)
            .field("guest_ns", &self.guest_ns)
            .finish_non_exhaustive()
    }
}

/// Omits the data of the function's owner and its callers.
impl fmt::Debug for RefusedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefusedCall")
            .field("function_id", &self.function_id)
            .field("called_at", &self.called_at)
            .finish_non_exhaustive()
    }
}

/// Omits the data of the function's owner and its callers.
impl fmt::Debug for LoggedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoggedCall")
            .field("log_id", &self.log_id)
            .field("function_id", &self.function_id)
            .field("called_at", &self.called_at)
            .field("guest_ns", &self.guest_ns)
            .finish_non_exhaustive()
    }
}

/// The use of a function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// All calls ever.
    pub invocations: u64,
    /// The sum of their costs, in nanoseconds.
    pub guest_ns: u64,
    /// The cost of the last of them, in nanoseconds.
    pub latest_ns: u64,
    /// The calls that are still in the log: the Unix seconds in which any arrived, ascending, and their cost.
    pub seconds: Vec<(i64, u64)>,
}
