//! A folder over HTTP, so that a page in a browser has an origin of its own.

use std::path::{Path, PathBuf};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use crate::listener::Listener;

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

    /// The page that the folder's `index.html` is, without a slash at the end.
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
    // One folder, no way out of it.
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
