//! `GET /v1/audit`: who changed what, when, and through which surface.

use super::access;
use super::answer::{ErrorResponse, Json, Problem};
use super::query::{Query, RowId, RowLimit};
use crate::app::App;
use crate::time::{time, unix_ms_of};
use axum::extract::State;
use http::HeaderMap;
use iof_fault::{Fault, FaultKind};
use iof_store::{ChangeQuery, ChangeRecord, Scope};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

/// Changes, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct ChangeList {
    changes: Vec<ChangeInfo>,
    /// True if older ones follow: ask again with `before`, the last id of these.
    more: bool,
}

/// A change.
#[derive(Serialize, ToSchema)]
pub(super) struct ChangeInfo {
    /// Its number.
    id: i64,
    at: String,
    /// The surface that took it: `v1`, `console`, `api` (the API of 2020); `program` for the server itself.
    surface: &'static str,
    key: ChangeKey,
    /// The subject and the verb, such as `version.deploy`.
    action: String,
    /// The function that changed; absent if it is of no one function.
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<i64>,
    /// The name that the function had.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The details of the change: numbers, names and sizes.
    #[schema(value_type = Object)]
    details: Value,
}

/// The key of a change, without its secret.
#[derive(Serialize, ToSchema)]
struct ChangeKey {
    /// `server` (`auth.keys`), `made` (`/v1/keys`), `function` (its admin key), or `none`.
    kind: &'static str,
    /// Its place in `auth.keys` from 1 on, its number, or that of the function.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    /// The label of a key that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
}

impl ChangeInfo {
    fn of(change: ChangeRecord) -> Self {
        let key = &change.by.key;
        Self {
            id: change.id,
            at: time(change.made_at),
            surface: change.by.surface.as_str(),
            key: ChangeKey {
                kind: key.kind(),
                id: key.id(),
                label: key.label().map(str::to_owned),
            },
            action: change.action,
            function: change.function_id,
            name: change.function_name,
            details: serde_json::from_str(&change.details).unwrap_or_default(),
        }
    }
}

/// The query of the audit log.
#[derive(Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ChangeParameters {
    /// Changes of this function only, by number or name
    #[param(required = false, value_type = String)]
    function: Option<String>,
    /// Only those that were made at this time or later, as in 2027-01-01T00:00:00Z
    #[param(required = false, value_type = String, format = DateTime)]
    since: Option<String>,
    /// Only those with smaller ids
    #[param(inline, required = false, value_type = RowId)]
    before: Option<RowId>,
    /// Number of rows; 100 by default
    #[param(inline)]
    limit: RowLimit,
}

/// Show the audit log
///
/// Changes with their time, key and details, the newest first. It takes a key of the server, or one of scope `admin`; a key of one function
/// asks for that function.
#[utoipa::path(get, path = "/audit", operation_id = "listChanges", tag = "logs",
    params(ChangeParameters),
    responses((status = 200, body = ChangeList), (status = "default", body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Query(wanted): Query<ChangeParameters>,
    headers: HeaderMap,
) -> Result<Json<ChangeList>, ErrorResponse> {
    let function_id = match &wanted.function {
        Some(id) => match access::function(&app, id, &headers, &[Scope::Admin]).await {
            Ok(function) => Some(function.function_id),
            // Operators see what was done to a function that is gone.
            Err(fault) if fault.kind == FaultKind::NoSuchFunction => {
                access::operator(&app, &headers).await?;
                Some(id.parse().map_err(|_| fault)?)
            }
            Err(fault) => return Err(fault.into()),
        },
        None => {
            access::operator(&app, &headers).await?;
            None
        }
    };
    let limit = wanted.limit.get();
    let query = ChangeQuery {
        function_id,
        since: wanted.since.as_deref().map(since).transpose()?,
        before: wanted.before.map(RowId::get),
        // One more tells whether there are more.
        limit: limit + 1,
    };
    let mut changes = app.store.changes(&query).await?;
    let more = changes.len() > limit as usize;
    changes.truncate(limit as usize);
    Ok(Json(ChangeList {
        changes: changes.into_iter().map(ChangeInfo::of).collect(),
        more,
    }))
}

/// # Errors
/// `query`
fn since(text: &str) -> Result<i64, Fault> {
    unix_ms_of(text).ok_or_else(|| {
        let shown = crate::http::truncate(text);
        let message = format!(
            "The parameter since must be a time: got {shown:?}. Write it in UTC, as in 2027-01-01T00:00:00Z."
        );
        Fault::new(FaultKind::Query, message)
    })
}
