//! Queues of jobs: one for each function, with what its active version declares of it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde::Deserialize;
use sqlx::Row as _;

use super::driver::{SqlConnection, SqlRow, greatest, indexed_by, least};
use super::error::Result;

/// The step of a pass for the weight 1.
const STEP: i64 = 1_000_000;
/// Microseconds for which a queue that was held up catches up.
const CATCH_UP: i64 = 1_000_000;
/// Microseconds after which a rate cannot be waiting any more: the clock went back.
const TOO_LATE: i64 = 120_000_000;
const MINUTE: i64 = 60_000_000;

/// The part of a declaration that the store knows.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Declaration {
    /// A table, or what earlier releases declare: true or false.
    jobs: serde_json::Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DeclaredQueue {
    concurrency: Option<u32>,
    rate: Option<u32>,
    weight: Option<u32>,
}

/// Makes the limits of a function's queue those of a declaration. To be called with each move of the pointer to the active
/// version, in its transaction.
pub(super) async fn replace(
    connection: &mut SqlConnection,
    function_id: i64,
    declaration: Option<&str>,
) -> Result<()> {
    let declared: Declaration = declaration
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let DeclaredQueue {
        concurrency,
        rate,
        weight,
    } = DeclaredQueue::deserialize(declared.jobs).unwrap_or_default();
    let sql = match (concurrency, rate, weight) {
        (None, None, None) => {
            "UPDATE job_queues SET concurrency = $2, rate = $3, weight = $4, open_at = 0 WHERE function_id = $1"
        }
        _ => {
            "INSERT INTO job_queues (function_id, concurrency, rate, weight, pass)
             VALUES ($1, $2, $3, $4, (SELECT pass FROM jobs_waiting))
             ON CONFLICT (function_id) DO UPDATE SET
                 concurrency = excluded.concurrency, rate = excluded.rate, weight = excluded.weight"
        }
    };
    sqlx::query(sql)
        .bind(function_id)
        .bind(concurrency.map(i64::from))
        .bind(rate.filter(|&rate| rate > 0).map(i64::from))
        .bind(i64::from(weight.unwrap_or(1).max(1)))
        .execute(connection)
        .await?;
    Ok(())
}

/// The turns of queues in one taking.
pub(super) struct Turns {
    /// The functions, each with the number of its jobs.
    pub(super) counts: Vec<(i64, u32)>,
    /// The functions in the order of their turns, as places in `counts`.
    pub(super) order: Vec<usize>,
}

struct Queue {
    function_id: i64,
    /// Jobs that it can have taken.
    most: i64,
    pass: i64,
    step: i64,
    /// Microseconds between two jobs, and the time from which the next may begin.
    rate: Option<(i64, i64)>,
    turns: u32,
}

impl Queue {
    fn read(row: &SqlRow, now: i64) -> Result<Self> {
        let weight: i64 = row.try_get("weight")?;
        let rate: Option<i64> = row.try_get("rate")?;
        let open_at: i64 = row.try_get("open_at")?;
        let opened = match open_at > now {
            true => now,
            false => open_at.max(now - CATCH_UP),
        };
        Ok(Self {
            function_id: row.try_get("function_id")?,
            most: row.try_get("most")?,
            pass: row.try_get("pass")?,
            step: STEP / weight.clamp(1, STEP),
            rate: rate.map(|rate| (MINUTE / rate.clamp(1, MINUTE), opened)),
            turns: 0,
        })
    }

    fn takes_more(&self, now: i64) -> bool {
        i64::from(self.turns) < self.most && self.rate.is_none_or(|(_, opened)| opened <= now)
    }
}

/// Gives `limit` turns to the queues that have jobs to be taken, and moves their passes on. `now` is in microseconds.
pub(super) async fn turns(
    connection: &mut SqlConnection,
    limit: u32,
    concurrency: u32,
    now: i64,
) -> Result<Turns> {
    let rows = sqlx::query(concat!(
        "SELECT function_id, pass, weight, rate, open_at, ", least!(), "(ready, coalesce(concurrency, $1) - running) AS most
           FROM job_queues ", indexed_by!("job_queues_next"), "
          WHERE ready > 0 AND running < coalesce(concurrency, $1) AND (open_at <= $2 OR open_at > $3)
          ORDER BY pass, function_id LIMIT $4",
    ))
    .bind(i64::from(concurrency.max(1)))
    .bind(now)
    .bind(now.saturating_add(TOO_LATE))
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await?;
    let queues = rows.iter().map(|row| Queue::read(row, now));
    let mut queues: Vec<Queue> = queues.collect::<Result<_>>()?;
    let mut next: BinaryHeap<_> = queues
        .iter()
        .enumerate()
        .map(|(at, queue)| Reverse((queue.pass, at)))
        .collect();
    let (mut order, mut served) = (vec![], 0);
    while order.len() < limit as usize
        && let Some(Reverse((pass, at))) = next.pop()
    {
        let queue = &mut queues[at];
        queue.turns += 1;
        queue.pass = pass.saturating_add(queue.step);
        if let Some((interval, opened)) = &mut queue.rate {
            *opened += *interval;
        }
        served = served.max(pass);
        order.push(at);
        if queue.takes_more(now) {
            next.push(Reverse((queue.pass, at)));
        }
    }
    for queue in queues.iter().filter(|queue| queue.turns > 0) {
        sqlx::query("UPDATE job_queues SET pass = $2, open_at = $3 WHERE function_id = $1")
            .bind(queue.function_id)
            .bind(queue.pass)
            .bind(queue.rate.map_or(0, |(_, opened)| opened))
            .execute(&mut *connection)
            .await?;
    }
    if !order.is_empty() {
        sqlx::query(concat!(
            "UPDATE jobs_waiting SET pass = ",
            greatest!(),
            "(pass, $1)"
        ))
        .bind(served)
        .execute(connection)
        .await?;
    }
    let counts = queues.iter().map(|queue| (queue.function_id, queue.turns));
    Ok(Turns {
        counts: counts.collect(),
        order,
    })
}
