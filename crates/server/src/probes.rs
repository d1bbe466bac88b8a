//! The probes of a server's health, and the answer to every path that belongs to no surface.

use crate::app::App;
use crate::reply;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use http::{HeaderValue, Response, StatusCode};
use iof_fault::{Fault, FaultKind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(crate) fn router(app: &Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .method_not_allowed_fallback(reply::wrong_method)
        .fallback(reply::no_such_route)
        .with_state(Arc::clone(app))
}

/// Ready while the store answers and the server has not been told to stop.
async fn ready(State(app): State<Arc<App>>) -> Response<Body> {
    if app.stopping.load(Ordering::Relaxed) {
        return reply::failure(&Fault::new(FaultKind::Stopping, "The server is stopping."));
    }
    match app.store.ready().await {
        Ok(()) => reply::ok(
            StatusCode::OK,
            HeaderValue::from_static("text/plain; charset=utf-8"),
            "ready\n",
        ),
        Err(error) => {
            tracing::error!(%error, "not ready");
            reply::failure(&Fault::new(
                FaultKind::StoreBusy,
                "The store does not answer.",
            ))
        }
    }
}
