//! A response, parsed from the output of `http_proxy --include`.

use serde::de::DeserializeOwned;

use super::{Error, Kind};

/// A response, of any status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Method and URL of its request, without the query.
    request: String,
}

impl Response {
    /// A response of this status, without a body, for the answers of tests.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            request: String::new(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Reads the status line, the headers, an empty line, and the rest.
    pub(super) fn parse(mut printed: Vec<u8>, request: String) -> Result<Self, Error> {
        const END: &[u8] = b"\r\n\r\n";
        let no_http = || {
            Error::new(
                Kind::Protocol,
                "the output of `http_proxy` has no HTTP head",
            )
        };
        let length = printed
            .windows(END.len())
            .position(|window| window == END)
            .ok_or_else(no_http)?;
        let body = printed.split_off(length + END.len());
        printed.truncate(length);
        let head = String::from_utf8_lossy(&printed);
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1)?.parse().ok())
            .ok_or_else(no_http)?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        Ok(Self {
            status,
            headers,
            body,
            request,
        })
    }

    /// The status, such as 404.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns whether the status is one of 200 to 299.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this name, in upper or lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// All headers, in their order.
    #[must_use]
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The body.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.body
    }

    /// The body as text; what is not UTF-8 becomes U+FFFD.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    /// [`Kind::Body`] if it is not the JSON of such a value.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|e| {
            let message = format!(
                "the response to {} cannot be read as JSON: {e}",
                self.answers()
            );
            Error::new(Kind::Body, message)
        })
    }

    /// Turns a response whose status is not a success into an error.
    ///
    /// # Errors
    /// [`Kind::Status`] unless [`is_success`](Self::is_success).
    pub fn error_for_status(self) -> Result<Self, Error> {
        if self.is_success() {
            return Ok(self);
        }
        let message = format!("{} answered {}", self.answers(), self.status);
        Err(Error::new(Kind::Status(self.status), message))
    }

    fn answers(&self) -> &str {
        match self.request.as_str() {
            "" => "the request",
            request => request,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(printed: &str) -> Result<Response, Error> {
        Response::parse(printed.into(), "GET https://example.com/".to_owned())
    }

    #[test]
    fn head_and_body_are_separated() {
        let response = parse(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nx-time: 12:30\r\nx-a: 1\r\nx-a: 2\r\n\r\na\r\n\r\nb",
        )
        .unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.is_success());
        assert_eq!(response.header("content-type"), Some("text/plain"));
        assert_eq!(response.header("X-Time"), Some("12:30"));
        assert_eq!(response.header("x-a"), Some("1"));
        assert_eq!(response.headers().len(), 4);
        assert_eq!(response.header("x-b"), None);
        assert_eq!(response.text(), "a\r\n\r\nb");
        assert_eq!(response.into_bytes(), b"a\r\n\r\nb");
        let bare = parse("HTTP/2 599 \r\n\r\n").unwrap();
        assert_eq!((bare.status(), bare.bytes()), (599, &b""[..]));
    }

    #[test]
    fn a_response_that_is_not_http_is_an_error() {
        for printed in ["", "HTTP/1.1 200 OK", "\r\n\r\n", "HTTP/1.1 many\r\n\r\n"] {
            assert_eq!(parse(printed).unwrap_err().kind(), Kind::Protocol);
        }
    }

    #[test]
    fn an_error_names_the_request() {
        let error = parse("HTTP/1.1 404 Not Found\r\n\r\n")
            .unwrap()
            .error_for_status()
            .unwrap_err();
        assert_eq!(error.to_string(), "GET https://example.com/ answered 404");
        assert_eq!(
            (error.status(), error.kind()),
            (Some(404), Kind::Status(404))
        );
        let error = parse("HTTP/1.1 200 OK\r\n\r\n[").unwrap().json::<u8>();
        assert_eq!(
            error.unwrap_err().to_string(),
            "the response to GET https://example.com/ cannot be read as JSON: invalid type: sequence, expected u8 at line 1 column 0"
        );
        assert_eq!(Response::new(201).with_body("7").json::<u8>().unwrap(), 7);
    }
}
