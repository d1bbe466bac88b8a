//! Changes of jobs by people: one that waits is cancelled, one that failed is accepted once more.

use bytes::Bytes;
use serde_json::json;
use sqlx::Row as _;
use uuid::Uuid;

use super::change::{Change, Locks};
use super::changes::of_function;
use super::column::damaged;
use super::driver::{SqlConnection, SqlRow};
use super::error::Result;
use super::job_rows::state;
use super::jobs::Acceptance;
use crate::clock::unix_ms;
use crate::error::Error;
use crate::model::{Author, CancelledJob, JobRoom, JobState, NewRecord, RetriedJob, Submitted};

/// Ends a job that waits.
pub(super) struct CancelJob {
    pub(super) by: Author,
    pub(super) function_id: i64,
    pub(super) id: Uuid,
    pub(super) outcome: Bytes,
}

impl Change for CancelJob {
    type Output = CancelledJob;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<CancelledJob> {
        let Some(row) = find(connection, self.function_id, self.id).await? else {
            return Ok(CancelledJob::Unknown);
        };
        let state = state(&row)?;
        if state != JobState::Queued {
            return Ok(CancelledJob::Is(state));
        }
        sqlx::query(
            "UPDATE jobs SET state = 'done', delayed = 0, ended = 'cancelled', finished_at = $1, outcome = $2 WHERE id = $3",
        )
            .bind(unix_ms())
            .bind(&self.outcome[..])
            .bind(&self.id.as_bytes()[..])
            .execute(connection)
            .await?;
        Ok(CancelledJob::Cancelled)
    }

    fn locks(&self, locks: &mut Locks) {
        locks.jobs = true;
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

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let Some(row) = find(connection, self.function_id, self.id).await? else {
            return Ok(Ok(RetriedJob::Unknown));
        };
        let state = state(&row)?;
        if state != JobState::Done {
            return Ok(Ok(RetriedJob::Is(state)));
        }
        if !row.try_get::<bool, _>("retriable")? {
            return Ok(Ok(RetriedJob::NoRequest));
        }
        let size: i64 = row.try_get("size")?;
        let acceptance = Acceptance {
            id: self.as_job,
            of: (self.function_id, row.try_get("version")?),
            size: u64::try_from(size).map_err(|_| damaged("request"))?,
            most_waiting: self.most_waiting,
            most_in_queue: u32::MAX,
            room: self.room,
        };
        match acceptance.check(connection).await? {
            Ok(Submitted::Accepted) => {}
            refused => return Ok(refused.map(RetriedJob::Submitted)),
        }
        sqlx::query(
            "INSERT INTO jobs (id, function_id, version, export, kind, state, attempts, accepted_at, request, rank, most_attempts,
                               expires_at, of_job, callback, callback_job)
             SELECT $1, function_id, version, export, kind, 'queued', 0, $2, request, rank, most_attempts,
                    $2 + (expires_at - accepted_at), of_job, callback, CASE WHEN callback_job IS NOT NULL THEN $3 END
               FROM jobs WHERE id = $4",
        )
        .bind(&self.as_job.as_bytes()[..])
        .bind(unix_ms())
        .bind(&Uuid::new_v4().as_bytes()[..])
        .bind(&self.id.as_bytes()[..])
        .execute(connection)
        .await?;
        Ok(Ok(RetriedJob::Submitted(Submitted::Accepted)))
    }

    fn locks(&self, locks: &mut Locks) {
        locks.jobs = true;
    }

    fn record(&self, output: &Self::Output) -> Option<NewRecord> {
        let details = json!({ "job": self.id.to_string(), "as": self.as_job.to_string() });
        matches!(output, Ok(RetriedJob::Submitted(Submitted::Accepted)))
            .then(|| of_function(&self.by, "job.retry", self.function_id, details))
    }
}

/// A job of a function.
async fn find(
    connection: &mut SqlConnection,
    function_id: i64,
    id: Uuid,
) -> Result<Option<SqlRow>> {
    let row = sqlx::query(
        "SELECT version, state, CAST(1024 + octet_length(export) + length(request) AS BIGINT) AS size,
                length(request) > 0 OR (kind = 'callback' AND ended <> 'ok') AS retriable
           FROM jobs WHERE id = $1 AND function_id = $2",
    )
    .bind(&id.as_bytes()[..])
    .bind(function_id)
    .fetch_optional(connection)
    .await?;
    Ok(row)
}
