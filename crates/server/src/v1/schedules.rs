//! `/v1/functions/{function}/schedules`: the calls that the server makes at certain times; listed, paused and resumed.

use super::access::{Admin, AuthorizedFunction, FunctionPath, Read};
use super::answer::{ErrorResponse, Json, NoContent, Problem};
use crate::app::App;
use crate::http::truncate;
use crate::schedules::{ScheduleView, schedules_of};
use crate::time::time;
use axum::extract::{Path, State};
use iof_fault::{Fault, FaultKind};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// The schedules of the active version, by name.
#[derive(Serialize, ToSchema)]
pub(super) struct ScheduleList {
    schedules: Vec<ScheduleInfo>,
}

/// A schedule: calls that the server makes at certain times.
#[derive(Serialize, ToSchema)]
struct ScheduleInfo {
    name: String,
    /// The version that declares it, which its calls run.
    version: i64,
    cron: String,
    timezone: String,
    export: String,
    /// The policy for times that have passed when the server gets to them: `skip`, `once` or `all`.
    missed: &'static str,
    paused: bool,
    /// The next five times; none while it is paused.
    next: Vec<String>,
    /// The newest job that it made and that is still kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<LastJob>,
}

/// A job that a schedule made.
#[derive(Serialize, ToSchema)]
struct LastJob {
    job: String,
    /// The time that it was made for.
    due_at: String,
    /// `queued`, `running` or `done`.
    state: &'static str,
}

impl From<ScheduleView> for ScheduleInfo {
    fn from(of: ScheduleView) -> Self {
        Self {
            name: of.name,
            version: of.version,
            cron: of.declared.cron,
            timezone: of.declared.timezone,
            export: of.declared.export,
            missed: of.declared.missed.as_str(),
            paused: of.paused,
            next: of.next.into_iter().map(time).collect(),
            last: of.last.map(|last| LastJob {
                job: last.id.to_string(),
                due_at: time(last.due_at),
                state: last.state.as_str(),
            }),
        }
    }
}

/// List the schedules of a function
///
/// Those that its active version declares, with their next times. It takes a key of scope `read`.
#[utoipa::path(get, path = "/functions/{function}/schedules", operation_id = "listSchedules", tag = "schedules",
    params(FunctionPath),
    responses((status = 200, body = ScheduleList), (status = "default", body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, _): AuthorizedFunction<Read>,
) -> Result<Json<ScheduleList>, ErrorResponse> {
    let schedules = schedules_of(&app, &function).await?.into_iter();
    Ok(Json(ScheduleList {
        schedules: schedules.map(ScheduleInfo::from).collect(),
    }))
}

/// The part of a path that names a schedule.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct SchedulePath {
    /// Its name; a slash in it as `%2F`
    schedule: String,
}

/// Pause a schedule
///
/// It makes no calls until it is resumed. Later versions that declare a schedule of this name keep it paused. It takes
/// scope `admin`.
#[utoipa::path(post, path = "/functions/{function}/schedules/{schedule}/pause", operation_id = "pauseSchedule", tag = "schedules",
    params(FunctionPath, SchedulePath),
    responses((status = 204, description = "It is paused."), (status = "default", body = Problem)))]
pub(super) async fn pause(
    app: State<Arc<App>>,
    function: AuthorizedFunction<Admin>,
    path: Path<SchedulePath>,
) -> Result<NoContent, ErrorResponse> {
    set_paused(app, function, path, true).await
}

/// Resume a schedule
///
/// Times while it was paused are left out, whatever its policy. It takes scope `admin`.
#[utoipa::path(post, path = "/functions/{function}/schedules/{schedule}/resume", operation_id = "resumeSchedule", tag = "schedules",
    params(FunctionPath, SchedulePath),
    responses((status = 204, description = "It makes calls again."), (status = "default", body = Problem)))]
pub(super) async fn resume(
    app: State<Arc<App>>,
    function: AuthorizedFunction<Admin>,
    path: Path<SchedulePath>,
) -> Result<NoContent, ErrorResponse> {
    set_paused(app, function, path, false).await
}

async fn set_paused(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, by): AuthorizedFunction<Admin>,
    Path(SchedulePath { schedule }): Path<SchedulePath>,
    paused: bool,
) -> Result<NoContent, ErrorResponse> {
    let id = function.function_id;
    let there = by
        .store
        .pause_schedule(id, schedule.clone(), paused)
        .await?;
    app.scheduling.changed.notify_one();
    match there {
        true => Ok(NoContent),
        false => {
            let message = format!(
                "The active version declares no schedule {}. List them: GET /v1/functions/{id}/schedules.",
                truncate(&schedule)
            );
            Err(Fault::new(FaultKind::NoSuchSchedule, message).into())
        }
    }
}
