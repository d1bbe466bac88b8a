//! `/v1/functions/{function}/logs` and `/usage`: what calls printed and came to, and what they cost.

use super::{Problem, access, answer, only, time};
use crate::app::App;
use crate::journal::TOLD;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use http::{HeaderMap, Response, StatusCode};
use iof_fault::Fault;
use iof_store::{LoggedCall, Scope};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;
use utoipa::ToSchema;

/// Rows of an answer, unless the request says another number.
const LIMIT: u32 = 100;
const MOST: u32 = 1_000;
/// How long a request may wait for a row.
const LONGEST: u64 = 60;
const PAUSE: Duration = Duration::from_millis(100);

/// One call.
#[derive(Serialize, ToSchema)]
pub(super) struct LogRow {
    /// Its place in the log.
    id: i64,
    at: String,
    /// How long its code held a core, in microseconds.
    guest_us: u64,
    #[serde(flatten)]
    told: Told,
}

/// How it went.
#[derive(Default, Deserialize, Serialize, ToSchema)]
struct Told {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    export: Option<String>,
    /// The code of what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    /// What went wrong, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// What it printed, its first 4 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stdout: Option<String>,
    /// What it printed as an error, its first 4 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stderr: Option<String>,
}

/// Calls, the oldest first.
#[derive(Serialize, ToSchema)]
pub(super) struct LogList {
    logs: Vec<LogRow>,
}

/// What a function used.
#[derive(Serialize, ToSchema)]
pub(super) struct UsageInfo {
    function: i64,
    /// All calls ever.
    invocations: u64,
    /// How long they held a core together, in microseconds.
    guest_us: u64,
    /// How long the last of them did.
    latest_us: u64,
}

/// Read the log of a function
///
/// The newest calls, or with `after` those that came since; `wait` then waits for one. The server keeps the newest
/// `second_state.log_rows` of each function.
#[utoipa::path(get, path = "/functions/{function}/logs", operation_id = "readLogs", tag = "logs",
    params(
        ("function" = String, Path, description = "Its number or name"),
        ("after" = Option<i64>, Query, description = "Only rows with greater ids", minimum = 0),
        ("limit" = Option<u32>, Query, description = "How many, 100 unless said", minimum = 1, maximum = 1000),
        ("wait" = Option<u64>, Query, description = "Seconds to wait for a row", minimum = 0, maximum = 60),
    ),
    responses((status = 200, body = LogList), (status = "default", body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let list = async {
        let function = access::function(&app, &id, &headers, Scope::Read).await?;
        let query = query.as_deref();
        only(query, &["after", "limit", "wait"])?;
        let after = super::within(query, "after", 0, i64::MAX)?;
        let limit = super::limit(query, LIMIT, MOST)?;
        let wait = super::within(query, "wait", 0, LONGEST)?.unwrap_or(0);
        let until = Instant::now() + Duration::from_secs(wait);
        loop {
            let rows = rows(&app, function.wasm_id, after, limit).await?;
            let stopping = app.stopping.load(Ordering::Relaxed);
            if !rows.is_empty() || stopping || Instant::now() >= until {
                return Ok(LogList {
                    logs: rows.into_iter().filter_map(row).collect(),
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    answer(StatusCode::OK, list.await)
}

async fn rows(
    app: &App,
    id: i64,
    after: Option<i64>,
    limit: u32,
) -> Result<Vec<LoggedCall>, Fault> {
    app.journal.flush().await;
    let rows = match after {
        Some(after) => app.store.calls_after(id, after, limit).await,
        None => app.store.calls(id, true, limit).await,
    };
    let mut rows = rows?;
    rows.sort_by_key(|row| row.log_id);
    Ok(rows)
}

/// A row, unless it is of a result that was sent on.
fn row(call: LoggedCall) -> Option<LogRow> {
    let mut record: Json = serde_json::from_str(&call.record).ok()?;
    if record.get("callback_data_payload").is_some() {
        return None;
    }
    let told = record.get_mut(TOLD).map(Json::take).unwrap_or_default();
    Some(LogRow {
        id: call.log_id,
        at: time(call.called_at),
        guest_us: call.guest_ns / 1_000,
        told: serde_json::from_value(told).unwrap_or_default(),
    })
}

/// Show what a function used
#[utoipa::path(get, path = "/functions/{function}/usage", operation_id = "readUsage", tag = "logs",
    params(("function" = String, Path, description = "Its number or name")),
    responses((status = 200, body = UsageInfo), (status = "default", body = Problem)))]
pub(super) async fn usage(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let usage = async {
        let function = access::function(&app, &id, &headers, Scope::Read).await?;
        app.journal.flush().await;
        let usage = app.store.usage(function.wasm_id).await?;
        Ok(UsageInfo {
            function: function.wasm_id,
            invocations: usage.invocations,
            guest_us: usage.guest_ns / 1_000,
            latest_us: usage.latest_ns / 1_000,
        })
    };
    answer(StatusCode::OK, usage.await)
}
