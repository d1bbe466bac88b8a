//! Chunks of the call log: consecutive calls of one function, as one text of JSON.
//!
//! The calls of a burst find the same state, so a state is written only where it differs from the one before.

use std::ops::Range;

use serde::Deserialize;
use serde::de::IgnoredAny;
use sqlx::Row as _;

use super::column::{damaged, integer};
use super::driver::SqlRow;
use super::error::Result;
use crate::model::{Call, LoggedCall};

/// The most calls of one chunk. Listing the newest one reads as many.
pub(super) const CALLS: usize = 128;
/// The bytes of text after which a chunk takes no further call.
const BYTES: usize = 64 << 10;

/// A chunk to be written.
pub(super) struct NewChunk {
    /// The number of its calls.
    pub(super) calls: usize,
    /// Its part of the text.
    pub(super) text: Range<usize>,
}

/// Appends the chunks of `calls` to `text`.
pub(super) fn pack(calls: &[Call], text: &mut Vec<u8>) -> Vec<NewChunk> {
    let mut chunks = vec![];
    let mut rest = calls.iter().peekable();
    while rest.peek().is_some() {
        let (start, mut count, mut before) = (text.len(), 0, None);
        while let Some(call) = rest.next_if(|_| count < CALLS && text.len() - start < BYTES) {
            text.push(if count == 0 { b'[' } else { b',' });
            let state = Some(&*call.state).filter(|state| before != Some(*state));
            let line = (call.called_at, integer(call.guest_ns), &call.record, state);
            // Serialising texts and numbers into memory cannot fail.
            let _ = serde_json::to_writer(&mut *text, &line);
            before = Some(&*call.state);
            count += 1;
        }
        text.push(b']');
        chunks.push(NewChunk {
            calls: count,
            text: start..text.len(),
        });
    }
    chunks
}

/// The columns that [`list`] and [`costs`] read, of `call_log` as `c` and `usage` as `u`.
macro_rules! columns {
    () => {
        "c.first, c.last, c.through, c.calls, u.trimmed"
    };
}
pub(super) use columns;

#[derive(Deserialize)]
struct Line(i64, u64, String, Option<String>);

#[derive(Deserialize)]
struct CostLine(i64, u64, IgnoredAny, IgnoredAny);

/// The calls of a row that are still in the log, oldest first.
pub(super) fn list(row: &SqlRow, function_id: i64) -> Result<Vec<LoggedCall>> {
    let lines: Vec<Line> = parse(row)?;
    let first: i64 = row.try_get("first")?;
    let mut state = None;
    let mut calls = Vec::with_capacity(lines.len());
    for (log_id, Line(called_at, guest_ns, record, changed)) in (first..).zip(lines) {
        state = changed.or(state);
        calls.push(LoggedCall {
            log_id,
            function_id,
            called_at,
            guest_ns,
            state: state.clone().ok_or_else(|| damaged("calls"))?,
            record,
        });
    }
    calls.drain(..trimmed(row, calls.len())?);
    Ok(calls)
}

/// The times and costs of the calls of a row that are still in the log, oldest first.
pub(super) fn costs(row: &SqlRow) -> Result<impl Iterator<Item = (i64, u64)>> {
    let lines: Vec<CostLine> = parse(row)?;
    let trimmed = trimmed(row, lines.len())?;
    let lines = lines.into_iter().skip(trimmed);
    Ok(lines.map(|CostLine(called_at, guest_ns, ..)| (called_at, guest_ns)))
}

fn parse<T: for<'de> Deserialize<'de>>(row: &SqlRow) -> Result<Vec<T>> {
    serde_json::from_str(row.try_get("calls")?).map_err(|_| damaged("calls"))
}

/// The number of the `calls` of a row that were trimmed from the log.
fn trimmed(row: &SqlRow, calls: usize) -> Result<usize> {
    let through: i64 = row.try_get("through")?;
    let before = through.saturating_sub(integer(calls as u64));
    let trimmed = row.try_get::<i64, _>("trimmed")?.saturating_sub(before);
    Ok(usize::try_from(trimmed).unwrap_or_default().min(calls))
}
