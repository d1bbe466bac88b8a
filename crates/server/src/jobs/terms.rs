//! The wishes of a caller for a job, in headers of the call.
//!
//! `Idempotency-Key` is the header of that name (draft-ietf-httpapi-idempotency-key-header); the others are
//! `iof-job-priority`, `iof-job-not-before` and `iof-job-callback`. One that is not known, comes twice, or has a value out of
//! range is refused by name: a job that runs at another time than its caller asked for is worse than none.

use super::request::most_in_queue;
use crate::app::App;
use crate::calls::PreparedCall;
use crate::http::truncate;
use crate::reply;
use crate::time::{unix_ms_now, unix_ms_of};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, Method};
use iof_fault::{Fault, FaultKind};
use iof_store::{IdempotencyKey, JobTerms};
use sha2::{Digest, Sha256};
use std::time::Duration;
use url::Url;

const PREFIX: &str = "iof-job-";
static KEY: HeaderName = HeaderName::from_static("idempotency-key");
static PRIORITY: HeaderName = HeaderName::from_static("iof-job-priority");
static NOT_BEFORE: HeaderName = HeaderName::from_static("iof-job-not-before");
static CALLBACK: HeaderName = HeaderName::from_static("iof-job-callback");
static SIGNATURE: HeaderName = HeaderName::from_static("iof-signature");

/// The longest idempotency key, in bytes.
const LONGEST_KEY: usize = 255;
/// The longest URL of a callback, in bytes.
const LONGEST_URL: usize = 1024;
/// The highest priority; the lowest is its opposite.
const HIGHEST: i32 = 10;

/// The options of a job, as headers of its call have them.
pub(crate) struct JobOptions {
    key: Option<String>,
    priority: i32,
    not_before: Option<i64>,
    callback: Option<Url>,
}

impl JobOptions {
    /// Reads the headers of a call. `later` is false for a call that is answered at once, which has no such options; an
    /// `Idempotency-Key` is then its function's.
    ///
    /// # Errors
    /// `job-option`
    pub(crate) fn of(headers: &HeaderMap, later: bool) -> Result<Self, Fault> {
        for name in headers
            .keys()
            .filter(|name| name.as_str().starts_with(PREFIX))
        {
            if !later {
                return Err(wrong(format!(
                    "The header {name} is only for jobs. Send Prefer: respond-async with it, or leave it out."
                )));
            }
            if ![&PRIORITY, &NOT_BEFORE, &CALLBACK].contains(&name) {
                return Err(wrong(format!(
                    "The header {} is not known. There are {PRIORITY}, {NOT_BEFORE} and {CALLBACK}.",
                    truncate(name.as_str())
                )));
            }
        }
        let mut options = Self {
            key: None,
            priority: 0,
            not_before: None,
            callback: None,
        };
        if !later {
            return Ok(options);
        }
        if let Some(key) = only(headers, &KEY)? {
            let fits = (1..=LONGEST_KEY).contains(&key.len())
                && key.bytes().all(|byte| (0x20..0x7f).contains(&byte));
            if !fits {
                return Err(wrong(format!(
                    "The header {KEY} must be 1 to {LONGEST_KEY} visible characters of ASCII: got {} bytes. Send a UUID, for example.",
                    key.len()
                )));
            }
            options.key = Some(key.to_owned());
        }
        if let Some(text) = only(headers, &PRIORITY)? {
            let priority = text.parse().ok();
            options.priority = priority
                .filter(|priority| (-HIGHEST..=HIGHEST).contains(priority))
                .ok_or_else(|| {
                    wrong(format!(
                        "The header {PRIORITY} must be a whole number from -{HIGHEST} to {HIGHEST}: got {:?}. Jobs of a higher one come first.",
                        truncate(text)
                    ))
                })?;
        }
        if let Some(text) = only(headers, &NOT_BEFORE)? {
            let time = unix_ms_of(text).ok_or_else(|| {
                wrong(format!(
                    "The header {NOT_BEFORE} must be a time in UTC: got {:?}. Write it as in 2027-01-01T00:00:00Z.",
                    truncate(text)
                ))
            })?;
            options.not_before = Some(time);
        }
        if let Some(text) = only(headers, &CALLBACK)? {
            if text.len() > LONGEST_URL {
                return Err(wrong(format!(
                    "The header {CALLBACK} must be a URL of at most {LONGEST_URL} bytes: got {}. Send a shorter one.",
                    text.len()
                )));
            }
            let url = iof_egress::parse_outbound_url(text).map_err(|error| {
                wrong(format!(
                    "The header {CALLBACK} must be a URL: {error}. Send one such as https://example.com/done."
                ))
            })?;
            options.callback = Some(url);
        }
        Ok(options)
    }

    /// The terms of a job of `export` with this body.
    ///
    /// # Errors
    /// `job-option`; `caller-request` and `egress-denied` for a callback that the function does not permit.
    pub(crate) fn terms(
        self,
        app: &App,
        prepared: &PreparedCall,
        export: &str,
        (query, headers, body): (&str, &HeaderMap, &[u8]),
    ) -> Result<JobTerms, Fault> {
        let granted = &prepared.function.granted;
        let now = unix_ms_now();
        let milliseconds = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let latest = now.saturating_add(milliseconds(app.jobs.delay));
        if self.not_before.is_some_and(|time| time > latest) {
            let delay = humantime_serde::re::humantime::format_duration(app.jobs.delay);
            return Err(wrong(format!(
                "The header {NOT_BEFORE} must not be further away than jobs.delay = {delay}. Send an earlier time."
            )));
        }
        if let Some(url) = &self.callback {
            granted.callers_may.call_back()?;
            if granted.jobs.callback_key.is_none() {
                return Err(wrong(format!(
                    "The header {CALLBACK} cannot be used: the function has no secret to sign callbacks with. Add jobs = {{ callback_secret = \"CALLBACK_SECRET\" }} to its function.toml, or leave the header out."
                )));
            }
            if granted.grants.outbound.allows(&Method::POST, url).is_none() {
                let message = format!(
                    "The header {CALLBACK} cannot be used: no outbound rule of the function covers it. Add a rule for POST to that host to its function.toml."
                );
                return Err(Fault::new(FaultKind::EgressDenied, message));
            }
        }
        let callback = self.callback.map(String::from);
        let idempotency = self.key.map(|key| {
            let header = |name: &HeaderName| headers.get(name).map_or(&b""[..], |it| it.as_bytes());
            let mut request = Sha256::new();
            for part in [
                export.as_bytes(),
                query.as_bytes(),
                header(&CONTENT_TYPE),
                header(&SIGNATURE),
                callback.as_deref().unwrap_or_default().as_bytes(),
                body,
            ] {
                request.update((part.len() as u64).to_be_bytes());
                request.update(part);
            }
            IdempotencyKey {
                key: Sha256::digest(key.as_bytes()).into(),
                request: request.finalize().into(),
            }
        });
        let ttl = granted.jobs.ttl.unwrap_or(app.jobs.ttl);
        let due = self.not_before.map_or(now, |time| time.max(now));
        Ok(JobTerms {
            priority: self.priority,
            not_before: self.not_before,
            expires_at: Some(due.saturating_add(milliseconds(ttl))),
            most_attempts: app.jobs.attempts.max(granted.jobs.attempts),
            most_in_queue: most_in_queue(app, &granted.jobs),
            callback: callback.map(|url| (url, reply::new_id())),
            idempotency,
        })
    }
}

/// The value of a header that comes once at most.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Fault> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(wrong(format!(
            "The header {name} comes twice. Send it once."
        )));
    }
    let read = |value: &'a http::HeaderValue| {
        let text = value.to_str().map(str::trim);
        text.map_err(|_| wrong(format!("The header {name} must be ASCII. Send it so.")))
    };
    first.map(read).transpose()
}

fn wrong(message: String) -> Fault {
    Fault::new(FaultKind::JobOption, message)
}
