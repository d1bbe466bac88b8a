//! `GET /v1/egress`: what left because of functions, and which commands they ran.

use super::{Problem, access, answer, only, parameter, time};
use crate::app::App;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use http::{HeaderMap, Response, StatusCode};
use iof_fault::Fault;
use iof_store::{Scope, SentKind, SentQuery, SentRow};
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

const PARAMETERS: [&str; 6] = ["function", "call", "after", "before", "limit", "wait"];
/// Rows of an answer, unless the request says another number.
const LIMIT: u32 = 100;
const MOST: u32 = 1_000;
/// How long a request may wait for a row.
const LONGEST: u64 = 60;
const PAUSE: Duration = Duration::from_millis(200);

/// What left, oldest or newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct SentList {
    /// A request or a command each; docs/egress.md says what the fields are.
    #[schema(value_type = Vec<Object>)]
    sent: Vec<Json>,
}

/// Show what left
///
/// The newest rows, or with `after` the ones that came since, oldest first; `wait` then waits for one. It takes scope
/// `read`.
#[utoipa::path(get, path = "/egress", operation_id = "listEgress", tag = "logs",
    params(
        ("function" = Option<String>, Query, description = "Of one function, by number or name"),
        ("call" = Option<String>, Query, description = "Of one call", format = "uuid"),
        ("after" = Option<i64>, Query, description = "Only rows with greater ids", minimum = 0),
        ("before" = Option<i64>, Query, description = "Only rows with smaller ids", minimum = 0),
        ("limit" = Option<u32>, Query, description = "How many, 100 unless said", minimum = 1, maximum = 1000),
        ("wait" = Option<u64>, Query, description = "Seconds to wait for a row", minimum = 0, maximum = 60),
    ),
    responses((status = 200, body = SentList), (status = "default", body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let list = async {
        let query = query.as_deref();
        only(query, &PARAMETERS)?;
        let wasm_id = match parameter::<String>(query, "function")? {
            Some(id) => {
                let function = access::function(&app, &id, &headers, Scope::Read).await?;
                Some(function.wasm_id)
            }
            None => {
                access::server(&app, &headers, Scope::Read).await?;
                None
            }
        };
        let after = super::within(query, "after", 0, i64::MAX)?;
        let limit = super::limit(query, LIMIT, MOST)?;
        let wait = super::within(query, "wait", 0, LONGEST)?.unwrap_or(0);
        let wanted = SentQuery {
            after,
            before: super::within(query, "before", 0, i64::MAX)?,
            wasm_id,
            call: parameter::<Uuid>(query, "call")?,
            limit,
            newest_first: after.is_none(),
            ..SentQuery::default()
        };
        let rows = rows(&app, wanted, Duration::from_secs(wait)).await?;
        Ok(SentList {
            sent: rows.iter().map(show).collect(),
        })
    };
    answer(StatusCode::OK, list.await)
}

async fn rows(app: &App, wanted: SentQuery, wait: Duration) -> Result<Vec<SentRow>, Fault> {
    let until = Instant::now() + wait;
    loop {
        app.records.flush().await;
        let rows = app.store.sent(&wanted).await?;
        let stopping = app.stopping.load(std::sync::atomic::Ordering::Relaxed);
        if !rows.is_empty() || stopping || Instant::now() >= until {
            return Ok(rows);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn show(row: &SentRow) -> Json {
    let sent = &row.sent;
    let mut json = json!({
        "id": row.id,
        "at": time(sent.at),
        "call": sent.call.to_string(),
        "function": sent.wasm_id,
        "version": sent.version,
    });
    match sent.kind {
        SentKind::Command => {
            json["command"] = sent.subject.as_deref().into();
        }
        SentKind::Request => {
            json["rule"] = sent.subject.as_deref().into();
            json["secrets"] = match &sent.secrets {
                None => json!([]),
                Some(names) => names.split(',').collect(),
            };
            json["method"] = sent.method.as_deref().into();
            json["host"] = sent.host.as_deref().into();
            json["address"] = sent.address.as_deref().into();
        }
    }
    json["status"] = sent.status.into();
    json["bytes_out"] = sent.bytes_out.into();
    json["bytes_in"] = sent.bytes_in.into();
    json["ms"] = sent.ms.into();
    json["outcome"] = sent.outcome.as_str().into();
    json
}
