//! Times as rows and answers have them: milliseconds of the Unix epoch, and RFC 3339 in UTC.

use humantime_serde::re::humantime;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The Unix milliseconds of a time; 0 for a time before 1970.
pub(crate) fn unix_ms(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The Unix milliseconds of this moment.
pub(crate) fn unix_ms_now() -> i64 {
    unix_ms(SystemTime::now())
}

/// The Unix milliseconds of the moment that is so long ago.
pub(crate) fn unix_ms_before(age: Duration) -> i64 {
    unix_ms(SystemTime::now().checked_sub(age).unwrap_or(UNIX_EPOCH))
}

/// The Unix milliseconds of a time in RFC 3339, in UTC; `None` if it is not one, or before 1970.
pub(crate) fn unix_ms_of(text: &str) -> Option<i64> {
    let at = humantime::parse_rfc3339(text).ok()?;
    let since = at.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

/// A time in RFC 3339, in UTC: `2026-11-23T07:30:19.123Z`.
pub(crate) fn time(unix_ms: i64) -> String {
    let since = Duration::from_millis(u64::try_from(unix_ms).unwrap_or(0));
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}
