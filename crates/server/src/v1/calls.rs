//! `/v1/calls`: recorded calls, and their replay.

use super::{Problem, access, answer, only, parameter, time};
use crate::app::App;
use crate::replay;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use http::{HeaderMap, Response, StatusCode};
use iof_fault::{Fault, FaultKind};
use iof_store::{Function, Recording, Scope};
use serde::Serialize;
use serde_json::Value as Json;
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

/// Recorded calls in one answer.
const MOST: u32 = 1_000;

/// A recorded call.
#[derive(Serialize, ToSchema)]
pub(super) struct RecordedInfo {
    call: String,
    version: i64,
    at: String,
    /// `ok`, or the code of its fault.
    outcome: String,
    /// Of what is recorded, in bytes.
    size: u64,
}

/// Recorded calls, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct RecordedList {
    calls: Vec<RecordedInfo>,
}

/// A recorded call, whole.
#[derive(Serialize, ToSchema)]
pub(super) struct Recorded {
    call: String,
    function: i64,
    version: i64,
    at: String,
    /// `ok`, or the code of its fault.
    outcome: String,
    /// What went in, what the host answered, how it ended.
    #[schema(value_type = Object)]
    recorded: Json,
}

/// List the recorded calls of a function
#[utoipa::path(get, path = "/functions/{function}/calls", operation_id = "listRecordedCalls", tag = "records",
    params(("function" = String, Path, description = "Its number or name")),
    responses((status = 200, body = RecordedList), (status = "default", body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let list = async {
        let id = access::function(&app, &id, &headers, Scope::Admin)
            .await?
            .wasm_id;
        app.records.flush().await;
        let calls = app.store.recordings(id, MOST).await?;
        let calls = calls.into_iter().map(|call| RecordedInfo {
            call: call.call.to_string(),
            version: call.version,
            at: time(call.at),
            outcome: call.outcome,
            size: call.size,
        });
        Ok(RecordedList {
            calls: calls.collect(),
        })
    };
    answer(StatusCode::OK, list.await)
}

/// Show a recorded call
#[utoipa::path(get, path = "/calls/{call}", operation_id = "readRecordedCall", tag = "records",
    params(("call" = String, Path, description = "The header iof-call of its answer", format = "uuid")),
    responses((status = 200, body = Recorded), (status = "default", body = Problem)))]
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Path(call): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let read = async {
        let (recording, _) = recording(&app, &call, &headers).await?;
        let data: Json = serde_json::from_slice(&recording.data)
            .map_err(|error| Fault::host("The recording cannot be read.", error))?;
        Ok(Recorded {
            call: recording.call.to_string(),
            function: recording.wasm_id,
            version: recording.version,
            at: time(recording.at),
            outcome: recording.outcome,
            recorded: data,
        })
    };
    answer(StatusCode::OK, read.await)
}

/// Run a recorded call again
///
/// Offline: it hears what it heard. On the version that it ran on, or another.
#[utoipa::path(post, path = "/calls/{call}/replay", operation_id = "replayCall", tag = "records",
    params(("call" = String, Path, description = "The header iof-call of its answer", format = "uuid"), ("version" = Option<i64>, Query, description = "The version to run it on", minimum = 1)),
    responses((status = 200, body = Object, description = "How it ended, and what was different"), (status = "default", body = Problem)))]
pub(super) async fn replay(
    State(app): State<Arc<App>>,
    Path(call): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let replayed = async {
        only(query.as_deref(), &["version"])?;
        let (recording, function) = recording(&app, &call, &headers).await?;
        let number = parameter(query.as_deref(), "version")?.unwrap_or(recording.version);
        let version = app.store.version(function.wasm_id, number).await?;
        let version = version.ok_or_else(|| Fault::no_such_version(function.wasm_id, number))?;
        replay::replay(&app, &recording, &version).await
    };
    answer(StatusCode::OK, replayed.await)
}

/// A recorded call and its function, for whoever may see it.
async fn recording(
    app: &App,
    call: &str,
    headers: &HeaderMap,
) -> Result<(Recording, Function), Fault> {
    app.records.flush().await;
    let recording = match Uuid::try_parse(call) {
        Ok(call) => app.store.recording(call).await?,
        Err(_) => None,
    };
    match recording {
        Some(recording) => {
            let id = recording.wasm_id.to_string();
            let function = access::function(app, &id, headers, Scope::Admin).await?;
            Ok((recording, function))
        }
        None if app.keys.admit(headers) || crate::auth::given(headers).is_some() => {
            Err(Fault::new(
                FaultKind::NoSuchCall,
                format!(
                    "Nothing is recorded of call {}; `record = \"always\"` or \"errors\" in function.toml records calls.",
                    super::shown(call)
                ),
            ))
        }
        None => Err(crate::auth::key_fault()),
    }
}
