//! Schedules: the times at which functions are called without a caller.
//!
//! The schedules of a function are those of its active version. They change with the pointer to that version, in one
//! transaction: a kill leaves either the old ones or the new ones. A time becomes a job in the transaction that settles
//! it, and a settled time never comes again; so each has one job at most, however many processes look at the schedule.
//!
//! A schedule that the next version declares under the same name goes on where it was, paused if it was paused; if its
//! times changed, they count from the moment of the change.

use super::Store;
use crate::clock::unix_ms;
use crate::error::Error;
use crate::model::{DueSchedule, JobRoom, Schedule, Settled, Settlement};
use crate::rows::Schedules as _;

impl Store {
    /// Up to `limit` schedules that were due by `now` (Unix milliseconds), those that were due first before others.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn due_schedules(&self, now: i64, limit: u32) -> Result<Vec<DueSchedule>, Error> {
        self.rows().due_schedules(now, limit).await
    }

    /// The time at which the next schedule is due, in Unix milliseconds; `None` if none will be.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn next_schedule(&self) -> Result<Option<i64>, Error> {
        self.rows().next_schedule().await
    }

    /// Settles times of a schedule, and accepts the jobs for them. `most_waiting` and `room` are those of
    /// [`Store::submit_job`]. When this returns, it is on the disk. `None` if the schedule has changed since it was read;
    /// nothing was changed.
    ///
    /// # Errors
    /// The errors of [`Store::delete_function`]; nothing was changed.
    pub async fn settle_schedule(
        &self,
        settlement: Settlement,
        most_waiting: u32,
        room: JobRoom,
    ) -> Result<Option<Settled>, Error> {
        self.finish(move |inner| async move {
            inner
                .rows
                .settle_schedule(settlement, most_waiting, room)
                .await
        })
        .await
    }

    /// The schedules of a function's active version, by name.
    ///
    /// # Errors
    /// The errors of [`Store::function`].
    pub async fn schedules(&self, function_id: i64) -> Result<Vec<Schedule>, Error> {
        self.rows().schedules(function_id).await
    }

    /// Pauses a schedule, or resumes it; times while it was paused do not come. Returns `false` if the active version has
    /// no such schedule. When this returns, it is on the disk, and in the audit log.
    ///
    /// # Errors
    /// The errors of [`Store::delete_function`]; nothing was changed.
    pub async fn pause_schedule(
        &self,
        function_id: i64,
        name: String,
        paused: bool,
    ) -> Result<bool, Error> {
        let by = self.author();
        self.finish(move |inner| async move {
            inner
                .rows
                .pause_schedule(by, function_id, name, paused, unix_ms())
                .await
        })
        .await
    }
}
