//! The builder of a request.

use std::time::Duration;

use serde::Serialize;

use super::{Error, Kind, Response};
use crate::Command;

/// A request that is not sent yet.
#[derive(Clone, Debug)]
#[must_use = "a request is sent by `send`"]
pub struct Request {
    method: &'static str,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    retries: u32,
    compressed: bool,
    timeout: Duration,
    /// The error that keeps it from being sent.
    invalid: Option<Error>,
}

impl Request {
    pub(super) fn new(method: &'static str, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            retries: 0,
            compressed: false,
            timeout: Duration::from_secs(10),
            invalid: None,
        }
    }

    /// Adds a parameter to the URL, encoded as it needs to be. The URL must not end in a `#fragment`.
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.url
            .push(if self.url.contains('?') { '&' } else { '?' });
        encode(&mut self.url, name);
        self.url.push('=');
        encode(&mut self.url, &value.to_string());
        self
    }

    /// Sets a header, and replaces one of the same name.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
        self.headers.push((name, value.into()));
        self
    }

    /// Sends a value as JSON, with the header `Content-Type` for it.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.body = body,
            Err(e) => {
                let message = format!("the body cannot be written as JSON: {e}");
                self.invalid = Some(Error::new(Kind::Request, message));
            }
        }
        self.header("content-type", "application/json")
    }

    /// Sends bytes. Their `Content-Type` is a [`header`](Self::header).
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it again, at most this many times, after a temporary failure: nothing listened, the connection broke, or
    /// the status is 502, 503 or 504. Ignored for requests that are not safe to send twice (POST, PATCH).
    pub fn retry(mut self, times: u32) -> Self {
        self.retries = times;
        self
    }

    /// Asks for a compressed response, which is decoded before it arrives here.
    pub fn compressed(mut self) -> Self {
        self.compressed = true;
        self
    }

    /// The timeout of the whole request; ten seconds by default. The call's own time limits it, too.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends the request, and waits for the response, of any status.
    ///
    /// # Errors
    /// An error if there is no response; [`Error::kind`] is the reason.
    pub fn send(self) -> Result<Response, Error> {
        if let Some(error) = self.invalid {
            return Err(error);
        }
        let mut command = Command::new("http_proxy");
        command.arg("--include");
        if self.compressed {
            command.arg("--compressed");
        }
        if self.retries > 0 {
            command.arg("--retry").arg(self.retries.to_string());
        }
        let headers: serde_json::Map<_, _> = self
            .headers
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect();
        let headers = serde_json::Value::Object(headers).to_string();
        // At least a millisecond.
        let timeout = u32::try_from(self.timeout.as_millis()).unwrap_or(u32::MAX);
        let output = command
            .args([self.method, &self.url, &headers])
            .stdin_u8vec(&self.body)
            .timeout(timeout.max(1))
            .output();
        // A query may contain private data, so it is in no error.
        let url = self.url.split(['?', '#']).next().unwrap_or_default();
        let label = format!("{} {url}", self.method);
        if output.status != 0 {
            return Err(Error::of_command(&output, &label));
        }
        Response::parse(output.stdout, label)
    }
}

/// RFC 3986, section 2.3: everything but the unreserved characters is encoded.
fn encode(url: &mut String, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(byte.into());
        } else {
            url.push('%');
            for digit in [byte >> 4, byte & 15] {
                url.push(
                    DIGITS
                        .get(usize::from(digit))
                        .copied()
                        .unwrap_or(b'0')
                        .into(),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{get, post};
    use super::*;
    use crate::{Output, testing};

    #[test]
    fn the_command_line_has_the_whole_request() {
        let host = testing::commands(|_| Output::ok("HTTP/2 204 No Content\r\n\r\n"));
        post("https://example.com/a")
            .query("q", "ü & 1")
            .query("n", 2)
            .header("X-A", "1")
            .json(&[1, 2])
            .header("x-a", "\"2\"")
            .retry(3)
            .compressed()
            .timeout(Duration::from_micros(1))
            .send()
            .unwrap();
        let run = &host.runs()[0];
        assert_eq!(run.name, "http_proxy");
        assert_eq!(
            run.args,
            [
                "--include",
                "--compressed",
                "--retry",
                "3",
                "POST",
                "https://example.com/a?q=%C3%BC%20%26%201&n=2",
                r#"{"content-type":"application/json","x-a":"\"2\""}"#,
            ]
        );
        assert_eq!(run.stdin, b"[1,2]");
        assert_eq!(run.timeout, Duration::from_millis(1));
    }

    #[test]
    fn a_failure_has_a_kind_and_the_message_of_the_command() {
        let failure = |status: i32, stderr: &'static str| {
            let _host = testing::commands(move |_| Output::failed(status, stderr));
            let error = get("https://example.com/").send().unwrap_err();
            (error.kind(), error.to_string())
        };
        assert_eq!(
            failure(3, "http_proxy: no rule allows it\n"),
            (Kind::Denied, "no rule allows it".to_owned())
        );
        assert_eq!(failure(2, "http_proxy: x\n").0, Kind::Request);
        assert_eq!(failure(4, "http_proxy: x\n").0, Kind::Unreachable);
        assert_eq!(failure(5, "http_proxy: x\n").0, Kind::Timeout);
        assert_eq!(failure(6, "http_proxy: x\n").0, Kind::Protocol);
        assert_eq!(
            failure(110, ""),
            (Kind::Timeout, "the request timed out".to_owned())
        );
        let (kind, message) = failure(-1, "Permission denied: …\n");
        assert_eq!(kind, Kind::NotGranted);
        for part in [
            "commands = [\"http_proxy\"]",
            "outbound = [\"GET https://example.com\"]",
            "--allow",
        ] {
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(
            failure(9, ""),
            (
                Kind::Protocol,
                "the command `http_proxy` ended with 9".to_owned()
            )
        );
    }

    #[test]
    fn a_value_that_json_cannot_express_is_not_sent() {
        let host = testing::commands(|_| unreachable!("it is not sent"));
        let map = std::collections::BTreeMap::from([((1, 2), 3)]);
        let error = post("https://example.com/").json(&map).send().unwrap_err();
        assert_eq!(error.kind(), Kind::Request);
        assert!(host.runs().is_empty());
    }
}
