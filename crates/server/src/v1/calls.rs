//! `/v1/calls`: recorded calls, and their replay.

use super::{administered, answer, only, parameter, time};
use crate::app::App;
use crate::functions::store_fault;
use crate::replay;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use http::{HeaderMap, Response, StatusCode};
use iof_engine::Fault;
use iof_store::{Function, Recording};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use uuid::Uuid;

/// Recorded calls in one answer.
const MOST: u32 = 1_000;

/// `GET /v1/functions/{function}/calls`: what is recorded of it, newest first.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let list = async {
        let id = administered(&app, &id, &headers).await?.wasm_id;
        app.records.flush().await;
        let calls = app.store.recordings(id, MOST).await.map_err(store_fault)?;
        let calls = calls.into_iter().map(|call| {
            json!({
                "call": call.call.to_string(),
                "version": call.version,
                "at": time(call.at),
                "outcome": call.outcome,
                "size": call.size,
            })
        });
        Ok(json!({ "calls": calls.collect::<Vec<_>>() }))
    };
    answer(StatusCode::OK, list.await)
}

/// `GET /v1/calls/{call}`
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Path(call): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let read = async {
        let (recording, _) = recording(&app, &call, &headers).await?;
        let data: Json = serde_json::from_slice(&recording.data)
            .map_err(|error| Fault::host("The recording cannot be read.", error))?;
        Ok(json!({
            "call": recording.call.to_string(),
            "function": recording.wasm_id,
            "version": recording.version,
            "at": time(recording.at),
            "outcome": recording.outcome,
            "recorded": data,
        }))
    };
    answer(StatusCode::OK, read.await)
}

/// `POST /v1/calls/{call}/replay?version=N`: runs it again, offline; the version is the recorded one unless named.
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
        let version = app
            .store
            .version(function.wasm_id, number)
            .await
            .map_err(store_fault)?;
        let version = version.ok_or_else(|| {
            Fault::client(
                "no-such-version",
                format!("Function {} has no version {number}.", function.wasm_id),
            )
            .with_status(404)
        })?;
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
        Ok(call) => app.store.recording(call).await.map_err(store_fault)?,
        Err(_) => None,
    };
    match recording {
        Some(recording) => {
            let function = administered(app, &recording.wasm_id.to_string(), headers).await?;
            Ok((recording, function))
        }
        None if app.keys.admit(headers) || crate::auth::given(headers).is_some() => Err(Fault::client(
            "no-such-call",
            format!(
                "Nothing is recorded of call {}; `record = \"always\"` or \"errors\" in function.toml records calls.",
                super::shown(call)
            ),
        )
        .with_status(404)),
        None => Err(crate::auth::key_fault()),
    }
}
