//! The task that sends traces to the collector.

use super::settings::Target;
use super::{CallSpans, Counts, encode};
use crate::backlog::Backlog;
use crate::write_behind::{WriteFailure, Writer};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, StatusCode};
use iof_egress::{Egress, Outbound, SecretInjections};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// The most calls of one request.
const BATCH: usize = 512;
/// The pause before a batch is sent a second time, and the last.
const PAUSE: Duration = Duration::from_secs(1);
/// The least time between two lines in the server's log.
const QUIET: Duration = Duration::from_secs(60);

/// Sends traces in batches.
pub(super) struct Exporter {
    target: Target,
    egress: Egress,
    backlog: Arc<Backlog>,
    counts: Arc<Counts>,
    /// The id of this process among those that send to one collector.
    instance: String,
    /// The time of the last line in the log, and the traces that were lost since.
    said: Option<Instant>,
    lost: u64,
}

impl Exporter {
    pub(super) fn new(
        target: Target,
        egress: Egress,
        backlog: Arc<Backlog>,
        counts: Arc<Counts>,
    ) -> Self {
        Self {
            target,
            egress,
            backlog,
            counts,
            instance: Uuid::new_v4().to_string(),
            said: None,
            lost: 0,
        }
    }

    /// Sends a batch until `deadline`.
    async fn send(&self, body: Bytes, deadline: Instant) -> Result<(), Unsent> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        let headers = request.headers_mut();
        headers.extend(self.target.headers.clone());
        let protobuf = HeaderValue::from_static("application/x-protobuf");
        headers.insert(CONTENT_TYPE, protobuf);
        let context = Outbound {
            call: Uuid::nil(),
            function: "otlp",
            function_id: 0,
            version: 0,
            rules: &self.target.rules,
            secrets: SecretInjections::NONE,
            depth: 0,
            deadline: deadline.min(Instant::now() + self.target.timeout),
            max_redirects: Some(0),
            retries: 0,
            decode: false,
            trace: None,
        };
        let url = self.target.url.clone();
        let answered = self.egress.send_to(&context, url, request).await;
        let answered = answered.map_err(|error| Unsent {
            why: error.to_string(),
            passes: true,
        })?;
        match answered.status() {
            status if status.is_success() => Ok(()),
            // Those that a client may retry by the specification of OTLP/HTTP.
            status => Err(Unsent {
                why: format!("it answered {status}"),
                passes: matches!(
                    status,
                    StatusCode::TOO_MANY_REQUESTS
                        | StatusCode::BAD_GATEWAY
                        | StatusCode::SERVICE_UNAVAILABLE
                        | StatusCode::GATEWAY_TIMEOUT
                ),
            }),
        }
    }

    fn body(&self, calls: &[Box<CallSpans>]) -> Bytes {
        encode::request(calls.iter().map(|call| &**call), &self.instance).into()
    }

    /// Gives back the room of a batch, and counts it.
    fn settle(&mut self, calls: &[Box<CallSpans>], sent: &Result<(), Unsent>) {
        let count = calls.len() as u64;
        for call in calls {
            self.backlog.release(call.size());
        }
        let Err(Unsent { why, .. }) = sent else {
            self.counts.sent.fetch_add(count, Ordering::Relaxed);
            return;
        };
        self.counts.failed.fetch_add(count, Ordering::Relaxed);
        self.lost += count;
        if self.said.is_none_or(|said| said.elapsed() >= QUIET) {
            self.said = Some(Instant::now());
            let (calls, endpoint) = (std::mem::take(&mut self.lost), self.target.url.as_str());
            tracing::warn!(
                calls,
                "traces were dropped: the collector at {endpoint} did not take them ({why}). Check otlp.endpoint and otlp.headers_file."
            );
        }
    }
}

/// The reason why a batch was not sent.
struct Unsent {
    why: String,
    /// True if it may be taken later.
    passes: bool,
}

impl Writer for Exporter {
    type Item = Box<CallSpans>;
    const BATCH: usize = BATCH;
    const REST: u32 = 0;
    const RESTS_WHEN_FULL: bool = false;

    fn least_rest(&self) -> Duration {
        self.target.interval
    }

    async fn write(&mut self, items: &mut VecDeque<Self::Item>) -> Result<usize, WriteFailure> {
        let calls: Vec<_> = items.drain(..items.len().min(BATCH)).collect();
        let body = self.body(&calls);
        let later = || Instant::now() + self.target.timeout;
        let mut sent = self.send(body.clone(), later()).await;
        if let Err(Unsent { passes: true, .. }) = &sent {
            tokio::time::sleep(PAUSE).await;
            sent = self.send(body, later()).await;
        }
        self.settle(&calls, &sent);
        match sent {
            Ok(()) => Ok(calls.len()),
            Err(_) => Err(WriteFailure),
        }
    }

    async fn finish(&mut self, items: VecDeque<Self::Item>, deadline: Instant) {
        let mut items = Vec::from(items);
        while !items.is_empty() && Instant::now() < deadline {
            let calls: Vec<_> = items.drain(..items.len().min(BATCH)).collect();
            let sent = self.send(self.body(&calls), deadline).await;
            self.settle(&calls, &sent);
            if sent.is_err() {
                break;
            }
        }
        self.backlog.close(items.len() as u64);
    }

    async fn tidy(&mut self) {}
}
