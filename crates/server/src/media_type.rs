//! Content types of requests and answers (RFC 9110, section 8.3).

use http::{HeaderMap, header};

/// The content type, as it was sent; empty if there is none.
pub(crate) fn of(headers: &HeaderMap) -> &str {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// The essence of the content type, without parameters and in lower case: `text/plain` of `Text/Plain; charset=utf-8`.
pub(crate) fn essence(headers: &HeaderMap) -> String {
    essence_of(of(headers))
}

/// The essence of this content type.
pub(crate) fn essence_of(content_type: &str) -> String {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}
