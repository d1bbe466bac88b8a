//! The log of calls: one row per call, for holders of the function's admin key.
//!
//! The original showed the first row to anyone. The first stored row is still the answer, because clients parse one
//! object; `?last=20` is an addition of iof, and returns an array of the newest rows.

use super::answer::refuse;
use super::describe;
use super::request::administered;
use crate::app::App;
use crate::call_log::OWN_FIELD;
use crate::http::query_value;
use crate::reply;
use crate::time::time;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use http::{HeaderMap, Response, StatusCode};
use iof_fault::{Fault, FaultKind};
use iof_store::LoggedCall;
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;

/// The columns of a row, which `filterBy` may name.
const COLUMNS: [&str; 5] = [
    "log_id",
    "wasm_executable_id",
    "wasm_executable_state",
    "execution_timestamp",
    "execution_object",
];

/// `GET /api/log/{wasm_id}?filterBy=["…"]`
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    match rows(&app, &id, query.as_deref(), &headers).await {
        Ok(response) => response,
        Err(fault) => refuse(
            &fault,
            &id,
            &format!("Wrong admin key ... {id} can not be accessed."),
        ),
    }
}

async fn rows(
    app: &App,
    id: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response<Body>, Fault> {
    let function = administered(app, id, headers).await?;
    let wanted = match describe::filters(query, &COLUMNS) {
        Ok(wanted) => wanted,
        Err(refusal) => return Ok(refusal),
    };
    let last = match query_value(query, "last") {
        None => None,
        Some(count) => Some(count.parse::<u32>().map_err(|_| {
            Fault::new(
                FaultKind::Last,
                "last must be a whole number, as in ?last=20.",
            )
        })?),
    };
    app.call_log.flush().await;
    let newest_first = last.is_some();
    let calls = app
        .store
        .calls(function.function_id, newest_first, last.unwrap_or(1))
        .await?;
    let mut rows = calls.iter().map(|call| row(call, wanted.as_deref()));
    let body = match last {
        Some(_) => Json::Array(rows.collect()),
        None => rows.next().unwrap_or_else(|| json!({})),
    };
    Ok(reply::ok(StatusCode::OK, reply::HTML, body.to_string()))
}

fn row(call: &LoggedCall, wanted: Option<&[String]>) -> Json {
    let columns = wanted.map_or(COLUMNS.to_vec(), |wanted| {
        wanted.iter().map(String::as_str).collect()
    });
    let mut row = Map::new();
    for column in columns {
        let value = match column {
            "log_id" => call.log_id.into(),
            "wasm_executable_id" => call.function_id.into(),
            // A text in a text: the original's column held JSON.
            "wasm_executable_state" => crate::json::quoted(&call.state).into(),
            "execution_timestamp" => time(call.called_at).into(),
            _ => of_2020(&call.record).into(),
        };
        row.insert(column.to_owned(), value);
    }
    Json::Object(row)
}

/// A record without the fields that this API never had.
fn of_2020(record: &str) -> String {
    match serde_json::from_str(record) {
        Ok(Json::Object(mut record)) => {
            record.shift_remove(OWN_FIELD);
            Json::Object(record).to_string()
        }
        _ => record.to_owned(),
    }
}
