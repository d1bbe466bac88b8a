//! The errors of requests without a response.
//!
//! An error has two texts. The public one goes to the function: one line that names the rule, the limit or the cause,
//! and never a header value, a resolved address or the text of a library. The private one goes to the operator's log.
//! The two differ for blocked names: to the function, a blocked name and a name that does not exist read alike
//! (otherwise it could map the internal network by names); in the log they differ.

use std::fmt;

use iof_fault::FaultKind;
use iof_policy::Mask;

/// The kinds of [`Error`]s; each has one stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// No rule of the function allows the request.
    Denied,
    /// The URL is an address that is not dialled.
    Address,
    /// The URL is not one that can be requested.
    Url,
    /// The header is one that a function must not set, or malformed.
    Header,
    /// The name does not exist, or none of its addresses may be dialled, or the name servers failed.
    Dns,
    /// No address of the host accepted a connection.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// `connect_timeout` passed.
    TimeoutConnect,
    /// `first_byte_timeout` passed.
    TimeoutFirstByte,
    /// `idle_timeout` passed between two parts of a body.
    TimeoutIdle,
    /// `total_timeout` passed, or the call's own deadline came.
    TimeoutTotal,
    /// The request is larger than `max_request`.
    RequestTooLarge,
    /// The response is larger than `max_response`, `max_response_headers` or
    /// `max_response_header_count`.
    ResponseTooLarge,
    /// More than `max_redirects` redirects.
    TooManyRedirects,
    /// `max_concurrent`, `max_concurrent_per_function`, `max_concurrent_per_upstream` or
    /// `max_connections` stayed reached until the deadline.
    Busy,
    /// The response to a request with a secret is compressed, so it cannot be searched for the secret.
    Encoded,
    /// The other side closed the connection early, or violated the protocol.
    Protocol,
}

impl Kind {
    /// The stable code, for functions and operators.
    pub fn code(self) -> &'static str {
        FaultKind::from(self).as_str()
    }
}

impl From<Kind> for FaultKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Denied => Self::EgressDenied,
            Kind::Address => Self::EgressAddress,
            Kind::Url => Self::EgressUrl,
            Kind::Header => Self::EgressHeader,
            Kind::Dns => Self::EgressDns,
            Kind::Connect => Self::EgressConnect,
            Kind::Tls => Self::EgressTls,
            Kind::TimeoutConnect => Self::EgressTimeoutConnect,
            Kind::TimeoutFirstByte => Self::EgressTimeoutFirstByte,
            Kind::TimeoutIdle => Self::EgressTimeoutIdle,
            Kind::TimeoutTotal => Self::EgressTimeoutTotal,
            Kind::RequestTooLarge => Self::EgressRequestTooLarge,
            Kind::ResponseTooLarge => Self::EgressResponseTooLarge,
            Kind::TooManyRedirects => Self::EgressTooManyRedirects,
            Kind::Busy => Self::EgressBusy,
            Kind::Encoded => Self::EgressEncoded,
            Kind::Protocol => Self::EgressProtocol,
        }
    }
}

/// A request that has no response. `Display` is the public line.
#[derive(Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
    detail: Option<String>,
    /// True if the cause may be temporary.
    transient: bool,
}

impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error {
            kind,
            message: one_line(message.into()),
            detail: None,
            transient: false,
        }
    }

    /// Sets whether the same request may succeed in a moment.
    pub(crate) fn transient_if(mut self, transient: bool) -> Error {
        self.transient = transient;
        self
    }

    pub(crate) fn is_transient(&self) -> bool {
        self.transient
    }

    /// Adds detail that only the operator's log may contain.
    pub(crate) fn with_detail(mut self, detail: impl fmt::Display) -> Error {
        self.detail = Some(one_line(detail.to_string()));
        self
    }

    /// Adds that it happened after a redirect, at a URL that the function did not write itself.
    pub(crate) fn after_redirect(mut self) -> Error {
        self.message = format!("after a redirect: {}", self.message);
        self
    }

    /// Masks the secrets of `mask` in both texts: the other side chooses parts of them (an HTTP/2 connection may end
    /// with a text of its choice).
    pub(crate) fn masked(mut self, mask: &Mask) -> Error {
        if let Some(masked) = mask.text(&self.message) {
            self.message = masked;
        }
        if let Some(masked) = self.detail.as_deref().and_then(|detail| mask.text(detail)) {
            self.detail = Some(masked);
        }
        self
    }

    /// The kind of failure.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The stable code of the failure, such as `egress-denied`.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// The private text, for the operator's log and not for the function.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.message)?;
        match &self.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

/// Guests choose parts of these texts (a URL, a header's name), and a log line or a line of stderr must stay one line.
fn one_line(text: String) -> String {
    if text.chars().any(char::is_control) {
        text.chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect()
    } else {
        text
    }
}
