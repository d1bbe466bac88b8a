//! Jobs that are taken with a lease, renewed, handed back, and taken from owners that are gone.

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;
use sqlx::Row as _;
use uuid::Uuid;

use super::change::{Change, Locks};
use super::column::{damaged, integer};
use super::driver::{ONE_PROCESS, SqlConnection, SqlPool, indexed_by, skip_locked};
use super::error::Result;
use super::job_queues;
use super::job_rows::read;
use crate::clock::unix_ms;
use crate::model::{Job, JobEnd, JobRoom, Lease, NewRecord, Postponed, Taken, Taking};

/// The most jobs that one taking queues again, ends or makes due, of each kind.
const UPKEEP: i64 = 256;

/// A request that is removed.
const NOTHING: &[u8] = &[];

/// Takes jobs whose turn it is.
pub(super) struct TakeJobs(pub(super) Taking);

impl Change for TakeJobs {
    type Output = Taken;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Taken> {
        let (taking, now) = (&self.0, unix_ms());
        let mut taken = Taken::default();
        let held = taking.held.iter().copied().collect();
        let gone = Gone {
            until: Some(now),
            held: &held,
            outcome: &taking.lost,
            room: taking.room,
        };
        gone.queue_again(connection, &mut taken, now).await?;
        expire(connection, taking, &mut taken, now).await?;
        sqlx::query(concat!(
            "UPDATE jobs SET delayed = 0, not_before = NULL WHERE id IN (
                SELECT id FROM jobs ",
            indexed_by!("jobs_delayed"),
            " WHERE state = 'queued' AND delayed = 1 AND not_before <= $1 LIMIT $2)",
        ))
        .bind(now)
        .bind(UPKEEP)
        .execute(&mut *connection)
        .await?;
        let micros = now.saturating_mul(1000);
        let turns = job_queues::turns(connection, taking.limit, taking.concurrency, micros).await?;
        let mut by_queue = vec![];
        for (function_id, turns) in turns.counts {
            let jobs = of_queue(connection, function_id, turns, taking.lease, now).await?;
            by_queue.push(jobs);
        }
        for at in turns.order {
            taken.jobs.extend(by_queue[at].pop_front());
        }
        Ok(taken)
    }

    fn locks(&self, locks: &mut Locks) {
        locks.jobs = true;
    }

    fn record(&self, _: &Taken) -> Option<NewRecord> {
        None
    }
}

/// Takes the first jobs of a queue.
async fn of_queue(
    connection: &mut SqlConnection,
    function_id: i64,
    limit: u32,
    lease: i64,
    now: i64,
) -> Result<VecDeque<Job>> {
    if limit == 0 {
        return Ok(VecDeque::new());
    }
    let rows = sqlx::query(concat!(
        "UPDATE jobs SET state = 'running', attempts = attempts + 1, token = token + 1, started_at = $1, lease_until = $2
          WHERE id IN (
            SELECT id FROM jobs ", indexed_by!("jobs_ready"), "
             WHERE function_id = $3 AND state = 'queued' AND delayed = 0 AND (expires_at IS NULL OR expires_at > $1)
             ORDER BY rank, accepted_at, id LIMIT $4", skip_locked!(), ")
         RETURNING *",
    ))
    .bind(now)
    .bind(now.saturating_add(lease))
    .bind(function_id)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    let mut jobs: Vec<Job> = rows.iter().map(read).collect::<Result<_>>()?;
    // RETURNING has no order (https://www.sqlite.org/lang_returning.html, 3).
    jobs.sort_by_key(|job| (-job.priority, job.accepted_at, job.id));
    Ok(jobs.into())
}

/// Ends jobs that wait for too long.
async fn expire(
    connection: &mut SqlConnection,
    taking: &Taking,
    taken: &mut Taken,
    now: i64,
) -> Result<()> {
    let rows = sqlx::query(concat!(
        "UPDATE jobs SET state = 'done', delayed = 0, ended = 'expired', finished_at = $1, outcome = $2,
                request = CASE WHEN (SELECT bytes FROM jobs_waiting) <= $3
                                AND (SELECT bytes FROM jobs_kept k WHERE k.function_id = jobs.function_id) <= $4
                               THEN request ELSE $6 END
          WHERE id IN (SELECT id FROM jobs ", indexed_by!("jobs_expiring"), "
                           WHERE state = 'queued' AND expires_at IS NOT NULL AND expires_at <= $1 LIMIT $5)
         RETURNING function_id",
    ))
    .bind(now)
    .bind(&taking.expired[..])
    .bind(integer(taking.room.all / 2))
    .bind(integer(taking.room.function / 2))
    .bind(UPKEEP)
    .bind(NOTHING)
    .fetch_all(connection)
    .await?;
    for row in rows {
        taken.ended.push((row.try_get(0)?, JobEnd::Expired));
    }
    Ok(())
}

/// Leased jobs whose owner is gone.
struct Gone<'a> {
    /// The time by which their leases have ended; `None` for all leases.
    until: Option<i64>,
    held: &'a HashSet<Lease>,
    outcome: &'a Bytes,
    room: JobRoom,
}

impl Gone<'_> {
    /// Queues them again, or ends those that were taken too often.
    async fn queue_again(
        &self,
        connection: &mut SqlConnection,
        taken: &mut Taken,
        now: i64,
    ) -> Result<()> {
        let found = match self.until {
            Some(_) => {
                concat!(
                    "SELECT id, token FROM jobs ",
                    indexed_by!("jobs_leases"),
                    " WHERE state = 'running' AND lease_until <= $1 LIMIT $2"
                )
            }
            None => "SELECT id, token FROM jobs WHERE state = 'running' AND $1 IS NULL LIMIT $2",
        };
        let rows = sqlx::query(found)
            .bind(self.until)
            .bind(match self.until {
                Some(_) => UPKEEP + integer(self.held.len() as u64),
                None => i64::MAX,
            })
            .fetch_all(&mut *connection)
            .await?;
        for row in rows {
            let id: Vec<u8> = row.try_get("id")?;
            let lease = Lease {
                id: Uuid::from_slice(&id).map_err(|_| damaged("id"))?,
                token: row.try_get("token")?,
            };
            if self.held.contains(&lease) {
                continue;
            }
            let ended = sqlx::query(
                "UPDATE jobs SET state = 'done', lease_until = NULL, ended = 'lost', finished_at = $2, outcome = $3,
                        request = CASE WHEN (SELECT bytes FROM jobs_waiting) <= $4
                                        AND (SELECT bytes FROM jobs_kept k WHERE k.function_id = jobs.function_id) <= $5
                                       THEN request ELSE $6 END
                  WHERE id = $1 AND attempts >= most_attempts RETURNING function_id",
            )
            .bind(&id)
            .bind(now)
            .bind(&self.outcome[..])
            .bind(integer(self.room.all / 2))
            .bind(integer(self.room.function / 2))
            .bind(NOTHING)
            .fetch_optional(&mut *connection)
            .await?;
            if let Some(row) = ended {
                taken.ended.push((row.try_get(0)?, JobEnd::Lost));
                continue;
            }
            sqlx::query("UPDATE jobs SET state = 'queued', lease_until = NULL WHERE id = $1")
                .bind(&id)
                .execute(&mut *connection)
                .await?;
            taken.abandoned += 1;
        }
        Ok(())
    }
}

/// Queues leased jobs again: all of them where one process has the database, which runs none yet; else those whose leases
/// have ended, because other nodes run the others.
pub(super) struct RequeueJobs {
    pub(super) outcome: Bytes,
    pub(super) room: JobRoom,
}

impl Change for RequeueJobs {
    type Output = Taken;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Taken> {
        let mut taken = Taken::default();
        let now = unix_ms();
        let gone = Gone {
            until: (!ONE_PROCESS).then_some(now),
            held: &HashSet::new(),
            outcome: &self.outcome,
            room: self.room,
        };
        gone.queue_again(connection, &mut taken, now).await?;
        Ok(taken)
    }

    fn locks(&self, locks: &mut Locks) {
        locks.jobs = true;
    }

    fn record(&self, _: &Taken) -> Option<NewRecord> {
        None
    }
}

/// Renews leases. Its output is those that are not their owner's any more.
pub(super) struct KeepLeases {
    pub(super) leases: Vec<Lease>,
    pub(super) lease: i64,
}

impl Change for KeepLeases {
    type Output = Vec<Lease>;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Vec<Lease>> {
        let until = unix_ms().saturating_add(self.lease);
        let mut lost = vec![];
        for &lease in &self.leases {
            let kept = sqlx::query(
                "UPDATE jobs SET lease_until = $3 WHERE id = $1 AND token = $2 AND state = 'running'",
            )
            .bind(&lease.id.as_bytes()[..])
            .bind(lease.token)
            .bind(until)
            .execute(&mut *connection)
            .await?;
            if kept.rows_affected() == 0 {
                lost.push(lease);
            }
        }
        Ok(lost)
    }

    fn locks(&self, locks: &mut Locks) {
        locks.jobs = true;
    }

    fn record(&self, _: &Vec<Lease>) -> Option<NewRecord> {
        None
    }
}

/// Queues a job again, by its owner. Its output is `false` if the lease is not the job's.
pub(super) struct PostponeJob {
    pub(super) lease: Lease,
    pub(super) postponed: Postponed,
}

impl Change for PostponeJob {
    type Output = bool;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<bool> {
        let Postponed { not_before, fault } = &self.postponed;
        let updated = sqlx::query(
            "UPDATE jobs SET state = 'queued', lease_until = NULL, delayed = CASE WHEN $3 IS NULL THEN 0 ELSE 1 END, not_before = $3,
                    fault = coalesce($4, fault), attempts = attempts - CASE WHEN $4 IS NULL THEN 1 ELSE 0 END
              WHERE id = $1 AND token = $2 AND state = 'running'",
        )
        .bind(&self.lease.id.as_bytes()[..])
        .bind(self.lease.token)
        .bind(not_before)
        .bind(fault)
        .execute(connection)
        .await?;
        Ok(updated.rows_affected() > 0)
    }

    fn locks(&self, locks: &mut Locks) {
        locks.jobs = true;
    }

    fn record(&self, _: &bool) -> Option<NewRecord> {
        None
    }
}

/// Queues jobs again that were not begun. Its output is their number.
pub(super) struct ReturnJobs(pub(super) Vec<Lease>);

impl Change for ReturnJobs {
    type Output = u64;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<u64> {
        let mut returned = 0;
        for &lease in &self.0 {
            let postponed = Postponed {
                not_before: None,
                fault: None,
            };
            let one = PostponeJob { lease, postponed };
            returned += u64::from(one.apply(connection).await?);
        }
        Ok(returned)
    }

    fn locks(&self, locks: &mut Locks) {
        locks.jobs = true;
    }

    fn record(&self, _: &u64) -> Option<NewRecord> {
        None
    }
}

/// The next time at which a taking finds more than it does at `now`, in Unix milliseconds.
pub(super) async fn next(readers: &SqlPool, now: i64) -> Result<Option<i64>> {
    let times = sqlx::query(concat!(
        "SELECT (SELECT min(not_before) FROM jobs ", indexed_by!("jobs_delayed"), " WHERE state = 'queued' AND delayed = 1) AS due,
                (SELECT min(expires_at) FROM jobs ", indexed_by!("jobs_expiring"), " WHERE state = 'queued' AND expires_at IS NOT NULL) AS expires,
                (SELECT min(lease_until) FROM jobs ", indexed_by!("jobs_leases"), " WHERE state = 'running') AS lease,
                (SELECT min(open_at) / 1000 + 1 FROM job_queues WHERE ready > 0 AND open_at > $1) AS opens",
    ))
    .bind(now.saturating_mul(1000))
    .fetch_one(readers)
    .await?;
    let mut next: Option<i64> = None;
    for column in ["due", "expires", "lease", "opens"] {
        let time: Option<i64> = times.try_get(column)?;
        next = [next, time].into_iter().flatten().min();
    }
    Ok(next)
}
