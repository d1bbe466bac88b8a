//! The API of the Second State FaaS of 2020: `/api/...`.
//!
//! Its clients read the body of a 200, whatever happened, so they get that body: a string that is JSON under the type
//! `text/html`, as Express sent it. What really happened is in `iof-status`, `iof-fault` and `iof-message`. Where the
//! original accepted nonsense, hung or crashed there is no client to please, and the status itself is true.
//! docs/second-state.md lists every difference.

mod arguments;
mod executables;
mod run;

use crate::app::App;
use axum::Router;
use axum::routing::{get, post};
use http::HeaderMap;
use std::sync::Arc;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route(
            "/api/executables",
            post(executables::create).get(executables::list),
        )
        .route(
            "/api/executables/{wasm_id}",
            get(executables::read).delete(executables::delete),
        )
        .route("/api/run/{wasm_id}/{function}", post(run::text))
        .route("/api/run/{wasm_id}/{function}/bytes", post(run::bytes))
}

/// A header of the original, which was spelt with dashes until June 2020 and with underscores since. Proxies drop the
/// latter, articles show the former: both work. Undecodable values count as absent.
fn header<'a>(headers: &'a HeaderMap, underscored: &str) -> Option<&'a str> {
    let value = headers
        .get(underscored)
        .or_else(|| headers.get(underscored.replace('_', "-")))?;
    value.to_str().ok()
}

/// A `wasm_id` of a path. Anything that is no number is the id of no function.
fn parse_id(text: &str) -> Option<i64> {
    text.parse().ok().filter(|id| *id > 0)
}

/// The body of most failures.
fn error_body(message: &str) -> String {
    serde_json::json!({ "error": message }).to_string()
}
