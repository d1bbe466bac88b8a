//! A real HTTP server on loopback with the behaviour that a test chooses, and a record of its requests.
//!
//! | path | answer |
//! |---|---|
//! | `/echo` | 200, JSON of the method, the path with its query, the headers and the body |
//! | `/mirror` | 200, the body and the content type of the request |
//! | `/image` | 200, `image/png`: [`IMAGE`] |
//! | `/binary` | 200, `application/octet-stream`: [`binary`] |
//! | `/status/N` | the status N, and the body `status N` |
//! | `/slow/MS` | 200, but the first byte comes after MS milliseconds |
//! | `/drip/N/MS` | 200, N bytes, one every MS milliseconds |
//! | `/size/N` | 200, N bytes of `x` at once, with a length |
//! | `/endless` | 200, bytes without an end |
//! | `/cut/N` | 200, N bytes, and then the connection breaks inside the body |
//! | `/redirect/N?URL` | the status N with `location: URL`, percent-encoded or not |
//! | `/loop` | 302 to itself |
//! | `/gzip` | 200, `content-encoding: gzip`: [`GZIP_TEXT`] compressed |
//! | `/headers/N` | 200, N headers `x-flood-…` |
//! | `/nothing` | 204 |

use std::{
    net::SocketAddr,
    path::Path as FilePath,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
    time::sleep,
};

use crate::listener::{Identity, Listener};

/// The decoded body of `/gzip`.
pub const GZIP_TEXT: &str = "squeezed\n";
const GZIP: [u8; 29] = [
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 43, 46, 44, 77, 77, 173, 74, 77, 225, 2, 0, 102, 237, 188, 83,
    9, 0, 0, 0,
];

/// The body of `/image`: the start of a PNG, which every text decoder changes.
pub const IMAGE: [u8; 16] = *b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

/// The body of `/binary`: every byte, and sequences that are not UTF-8.
pub fn binary() -> Vec<u8> {
    (0..=255).chain([0xff, 0xfe, 0, 0xc3]).collect()
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The headers, names in lower case.
    pub headers: HeaderMap,
}

type Record = Arc<Mutex<Vec<Seen>>>;

/// A running server. It ends when it is dropped.
pub struct Upstream {
    listener: Listener,
    scheme: &'static str,
    ca_pem: String,
    seen: Record,
}

impl Upstream {
    /// Starts a server of plain HTTP on a free port of loopback.
    pub async fn start() -> Self {
        let seen = Record::default();
        let listener = Listener::start(router(&seen), None).await;
        Self {
            listener,
            scheme: "http",
            ca_pem: String::new(),
            seen,
        }
    }

    /// Starts a server of HTTPS with a certificate for these names, from its own authority.
    pub async fn start_tls(names: &[&str]) -> Self {
        let identity = Identity::new(names);
        let seen = Record::default();
        let listener = Listener::start(router(&seen), Some(identity.config)).await;
        Self {
            listener,
            scheme: "https",
            ca_pem: identity.ca_pem,
            seen,
        }
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address
    }

    /// The URL of a path at its address.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address())
    }

    /// Writes its certificate authority to a file.
    pub fn write_ca(&self, path: &FilePath) {
        std::fs::File::create(path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, self.ca_pem.as_bytes()))
            .expect("a place for the authority's certificate");
    }

    /// The lines of `iof.toml` that pin a name to this server, which also lifts the address class for that name.
    pub fn pin(&self, host: &str, port: u16) -> String {
        format!(
            "[[egress.pin]]\nhost = \"{host}\"\nport = {port}\nto = \"{}\"\n",
            self.address()
        )
    }

    /// Every request so far, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no test panics inside").clone()
    }
}

fn router(seen: &Record) -> Router {
    Router::new()
        .route("/echo", any(echo))
        .route("/mirror", any(mirror))
        .route(
            "/image",
            any(|| async { ([(header::CONTENT_TYPE, "image/png")], IMAGE.to_vec()) }),
        )
        .route(
            "/binary",
            any(|| async {
                (
                    [(header::CONTENT_TYPE, "application/octet-stream")],
                    binary(),
                )
            }),
        )
        .route("/status/{status}", any(status))
        .route("/slow/{milliseconds}", any(slow))
        .route("/drip/{count}/{milliseconds}", any(drip))
        .route(
            "/size/{count}",
            any(|Path(count): Path<usize>| async move { "x".repeat(count) }),
        )
        .route("/endless", any(endless))
        .route("/cut/{count}", any(cut))
        .route("/redirect/{status}", any(redirect))
        .route(
            "/loop",
            any(|| async { (StatusCode::FOUND, [(header::LOCATION, "/loop")]) }),
        )
        .route(
            "/gzip",
            any(|| async {
                (
                    [(header::CONTENT_ENCODING, "gzip")],
                    Bytes::from_static(&GZIP),
                )
            }),
        )
        .route("/headers/{count}", any(headers))
        .route("/nothing", any(|| async { StatusCode::NO_CONTENT }))
        .route("/", get(|| async { "upstream\n" }))
        .layer(from_fn_with_state(Arc::clone(seen), record))
}

async fn record(State(seen): State<Record>, request: Request, next: Next) -> Response {
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    seen.lock().expect("no test panics inside").push(Seen {
        method: request.method().to_string(),
        path,
        headers: request.headers().clone(),
    });
    next.run(request).await
}

async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, 64 << 20).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let headers: serde_json::Map<String, Value> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into(),
            )
        })
        .collect();
    let response = json!({
        "method": parts.method.as_str(),
        "path": parts.uri.path_and_query().map(|path| path.as_str()),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    });
    (
        [(header::CONTENT_TYPE, "application/json")],
        response.to_string(),
    )
        .into_response()
}

async fn mirror(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, 64 << 20).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let mut response = body.into_response();
    if let Some(kind) = parts.headers.get(header::CONTENT_TYPE) {
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, kind.clone());
    }
    response
}

async fn status(Path(status): Path<u16>) -> Response {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    (code, format!("status {status}")).into_response()
}

async fn slow(Path(milliseconds): Path<u64>) -> String {
    sleep(Duration::from_millis(milliseconds)).await;
    format!("after {milliseconds} ms")
}

async fn drip(Path((count, milliseconds)): Path<(usize, u64)>) -> Body {
    Body::from_stream(stream::iter(0..count).then(move |_| async move {
        sleep(Duration::from_millis(milliseconds)).await;
        Ok::<_, std::io::Error>(Bytes::from_static(b"."))
    }))
}

async fn endless() -> Body {
    let block = Bytes::from(vec![b'e'; 16 << 10]);
    Body::from_stream(stream::repeat_with(move || {
        Ok::<_, std::io::Error>(block.clone())
    }))
}

async fn cut(Path(count): Path<usize>) -> Body {
    let start = Ok(Bytes::from(vec![b'c'; count]));
    Body::from_stream(
        stream::iter([start, Err(std::io::Error::other("cut, as asked for"))]).then(|part| async {
            // Time for the first part to be sent before the second aborts the connection.
            sleep(Duration::from_millis(20)).await;
            part
        }),
    )
}

async fn redirect(Path(status): Path<u16>, request: Request) -> Response {
    let to = request
        .uri()
        .query()
        .unwrap_or_default()
        .replace("%3A", ":")
        .replace("%2F", "/");
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    (code, [(header::LOCATION, to)]).into_response()
}

async fn headers(Path(count): Path<usize>) -> Response {
    let mut flood = HeaderMap::new();
    for i in 0..count {
        if let Ok(name) = HeaderName::try_from(format!("x-flood-{i}")) {
            flood.insert(
                name,
                HeaderValue::from_static("0123456789012345678901234567890123456789"),
            );
        }
    }
    (flood, "flooded").into_response()
}

/// A server that reads once, sends these bytes for any request, and closes the connection: for answers that no correct
/// HTTP server gives.
pub struct Rude {
    address: SocketAddr,
    /// The accept loop.
    _tasks: JoinSet<()>,
}

impl Rude {
    /// Starts the server on a free port of loopback.
    pub async fn start(answer: impl Into<Bytes>) -> Self {
        let answer = answer.into();
        let socket = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port on loopback");
        let address = socket.local_addr().expect("the address of a bound socket");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = socket.accept().await {
                let mut request = [0; 16 << 10];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
        });
        Self {
            address,
            _tasks: tasks,
        }
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
