//! Jobs, as they are read.

use bytes::Bytes;
use sqlx::{QueryBuilder, Row as _};
use uuid::Uuid;

use super::column::damaged;
use super::driver::{Sql, SqlPool, SqlRow, indexed_by, text};
use super::error::Result;
use crate::model::{Job, JobEnd, JobFigures, JobHead, JobKind, JobQuery, JobState};

pub(super) async fn figures(readers: &SqlPool) -> Result<JobFigures> {
    let row = sqlx::query(
        "SELECT w.bytes AS bytes, q.ready AS ready, q.delayed AS delayed, q.running AS running,
                (SELECT min(accepted_at) FROM jobs WHERE state = 'queued') AS oldest_queued,
                (SELECT min(started_at) FROM jobs WHERE state = 'running') AS oldest_running
           FROM jobs_waiting w,
                (SELECT CAST(coalesce(sum(ready), 0) AS BIGINT) AS ready, CAST(coalesce(sum(delayed), 0) AS BIGINT) AS delayed,
                        CAST(coalesce(sum(running), 0) AS BIGINT) AS running FROM job_queues) q",
    )
    .fetch_one(readers)
    .await?;
    let number = |column: &str| {
        let number: i64 = row.try_get(column)?;
        u64::try_from(number).map_err(|_| damaged("jobs"))
    };
    Ok(JobFigures {
        queued: number("ready")?,
        delayed: number("delayed")?,
        running: number("running")?,
        bytes: number("bytes")?,
        oldest_queued: row.try_get("oldest_queued")?,
        oldest_running: row.try_get("oldest_running")?,
    })
}

pub(super) async fn get(readers: &SqlPool, id: Uuid) -> Result<Option<Job>> {
    let row = sqlx::query("SELECT * FROM jobs WHERE id = $1")
        .bind(&id.as_bytes()[..])
        .fetch_optional(readers)
        .await?;
    row.map(|row| read(&row)).transpose()
}

/// The number of due jobs before this one in its queue.
pub(super) async fn position(readers: &SqlPool, id: Uuid, most: u32) -> Result<Option<u32>> {
    let found: Option<i64> = sqlx::query_scalar(concat!(
        "SELECT (SELECT count(*) FROM (
                    SELECT 1 FROM jobs b ", indexed_by!("jobs_ready"), "
                     WHERE b.function_id = j.function_id AND b.state = 'queued' AND b.delayed = 0
                       AND (b.rank, b.accepted_at, b.id) < (j.rank, j.accepted_at, j.id) LIMIT $2) AS before)
           FROM jobs j WHERE j.id = $1 AND j.state = 'queued' AND j.delayed = 0",
    ))
    .bind(&id.as_bytes()[..])
    .bind(i64::from(most))
    .fetch_optional(readers)
    .await?;
    let position = found.map(|before| u32::try_from(before).map_err(|_| damaged("jobs")));
    position.transpose()
}

pub(super) async fn list(readers: &SqlPool, query: &JobQuery) -> Result<Vec<JobHead>> {
    let mut select = select(query);
    let rows = select.build().fetch_all(readers).await?;
    rows.iter().map(read_head).collect()
}

/// Conditions that do not apply are left out, so that the plan uses an index for the others.
fn select(query: &JobQuery) -> QueryBuilder<Sql> {
    let index = match (query.function_id, query.state) {
        (Some(_), _) => indexed_by!("jobs_function"),
        (None, Some(_)) => indexed_by!("jobs_state"),
        (None, None) => indexed_by!("jobs_accepted_at"),
    };
    let mut select = QueryBuilder::new(
        "SELECT id, function_id, version, export, kind, state, rank, attempts, accepted_at, not_before, finished_at, ended, fault,
                schedule, due_at, state = 'done' AND (length(request) > 0 OR (kind = 'callback' AND ended <> 'ok')) AS retriable
           FROM jobs ",
    );
    select.push(index).push(" WHERE TRUE");
    if let Some(function_id) = query.function_id {
        select.push(" AND function_id = ").push_bind(function_id);
    }
    if let Some(state) = query.state {
        select.push(" AND state = ").push_bind(state.as_str());
    }
    if let Some(ended) = query.ended {
        select.push(" AND ended = ").push_bind(ended.as_str());
    }
    if let Some(priority) = query.priority {
        select.push(" AND rank = ").push_bind(-i64::from(priority));
    }
    if let Some(since) = query.since {
        select.push(" AND accepted_at >= ").push_bind(since);
    }
    if let Some(until) = query.until {
        select.push(" AND accepted_at < ").push_bind(until);
    }
    if let Some((accepted_at, id)) = query.after {
        select
            .push(" AND (accepted_at, id) < (")
            .push_bind(accepted_at);
        select
            .push(", ")
            .push_bind(id.as_bytes().to_vec())
            .push(")");
    }
    select.push(" ORDER BY accepted_at DESC, id DESC LIMIT ");
    select.push_bind(i64::from(query.limit));
    select
}

pub(super) fn state(row: &SqlRow) -> Result<JobState> {
    JobState::parse(row.try_get("state")?).ok_or_else(|| damaged("state"))
}

fn kind(row: &SqlRow) -> Result<JobKind> {
    JobKind::parse(row.try_get("kind")?).ok_or_else(|| damaged("kind"))
}

fn ended(row: &SqlRow) -> Result<Option<JobEnd>> {
    let ended: Option<&str> = row.try_get("ended")?;
    let ended = ended.map(|ended| JobEnd::parse(ended).ok_or_else(|| damaged("ended")));
    ended.transpose()
}

fn number(row: &SqlRow, column: &'static str) -> Result<u32> {
    let number: i64 = row.try_get(column)?;
    number.try_into().map_err(|_| damaged(column))
}

fn priority(row: &SqlRow) -> Result<i32> {
    let rank: i64 = row.try_get("rank")?;
    (-rank).try_into().map_err(|_| damaged("rank"))
}

fn id(row: &SqlRow, column: &'static str) -> Result<Option<Uuid>> {
    let id: Option<&[u8]> = row.try_get(column)?;
    id.map(|id| Uuid::from_slice(id).map_err(|_| damaged(column)))
        .transpose()
}

fn read_head(row: &SqlRow) -> Result<JobHead> {
    Ok(JobHead {
        id: id(row, "id")?.ok_or_else(|| damaged("id"))?,
        function_id: row.try_get("function_id")?,
        kind: kind(row)?,
        version: row.try_get("version")?,
        export: text(row, "export")?,
        state: state(row)?,
        attempts: number(row, "attempts")?,
        accepted_at: row.try_get("accepted_at")?,
        finished_at: row.try_get("finished_at")?,
        schedule: row.try_get("schedule")?,
        due_at: row.try_get("due_at")?,
        priority: priority(row)?,
        not_before: row.try_get("not_before")?,
        ended: ended(row)?,
        fault: row.try_get("fault")?,
        retriable: row.try_get("retriable")?,
    })
}

pub(super) fn read(row: &SqlRow) -> Result<Job> {
    let outcome: Option<Vec<u8>> = row.try_get("outcome")?;
    let callback: Option<String> = row.try_get("callback")?;
    let callback_job = id(row, "callback_job")?;
    Ok(Job {
        id: id(row, "id")?.ok_or_else(|| damaged("id"))?,
        function_id: row.try_get("function_id")?,
        version: row.try_get("version")?,
        export: text(row, "export")?,
        state: state(row)?,
        attempts: number(row, "attempts")?,
        accepted_at: row.try_get("accepted_at")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
        schedule: row.try_get("schedule")?,
        due_at: row.try_get("due_at")?,
        request: row.try_get::<Vec<u8>, _>("request")?.into(),
        outcome: outcome.map(Bytes::from),
        kind: kind(row)?,
        priority: priority(row)?,
        not_before: row.try_get("not_before")?,
        expires_at: row.try_get("expires_at")?,
        most_attempts: number(row, "most_attempts")?,
        token: row.try_get("token")?,
        ended: ended(row)?,
        fault: row.try_get("fault")?,
        callback: callback.map(|url| (url, callback_job)),
        of_job: id(row, "of_job")?,
    })
}
