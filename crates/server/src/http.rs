//! HTTP functions that all surfaces share: content types, query parameters, hexadecimal digits, times.

use http::{HeaderMap, header};
use std::fmt::Write;

/// The content type of a request as it was sent; empty if there is none or it is not ASCII.
pub(crate) fn content_type(headers: &HeaderMap) -> &str {
    let content_type = headers.get(header::CONTENT_TYPE);
    content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// The content type of a request without its parameters, in lower case.
pub(crate) fn essence(headers: &HeaderMap) -> String {
    essence_of(content_type(headers))
}

/// A content type without its parameters, in lower case.
pub(crate) fn essence_of(content_type: &str) -> String {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// The first parameter of this name in a query.
pub(crate) fn query_value(query: Option<&str>, wanted: &str) -> Option<String> {
    url::form_urlencoded::parse(query?.as_bytes())
        .find(|(name, _)| name == wanted)
        .map(|(_, value)| value.into_owned())
}

/// Bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The beginning of a text that a client sent, for messages.
pub(crate) fn truncate(text: &str) -> String {
    text.chars().take(100).collect()
}

/// The Unix milliseconds of this moment.
pub(crate) fn unix_ms_now() -> i64 {
    crate::outbound_log::unix_ms(std::time::SystemTime::now())
}

/// The Unix milliseconds of a time in RFC 3339, in UTC; `None` if it is not one, or before 1970.
pub(crate) fn unix_ms_of(text: &str) -> Option<i64> {
    let at = humantime_serde::re::humantime::parse_rfc3339(text).ok()?;
    let since = at.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

/// A time in RFC 3339, in UTC.
pub(crate) fn time(unix_ms: i64) -> String {
    let since = std::time::Duration::from_millis(u64::try_from(unix_ms).unwrap_or(0));
    humantime_serde::re::humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + since).to_string()
}
