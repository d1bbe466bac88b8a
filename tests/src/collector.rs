//! A collector of signals: OTLP over HTTP, decoded with the messages of OpenTelemetry itself.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    common::v1::{KeyValue, any_value::Value},
    logs::v1::LogRecord,
    metrics::v1::Metric,
    trace::v1::Span,
};
use prost::Message;
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, task::JoinSet};

/// A collector. Its listener ends when it is dropped.
pub struct Collector {
    address: SocketAddr,
    got: Arc<Got>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Got {
    spans: Mutex<Vec<Span>>,
    logs: Mutex<Vec<LogRecord>>,
    /// Each request by itself: later ones have the same metrics again.
    metrics: Mutex<Vec<Vec<Metric>>>,
    requests: Mutex<Vec<(HeaderMap, Vec<u8>)>>,
    status: AtomicU16,
}

impl Collector {
    /// Starts it on a free port of loopback.
    ///
    /// # Panics
    /// If there is none.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let got = Arc::new(Got::default());
        let router = Router::new()
            .route("/v1/traces", post(traces))
            .route("/v1/logs", post(logs))
            .route("/v1/metrics", post(metrics))
            .with_state(Arc::clone(&got));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            got,
            _tasks: tasks,
        }
    }

    /// The settings of a server that sends it every trace at once, without the end of the table: more may follow.
    pub fn settings(&self) -> String {
        format!(
            "\n[otlp]\nendpoint = \"http://{}\"\ninterval = \"20ms\"\n",
            self.address
        )
    }

    /// Answers this status from now on, and takes nothing.
    pub fn refuse(&self, status: u16) {
        self.got.status.store(status, Ordering::Relaxed);
    }

    /// The spans that arrived until now.
    pub fn spans(&self) -> Vec<Span> {
        self.got.spans.lock().unwrap().clone()
    }

    /// The log records that arrived until now.
    pub fn logs(&self) -> Vec<LogRecord> {
        self.got.logs.lock().unwrap().clone()
    }

    /// The metrics of each request that arrived until now.
    pub fn metrics(&self) -> Vec<Vec<Metric>> {
        self.got.metrics.lock().unwrap().clone()
    }

    /// Headers and bodies of the requests that arrived until now.
    pub fn requests(&self) -> Vec<(HeaderMap, Vec<u8>)> {
        self.got.requests.lock().unwrap().clone()
    }

    /// The spans, once some of them fulfil a condition.
    ///
    /// # Panics
    /// If none do after ten seconds.
    pub async fn until(&self, what: &str, is: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let began = Instant::now();
        loop {
            let spans = self.spans();
            if is(&spans) {
                return spans;
            }
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "{what}: {spans:#?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn traces(
    State(got): State<Arc<Got>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Vec<u8>, StatusCode> {
    let request: ExportTraceServiceRequest = got.take(&headers, body)?;
    let resources = request.resource_spans.into_iter();
    let scopes = resources.flat_map(|resource| resource.scope_spans);
    let spans = scopes.flat_map(|scope| scope.spans);
    got.spans.lock().unwrap().extend(spans);
    Ok(vec![])
}

async fn logs(
    State(got): State<Arc<Got>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Vec<u8>, StatusCode> {
    let request: ExportLogsServiceRequest = got.take(&headers, body)?;
    let resources = request.resource_logs.into_iter();
    let scopes = resources.flat_map(|resource| resource.scope_logs);
    let records = scopes.flat_map(|scope| scope.log_records);
    got.logs.lock().unwrap().extend(records);
    Ok(vec![])
}

async fn metrics(
    State(got): State<Arc<Got>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Vec<u8>, StatusCode> {
    let request: ExportMetricsServiceRequest = got.take(&headers, body)?;
    let resources = request.resource_metrics.into_iter();
    let scopes = resources.flat_map(|resource| resource.scope_metrics);
    let metrics = scopes.flat_map(|scope| scope.metrics).collect();
    got.metrics.lock().unwrap().push(metrics);
    Ok(vec![])
}

impl Got {
    /// Takes a request, unless it is to be refused. The answer to one that is taken is empty: a response without fields.
    fn take<T: Message + Default>(
        &self,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<T, StatusCode> {
        let request = (headers.clone(), body.to_vec());
        self.requests.lock().unwrap().push(request);
        let status = self.status.load(Ordering::Relaxed);
        if status >= 400 {
            return Err(StatusCode::from_u16(status).unwrap());
        }
        if headers
            .get("content-type")
            .is_none_or(|of| of != "application/x-protobuf")
        {
            return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        T::decode(body).map_err(|_| StatusCode::BAD_REQUEST)
    }
}

/// The text of an attribute, or its number as text; empty if there is none.
pub fn attribute(span: &Span, key: &str) -> String {
    attribute_of(&span.attributes, key)
}

/// The same of a list of attributes.
pub fn attribute_of(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// An id in hexadecimal digits.
pub fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
