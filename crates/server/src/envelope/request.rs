//! The head of a request, as a function sees it.
//!
//! A function sees what its caller sent to it, but nothing that is meant for this server: neither the key that
//! authorised the call, nor the cookies of this origin, nor the headers of the connection.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, COOKIE, EXPECT,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Serialize;
use std::borrow::Cow;

/// A request to a function, without its body.
#[derive(Clone, Copy)]
pub(crate) struct SentHead<'a> {
    pub(crate) method: &'a Method,
    /// The path below the call, as it was sent: empty, or beginning with a slash.
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
}

#[derive(Serialize)]
struct Head<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    headers: Vec<(&'a str, Cow<'a, str>)>,
}

/// Headers that no function sees: those of the connection (RFC 9110, section 7.6.1), those of a body that the server
/// decoded, and the cookies of this origin, which do not belong to the function.
const HIDDEN: [HeaderName; 13] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    CONTENT_LENGTH,
    CONTENT_ENCODING,
    EXPECT,
    COOKIE,
];

/// Prefixes of this server's own headers: keys of both APIs, and headers that direct a call.
const OURS: [&str; 3] = ["iof-", "ssvm-", "ssvm_"];

/// Writes the head of a request. `hides_key` is true if its `Authorization` contains a key of this server.
pub(crate) fn head(sent: SentHead<'_>, hides_key: bool) -> Vec<u8> {
    let head = Head {
        method: sent.method.as_str(),
        path: sent.path,
        query: sent.query,
        headers: shown(sent.headers, hides_key),
    };
    // The JSON of texts cannot fail.
    serde_json::to_vec(&head).unwrap_or_default()
}

fn shown(headers: &HeaderMap, hides_key: bool) -> Vec<(&str, Cow<'_, str>)> {
    let is_shown =
        |name: &HeaderName| !HIDDEN.contains(name) && is_for_function(headers, name, hides_key);
    let shown = headers.iter().filter(|(name, _)| is_shown(name));
    shown
        .map(|(name, value)| (name.as_str(), text(value)))
        .collect()
}

/// The headers of a request whose body the function reads as it was sent; they include the body's length and coding.
pub(crate) fn shown_whole(headers: &HeaderMap, hides_key: bool) -> HeaderMap {
    let of_body = [CONTENT_LENGTH, CONTENT_ENCODING];
    let is_shown = |name: &HeaderName| {
        (!HIDDEN.contains(name) || of_body.contains(name))
            && is_for_function(headers, name, hides_key)
    };
    let shown = headers.iter().filter(|(name, _)| is_shown(name));
    shown
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Returns whether a header belongs neither to this server nor to the connection.
fn is_for_function(headers: &HeaderMap, name: &HeaderName, hides_key: bool) -> bool {
    !(OURS.iter().any(|ours| name.as_str().starts_with(ours))
        || (hides_key && *name == AUTHORIZATION)
        || is_of_connection(headers, name))
}

/// Returns whether `Connection` names this header.
fn is_of_connection(headers: &HeaderMap, name: &HeaderName) -> bool {
    let named = headers.get_all(CONNECTION).iter();
    let mut named = named
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    named.any(|word| word.trim().eq_ignore_ascii_case(name.as_str()))
}

/// A value as text: UTF-8, or else ISO-8859-1, the meaning of other bytes in a header (RFC 9110, section 5.5).
fn text(value: &HeaderValue) -> Cow<'_, str> {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => value.as_bytes().iter().copied().map(char::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    fn seen(headers: &[(&'static str, &[u8])], hides_key: bool) -> Json {
        let headers = headers.iter().map(|(name, value)| {
            let value = HeaderValue::from_bytes(value).unwrap();
            (HeaderName::from_static(name), value)
        });
        let sent = SentHead {
            method: &Method::POST,
            path: "/below",
            query: "a=%20",
            headers: &headers.collect(),
        };
        let head = head(sent, hides_key);
        serde_json::from_slice(&head).unwrap()
    }

    #[test]
    fn what_was_sent_to_the_function_is_shown() {
        let sent: &[(_, &[u8])] = &[
            ("x-hub-signature-256", b"sha256=00"),
            ("authorization", b"Basic dTpw"),
            ("x-latin", b"caf\xe9"),
            ("x-text", "caf\u{e9}".as_bytes()),
        ];
        assert_eq!(
            seen(sent, false),
            json!({
                "method": "POST", "path": "/below", "query": "a=%20",
                "headers": [
                    ["x-hub-signature-256", "sha256=00"], ["authorization", "Basic dTpw"],
                    ["x-latin", "caf\u{e9}"], ["x-text", "caf\u{e9}"],
                ],
            })
        );
    }

    #[test]
    fn what_was_sent_to_the_server_is_not() {
        let sent: &[(_, &[u8])] = &[
            ("authorization", b"Bearer k"),
            ("iof-key", b"k"),
            ("ssvm_usage_key", b"k"),
            ("ssvm-admin-key", b"k"),
            ("cookie", b"a=b"),
            ("connection", b"close, X-Hop"),
            ("x-hop", b"1"),
            ("content-length", b"3"),
            ("content-encoding", b"gzip"),
            ("transfer-encoding", b"chunked"),
            ("proxy-authorization", b"Basic k"),
        ];
        assert_eq!(seen(sent, true)["headers"], json!([]));
    }
}
