//! A whole request, for a function that takes one.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The request of a call, as its caller sent it: the one argument of a function that answers HTTP itself.
///
/// ```
/// /// Answers a webhook.
/// #[iof::function(get, post)]
/// fn hook(request: iof::Request) -> iof::Response {
///     match request.method() {
///         "GET" => iof::Response::text(request.query_value("challenge").unwrap_or_default()),
///         _ => iof::Response::text(format!("{} bytes", request.body().len())),
///     }
/// }
/// # let get = iof::Request::new("GET").with_query("challenge=a%20b");
/// # assert_eq!(hook(get).body(), b"a b");
/// ```
///
/// The function is called at `/fn/<function>/<export>` and below, by `POST` or the methods that the attribute lists,
/// and at `/v1/functions/<function>/call/<export>`. The request does not contain keys of the server, cookies, and
/// headers that concern only the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    head: Head,
    body: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// A request with this method, and nothing else, for tests.
    #[must_use]
    pub fn new(method: impl Into<String>) -> Self {
        Self {
            head: Head {
                method: method.into(),
                path: String::new(),
                query: String::new(),
                headers: Vec::new(),
            },
            body: Vec::new(),
        }
    }

    /// Sets the path below the call.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.head.path = path.into();
        self
    }

    /// Sets the query, without its question mark.
    #[must_use]
    pub fn with_query(mut self, query: impl Into<String>) -> Self {
        self.head.query = query.into();
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.head.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The method, in upper case.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.head.method
    }

    /// The path below the call, as it was sent: empty, or beginning with a slash, still percent-encoded.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.head.path
    }

    /// The query, as it was sent, without its question mark.
    #[must_use]
    pub fn query(&self) -> &str {
        &self.head.query
    }

    /// The first field of this name in the query.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<String> {
        value(fields(self.query().as_bytes()), name)
    }

    /// The value of a header, by its name in upper or lower case; the first of several.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers();
        headers.find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
    }

    /// Every header, with its name in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let headers = self.head.headers.iter();
        headers.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The body, byte for byte, as signatures cover it.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as text.
    ///
    /// # Errors
    /// An error with the status 400, if it is not UTF-8.
    pub fn text(&self) -> Result<&str, Error> {
        std::str::from_utf8(&self.body).map_err(|e| refused(format!("the body is not UTF-8: {e}")))
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// An error with the status 400, if it is not the JSON of this type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|e| {
            refused(format!(
                "the body is not valid JSON of the expected type: {e}"
            ))
        })
    }

    /// The fields of a body that is a form (`application/x-www-form-urlencoded`), in their order.
    #[must_use]
    pub fn form(&self) -> Vec<(String, String)> {
        fields(&self.body).collect()
    }

    /// The first field of this name in such a form.
    #[must_use]
    pub fn form_value(&self, name: &str) -> Option<String> {
        value(fields(&self.body), name)
    }

    /// Reads the request from the server's bytes.
    pub(crate) fn open(mut sealed: Vec<u8>) -> Option<Self> {
        const PREFIX: usize = 4;
        let length = u32::from_le_bytes(*sealed.first_chunk::<PREFIX>()?) as usize;
        let end = PREFIX.checked_add(length)?;
        let head = serde_json::from_slice(sealed.get(PREFIX..end)?).ok()?;
        sealed.drain(..end);
        Some(Self { head, body: sealed })
    }
}

fn refused(message: String) -> Error {
    Error::new("bad-request", message).with_status(400)
}

fn value(mut fields: impl Iterator<Item = (String, String)>, wanted: &str) -> Option<String> {
    fields.find_map(|(name, value)| (name == wanted).then_some(value))
}

/// Fields of a form that is one text (WHATWG URL, section 5.1).
fn fields(text: &[u8]) -> impl Iterator<Item = (String, String)> {
    let fields = text.split(|byte| *byte == b'&');
    fields.filter(|field| !field.is_empty()).map(|field| {
        let end = field.iter().position(|byte| *byte == b'=');
        let (name, value) = field.split_at(end.unwrap_or(field.len()));
        (decoded(name), decoded(value.get(1..).unwrap_or_default()))
    })
}

/// A name or a value: a plus is a space, a percent sign begins a byte, and what is not UTF-8 becomes U+FFFD.
fn decoded(text: &[u8]) -> String {
    let digit = |at: usize| Some((*text.get(at)? as char).to_digit(16)? as u8);
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        match (byte, digit(at), digit(at + 1)) {
            (b'+', ..) => bytes.push(b' '),
            (b'%', Some(high), Some(low)) => {
                bytes.push(high << 4 | low);
                at += 2;
            }
            (byte, ..) => bytes.push(*byte),
        }
    }
    match String::from_utf8_lossy(&bytes) {
        Cow::Owned(text) => text,
        Cow::Borrowed(text) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_form_of_a_request_is_read() {
        let head = br#"{"method":"POST","path":"/a","query":"b=c","headers":[["x-d","e"]],"of a newer server":1}"#;
        let mut sealed = u32::try_from(head.len()).unwrap().to_le_bytes().to_vec();
        sealed.extend(head);
        sealed.extend(b"\xff\0");
        let request = Request::open(sealed).unwrap();
        assert_eq!((request.method(), request.path()), ("POST", "/a"));
        assert_eq!(request.query_value("b").as_deref(), Some("c"));
        assert_eq!(request.header("X-D"), Some("e"));
        assert_eq!(request.body(), b"\xff\0");
        assert_eq!(request.text().unwrap_err().status(), Some(400));
        for broken in [
            &b""[..],
            b"\xff\xff\xff\xff",
            b"\x02\0\0\0{",
            b"\x02\0\0\0{}",
        ] {
            assert_eq!(Request::open(broken.to_vec()), None);
        }
    }

    #[test]
    fn a_form_has_fields() {
        let request = Request::new("POST").with_body("a=1&b=%C3%A9+%2B&a=2&&c&=d&e=%zz%");
        let fields = request.form();
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(
            fields,
            [
                ("a", "1"),
                ("b", "\u{e9} +"),
                ("a", "2"),
                ("c", ""),
                ("", "d"),
                ("e", "%zz%")
            ]
        );
        assert_eq!(request.form_value("a").as_deref(), Some("1"));
        assert_eq!(request.form_value("x"), None);
        let request = Request::new("POST").with_body("[1]");
        assert_eq!(request.json::<Vec<u8>>().unwrap(), [1]);
        let error = request.json::<String>().unwrap_err();
        assert_eq!((error.code(), error.status()), ("bad-request", Some(400)));
    }
}
