//! Headers that belong to the host: those of a message's framing, of its connection, and of the form of its response.

use http::header::{self, HeaderName};

/// Headers of framing and of connections. `content-length` is a separate case; `proxy-*` is
/// recognised by its prefix.
const FRAMING: [&str; 10] = [
    "connection",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "alt-used",
];

/// Headers that ask for a form of the response. A response that may repeat a secret must come whole and unencoded: a
/// search finds nothing in an encoding, and a part may be a part of the secret. A server is free to ignore `Range` (RFC
/// 9110 section 14.2), so clients that send it understand a whole response.
pub const RESPONSE_FORM: [HeaderName; 3] =
    [header::ACCEPT_ENCODING, header::IF_RANGE, header::RANGE];

/// Returns whether the HTTP client sets a header itself.
pub fn is_framing(name: &HeaderName) -> bool {
    FRAMING.contains(&name.as_str()) || name.as_str().starts_with("proxy-")
}

/// Returns whether the host controls a header of a request that carries a secret.
pub(crate) fn is_reserved(name: &HeaderName) -> bool {
    is_framing(name) || *name == header::CONTENT_LENGTH || RESPONSE_FORM.contains(name)
}
