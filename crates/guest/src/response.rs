//! A response with a status and headers that the function chooses.

use serde::Serialize;

/// A response, returned by a function that chooses status and headers itself.
///
/// ```
/// #[iof::function]
/// fn moved(_request: iof::Request) -> iof::Response {
///     iof::Response::new(301).with_header("location", "https://example.com/")
/// }
/// ```
///
/// The status is one of 200 to 599. Headers are those that concern only this answer (`content-type`, `cache-control`,
/// `location` and others), and your own (`x-…`, `webhook-…`): the answer is served from the address of the server's own
/// pages, so no function sets cookies or policies. A response that cannot be sent is the fault `response`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

#[derive(Serialize)]
struct Head<'a> {
    status: u16,
    headers: &'a [(String, String)],
}

impl Response {
    /// A response of this status, without a body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Text, with the status 200.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::of("text/plain; charset=utf-8", text.into().into_bytes())
    }

    /// A page, with the status 200. The server makes browsers show it without running or loading anything.
    #[must_use]
    pub fn html(html: impl Into<String>) -> Self {
        Self::of("text/html; charset=utf-8", html.into().into_bytes())
    }

    /// Bytes of a content type, with the status 200.
    #[must_use]
    pub fn bytes(content_type: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self::of(content_type, bytes.into())
    }

    /// JSON, with the status 200.
    ///
    /// # Errors
    /// An error if the value cannot be written as JSON.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        Ok(Self::of("application/json", serde_json::to_vec(value)?))
    }

    fn of(content_type: impl Into<String>, body: Vec<u8>) -> Self {
        let response = Self::new(200).with_header("content-type", content_type);
        Self { body, ..response }
    }

    /// Sets the status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Sets a header, and replaces one of the same name.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
        self.headers.push((name, value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The value of a header, by its name in upper or lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(&**value))
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Writes the response for the server.
    pub(crate) fn seal(&self) -> Vec<u8> {
        let head = Head {
            status: self.status,
            headers: &self.headers,
        };
        // The JSON of texts and numbers cannot fail.
        let head = serde_json::to_vec(&head).unwrap_or_default();
        let length = u32::try_from(head.len()).unwrap_or(u32::MAX);
        let mut sealed = Vec::with_capacity(4 + head.len() + self.body.len());
        sealed.extend(length.to_le_bytes());
        sealed.extend(head);
        sealed.extend(&self.body);
        sealed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_written_in_the_servers_form() {
        let response = Response::text("a")
            .with_status(201)
            .with_header("Content-Type", "text/x")
            .with_header("x-b", "c");
        let head = r#"{"status":201,"headers":[["Content-Type","text/x"],["x-b","c"]]}"#;
        let mut sealed = u32::try_from(head.len()).unwrap().to_le_bytes().to_vec();
        sealed.extend(head.as_bytes());
        sealed.push(b'a');
        assert_eq!(response.seal(), sealed);
        assert_eq!(response.header("content-type"), Some("text/x"));
    }
}
