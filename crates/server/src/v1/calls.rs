//! `/v1/calls`: recorded calls, and their replay.

use super::access::{self, Admin, AuthorizedFunction, FunctionPath};
use super::answer::{ErrorResponse, Json, Problem};
use super::query::Query;
use crate::app::App;
use crate::http::truncate;
use crate::replay;
use crate::time::time;
use axum::extract::{Path, State};
use http::HeaderMap;
use iof_fault::{Fault, FaultKind};
use iof_store::{Function, Recording, Scope};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

/// The most recorded calls in one answer.
const MOST: u32 = 1_000;

/// A recorded call.
#[derive(Serialize, ToSchema)]
pub(super) struct RecordedInfo {
    call: String,
    version: i64,
    at: String,
    /// `ok`, or the code of its fault.
    outcome: String,
    /// Bytes of the recording.
    size: u64,
}

/// Recorded calls, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct RecordedList {
    calls: Vec<RecordedInfo>,
}

/// A recorded call with its contents.
#[derive(Serialize, ToSchema)]
pub(super) struct Recorded {
    call: String,
    function: i64,
    version: i64,
    at: String,
    /// `ok`, or the code of its fault.
    outcome: String,
    /// The input, the host's answers and the end of the call.
    #[schema(value_type = Object)]
    recorded: Value,
}

/// The part of a path that names a recorded call.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct CallPath {
    /// The header iof-call of its answer
    #[param(format = "uuid")]
    call: String,
}

/// List the recorded calls of a function
#[utoipa::path(get, path = "/functions/{function}/calls", operation_id = "listRecordedCalls", tag = "records",
    params(FunctionPath),
    responses((status = 200, body = RecordedList), (status = "default", body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, _): AuthorizedFunction<Admin>,
) -> Result<Json<RecordedList>, ErrorResponse> {
    let id = function.function_id;
    app.outbound_log.flush().await;
    let calls = app.store.recordings(id, MOST).await?;
    let calls = calls.into_iter().map(|call| RecordedInfo {
        call: call.call.to_string(),
        version: call.version,
        at: time(call.at),
        outcome: call.outcome,
        size: call.size,
    });
    Ok(Json(RecordedList {
        calls: calls.collect(),
    }))
}

/// Show a recorded call
#[utoipa::path(get, path = "/calls/{call}", operation_id = "readRecordedCall", tag = "records",
    params(CallPath),
    responses((status = 200, body = Recorded), (status = "default", body = Problem)))]
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Path(CallPath { call }): Path<CallPath>,
    headers: HeaderMap,
) -> Result<Json<Recorded>, ErrorResponse> {
    let (recording, _) = recording(&app, &call, &headers).await?;
    let data: Value = serde_json::from_slice(&recording.data)
        .map_err(|error| Fault::host("The recording cannot be read.", error))?;
    Ok(Json(Recorded {
        call: recording.call.to_string(),
        function: recording.function_id,
        version: recording.version,
        at: time(recording.at),
        outcome: recording.outcome,
        recorded: data,
    }))
}

/// The query of a replay.
#[derive(Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ReplayTarget {
    /// The version to run it on
    #[param(required = false, value_type = i64, minimum = 1)]
    version: Option<i64>,
}

/// Run a recorded call again
///
/// Replays the call offline, with the recorded host responses, on the original version or the one given.
#[utoipa::path(post, path = "/calls/{call}/replay", operation_id = "replayCall", tag = "records",
    params(CallPath, ReplayTarget),
    responses((status = 200, body = Object, description = "The outcomes of both calls, and their differences"), (status = "default", body = Problem)))]
pub(super) async fn replay(
    State(app): State<Arc<App>>,
    Path(CallPath { call }): Path<CallPath>,
    Query(on): Query<ReplayTarget>,
    headers: HeaderMap,
) -> Result<Json<Value>, ErrorResponse> {
    let (recording, function) = recording(&app, &call, &headers).await?;
    let number = on.version.unwrap_or(recording.version);
    let version = app.store.version(function.function_id, number).await?;
    let version = version.ok_or_else(|| Fault::no_such_version(function.function_id, number))?;
    let replayed = replay::replay(&app, &recording, &version).await?;
    Ok(Json(replayed))
}

/// A recorded call and its function, for a sender who may see it.
async fn recording(
    app: &App,
    call: &str,
    headers: &HeaderMap,
) -> Result<(Recording, Function), Fault> {
    app.outbound_log.flush().await;
    let recording = match Uuid::try_parse(call) {
        Ok(call) => app.store.recording(call).await?,
        Err(_) => None,
    };
    match recording {
        Some(recording) => {
            let id = recording.function_id.to_string();
            let function = access::function(app, &id, headers, &[Scope::Admin]).await?;
            Ok((recording, function))
        }
        None if app.keys.admit(headers) || crate::auth::given(headers).is_some() => {
            Err(Fault::new(
                FaultKind::NoSuchCall,
                format!(
                    "There is no recording of call {}; `record = \"always\"` or \"errors\" in function.toml records calls.",
                    truncate(call)
                ),
            ))
        }
        None => Err(crate::auth::key_fault()),
    }
}
