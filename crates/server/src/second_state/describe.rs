//! The description of a function, whole or by the names of its fields.

use super::answer::{error_body, refuse};
use super::buffer::{self, ModuleAnswer};
use super::executables::admit;
use super::request::{USAGE_KEY, function, header, is_admin};
use crate::app::App;
use crate::connection::Written;
use crate::http::query_value;
use crate::reply;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use http::{HeaderMap, Response, StatusCode};
use iof_fault::{Fault, FaultKind};
use iof_store::{Function, Usage};
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;

/// The names that `filterBy` accepts; without it, the first six are shown.
const FILTERS: [&str; 10] = [
    "wasm_id",
    "wasm_description",
    "wasm_as_buffer",
    "wasm_state",
    "wasm_sha256",
    "wasm_callback_object",
    "total_gas_consumed",
    "total_invocations",
    "full_usage_report",
    "latest_execution_time_in_nanoseconds",
];
const BUFFER: &str = "wasm_as_buffer";
/// The order of an answer without `filterBy`.
const ALL: [&str; 6] = [
    "wasm_id",
    "wasm_sha256",
    "wasm_description",
    "wasm_as_buffer",
    "wasm_state",
    "wasm_callback_object",
];

/// `GET /api/executables/{wasm_id}?filterBy=["…"]`
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    match describe(&app, &id, query.as_deref(), &headers).await {
        Ok(response) => response,
        Err(fault) => refuse(&fault, &id, ""),
    }
}

async fn describe(
    app: &App,
    id: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response<Body>, Fault> {
    admit(app, headers)?;
    let function = function(app, id).await?;
    let wanted = match filters(query, &FILTERS) {
        Ok(Some(wanted)) => wanted,
        Ok(None) => ALL.map(str::to_owned).into(),
        Err(refusal) => return Ok(refusal),
    };
    let usage = match wanted.iter().any(|name| is_usage(name)) {
        false => None,
        true if is_admin(&function, headers) => {
            app.call_log.flush().await;
            Some(app.store.usage(function.function_id).await?)
        }
        true => return Ok(no_usage(function.function_id)),
    };
    let mut answer = Map::new();
    for name in wanted {
        let value = match (name.as_str(), &usage) {
            ("wasm_id", _) => function.function_id.into(),
            ("wasm_description", _) => function.description.clone().into(),
            ("wasm_state", _) if may_call(&function, headers) => function.state.clone().into(),
            ("wasm_state", _) => Json::Null,
            ("wasm_sha256", _) => function.version.legacy_sha256.clone().into(),
            ("wasm_callback_object", _) if is_admin(&function, headers) => {
                function.callback.clone().into()
            }
            ("wasm_callback_object", _) => without_headers(&function.callback).into(),
            // A placeholder: the module is written while the answer is sent.
            ("wasm_as_buffer", _) => Json::Null,
            (name, Some(usage)) => usage_value(name, usage),
            (_, None) => Json::Null,
        };
        answer.insert(name, value);
    }
    if !answer.contains_key(BUFFER) {
        let body = Json::Object(answer).to_string();
        return Ok(reply::ok(StatusCode::OK, reply::HTML, body));
    }
    let (mut before, mut after) = ("{".to_owned(), String::new());
    let mut is_behind = false;
    for (at, (name, value)) in answer.iter().enumerate() {
        let text = if is_behind { &mut after } else { &mut before };
        if at > 0 {
            text.push(',');
        }
        text.push_str(&format!("\"{name}\":"));
        match name == BUFFER {
            true => is_behind = true,
            false => text.push_str(&value.to_string()),
        }
    }
    after.push('}');
    let (source, share) = buffer::source(app, &function).await?;
    let answer = ModuleAnswer {
        before,
        source,
        after,
        share,
    };
    let body = buffer::body(app, answer).await?;
    let mut response = reply::ok(StatusCode::OK, reply::HTML, "");
    *response.body_mut() = body;
    response.extensions_mut().insert(Written);
    Ok(response)
}

/// The names of `filterBy`; `None` if there is none.
///
/// # Errors
/// The answer to a `filterBy` that is not a JSON array of strings, or has an unknown name.
#[expect(clippy::result_large_err, reason = "an answer is what it is")]
pub(super) fn filters(
    query: Option<&str>,
    known: &[&str],
) -> Result<Option<Vec<String>>, Response<Body>> {
    let Some(filter) = query_value(query, "filterBy").filter(|filter| !filter.is_empty()) else {
        return Ok(None);
    };
    let Ok(wanted) = serde_json::from_str::<Vec<String>>(&filter) else {
        let fault = Fault::new(
            FaultKind::Filter,
            "filterBy must be a JSON array of strings.",
        );
        let body = error_body("Please check your filterBy parameters. Not valid string array!");
        return Err(reply::ok_but(&fault, reply::HTML, body));
    };
    if wanted.iter().any(|name| !known.contains(&name.as_str())) {
        let fault = Fault::new(
            FaultKind::Filter,
            format!("filterBy takes {}.", known.join(", ")),
        );
        let body = json!([{ "error_invalid_filter": filter }, { "valid_filters_include": known }]);
        return Err(reply::ok_but(&fault, reply::HTML, body.to_string()));
    }
    Ok(Some(wanted))
}

/// Returns whether the caller may read the state of a private function: those who may call it, as under the route of
/// the state.
fn may_call(function: &Function, headers: &HeaderMap) -> bool {
    is_admin(function, headers)
        || function
            .usage_key_hash
            .as_ref()
            .is_none_or(|hash| header(headers, &USAGE_KEY).is_some_and(|given| hash.matches(given)))
}

/// A callback without the values of its headers, which are often secrets.
fn without_headers(callback: &str) -> String {
    let Ok(mut callback) = serde_json::from_str::<Json>(callback) else {
        return "{}".to_owned();
    };
    if let Some(headers) = callback.get_mut("headers").and_then(Json::as_object_mut) {
        headers
            .values_mut()
            .for_each(|value| *value = "(hidden)".into());
    }
    callback.to_string()
}

fn is_usage(name: &str) -> bool {
    FILTERS.get(6..).unwrap_or_default().contains(&name)
}

/// The answer with the original's text.
fn no_usage(id: i64) -> Response<Body> {
    let fault = Fault::new(FaultKind::AdminKey, "SSVM_Admin_Key is missing or wrong.");
    let body = error_body(&format!(
        "Wrong admin key! total_gas_consumed, total_invocations and full_usage_report for {id} require that San \
         SVM_Admin_Key is present in the request headers."
    ));
    reply::ok_but(&fault, reply::HTML, body)
}

/// Gas is the time for which the function's code held a core, in nanoseconds.
fn usage_value(name: &str, usage: &Usage) -> Json {
    match name {
        "total_gas_consumed" => usage.guest_ns.into(),
        "total_invocations" => usage.invocations.into(),
        "latest_execution_time_in_nanoseconds" => usage.latest_ns.to_string().into(),
        _ => {
            let seconds = usage.seconds.iter().map(|(second, ns)| {
                let ns = ns.to_string();
                (
                    second.to_string(),
                    json!({ "gas": ns, "total_execution_time": ns }),
                )
            });
            Json::Object(seconds.collect())
        }
    }
}
