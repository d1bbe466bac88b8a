//! The errors of requests: no response, or not the expected one.

use std::fmt;

use crate::Output;
use crate::command::{NOT_RUN, TIMED_OUT};

/// An HTTP request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    message: String,
}

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The URL, a header or the body cannot be sent.
    Request,
    /// The function was not granted the command `http_proxy`.
    NotGranted,
    /// No rule of the function's grants allows the request, or its address may not be reached.
    Denied,
    /// There is no connection: the name was not found, nothing listens there, or TLS failed.
    Unreachable,
    /// The timeout passed.
    Timeout,
    /// Something is too large, there were too many redirects, or the response was not HTTP.
    Protocol,
    /// The status is not a success: [`error_for_status`](super::Response::error_for_status).
    Status(u16),
    /// The body is not of the requested type: [`json`](super::Response::json).
    Body,
}

impl Error {
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// The failure of the command, by its exit status; `request` is its method and URL, as a rule would have them.
    pub(super) fn of_command(output: &Output, request: &str) -> Self {
        let kind = match output.status {
            2 => Kind::Request,
            3 => Kind::Denied,
            4 => Kind::Unreachable,
            5 | TIMED_OUT => Kind::Timeout,
            NOT_RUN => Kind::NotGranted,
            _ => Kind::Protocol,
        };
        let stderr = String::from_utf8_lossy(&output.stderr);
        let stderr = stderr.trim();
        let message = match (stderr.strip_prefix("http_proxy: ").unwrap_or(stderr), kind) {
            (_, Kind::NotGranted) => format!(
                "the function was not granted the command `http_proxy`. Add to function.toml: commands = [\"http_proxy\"] \
                 and outbound = [\"{}\"]. For a server on your own machine, start iof dev with --allow HOST:PORT",
                origin(request)
            ),
            ("", Kind::Timeout) => "the request timed out".to_owned(),
            ("", _) => format!("the command `http_proxy` ended with {}", output.status),
            (stderr, _) => stderr.to_owned(),
        };
        Self { kind, message }
    }

    /// The kind of the failure.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The status, if there was a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self.kind {
            Kind::Status(status) => Some(status),
            _ => None,
        }
    }
}

/// The rule for a request that allows its whole service: the method, and the URL without its path.
fn origin(request: &str) -> &str {
    let after_scheme = request.find("://").map_or(0, |at| at + 3);
    let path = request.get(after_scheme..).and_then(|rest| rest.find('/'));
    let end = path.map_or(request.len(), |at| after_scheme + at);
    request.get(..end).unwrap_or(request)
}

impl Kind {
    /// The code of a call that ends with it.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Request => "http-request",
            Self::NotGranted => "http-not-granted",
            Self::Denied => "http-denied",
            Self::Unreachable => "http-unreachable",
            Self::Timeout => "http-timeout",
            Self::Protocol => "http-protocol",
            Self::Status(_) => "http-status",
            Self::Body => "http-body",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
