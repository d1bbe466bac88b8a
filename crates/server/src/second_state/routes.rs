//! The routes of this API, except those that run functions, which are [`Route`](super::route::Route).

use super::{callback, describe, ephemeral, executables, keys, log, nowhere, state};
use crate::app::App;
use crate::reply;
use axum::Router;
use axum::body::Body;
use axum::routing::{get, post, put};
use http::{Response, StatusCode};
use std::sync::Arc;

pub(super) fn router(app: &Arc<App>) -> Router {
    Router::new()
        .route("/", get(index))
        .route(
            "/api/executables",
            post(executables::create).get(executables::list),
        )
        .route(
            "/api/executables/{wasm_id}",
            get(describe::read).delete(executables::delete),
        )
        .route(
            "/api/update_wasm_binary/{wasm_id}",
            put(executables::update),
        )
        .route(
            "/api/keys/{wasm_id}/usage_key",
            put(keys::renew).delete(keys::open),
        )
        .route("/api/state/{wasm_id}", get(state::read).put(state::write))
        .route("/api/callback/{wasm_id}", put(callback::write))
        .route("/api/log/{wasm_id}", get(log::read))
        .route("/api/ephemeral_storage", post(ephemeral::create))
        .route(
            "/api/ephemeral_storage/{key}",
            get(ephemeral::read)
                .put(ephemeral::replace)
                .delete(ephemeral::delete),
        )
        .fallback(nowhere::answer)
        .method_not_allowed_fallback(nowhere::answer)
        .with_state(Arc::clone(app))
}

/// The extra colon is the original's.
async fn index() -> Response<Body> {
    const INDEX: &str = r#"[{"application":"wasm_joey"},{"usage_documentation:":"https://github.com/second-state/wasm-joey/blob/master/documentation/usage.md"}]"#;
    reply::ok(StatusCode::OK, reply::HTML, INDEX)
}
