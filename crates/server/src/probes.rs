//! The health probes of a server, and the answer to every path that belongs to no surface.

use crate::app::App;
use crate::reply;
use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
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

/// Answers ready while the store answers, its disk has room, and the server is not stopping. A node that cannot reach the
/// database of its fleet is ready, because it serves what it has loaded: were all nodes not ready then, nothing would
/// answer. With `?verbose`, the answer says how each part is.
async fn ready(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response<Body> {
    if app.stopping.load(Ordering::Relaxed) {
        return reply::failure(&Fault::new(FaultKind::Stopping, "The server is stopping."));
    }
    let ready = match app.store.ready().await {
        Ok(()) => app.store.has_room().await,
        Err(error) => Err(error),
    };
    match ready {
        Ok(()) => {
            let text = match query.as_deref() {
                Some("verbose") => format!("{}ready\n", parts(&app)),
                _ => "ready\n".to_owned(),
            };
            let kind = HeaderValue::from_static("text/plain; charset=utf-8");
            reply::ok(StatusCode::OK, kind, text)
        }
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

/// A line for each part of a server that is ready.
fn parts(app: &App) -> String {
    let database = match app.store.stale() {
        Some(since) => format!(
            "database: not reached for {} s; functions that are loaded keep answering, changes are refused",
            since.as_secs()
        ),
        None => "database: ok".to_owned(),
    };
    format!("{database}\ndisk: ok\n")
}
