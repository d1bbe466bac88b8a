//! The sending of records to the collector, and the task that does it.

use super::Counts;
use super::settings::{Signal, Target};
use crate::backlog::Backlog;
use crate::write_behind::{WriteFailure, Writer};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, StatusCode};
use iof_egress::{Egress, Outbound, SecretInjections};
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// The most records of one request.
const BATCH: usize = 512;
/// The pause before a batch is sent a second time, and the last.
const PAUSE: Duration = Duration::from_secs(1);
/// The least time between two lines in the server's log.
const QUIET: Duration = Duration::from_secs(60);

/// A record of a call: its trace, or a line of a log.
pub(super) trait Record: Send + Sync + 'static {
    /// The bytes that it holds in memory, about.
    fn size(&self) -> usize;

    /// The body of a request that exports records, from the process of this id.
    fn request(records: &[Box<Self>], instance: &str) -> Vec<u8>;
}

/// The collector, as it takes one signal.
pub(super) struct Collector {
    pub(super) target: Target,
    pub(super) egress: Egress,
    pub(super) counts: Arc<Counts>,
    /// The id of this process among those that send to one collector.
    pub(super) instance: Arc<str>,
    /// The time of the last line in the log, and the records that were lost since.
    said: Option<Instant>,
    lost: u64,
}

impl Collector {
    pub(super) fn new(target: Target, egress: Egress, instance: Arc<str>) -> Self {
        Self {
            target,
            egress,
            counts: Arc::default(),
            instance,
            said: None,
            lost: 0,
        }
    }

    /// The time by which a request that begins now has to be answered.
    pub(super) fn later(&self) -> Instant {
        Instant::now() + self.target.timeout
    }

    /// Sends a request until `deadline`.
    pub(super) async fn send(&self, body: Bytes, deadline: Instant) -> Result<(), Unsent> {
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
            deadline: deadline.min(self.later()),
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

    /// Counts records that were sent, or that were not.
    pub(super) fn settle(&mut self, records: u64, sent: &Result<(), Unsent>) {
        let Err(Unsent { why, .. }) = sent else {
            self.counts.sent.fetch_add(records, Ordering::Relaxed);
            return;
        };
        self.counts.failed.fetch_add(records, Ordering::Relaxed);
        self.lost += records;
        if self.said.is_none_or(|said| said.elapsed() >= QUIET) {
            self.said = Some(Instant::now());
            let (lost, endpoint) = (std::mem::take(&mut self.lost), self.target.url.as_str());
            let records = self.target.signal.records();
            tracing::warn!(
                lost,
                "{records} were dropped: the collector at {endpoint} did not take them ({why}). Check otlp.endpoint, otlp.signals and otlp.headers_file."
            );
        }
    }
}

/// The reason why a request was not taken.
pub(super) struct Unsent {
    why: String,
    /// True if it may be taken later.
    passes: bool,
}

impl Unsent {
    /// A request that could not be made.
    pub(super) fn unmade() -> Self {
        Self {
            why: "the request could not be made".to_owned(),
            passes: false,
        }
    }
}

/// The task that sends records in batches.
pub(super) struct Exporter<R> {
    collector: Collector,
    backlog: Arc<Backlog>,
    records: PhantomData<fn(R)>,
}

impl<R: Record> Exporter<R> {
    pub(super) fn new(collector: Collector, backlog: Arc<Backlog>) -> Self {
        Self {
            collector,
            backlog,
            records: PhantomData,
        }
    }

    fn body(&self, records: &[Box<R>]) -> Bytes {
        R::request(records, &self.collector.instance).into()
    }

    /// Gives back the room of a batch, and counts it.
    fn settle(&mut self, records: &[Box<R>], sent: &Result<(), Unsent>) {
        for record in records {
            self.backlog.release(record.size());
        }
        self.collector.settle(records.len() as u64, sent);
    }
}

impl<R: Record> Writer for Exporter<R> {
    type Item = Box<R>;
    const BATCH: usize = BATCH;
    const REST: u32 = 0;
    const RESTS_WHEN_FULL: bool = false;

    fn least_rest(&self) -> Duration {
        self.collector.target.interval
    }

    async fn write(&mut self, items: &mut VecDeque<Self::Item>) -> Result<usize, WriteFailure> {
        let records: Vec<_> = items.drain(..items.len().min(BATCH)).collect();
        let body = self.body(&records);
        let collector = &self.collector;
        let mut sent = collector.send(body.clone(), collector.later()).await;
        if let Err(Unsent { passes: true, .. }) = &sent {
            tokio::time::sleep(PAUSE).await;
            sent = collector.send(body, collector.later()).await;
        }
        self.settle(&records, &sent);
        match sent {
            Ok(()) => Ok(records.len()),
            Err(_) => Err(WriteFailure),
        }
    }

    async fn finish(&mut self, items: VecDeque<Self::Item>, deadline: Instant) {
        let mut items = Vec::from(items);
        while !items.is_empty() && Instant::now() < deadline {
            let records: Vec<_> = items.drain(..items.len().min(BATCH)).collect();
            let sent = self.collector.send(self.body(&records), deadline).await;
            self.settle(&records, &sent);
            if sent.is_err() {
                break;
            }
        }
        self.backlog.close(items.len() as u64);
    }

    async fn tidy(&mut self) {}
}

impl Signal {
    /// The name in metrics, and in the address to which it is sent.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// The records, in the server's log.
    pub(super) fn records(self) -> &'static str {
        match self {
            Self::Traces => "traces of calls",
            Self::Metrics => "snapshots of metrics",
            Self::Logs => "log records of calls",
        }
    }
}
