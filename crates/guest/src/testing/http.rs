//! Answers to HTTP requests: runs of the command `http_proxy`, in the form of the requests that they send.

use std::cell::RefCell;
use std::rc::Rc;

use serde::de::DeserializeOwned;

use super::{Host, Output, Run, commands};
use crate::http::Response;

/// Answers HTTP requests until it is dropped, and records which were sent.
#[must_use = "requests are answered until this is dropped: keep it in a variable"]
pub struct Http {
    requests: Rc<RefCell<Vec<Request>>>,
    _host: Host,
}

/// A request that a function sent with [`iof::http`](crate::http).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The method, in upper case.
    pub method: String,
    /// The URL with its query.
    pub url: String,
    /// The headers, in alphabetical order.
    pub headers: Vec<(String, String)>,
    /// The body; empty if there was none.
    pub body: Vec<u8>,
}

/// Answers the HTTP requests of this thread; any other command is not found. For a request that fails, answer the
/// command itself: `commands(|_| Output::failed(3, "no rule allows it"))`.
pub fn http(mut answer: impl FnMut(&Request) -> Response + 'static) -> Http {
    let requests = Rc::<RefCell<Vec<Request>>>::default();
    let seen = requests.clone();
    let host = commands(move |run| {
        let Some(request) = Request::of(run) else {
            return Output::failed(-1, "Command not found.\n");
        };
        seen.borrow_mut().push(request.clone());
        Output::ok(printed(&answer(&request)))
    });
    Http {
        requests,
        _host: host,
    }
}

impl Http {
    /// The requests that were sent, in their order.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.requests.borrow().clone()
    }
}

impl Request {
    fn of(run: &Run) -> Option<Self> {
        let [.., method, url, headers] = run.args.as_slice() else {
            return None;
        };
        let headers: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(headers).ok()?;
        let mut headers: Vec<_> = headers
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())))
            .collect();
        headers.sort();
        (run.name == "http_proxy").then(|| Self {
            method: method.clone(),
            url: url.clone(),
            headers,
            body: run.stdin.clone(),
        })
    }

    /// The header of this name, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body, read as JSON.
    ///
    /// # Panics
    /// The body is not the JSON of such a value, which fails the test.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        #[expect(clippy::panic, reason = "it fails the calling test")]
        serde_json::from_slice(&self.body).unwrap_or_else(|e| {
            panic!(
                "the body of {} {} is not valid JSON of the expected type: {e}",
                self.method, self.url
            )
        })
    }
}

/// The response as `http_proxy --include` prints it.
fn printed(response: &Response) -> Vec<u8> {
    let mut printed = format!("HTTP/1.1 {} \r\n", response.status());
    for (name, value) in response.headers() {
        printed += &format!("{name}: {value}\r\n");
    }
    printed += "\r\n";
    let mut printed = printed.into_bytes();
    printed.extend(response.bytes());
    printed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Kind, post};

    #[test]
    fn a_request_arrives_and_its_response_is_returned() {
        let host = http(|request| {
            assert_eq!(request.json::<u8>(), 7);
            Response::new(201)
                .with_header("Location", "/7")
                .with_body("made")
        });
        let response = post("https://example.com/").json(&7).send().unwrap();
        assert_eq!(response.status(), 201);
        assert_eq!(response.header("location"), Some("/7"));
        assert_eq!(response.text(), "made");
        let request = &host.requests()[0];
        assert_eq!(
            (request.method.as_str(), request.header("Content-Type")),
            ("POST", Some("application/json"))
        );
        let error = crate::Command::new("other").run().unwrap_err();
        assert_eq!(error.status(), -1);
        drop(host);
        let _host = commands(|_| Output::failed(3, "no rule allows it"));
        let error = post("https://example.com/").send().unwrap_err();
        assert_eq!(error.kind(), Kind::Denied);
    }
}
