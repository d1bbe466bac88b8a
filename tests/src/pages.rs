//! A web server for a folder, so that a page in a browser has a separate origin; and a proxy in front of a server.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use crate::listener::Listener;
use crate::server::Server;

/// A static web server on a free port of loopback. It ends when it is dropped.
pub struct Pages {
    listener: Listener,
}

impl Pages {
    /// Serves the files directly inside `folder`.
    pub async fn start(folder: &Path) -> Self {
        let router = Router::new()
            .fallback(file)
            .with_state(folder.to_path_buf());
        Self {
            listener: Listener::start(router, None).await,
        }
    }

    /// The URL of the folder's `index.html`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.listener.address)
    }
}

async fn file(State(folder): State<PathBuf>, uri: Uri) -> Response {
    let name = uri.path().trim_start_matches('/');
    let name = if name.is_empty() { "index.html" } else { name };
    let kind = match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    // Only files directly in the folder are served.
    if name.contains(['/', '\\', '%']) || name.starts_with('.') {
        return StatusCode::NOT_FOUND.into_response();
    }
    match tokio::fs::read(folder.join(name)).await {
        Ok(bytes) => (
            [
                (header::CONTENT_TYPE, kind),
                (header::CACHE_CONTROL, "no-store"),
            ],
            bytes,
        )
            .into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A proxy on a free port of loopback that writes its server's address as `Host`.
pub struct Proxy {
    listener: Listener,
    to: Arc<OnceLock<String>>,
}

impl Proxy {
    /// Starts the proxy, without a server behind it yet.
    ///
    /// # Panics
    /// If no client can be built.
    pub async fn start() -> Self {
        let to = Arc::new(OnceLock::new());
        let state = (
            Arc::clone(&to),
            reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("a client without TLS"),
        );
        let router = Router::new().fallback(forward).with_state(state);
        Self {
            listener: Listener::start(router, None).await,
            to,
        }
    }

    /// The URL for its clients.
    pub fn url(&self) -> String {
        format!("http://localhost:{}", self.listener.address.port())
    }

    /// Forwards to this server from now on.
    pub fn lead_to(&self, server: &Server) {
        let _ = self.to.set(server.url.clone());
    }
}

type Forward = (Arc<OnceLock<String>>, reqwest::Client);

async fn forward(State((to, client)): State<Forward>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, 1 << 20).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    parts.headers.remove("host");
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let url = format!("{}{path}", to.get().map_or("", String::as_str));
    let request = client.request(parts.method, url).headers(parts.headers);
    let Ok(answer) = request.body(body).send().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    response.headers_mut().remove("transfer-encoding");
    *response.body_mut() = Body::from(answer.bytes().await.unwrap_or_default());
    response
}
