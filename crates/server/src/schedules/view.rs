//! The schedules of a function, for readers.

use super::declared;
use crate::app::App;
use crate::grants::DeclaredSchedule;
use crate::time::unix_ms_now;
use iof_fault::Fault;
use iof_store::{Function, Schedule, ScheduledJob};

/// The number of next times that readers see.
const UPCOMING: usize = 5;

/// A schedule of an active version.
pub(crate) struct ScheduleView {
    pub(crate) name: String,
    /// The version that declares it.
    pub(crate) version: i64,
    pub(crate) declared: DeclaredSchedule,
    pub(crate) paused: bool,
    /// The next times, in Unix milliseconds; none while it is paused.
    pub(crate) next: Vec<i64>,
    /// The newest job that it made and that is still kept.
    pub(crate) last: Option<ScheduledJob>,
}

/// The schedules of a function's active version, by name.
///
/// # Errors
/// `store`
pub(crate) async fn schedules_of(
    app: &App,
    function: &Function,
) -> Result<Vec<ScheduleView>, Fault> {
    let schedules = app.store.schedules(function.function_id).await?;
    let declaration = function.version.declaration.as_deref();
    let views = schedules
        .into_iter()
        // A deploy between the two reads leaves out what the other version does not declare.
        .filter_map(|schedule| view(schedule, declaration));
    Ok(views.collect())
}

fn view(schedule: Schedule, declaration: Option<&str>) -> Option<ScheduleView> {
    let declared = declared(declaration, &schedule.name)?;
    let timetable = declared.timetable().ok().filter(|_| !schedule.paused);
    let next = timetable.map(|times| times.upcoming(unix_ms_now().div_euclid(1000), UPCOMING));
    Some(ScheduleView {
        name: schedule.name,
        version: schedule.version,
        declared,
        paused: schedule.paused,
        next: next.into_iter().flatten().map(|next| next * 1000).collect(),
        last: schedule.last,
    })
}
