//! `[otlp]`: where traces go.

use bytesize::ByteSize;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use iof_egress::{Rule, Rules, parse_outbound_url};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// The most bytes of the file of headers.
const HEADERS: u64 = 64 << 10;

/// `[otlp]`: traces of calls for a collector of OpenTelemetry.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpSettings {
    /// The collector, by OTLP over HTTP: `http://127.0.0.1:4318`; traces go to `/v1/traces` below it. Empty: none.
    pub endpoint: String,
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
    /// The traces that wait to be sent; further ones are dropped and counted.
    #[serde(with = "iof_engine::size")]
    pub memory: ByteSize,
    /// The time for which the collector may take to answer.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The time for which traces are gathered before they are sent together.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
}

impl Default for OtlpSettings {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            headers_file: PathBuf::new(),
            sampling: 0.01,
            follow_callers: false,
            propagate: Rules::default(),
            memory: ByteSize::mib(8),
            timeout: Duration::from_secs(10),
            interval: Duration::from_secs(1),
        }
    }
}

/// The collector.
pub(super) struct Target {
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
        self.target().map(drop)
    }

    pub(super) fn target(&self) -> Result<Option<Target>, String> {
        if self.endpoint.is_empty() {
            return Ok(None);
        }
        let text = format!("{}/v1/traces", self.endpoint.trim_end_matches('/'));
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
