//! `[otlp]`: where signals go, and which.

use bytesize::ByteSize;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use iof_egress::{Rule, Rules, parse_outbound_url};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// The most bytes of the file of headers.
const HEADERS: u64 = 64 << 10;

/// A kind of records for a collector.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// Traces of calls that are sampled or fail.
    Traces,
    /// Snapshots of the metrics.
    Metrics,
    /// A log record of each call.
    Logs,
}

/// `[otlp]`: signals for a collector of OpenTelemetry.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpSettings {
    /// The collector, by OTLP over HTTP: `http://127.0.0.1:4318`; traces go to `/v1/traces` below it, and so do `metrics` and
    /// `logs`. Empty: none.
    pub endpoint: String,
    /// The signals that are exported: `traces`, `metrics`, `logs`.
    pub signals: BTreeSet<Signal>,
    /// A file with headers for the collector, each on a line: `Authorization: Bearer …`. Empty: none.
    pub headers_file: PathBuf,
    /// The share of calls whose trace is exported, from 0 to 1; that of a call that failed always is.
    pub sampling: f64,
    /// True if a call is sampled whenever its client says that it is (`traceparent`). For servers whose clients all are the
    /// operator's own: any other could have everything exported.
    pub follow_callers: bool,
    /// Outbound rules of requests that are sent with the trace's context (`traceparent`, `tracestate`). None by default: who
    /// gets it learns which requests belong together, and what tracers of the caller wrote.
    pub propagate: Rules,
    /// True if log records have the beginning of what functions print, which may be anything.
    pub output: bool,
    /// The time between two snapshots of the metrics.
    #[serde(with = "humantime_serde")]
    pub metrics_interval: Duration,
    /// The traces that wait to be sent, and the log records; further ones are dropped and counted.
    #[serde(with = "iof_engine::size")]
    pub memory: ByteSize,
    /// The time for which the collector may take to answer.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The time for which traces and log records are gathered before they are sent together.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
}

impl Default for OtlpSettings {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            signals: BTreeSet::from([Signal::Traces]),
            headers_file: PathBuf::new(),
            sampling: 0.01,
            follow_callers: false,
            propagate: Rules::default(),
            output: false,
            metrics_interval: Duration::from_secs(60),
            memory: ByteSize::mib(8),
            timeout: Duration::from_secs(10),
            interval: Duration::from_secs(1),
        }
    }
}

/// The collector of one signal.
pub(super) struct Target {
    pub(super) signal: Signal,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    /// The one request that the exporter may make.
    pub(super) rules: Rules,
    pub(super) timeout: Duration,
    pub(super) interval: Duration,
}

impl OtlpSettings {
    /// Checks the settings, and reads the file of headers, as at a start.
    ///
    /// # Errors
    /// A message that names the setting, and shows no header.
    pub fn check(&self) -> Result<(), String> {
        if !(0.0..=1.0).contains(&self.sampling) {
            return Err(format!(
                "otlp.sampling must be between 0 and 1: got {}",
                self.sampling
            ));
        }
        if self.signals.is_empty() && !self.endpoint.is_empty() {
            return Err("otlp.signals is empty: got []. Name traces, metrics or logs, or leave otlp.endpoint out.".into());
        }
        for signal in &self.signals {
            self.target(*signal)?;
        }
        Ok(())
    }

    /// The target of a signal; `None` if it is not exported.
    pub(super) fn target(&self, signal: Signal) -> Result<Option<Target>, String> {
        if self.endpoint.is_empty() || !self.signals.contains(&signal) {
            return Ok(None);
        }
        let endpoint = self.endpoint.trim_end_matches('/');
        let text = format!("{endpoint}/v1/{}", signal.as_str());
        let url = parse_outbound_url(&text).map_err(|error| format!("otlp.endpoint: {error}"))?;
        if url.query().is_some() {
            return Err(format!(
                "otlp.endpoint has a query: got {:?}. Write scheme, host, port and path only, such as http://127.0.0.1:4318.",
                self.endpoint
            ));
        }
        let rule = format!("POST {url}");
        let rule = rule
            .parse::<Rule>()
            .map_err(|error| format!("otlp.endpoint: {error}"))?;
        Ok(Some(Target {
            signal,
            url,
            headers: headers(&self.headers_file)?,
            rules: Rules(vec![rule]),
            timeout: self.timeout,
            interval: self.interval,
        }))
    }
}

/// The headers of a file.
fn headers(file: &Path) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    if file.as_os_str().is_empty() {
        return Ok(headers);
    }
    let text = read(file).map_err(|error| {
        format!(
            "otlp.headers_file: {} cannot be read: {error}.",
            file.display()
        )
    })?;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let bad = |what: &str| {
            format!(
                "otlp.headers_file: line {number} of {} {what}. Write each header on a line, as `Name: value`.",
                file.display()
            )
        };
        let (name, value) = line.split_once(':').ok_or_else(|| bad("has no colon"))?;
        let name: HeaderName = name
            .trim()
            .parse()
            .map_err(|_| bad("has no name of a header"))?;
        let own = [
            CONTENT_TYPE,
            CONTENT_LENGTH,
            TRANSFER_ENCODING,
            CONNECTION,
            HOST,
        ];
        if own.contains(&name) {
            return Err(bad("has a header that the server sets itself"));
        }
        let mut value =
            HeaderValue::from_str(value.trim()).map_err(|_| bad("has no value of a header"))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

/// Reads the file of headers, at the start, before anything is served.
fn read(file: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(file)?
        .take(HEADERS)
        .read_to_string(&mut text)?;
    Ok(text)
}
