//! The outbound log: one event on the target `iof::egress` for every request, each hop of a
//! redirect by itself.
//!
//! An event is written when its record is dropped, so that a request whose call was cancelled
//! half-way is on record too. Paths, queries and header values are left out: they carry secrets
//! more often than they explain anything. Of attached secrets it says the names.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Instant;

use http::{Method, StatusCode};
use tracing::field::display;
use url::Url;

use crate::{Error, Outbound, Rule};

pub(crate) struct Record<'a> {
    context: &'a Outbound<'a>,
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
    outcome: &'static str,
    detail: Option<String>,
}

impl<'a> Record<'a> {
    pub(crate) fn new(context: &'a Outbound<'a>, method: &Method) -> Record<'a> {
        Record {
            context,
            started: Instant::now(),
            method: method.clone(),
            origin: None,
            rule: None,
            secrets: None,
            address: None,
            status: None,
            bytes_out: 0,
            bytes_in: 0,
            outcome: "cancelled",
            detail: None,
        }
    }

    pub(crate) fn url(&mut self, url: &Url) {
        self.origin = Some(url.origin().ascii_serialization());
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
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        tracing::info!(
            target: "iof::egress",
            call = %self.context.call,
            function = self.context.function,
            rule = optional(&self.rule),
            secrets = self.secrets,
            method = %self.method,
            upstream = self.origin,
            address = optional(&self.address),
            status = self.status.map(|status| status.as_u16()),
            bytes_out = self.bytes_out,
            bytes_in = self.bytes_in,
            ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            outcome = self.outcome,
            detail = self.detail,
        );
    }
}

fn optional<T: Display>(value: &Option<T>) -> Option<tracing::field::DisplayValue<&T>> {
    value.as_ref().map(display)
}
