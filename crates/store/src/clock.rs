//! The clock of rows.

use std::time::{SystemTime, UNIX_EPOCH};

/// The current time, in Unix milliseconds.
pub(crate) fn unix_ms() -> i64 {
    // A clock before 1970 or after the year 292 million is recorded as it is: that is not a reason to fail an upload.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
}
