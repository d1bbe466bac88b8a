//! A collector of traces: OTLP over HTTP, decoded with the messages of OpenTelemetry itself.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::any_value::Value,
    trace::v1::Span,
};
use prost::Message as _;
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
            .route("/v1/traces", post(export))
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

async fn export(
    State(got): State<Arc<Got>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Vec<u8>) {
    let status = got.status.load(Ordering::Relaxed);
    got.requests
        .lock()
        .unwrap()
        .push((headers.clone(), body.to_vec()));
    if let Ok(status @ 400..) = StatusCode::from_u16(status).map(|status| status.as_u16()) {
        return (StatusCode::from_u16(status).unwrap(), vec![]);
    }
    if headers
        .get("content-type")
        .is_none_or(|of| of != "application/x-protobuf")
    {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, vec![]);
    }
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return (StatusCode::BAD_REQUEST, vec![]);
    };
    let resources = request.resource_spans.into_iter();
    let scopes = resources.flat_map(|resource| resource.scope_spans);
    let spans = scopes.flat_map(|scope| scope.spans);
    got.spans.lock().unwrap().extend(spans);
    let answer = ExportTraceServiceResponse::default().encode_to_vec();
    (StatusCode::OK, answer)
}

/// The text of an attribute, or its number as text; empty if there is none.
pub fn attribute(span: &Span, key: &str) -> String {
    let found = span
        .attributes
        .iter()
        .find(|attribute| attribute.key == key);
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
