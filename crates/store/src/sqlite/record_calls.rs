//! Calls of many functions, counted and logged by four statements, whatever the number of functions.
//!
//! Each statement costs a message to SQLite's thread and back, and its own parsing and planning, which together cost
//! more than the row that it writes. So a statement takes all functions at once, as JSON that is bound once
//! (`json_each`), and the texts of all chunks as one blob, of which each row takes its part.
//!
//! Rejected: rows of values (`VALUES (…), (…)`), which need another statement for each number of rows.

use std::collections::{HashMap, HashSet};

use sqlx::{Row as _, SqliteConnection};

use super::call_chunk::{self, NewChunk};
use super::change::Change;
use super::column::{damaged, integer};
use super::error::Result;
use crate::model::{Calls, NewRecord};

/// Adds to the counters; `invocations` of 0 leave the cost of the latest call as it is. Deleted functions are not
/// joined.
const COUNT: &str = "
INSERT INTO usage (function_id, invocations, guest_ns, latest_ns, logged, trimmed)
SELECT f.function_id, new.value ->> 1, new.value ->> 2, new.value ->> 3, new.value ->> 4, max(0, new.value ->> 4 - $2)
  FROM json_each($1) AS new CROSS JOIN functions AS f ON f.function_id = new.value ->> 0
 WHERE TRUE
    ON CONFLICT (function_id) DO UPDATE SET
       invocations = min(invocations, 9223372036854775807 - excluded.invocations) + excluded.invocations,
       guest_ns = min(guest_ns, 9223372036854775807 - excluded.guest_ns) + excluded.guest_ns,
       latest_ns = iif(excluded.invocations = 0, latest_ns, excluded.latest_ns),
       logged = logged + excluded.logged,
       trimmed = max(trimmed, logged + excluded.logged - $2)";

/// The greatest number that a call ever had, and the existing functions, each with the number of calls that it ever
/// logged.
const NUMBERS: &str = "
SELECT COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'call_log'), 0) AS last,
       (SELECT json_group_array(json_array(u.function_id, u.logged))
          FROM json_each($1) AS new CROSS JOIN usage AS u ON u.function_id = new.value ->> 0) AS functions";

const LOG: &str = "
INSERT INTO call_log (last, first, function_id, through, calls)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, CAST(substr($2, value ->> 4, value ->> 5) AS TEXT)
  FROM json_each($1)";

pub(super) const TRIM: &str = "
DELETE FROM call_log WHERE last IN (
    SELECT c.last FROM json_each($1) AS new
     CROSS JOIN usage AS u ON u.function_id = new.value ->> 0
     CROSS JOIN call_log AS c ON c.function_id = u.function_id AND c.through <= u.trimmed)";

/// Counts and logs calls.
pub(super) struct RecordCalls {
    /// The additions to the counters, as JSON: function, invocations, cost of all, cost of the latest, calls logged.
    counts: String,
    logged: Vec<LoggedCalls>,
    /// The texts of all chunks.
    text: Vec<u8>,
    keep: u32,
}

/// The calls of one function to be logged.
struct LoggedCalls {
    function_id: i64,
    chunks: Vec<NewChunk>,
}

impl RecordCalls {
    pub(super) fn new(calls: Vec<Calls>, keep: u32) -> Self {
        let (mut counts, mut logged, mut text) = (vec![], vec![], vec![]);
        for calls in merge(calls) {
            let passed_over = calls.newest.len().saturating_sub(keep as usize);
            let newest = &calls.newest[passed_over..];
            counts.push((
                calls.function_id,
                integer(calls.invocations),
                integer(calls.guest_ns),
                integer(calls.latest_ns),
                newest.len(),
            ));
            if !newest.is_empty() {
                logged.push(LoggedCalls {
                    function_id: calls.function_id,
                    chunks: call_chunk::pack(newest, &mut text),
                });
            }
        }
        Self {
            counts: json(&counts),
            logged,
            text,
            keep,
        }
    }
}

impl Change for RecordCalls {
    type Output = ();

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output> {
        let keep = i64::from(self.keep);
        let count = sqlx::query(COUNT).bind(&self.counts).bind(keep);
        count.execute(&mut *connection).await?;
        if !self.logged.is_empty() {
            let numbers = sqlx::query(NUMBERS).bind(&self.counts);
            let numbers = numbers.fetch_one(&mut *connection).await?;
            let functions: Vec<(i64, i64)> = serde_json::from_str(numbers.try_get("functions")?)
                .map_err(|_| damaged("usage"))?;
            let rows = self.rows(numbers.try_get("last")?, &functions);
            let log = sqlx::query(LOG).bind(json(&rows)).bind(&self.text[..]);
            log.execute(&mut *connection).await?;
        }
        let trim = sqlx::query(TRIM).bind(&self.counts);
        trim.execute(connection).await?;
        Ok(())
    }

    fn record(&self, _: &Self::Output) -> Option<NewRecord> {
        None
    }
}

impl RecordCalls {
    /// The rows of the chunks of `functions`, each with the number of calls that it ever logged, these included.
    /// Numbers continue after `last`. A row has: last, first, function, calls up to here, and the offset and length of
    /// its text.
    fn rows(&self, mut last: i64, functions: &[(i64, i64)]) -> Vec<[i64; 6]> {
        let functions: HashMap<i64, i64> = functions.iter().copied().collect();
        let mut rows = vec![];
        for LoggedCalls {
            function_id,
            chunks,
        } in &self.logged
        {
            let Some(logged) = functions.get(function_id) else {
                continue;
            };
            let new = chunks.iter().map(|chunk| count(chunk.calls)).sum::<i64>();
            let mut through = logged - new;
            for NewChunk { calls, text } in chunks {
                let first = last + 1;
                last += count(*calls);
                through += count(*calls);
                let (start, length) = (count(text.start + 1), count(text.len()));
                rows.push([last, first, *function_id, through, start, length]);
            }
        }
        rows
    }
}

/// Merges the calls of a function that is named twice.
fn merge(calls: Vec<Calls>) -> Vec<Calls> {
    let mut functions = HashSet::with_capacity(calls.len());
    if calls
        .iter()
        .all(|calls| functions.insert(calls.function_id))
    {
        return calls;
    }
    let mut places = HashMap::new();
    let mut merged: Vec<Calls> = vec![];
    for mut calls in calls {
        let place = *places.entry(calls.function_id).or_insert(merged.len());
        match merged.get_mut(place) {
            None => merged.push(calls),
            Some(earlier) => {
                if calls.invocations > 0 {
                    earlier.latest_ns = calls.latest_ns;
                }
                earlier.invocations = earlier.invocations.saturating_add(calls.invocations);
                earlier.guest_ns = earlier.guest_ns.saturating_add(calls.guest_ns);
                earlier.newest.append(&mut calls.newest);
            }
        }
    }
    merged
}

/// The JSON of numbers, which cannot fail.
fn json(numbers: &impl serde::Serialize) -> String {
    serde_json::to_string(numbers).unwrap_or_default()
}

fn count(count: usize) -> i64 {
    integer(count as u64)
}
