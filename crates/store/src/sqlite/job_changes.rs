//! Changes of jobs by people: one that waits is cancelled, one that failed is accepted once more.

use bytes::Bytes;
use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use uuid::Uuid;

use super::change::Change;
use super::changes::of_function;
use super::error::Result;
use super::jobs::{SubmitJob, state};
use crate::clock::unix_ms;
use crate::error::Error;
use crate::model::{
    Author, CancelledJob, JobRoom, JobState, NewJob, NewRecord, RetriedJob, Submitted,
};

/// Ends a job that waits.
pub(super) struct CancelJob {
    pub(super) by: Author,
    pub(super) function_id: i64,
    pub(super) id: Uuid,
    pub(super) outcome: Bytes,
}

impl Change for CancelJob {
    type Output = CancelledJob;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<CancelledJob> {
        let Some(row) = find(connection, self.function_id, self.id).await? else {
            return Ok(CancelledJob::Unknown);
        };
        let state = state(&row)?;
        if state != JobState::Queued {
            return Ok(CancelledJob::Is(state));
        }
        sqlx::query("UPDATE jobs SET state = 'done', finished_at = $1, outcome = $2 WHERE id = $3")
            .bind(unix_ms())
            .bind(&self.outcome[..])
            .bind(&self.id.as_bytes()[..])
            .execute(connection)
            .await?;
        Ok(CancelledJob::Cancelled)
    }

    fn record(&self, output: &CancelledJob) -> Option<NewRecord> {
        let details = json!({ "job": self.id.to_string() });
        (*output == CancelledJob::Cancelled)
            .then(|| of_function(&self.by, "job.cancel", self.function_id, details))
    }
}

/// Accepts the call of a done job once more.
pub(super) struct RetryJob {
    pub(super) by: Author,
    pub(super) function_id: i64,
    pub(super) id: Uuid,
    pub(super) as_job: Uuid,
    pub(super) most_waiting: u32,
    pub(super) room: JobRoom,
}

impl Change for RetryJob {
    type Output = Result<RetriedJob, Error>;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output> {
        let Some(row) = find(connection, self.function_id, self.id).await? else {
            return Ok(Ok(RetriedJob::Unknown));
        };
        let state = state(&row)?;
        if state != JobState::Done {
            return Ok(Ok(RetriedJob::Is(state)));
        }
        let request: Vec<u8> = row.try_get("request")?;
        if request.is_empty() {
            return Ok(Ok(RetriedJob::NoRequest));
        }
        let submit = SubmitJob {
            new: NewJob {
                id: self.as_job,
                function_id: self.function_id,
                version: row.try_get("version")?,
                export: row.try_get("export")?,
                request: request.into(),
            },
            of_schedule: None,
            most_waiting: self.most_waiting,
            room: self.room,
        };
        let submitted = submit.apply(connection).await?;
        Ok(submitted.map(RetriedJob::Submitted))
    }

    fn record(&self, output: &Self::Output) -> Option<NewRecord> {
        let details = json!({ "job": self.id.to_string(), "as": self.as_job.to_string() });
        matches!(output, Ok(RetriedJob::Submitted(Submitted::Accepted)))
            .then(|| of_function(&self.by, "job.retry", self.function_id, details))
    }
}

/// A job of a function.
async fn find(
    connection: &mut SqliteConnection,
    function_id: i64,
    id: Uuid,
) -> Result<Option<SqliteRow>> {
    let row = sqlx::query(
        "SELECT version, export, state, request FROM jobs WHERE id = $1 AND function_id = $2",
    )
    .bind(&id.as_bytes()[..])
    .bind(function_id)
    .fetch_optional(connection)
    .await?;
    Ok(row)
}
