//! The route of `/metrics`, on a listener of its own.

use super::exemplars;
use super::exposition::registry;
use crate::app::App;
use crate::parsing::blocking;
use crate::reply;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use iof_fault::Fault;
use prometheus_client::encoding::{prometheus_text, text};
use std::sync::Arc;

/// OpenMetrics, for scrapers that ask for it.
const OPEN: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
/// The text format of Prometheus.
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

pub(crate) fn router(app: &Arc<App>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(reply::wrong_method)
        .fallback(reply::no_such_route)
        .with_state(Arc::clone(app))
}

async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Response<Body> {
    let open = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|accept| accept.to_str().ok())
        .any(|accept| accept.contains("application/openmetrics-text"));
    // Without the database the page has all other figures.
    let jobs = app.store.job_figures().await.ok();
    // The exposition reads files of /proc, and formats megabytes where there are many functions.
    let text = blocking(move || {
        let registry = registry(&app, jobs);
        let mut text = String::new();
        match open {
            true => text::encode(&mut text, &registry).map(|()| {
                text = exemplars::add(&text, &app.metrics);
            }),
            false => prometheus_text::encode(&mut text, &registry),
        }
        .map(|()| text)
    });
    let unwritten = |error: &dyn std::fmt::Display| {
        reply::failure(&Fault::host("The metrics could not be written.", error))
    };
    match text.await {
        Ok(Ok(text)) => reply::ok(StatusCode::OK, if open { OPEN } else { PLAIN }, text),
        Ok(Err(error)) => unwritten(&error),
        Err(fault) => reply::failure(&fault),
    }
}
