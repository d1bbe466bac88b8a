//! Calls of many functions, counted and logged by a few statements, whatever the number of functions.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::call_chunk::{self, NewChunk};
use super::call_statements::{self, Counts};
use super::change::Change;
use super::column::integer;
use super::driver::SqlConnection;
use super::error::Result;
use super::numbers::{self, Numbers};
use crate::model::{Calls, NewRecord};

/// Counts and logs calls.
pub(super) struct RecordCalls {
    /// The additions to the counters.
    counts: Counts,
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

impl LoggedCalls {
    /// Their number.
    fn count(&self) -> i64 {
        self.chunks.iter().map(|chunk| count(chunk.calls)).sum()
    }
}

/// The additions to the counters of one function.
pub(super) struct CallCount {
    pub(super) function_id: i64,
    /// 0 leaves the cost of the latest call as it is.
    pub(super) invocations: i64,
    pub(super) guest_ns: i64,
    pub(super) latest_ns: i64,
    /// The calls that are logged.
    pub(super) logged: i64,
}

/// A row of the call log, to be written.
pub(super) struct NewRow {
    pub(super) last: i64,
    pub(super) first: i64,
    pub(super) function_id: i64,
    /// The calls that the function ever logged, up to here.
    pub(super) through: i64,
    /// Its part of the text.
    pub(super) text: Range<usize>,
}

impl RecordCalls {
    pub(super) fn new(calls: Vec<Calls>, keep: u32) -> Self {
        let (mut counts, mut logged, mut text) = (vec![], vec![], vec![]);
        for calls in merge(calls) {
            let passed_over = calls.newest.len().saturating_sub(keep as usize);
            let newest = &calls.newest[passed_over..];
            counts.push(CallCount {
                function_id: calls.function_id,
                invocations: integer(calls.invocations),
                guest_ns: integer(calls.guest_ns),
                latest_ns: integer(calls.latest_ns),
                logged: count(newest.len()),
            });
            if !newest.is_empty() {
                logged.push(LoggedCalls {
                    function_id: calls.function_id,
                    chunks: call_chunk::pack(newest, &mut text),
                });
            }
        }
        Self {
            counts: Counts::new(counts),
            logged,
            text,
            keep,
        }
    }
}

impl Change for RecordCalls {
    type Output = ();

    const RELAXED: bool = true;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        call_statements::count(connection, &self.counts, self.keep.into()).await?;
        if !self.logged.is_empty() {
            let functions = call_statements::logged(connection, &self.counts).await?;
            let of_functions = self.logged.iter();
            let new = of_functions
                .filter(|calls| functions.contains_key(&calls.function_id))
                .map(LoggedCalls::count)
                .sum();
            let last = numbers::reserve(connection, Numbers::Calls, new).await?;
            let rows = self.rows(last, &functions);
            call_statements::log(connection, &rows, &self.text).await?;
        }
        call_statements::trim(connection, &self.counts).await
    }

    fn record(&self, _: &Self::Output) -> Option<NewRecord> {
        None
    }
}

impl RecordCalls {
    /// The rows of the chunks of `functions`, each with the number of calls that it ever logged, these included.
    /// Numbers continue after `last`.
    fn rows(&self, mut last: i64, functions: &HashMap<i64, i64>) -> Vec<NewRow> {
        let mut rows = vec![];
        for of_function in &self.logged {
            let function_id = of_function.function_id;
            let Some(logged) = functions.get(&function_id) else {
                continue;
            };
            let mut through = logged - of_function.count();
            for NewChunk { calls, text } in &of_function.chunks {
                let first = last + 1;
                last += count(*calls);
                through += count(*calls);
                rows.push(NewRow {
                    last,
                    first,
                    function_id,
                    through,
                    text: text.clone(),
                });
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

fn count(count: usize) -> i64 {
    integer(count as u64)
}
