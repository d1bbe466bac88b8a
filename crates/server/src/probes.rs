//! The health probes of a server, and the answer to every path that belongs to no surface.

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

/// Answers ready while the store answers, its disk has room, and the server is not stopping.
async fn ready(State(app): State<Arc<App>>) -> Response<Body> {
    if app.stopping.load(Ordering::Relaxed) {
        return reply::failure(&Fault::new(FaultKind::Stopping, "The server is stopping."));
    }
    let ready = match app.store.ready().await {
        Ok(()) => app.store.has_room().await,
        Err(error) => Err(error),
    };
    match ready {
        Ok(()) => reply::ok(
            StatusCode::OK,
            HeaderValue::from_static("text/plain; charset=utf-8"),
            "ready\n",
        ),
        Err(iof_store::Error::DiskFull(why)) => {
            let message = "The disk of the data directory is full: nothing can be stored. Free some space; the server looks again every 5 seconds.";
            reply::failure(&Fault::new(FaultKind::StoreFull, message).with_detail(why))
        }
        Err(error) => {
            tracing::error!(%error, "not ready");
            reply::failure(&Fault::new(
                FaultKind::StoreBusy,
                "The store does not answer.",
            ))
        }
    }
}
