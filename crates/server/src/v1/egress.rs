//! `GET /v1/egress`: outbound requests of functions, and the commands that they ran.

use super::access;
use super::answer::{ErrorResponse, Json, Problem};
use super::query::{Query, RowId, RowLimit, WaitSeconds};
use crate::app::App;
use crate::http::truncate;
use crate::time::time;
use axum::extract::State;
use http::HeaderMap;
use iof_fault::Fault;
use iof_store::{OutboundKind, OutboundQuery, OutboundRow, Scope};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

/// The interval between two polls for a row.
const PAUSE: Duration = Duration::from_millis(200);

/// Outbound requests and commands, oldest or newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct SentList {
    /// Each is a request or a command; docs/egress.md describes the fields.
    #[schema(value_type = Vec<Object>)]
    sent: Vec<Value>,
}

/// The query of the list of outbound requests and commands.
#[derive(Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct SentParameters {
    /// Rows of this function only, by number or name
    #[param(required = false, value_type = String)]
    function: Option<String>,
    /// Rows of this call only
    #[param(required = false, value_type = String, format = "uuid")]
    call: Option<Uuid>,
    /// Only rows with greater ids
    #[param(inline, required = false, value_type = RowId)]
    after: Option<RowId>,
    /// Only rows with smaller ids
    #[param(inline, required = false, value_type = RowId)]
    before: Option<RowId>,
    /// Number of rows; 100 by default
    #[param(inline)]
    limit: RowLimit,
    /// Seconds to wait for a row
    #[param(inline)]
    wait: WaitSeconds,
}

/// Show outbound requests and commands
///
/// The newest rows, or with `after` the ones written since, oldest first; `wait` then waits for one. It takes scope
/// `read`.
#[utoipa::path(get, path = "/egress", operation_id = "listEgress", tag = "logs",
    params(SentParameters),
    responses((status = 200, body = SentList), (status = "default", body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Query(wanted): Query<SentParameters>,
    headers: HeaderMap,
) -> Result<Json<SentList>, ErrorResponse> {
    let function_id = match &wanted.function {
        Some(id) => Some(function(&app, id, &headers).await?),
        None => {
            access::server(&app, &headers, &[Scope::Read]).await?;
            None
        }
    };
    let wait = Duration::from_secs(wanted.wait.get());
    let wanted = OutboundQuery {
        after: wanted.after.map(RowId::get),
        before: wanted.before.map(RowId::get),
        function_id,
        call: wanted.call,
        limit: wanted.limit.get(),
        newest_first: wanted.after.is_none(),
        ..OutboundQuery::default()
    };
    let rows = rows(&app, wanted, wait).await?;
    Ok(Json(SentList {
        sent: rows.iter().map(show).collect(),
    }))
}

/// The function whose rows are requested. On a server without keys, where everyone may see the rows of all functions,
/// everyone may see those of one.
async fn function(app: &App, id: &str, headers: &HeaderMap) -> Result<i64, Fault> {
    if app.keys.are_set() {
        let function = access::function(app, id, headers, &[Scope::Read]).await?;
        return Ok(function.function_id);
    }
    let function = match access::number(app, id).await? {
        Some(number) => app.store.function(number).await?,
        None => None,
    };
    let number = function.map(|function| function.function_id);
    number.ok_or_else(|| Fault::no_such_function(truncate(id)))
}

async fn rows(app: &App, wanted: OutboundQuery, wait: Duration) -> Result<Vec<OutboundRow>, Fault> {
    let until = Instant::now() + wait;
    loop {
        app.outbound_log.flush().await;
        let rows = app.store.outbound(&wanted).await?;
        let stopping = app.stopping.load(std::sync::atomic::Ordering::Relaxed);
        if !rows.is_empty() || stopping || Instant::now() >= until {
            return Ok(rows);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn show(row: &OutboundRow) -> Value {
    let sent = &row.record;
    let mut json = json!({
        "id": row.id,
        "at": time(sent.at),
        "call": sent.call.to_string(),
        "function": sent.function_id,
        "version": sent.version,
    });
    match sent.kind {
        OutboundKind::Command => {
            json["command"] = sent.subject.as_deref().into();
        }
        OutboundKind::Request => {
            json["rule"] = sent.subject.as_deref().into();
            json["secrets"] = match &sent.secrets {
                None => json!([]),
                Some(names) => names.split(',').collect(),
            };
            json["method"] = sent.method.as_deref().into();
            json["host"] = sent.host.as_deref().into();
            json["address"] = sent.address.as_deref().into();
            if let Some(waited) = &sent.waited {
                json["waited"] =
                    json!({ "ms": waited.ms, "limit": format!("egress.{}", waited.limit) });
            }
        }
    }
    json["status"] = sent.status.into();
    json["bytes_out"] = sent.bytes_out.into();
    json["bytes_in"] = sent.bytes_in.into();
    json["ms"] = sent.ms.into();
    json["outcome"] = sent.outcome.as_str().into();
    json
}
