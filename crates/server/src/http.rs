//! HTTP functions that all surfaces share: content types, query parameters, beginnings of texts.

use http::{HeaderMap, header};

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

/// The beginning of a text that a client sent, for messages.
pub(crate) fn truncate(text: &str) -> String {
    text.chars().take(100).collect()
}
