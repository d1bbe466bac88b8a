//! `GET /v1/server/functions`: what the functions did since the server started, for `iof top`.

use super::access::{AuthorizedServer, Read};
use super::answer::{Json, Problem};
use crate::app::App;
use crate::metrics::{Snapshot, VersionFigures};
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// The use of functions since the server started.
#[derive(Serialize, ToSchema)]
pub(super) struct FunctionUseList {
    /// Seconds since the server started. The difference between two answers is the time between them.
    uptime: f64,
    /// Upper bounds, in seconds, of the groups in `times` and `waits`. One more group has all longer times.
    bounds: Vec<f64>,
    /// Upper bounds, in bytes, of the groups in `memory`. One more group has all larger sizes.
    memory_bounds: Vec<f64>,
    /// Versions of functions that were called. Those beyond `metrics.functions` are counted together as `(other)`,
    /// version 0.
    functions: Vec<FunctionUse>,
}

/// The use of one version of a function. All counts only grow, until the server restarts.
#[derive(Serialize, ToSchema)]
struct FunctionUse {
    /// Its name, or its number.
    function: String,
    version: i64,
    /// Calls that ended.
    calls: u64,
    /// Calls that failed because of the request.
    client_faults: u64,
    /// Calls that failed for any other reason.
    faults: u64,
    /// Calls that waited for its code to be loaded.
    loads: u64,
    /// Seconds for which its code held a core.
    cpu: f64,
    /// Calls by their time, waiting included.
    times: Vec<u64>,
    /// Calls by their wait for permits.
    waits: Vec<u64>,
    /// Calls by the most memory that each had at once.
    memory: Vec<u64>,
}

impl From<VersionFigures> for FunctionUse {
    fn from(of: VersionFigures) -> Self {
        let counts = |histogram: Snapshot| histogram.buckets.iter().map(|(_, n)| *n).collect();
        Self {
            function: of.function,
            version: of.version,
            calls: of.calls,
            client_faults: of.client_faults,
            faults: of.faults,
            loads: of.loads,
            cpu: of.cpu,
            times: counts(of.times),
            waits: counts(of.waits),
            memory: counts(of.memory),
        }
    }
}

/// Show the use of functions
///
/// Counts since the server started, of the versions that were called since then. It takes a key of the server, or one of
/// scope `read` for all functions.
#[utoipa::path(get, path = "/server/functions", operation_id = "listFunctionUse", tag = "server",
    responses((status = 200, body = FunctionUseList), (status = "default", body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    _sender: AuthorizedServer<Read>,
) -> Json<FunctionUseList> {
    Json(FunctionUseList {
        uptime: app.metrics.uptime(),
        bounds: Snapshot::BOUNDS.to_vec(),
        memory_bounds: Snapshot::SIZES.to_vec(),
        functions: app.metrics.versions().into_iter().map(Into::into).collect(),
    })
}
