//! The record of a request for the operator: one event on the target `iof::egress` and one [`Entry`] for the
//! [`Observer`]s, for every request, and for each hop of a redirect.
//!
//! Both are written when the record is dropped, so that a request whose call was cancelled halfway is recorded too.
//! Paths, queries and header values are left out: they more often carry secrets than explain anything. Of attached
//! secrets only the names are recorded.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::{Method, StatusCode};
use iof_trace::{CallTrace, SpanId, TraceParent};
use tracing::field::display;
use url::Url;
use uuid::Uuid;

use crate::limit::{Wait, Waited};
use crate::upload::Progress;
use crate::url_parts::origin;
use crate::{Error, Outbound, Rule};

/// The longest method and host in an [`Entry`], in bytes: a guest writes both, and they are recorded even if they are
/// invalid. A name has 253 characters at most (RFC 1035 section 2.3.4), a scheme and a port 14 together.
const LONGEST: usize = 267;

/// A receiver of records of requests, besides the log.
pub trait Observer: Send + Sync {
    /// Takes the record of one request. It is called on a thread of the runtime, also while a
    /// cancelled call is dropped, so it must neither block nor panic.
    fn sent(&self, entry: &Entry<'_>);
}

/// One try of a request or of a hop of a redirect, and its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The time at which it began.
    pub at: SystemTime,
    /// The call's id.
    pub call: Uuid,
    /// The function's number.
    pub function_id: i64,
    /// The function's version.
    pub version: i64,
    /// The rule that allowed it.
    pub rule: Option<&'a str>,
    /// The names of the secrets that were attached, with commas.
    pub secrets: Option<&'a str>,
    /// The method.
    pub method: &'a str,
    /// `scheme://host:port`, without the scheme's own port; unknown when the URL was refused.
    pub host: Option<&'a str>,
    /// The address that was connected to.
    pub address: Option<SocketAddr>,
    /// The status of the response.
    pub status: Option<u16>,
    /// Bytes of the request's body.
    pub bytes_out: u64,
    /// Bytes of the response's body, as received.
    pub bytes_in: u64,
    /// The time from its beginning to its end.
    pub took: Duration,
    /// Its wait for its turn among the requests in progress; `None` if it did not wait.
    pub waited: Option<Waited>,
    /// `ok`, `redirect`, `retried` (a response that caused a retry), `resent` (its connection ended without an answer,
    /// or HTTP/2 did not process it, and it was sent again), `cancelled`, or the code of an error.
    pub outcome: &'static str,
    /// The trace of its call and the span of this request, if traces are exported.
    pub trace: Option<(&'a CallTrace, SpanId)>,
}

pub(crate) struct Record<'a> {
    context: &'a Outbound<'a>,
    observers: &'a [Arc<dyn Observer>],
    at: SystemTime,
    started: Instant,
    method: Method,
    /// Scheme, host and port; unknown when the URL was refused.
    origin: Option<String>,
    pub(crate) rule: Option<&'a Rule>,
    /// The names of the secrets that were attached.
    pub(crate) secrets: Option<String>,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) bytes_out: usize,
    pub(crate) bytes_in: usize,
    /// The body that is being sent, which counts its own bytes.
    pub(crate) upload: Option<Arc<Progress>>,
    pub(crate) wait: Wait,
    /// The span of this request.
    span: Option<SpanId>,
    outcome: &'static str,
    detail: Option<String>,
}

impl<'a> Record<'a> {
    pub(crate) fn new(
        context: &'a Outbound<'a>,
        observers: &'a [Arc<dyn Observer>],
        method: &Method,
    ) -> Record<'a> {
        Record {
            context,
            observers,
            at: SystemTime::now(),
            started: Instant::now(),
            method: method.clone(),
            origin: None,
            rule: None,
            secrets: None,
            address: None,
            status: None,
            bytes_out: 0,
            bytes_in: 0,
            upload: None,
            wait: Wait::default(),
            span: context.trace.map(|_| SpanId::random()),
            outcome: "cancelled",
            detail: None,
        }
    }

    pub(crate) fn url(&mut self, url: &Url) {
        self.origin = Some(origin(url).to_owned());
    }

    /// The context of this request in the trace of its call.
    pub(crate) fn trace(&self) -> Option<TraceParent> {
        Some(self.context.trace?.child(self.span?))
    }

    pub(crate) fn done(mut self, outcome: &'static str) {
        self.outcome = outcome;
    }

    pub(crate) fn failed(mut self, error: &Error) {
        self.outcome = error.code();
        self.detail = Some(match error.detail() {
            Some(detail) => format!("{error}; {detail}"),
            None => error.to_string(),
        });
    }

    fn bytes_out(&self) -> u64 {
        match &self.upload {
            Some(progress) => progress.sent(),
            None => self.bytes_out as u64,
        }
    }

    fn entry(&self, took: Duration, waited: Option<Waited>) -> Entry<'_> {
        Entry {
            at: self.at,
            call: self.context.call,
            function_id: self.context.function_id,
            version: self.context.version,
            rule: self.rule.map(Rule::as_str),
            secrets: self.secrets.as_deref(),
            method: shortened(self.method.as_str()),
            host: self.origin.as_deref().map(shortened),
            address: self.address,
            status: self.status.map(|status| status.as_u16()),
            bytes_out: self.bytes_out(),
            bytes_in: self.bytes_in as u64,
            took,
            waited,
            outcome: self.outcome,
            trace: self.context.trace.zip(self.span),
        }
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        let waited = self.wait.waited();
        // The server's own requests belong to no call.
        if self.context.call.is_nil() {
            return;
        }
        tracing::info!(
            target: "iof::egress",
            call = %self.context.call,
            function = self.context.function_id,
            rule = optional(&self.rule),
            secrets = self.secrets,
            method = %self.method,
            upstream = self.origin,
            address = optional(&self.address),
            status = self.status.map(|status| status.as_u16()),
            bytes_out = self.bytes_out(),
            bytes_in = self.bytes_in,
            ms = milliseconds(took),
            waited_ms = waited.map(|waited| milliseconds(waited.took)),
            waited_for = waited.map(|waited| waited.limit),
            outcome = self.outcome,
            detail = self.detail,
        );
        if !self.observers.is_empty() {
            let entry = self.entry(took, waited);
            for observer in self.observers {
                observer.sent(&entry);
            }
        }
    }
}

fn optional<T: Display>(value: &Option<T>) -> Option<tracing::field::DisplayValue<&T>> {
    value.as_ref().map(display)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}
