//! The headers that a function may set, and those that survive a redirect.
//!
//! A function chooses the content and the target of a message; its framing and the use of the connection are decided
//! here (RFC 9110 section 7.6.1), or a function could smuggle a second request past the rules inside a first one. A
//! refused header is an error and not silently dropped: the function's author would otherwise debug a server that never
//! saw it.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use iof_policy::headers::{RESPONSE_FORM, is_framing};
use iof_trace::TraceParent;

use crate::{Error, Kind};

/// Headers by which a function authenticates, dropped when a redirect leaves the origin.
const CREDENTIALS: [HeaderName; 2] = [header::AUTHORIZATION, header::COOKIE];

/// Headers that describe a body, dropped with it.
const ABOUT_BODY: [HeaderName; 5] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_LOCATION,
    header::CONTENT_TYPE,
];

/// Headers about the connection, which are wrong for a response that is passed on whole.
const OF_CONNECTION: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Headers that are computed over a body, and wrong once the body is changed.
const OVER_BODY: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("repr-digest"),
];

/// The headers of the context of a trace: <https://www.w3.org/TR/trace-context/>.
pub(crate) const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");

/// Gives a request the context of its trace, in the place of any other.
pub(crate) fn trace(headers: &mut HeaderMap, trace: &TraceParent) {
    headers.remove(TRACE_STATE);
    // Both are plain texts.
    if let Ok(value) = HeaderValue::from_str(&trace.to_string()) {
        headers.insert(TRACE_PARENT, value);
    }
    let state = trace.state.as_deref().map(HeaderValue::from_str);
    if let Some(Ok(value)) = state {
        headers.insert(TRACE_STATE, value);
    }
}

/// Parses a header from text, with the errors that a function should see.
///
/// # Errors
/// [`Kind::Header`], naming the header and never its value.
pub fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Error> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
        Error::new(
            Kind::Header,
            format!("the name of the header is not valid: got {name:?}"),
        )
    })?;
    let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
        Error::new(
            Kind::Header,
            format!(
                "the value of the header {name} contains a line break or another control character"
            ),
        )
    })?;
    Ok((name, value))
}

/// Checks that a function set no header that only the host sets.
pub(crate) fn check_framing(headers: &HeaderMap) -> Result<(), Error> {
    match headers.keys().find(|name| is_framing(name)) {
        None => Ok(()),
        Some(name) => {
            let message = format!("the header {name} is set by the host, not by a function");
            Err(Error::new(Kind::Header, message))
        }
    }
}

/// Checks the headers that a function set. A correct `Content-Length` is accepted, because honest clients compute it.
pub(crate) fn check_request(headers: &HeaderMap, body: usize) -> Result<(), Error> {
    check_framing(headers)?;
    for (name, value) in headers {
        if *name == header::CONTENT_LENGTH {
            let right = value.to_str().is_ok_and(|text| text == body.to_string());
            if !right || headers.get_all(name).iter().count() > 1 {
                return Err(Error::new(
                    Kind::Header,
                    format!("the header content-length is not the length of the body, {body}"),
                ));
            }
        }
    }
    Ok(())
}

/// Removes headers that a function must not set, from those that a program wrote for its own connection.
pub fn drop_framing(headers: &mut HeaderMap) {
    let framing: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_framing(name) || **name == header::CONTENT_LENGTH)
        .cloned()
        .collect();
    for name in framing {
        headers.remove(name);
    }
}

/// Requests the whole response without a content coding.
pub(crate) fn request_identity_encoding(headers: &mut HeaderMap) {
    for name in &RESPONSE_FORM {
        headers.remove(name);
    }
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
}

/// Returns whether a response's body is encoded.
pub(crate) fn is_encoded(headers: &HeaderMap) -> bool {
    [header::CONTENT_ENCODING, header::TRANSFER_ENCODING]
        .into_iter()
        .flat_map(|name| codings(headers, name))
        .any(|coding| !coding.eq_ignore_ascii_case(b"chunked"))
}

/// The codings in the lines of `name`, without `identity`.
pub(crate) fn codings(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    headers
        .get_all(name)
        .into_iter()
        .flat_map(|value| value.as_bytes().split(|&b| b == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
}

/// Corrects headers for a body that was changed to `length` bytes.
pub(crate) fn fit_to_body(headers: &mut HeaderMap, length: usize) {
    OVER_BODY.iter().for_each(|name| drop(headers.remove(name)));
    if headers.contains_key(header::CONTENT_LENGTH) {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
}

/// Corrects headers for a body whose length is not known.
pub(crate) fn fit_to_unknown_body(headers: &mut HeaderMap) {
    OVER_BODY.iter().for_each(|name| drop(headers.remove(name)));
    headers.remove(header::CONTENT_LENGTH);
}

/// The length in `Content-Length`, if it is one number (RFC 9110 section 8.6).
pub(crate) fn declared_length(headers: &HeaderMap) -> Result<Option<u64>, Error> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else {
        return Ok(None);
    };
    let digits = length.as_bytes().iter().all(u8::is_ascii_digit);
    let length = length.to_str().ok().and_then(|text| text.parse().ok());
    match (length, digits, lengths.next()) {
        (Some(length), true, None) => Ok(Some(length)),
        _ => Err(Error::new(
            Kind::Header,
            "the header content-length is not one number",
        )),
    }
}

/// The size of headers as HTTP/1.1 writes them, lines and separators included.
pub(crate) fn size(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum()
}

pub(crate) fn drop_credentials(headers: &mut HeaderMap) {
    CREDENTIALS
        .iter()
        .for_each(|name| drop(headers.remove(name)));
}

pub(crate) fn drop_about_body(headers: &mut HeaderMap) {
    ABOUT_BODY
        .iter()
        .for_each(|name| drop(headers.remove(name)));
}

pub(crate) fn drop_of_connection(headers: &mut HeaderMap) {
    OF_CONNECTION
        .iter()
        .for_each(|name| drop(headers.remove(name)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(name: &str, value: &str) -> Result<(), Error> {
        let mut headers = HeaderMap::new();
        let (name, value) = header(name, value)?;
        headers.append(name, value);
        check_request(&headers, 5)
    }

    /// Item 7.
    #[test]
    fn framing_headers_are_the_hosts() {
        for name in [
            "Host",
            "Connection",
            "Keep-Alive",
            "TE",
            "Trailer",
            "Transfer-Encoding",
            "Upgrade",
            "Expect",
            "HTTP2-Settings",
            "Proxy-Authorization",
            "Proxy-Connection",
            "Proxy-Anything",
        ] {
            let error = checked(name, "s3cret").unwrap_err();
            assert_eq!(error.kind(), Kind::Header, "{name}");
            assert!(error.to_string().contains(&name.to_lowercase()), "{error}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
        for name in [
            "Authorization",
            "Cookie",
            "Accept",
            "User-Agent",
            "X-Proxy-Name",
            "Range",
            "Accept-Encoding",
        ] {
            checked(name, "x").unwrap();
        }
    }

    #[test]
    fn content_length_is_true_or_refused() {
        checked("Content-Length", "5").unwrap();
        for wrong in ["4", "05", "5, 5", "", "-5", "999999999999999999999"] {
            assert_eq!(
                checked("Content-Length", wrong).unwrap_err().kind(),
                Kind::Header,
                "{wrong:?}"
            );
        }
        let mut twice = HeaderMap::new();
        twice.append(header::CONTENT_LENGTH, 5.into());
        twice.append(header::CONTENT_LENGTH, 5.into());
        assert!(check_request(&twice, 5).is_err());
    }

    #[test]
    fn line_breaks_and_nul_are_refused() {
        for value in ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b", "s3cret\n"] {
            let error = header("X-Name", value).unwrap_err();
            assert_eq!(
                error.to_string(),
                "the value of the header x-name contains a line break or another control character"
            );
        }
        for name in ["", "a b", "a:b", "a\r\n", "ä", "a\0"] {
            assert_eq!(
                header(name, "x").unwrap_err().kind(),
                Kind::Header,
                "{name:?}"
            );
        }
        header("X-Name", "käse\tok").unwrap();
    }
}
