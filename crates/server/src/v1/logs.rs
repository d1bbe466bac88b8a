//! `/v1/functions/{function}/logs` and `/usage`: the output, result and cost of calls.

use super::access::{AuthorizedFunction, FunctionPath, Read};
use super::answer::{ErrorResponse, Json, Problem};
use super::query::{Query, RowId, RowLimit, WaitSeconds};
use crate::app::App;
use crate::call_log::CallResult;
use crate::time::time;
use axum::extract::State;
use iof_store::LoggedCall;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;
use utoipa::ToSchema;

/// The interval between two polls for a row.
const PAUSE: Duration = Duration::from_millis(100);

/// One call.
#[derive(Serialize, ToSchema)]
pub(super) struct LogRow {
    /// Its position in the log.
    id: i64,
    at: String,
    /// The time for which its code held a core, in microseconds.
    guest_us: u64,
    #[serde(flatten)]
    result: CallResult,
}

/// Calls, the oldest first.
#[derive(Serialize, ToSchema)]
pub(super) struct LogList {
    logs: Vec<LogRow>,
    /// Rows that were dropped since the server's start, because `server.call_log_memory` was full. They count in the
    /// usage.
    dropped: u64,
}

/// The usage of a function.
#[derive(Serialize, ToSchema)]
pub(super) struct UsageInfo {
    function: i64,
    /// The number of all calls.
    invocations: u64,
    /// The time for which all calls together held a core, in microseconds.
    guest_us: u64,
    /// The time for which the last call held a core, in microseconds.
    latest_us: u64,
}

/// The query of a log.
#[derive(Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// Only rows with greater ids
    #[param(inline, required = false, value_type = RowId)]
    after: Option<RowId>,
    /// Number of rows; 100 by default
    #[param(inline)]
    limit: RowLimit,
    /// Seconds to wait for a row
    #[param(inline)]
    wait: WaitSeconds,
}

/// Read the log of a function
///
/// The newest calls, or with `after` those logged since; `wait` then waits for one. The server keeps the newest
/// `server.log_rows` calls of each function, and the newest `server.refused_rows` calls that were refused before
/// the function ran.
#[utoipa::path(get, path = "/functions/{function}/logs", operation_id = "readLogs", tag = "logs",
    params(FunctionPath, LogQuery),
    responses((status = 200, body = LogList), (status = "default", body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, _): AuthorizedFunction<Read>,
    Query(wanted): Query<LogQuery>,
) -> Result<Json<LogList>, ErrorResponse> {
    let (mut after, limit) = (wanted.after.map(RowId::get), wanted.limit.get());
    let until = Instant::now() + Duration::from_secs(wanted.wait.get());
    loop {
        let rows = app
            .call_log
            .rows(&app.store, function.function_id, after, limit)
            .await?;
        let logs: Vec<_> = rows.iter().filter_map(row).collect();
        // A reader continues behind rows of callbacks, which it does not get.
        if let (true, Some(_), Some(last)) = (logs.is_empty(), after, rows.last()) {
            after = Some(last.log_id);
            continue;
        }
        let stopping = app.stopping.load(Ordering::Relaxed);
        if !logs.is_empty() || stopping || Instant::now() >= until {
            return Ok(Json(LogList {
                logs,
                dropped: app.call_log.dropped(function.function_id),
            }));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The row of a call; `None` for the row of a result that was sent to a callback.
fn row(call: &LoggedCall) -> Option<LogRow> {
    Some(LogRow {
        id: call.log_id,
        at: time(call.called_at),
        guest_us: call.guest_ns / 1_000,
        result: CallResult::of(call)?,
    })
}

/// Show the usage of a function
#[utoipa::path(get, path = "/functions/{function}/usage", operation_id = "readUsage", tag = "logs",
    params(FunctionPath),
    responses((status = 200, body = UsageInfo), (status = "default", body = Problem)))]
pub(super) async fn usage(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, _): AuthorizedFunction<Read>,
) -> Result<Json<UsageInfo>, ErrorResponse> {
    app.call_log.flush().await;
    let usage = app.store.usage(function.function_id).await?;
    Ok(Json(UsageInfo {
        function: function.function_id,
        invocations: usage.invocations,
        guest_us: usage.guest_ns / 1_000,
        latest_us: usage.latest_ns / 1_000,
    }))
}
