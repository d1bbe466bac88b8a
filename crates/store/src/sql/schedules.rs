//! Schedules, as rows.

use serde::Deserialize;
use serde_json::json;
use sqlx::Row as _;
use uuid::Uuid;

use super::change::{Change, Locks};
use super::changes::of_function;
use super::column::damaged;
use super::database::Database;
use super::driver::{SqlConnection, SqlPool, SqlRow, greatest};
use super::error::{Failure, Result};
use super::job_queues;
use super::job_rows::state;
use super::jobs::SubmitJob;
use crate::error::Error;
use crate::model::{
    Author, DueSchedule, JobRoom, NewJob, NewRecord, Schedule, ScheduledJob, Settled, Settlement,
    Submitted,
};
use crate::rows::Schedules;

impl Schedules for Database {
    async fn due_schedules(&self, now: i64, limit: u32) -> Result<Vec<DueSchedule>, Error> {
        Ok(due(&self.readers, now, limit).await?)
    }

    async fn next_schedule(&self) -> Result<Option<i64>, Error> {
        let next = sqlx::query_scalar("SELECT min(due_at) FROM schedules WHERE paused = 0");
        let next = next.fetch_one(&self.readers).await;
        Ok(next.map_err(Failure::from)?)
    }

    async fn settle_schedule(
        &self,
        settlement: Settlement,
        most_waiting: u32,
        room: JobRoom,
    ) -> Result<Option<Settled>, Error> {
        self.write(Settle {
            settlement,
            most_waiting,
            room,
        })
        .await?
    }

    async fn schedules(&self, function_id: i64) -> Result<Vec<Schedule>, Error> {
        Ok(of(&self.readers, function_id).await?)
    }

    async fn pause_schedule(
        &self,
        by: Author,
        function_id: i64,
        name: String,
        paused: bool,
        now: i64,
    ) -> Result<bool, Error> {
        let changed = self.write(PauseSchedule {
            by,
            function_id,
            name,
            paused,
            now,
        });
        Ok(changed.await?.is_some())
    }
}

/// A schedule in a declaration: the part of it that the store knows.
#[derive(Deserialize)]
struct DeclaredSchedule {
    name: String,
    cron: String,
    timezone: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Declaration {
    schedule: Vec<DeclaredSchedule>,
}

/// Makes the schedules and the queue of a function those of its active version. To be called with each move of that pointer, in its
/// transaction.
pub(super) async fn replace(
    connection: &mut SqlConnection,
    function_id: i64,
    now: i64,
) -> Result<()> {
    let active = sqlx::query(
        "SELECT v.number, v.declaration
           FROM functions f JOIN versions v ON v.id = f.active_version WHERE f.function_id = $1",
    )
    .bind(function_id)
    .fetch_one(&mut *connection)
    .await?;
    let version: i64 = active.try_get("number")?;
    let declaration: Option<&str> = active.try_get("declaration")?;
    job_queues::replace(connection, function_id, declaration).await?;
    // Declarations of earlier releases have no schedules.
    let declared: Declaration = declaration
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    for DeclaredSchedule {
        name,
        cron,
        timezone,
    } in declared.schedule
    {
        sqlx::query(concat!(
            "INSERT INTO schedules (function_id, name, version, cron, timezone, settled_at, due_at, paused)
             VALUES ($1, $2, $3, $4, $5, $6, $6, 0)
             ON CONFLICT (function_id, name) DO UPDATE SET
                 settled_at = CASE WHEN schedules.cron = excluded.cron AND schedules.timezone = excluded.timezone
                                   THEN schedules.settled_at ELSE ", greatest!(), "(schedules.settled_at, excluded.settled_at) END,
                 version = excluded.version, cron = excluded.cron, timezone = excluded.timezone, due_at = excluded.due_at",
        ))
        .bind(function_id)
        .bind(name)
        .bind(version)
        .bind(cron)
        .bind(timezone)
        .bind(now)
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query("DELETE FROM schedules WHERE function_id = $1 AND version <> $2")
        .bind(function_id)
        .bind(version)
        .execute(connection)
        .await?;
    Ok(())
}

async fn due(readers: &SqlPool, now: i64, limit: u32) -> Result<Vec<DueSchedule>> {
    let rows = sqlx::query(
        "SELECT s.function_id, s.name, s.version, s.settled_at, v.declaration
           FROM schedules s JOIN versions v ON v.function_id = s.function_id AND v.number = s.version
          WHERE s.paused = 0 AND s.due_at <= $1 ORDER BY s.due_at LIMIT $2",
    )
    .bind(now)
    .bind(i64::from(limit))
    .fetch_all(readers)
    .await?;
    let read = |row: &SqlRow| {
        Ok(DueSchedule {
            function_id: row.try_get("function_id")?,
            name: row.try_get("name")?,
            version: row.try_get("version")?,
            declaration: row.try_get("declaration")?,
            settled_at: row.try_get("settled_at")?,
        })
    };
    rows.iter().map(read).collect()
}

async fn of(readers: &SqlPool, function_id: i64) -> Result<Vec<Schedule>> {
    let rows = sqlx::query(
        "SELECT s.name, s.version, s.paused, j.id, j.due_at, j.state
           FROM schedules s LEFT JOIN jobs j ON j.id = (
                SELECT id FROM jobs WHERE function_id = s.function_id AND schedule = s.name
                 ORDER BY due_at DESC LIMIT 1)
          WHERE s.function_id = $1 ORDER BY s.name",
    )
    .bind(function_id)
    .fetch_all(readers)
    .await?;
    let read = |row: &SqlRow| {
        let id: Option<&[u8]> = row.try_get("id")?;
        let last = id.map(|id| {
            Ok::<_, Failure>(ScheduledJob {
                id: Uuid::from_slice(id).map_err(|_| damaged("id"))?,
                due_at: row.try_get("due_at")?,
                state: state(row)?,
            })
        });
        Ok(Schedule {
            name: row.try_get("name")?,
            version: row.try_get("version")?,
            paused: row.try_get::<i64, _>("paused")? != 0,
            last: last.transpose()?,
        })
    };
    rows.iter().map(read).collect()
}

/// Settles times of a schedule. Its output is `None` if the schedule has changed since it was read.
struct Settle {
    settlement: Settlement,
    most_waiting: u32,
    room: JobRoom,
}

impl Change for Settle {
    type Output = Result<Option<Settled>, Error>;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let Settlement {
            due,
            export,
            request,
            jobs,
            terms,
            until,
            next,
        } = &self.settlement;
        let as_read = sqlx::query(
            "SELECT 1 FROM schedules
              WHERE function_id = $1 AND name = $2 AND version = $3 AND settled_at = $4 AND paused = 0",
        )
        .bind(due.function_id)
        .bind(&due.name)
        .bind(due.version)
        .bind(due.settled_at)
        .fetch_optional(&mut *connection)
        .await?;
        if as_read.is_none() {
            return Ok(Ok(None));
        }
        let mut settled = Settled {
            jobs: 0,
            refused: None,
        };
        let (mut until, mut next) = (*until, *next);
        for &(id, due_at) in jobs {
            if is_made(connection, due, due_at).await? {
                continue;
            }
            let submit = SubmitJob {
                new: NewJob {
                    id,
                    function_id: due.function_id,
                    version: due.version,
                    export: export.clone(),
                    request: request.clone(),
                    terms: terms.clone(),
                },
                of_schedule: Some((due.name.clone(), due_at)),
                most_waiting: self.most_waiting,
                room: self.room,
            };
            match submit.apply(connection).await? {
                Ok(Submitted::Accepted) => settled.jobs += 1,
                Ok(refused) => {
                    settled.refused = Some((refused, due_at));
                    (until, next) = (due_at - 1, Some(due_at));
                    break;
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        sqlx::query(concat!(
            "UPDATE schedules SET settled_at = ",
            greatest!(),
            "(settled_at, $3), due_at = $4 WHERE function_id = $1 AND name = $2",
        ))
        .bind(due.function_id)
        .bind(&due.name)
        .bind(until)
        .bind(next)
        .execute(connection)
        .await?;
        Ok(Ok(Some(settled)))
    }

    fn locks(&self, locks: &mut Locks) {
        locks.jobs = true;
    }

    fn record(&self, _: &Self::Output) -> Option<NewRecord> {
        None
    }
}

/// Returns whether a time has its job: the clock went back, and the schedule was declared anew since.
async fn is_made(connection: &mut SqlConnection, due: &DueSchedule, at: i64) -> Result<bool> {
    let made =
        sqlx::query("SELECT 1 FROM jobs WHERE function_id = $1 AND schedule = $2 AND due_at = $3")
            .bind(due.function_id)
            .bind(&due.name)
            .bind(at)
            .fetch_optional(connection)
            .await?;
    Ok(made.is_some())
}

/// Pauses a schedule, or resumes it. Its output is whether that changed it; `None` if there is no such schedule.
struct PauseSchedule {
    by: Author,
    function_id: i64,
    name: String,
    paused: bool,
    now: i64,
}

impl Change for PauseSchedule {
    type Output = Option<bool>;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Option<bool>> {
        let there =
            sqlx::query_scalar("SELECT paused FROM schedules WHERE function_id = $1 AND name = $2")
                .bind(self.function_id)
                .bind(&self.name)
                .fetch_optional(&mut *connection)
                .await?;
        match there {
            None => return Ok(None),
            Some::<i64>(paused) if (paused != 0) == self.paused => return Ok(Some(false)),
            Some(_) => {}
        }
        // Times until now do not come: before a pause they were looked at, and while it lasted they are left out.
        sqlx::query(concat!(
            "UPDATE schedules SET paused = $3, settled_at = ",
            greatest!(),
            "(settled_at, $4), due_at = $4
              WHERE function_id = $1 AND name = $2",
        ))
        .bind(self.function_id)
        .bind(&self.name)
        .bind(i64::from(self.paused))
        .bind(self.now)
        .execute(connection)
        .await?;
        Ok(Some(true))
    }

    fn locks(&self, locks: &mut Locks) {
        locks.jobs = true;
    }

    fn record(&self, output: &Option<bool>) -> Option<NewRecord> {
        let action = match self.paused {
            true => "schedule.pause",
            false => "schedule.resume",
        };
        let details = json!({ "schedule": self.name });
        (*output == Some(true)).then(|| of_function(&self.by, action, self.function_id, details))
    }
}
