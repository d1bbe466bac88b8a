//! What left: each outbound request and each command run.
//!
//! The rows are evidence, so deleting a function leaves them, and only their number and their age make them go. Callers
//! hand over many at once, as they do with calls, and they share a transaction.
//!
//! They are written many at a time and read seldom, so up to [`TOGETHER`] of them are one row of the table, as JSON, with
//! what finds them beside: their numbers, their functions, and the span of their calls, which is narrow because calls are
//! numbered by their time. A row of the table for each was four times as dear, and more than half of what a call cost that
//! sends a request was its record.
//!
//! Rows are numbered without gaps as they come. What goes are always the oldest numbers, together with those that they
//! share a row of the table with: a limit keeps some rows more, and never one less.
//!
//! A removal is bounded. Everything else that is written waits for the transaction that removes, so a first start with
//! a smaller limit takes a million rows away in many short ones. A task that removes in the background was rejected: the
//! server calls every moment anyway, and knows when it is shutting down.

mod query;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize, Serializer};
use sqlx::{Row as _, SqliteConnection};
use uuid::Uuid;

use crate::change::Change;
use crate::database::integer;
use crate::{Error, Store};

pub use query::SentQuery;

/// Rows that are one row of the table, at most. To list the newest few reads as many.
const TOGETHER: usize = 128;
/// Rows that one transaction removes, beyond as many as it adds.
const REMOVED: usize = 2000;

/// What left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SentKind {
    /// A request, or one hop of a redirect.
    Request,
    /// A native program that was run.
    Command,
}

impl SentKind {
    /// `request` or `command`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Command => "command",
        }
    }
}

/// One outbound request or command. Its serde form is the one in which it is stored: its fields in their order, without
/// their names, which took half of the room and of the time. Rows of before have the names, and are read as well.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Sent {
    /// When it began, in Unix milliseconds.
    pub at: i64,
    /// The call that it was part of.
    pub call: Uuid,
    /// The function. The row outlives it.
    pub wasm_id: i64,
    /// The number of the version that ran.
    pub version: i64,
    /// Which of the two.
    pub kind: SentKind,
    /// The rule that let the request through, `None` if none did; or the command's name.
    #[serde(default)]
    pub subject: Option<String>,
    /// The names of the secrets that were attached, comma separated; `None` if there were none.
    #[serde(default)]
    pub secrets: Option<String>,
    /// The method of the request.
    #[serde(default)]
    pub method: Option<String>,
    /// Where the request was to go: scheme, host and port.
    #[serde(default)]
    pub host: Option<String>,
    /// Where it went: the address and port that the host's name stood for.
    #[serde(default)]
    pub address: Option<String>,
    /// The status of the response, or of the command.
    #[serde(default)]
    pub status: Option<i64>,
    /// Bytes that left.
    pub bytes_out: u64,
    /// Bytes that came back.
    pub bytes_in: u64,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// `ok`, or why not: a stable code.
    pub outcome: String,
}

/// A row on its way into the store: one text, and what finds it. Where many wait, that is one piece of memory for each,
/// instead of one for each of its fields.
#[derive(Debug, Clone)]
pub struct SentLine {
    at: i64,
    call: Uuid,
    wasm_id: i64,
    json: String,
}

impl From<Sent> for SentLine {
    fn from(sent: Sent) -> Self {
        let mut json = Vec::with_capacity(256);
        // Texts and numbers, into memory: neither fails.
        let _ = serde_json::to_writer(&mut json, &sent);
        Self {
            at: sent.at,
            call: sent.call,
            wasm_id: sent.wasm_id,
            json: String::from_utf8(json).unwrap_or_default(),
        }
    }
}

/// One outbound request or command, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentRow {
    /// Its number. Ascending in the order in which rows were recorded, never used again.
    pub id: i64,
    /// What left.
    pub sent: Sent,
}

impl Store {
    /// Adds `rows` in their order, in one transaction, and removes the oldest: those that are not among the last
    /// `keep_rows`, and those that began before `keep_from` (Unix milliseconds). Some hundred more may stay of either
    /// kind, as long as they share a row of the table with one that does. When this returns `Ok`, all of it is on the
    /// disk.
    ///
    /// One call removes at least as many as it adds and some thousands more. `true`: there are more to be removed, which
    /// the next call does; it may be made without rows.
    ///
    /// # Errors
    /// As [`Store::delete_function`]; nothing was recorded.
    pub async fn record_sent<R: Into<SentLine>>(
        &self,
        rows: Vec<R>,
        keep_rows: u64,
        keep_from: i64,
    ) -> Result<bool, Error> {
        self.write(RecordSent {
            rows: rows.into_iter().map(Into::into).collect(),
            keep_rows,
            keep_from,
        })
        .await
    }
}

/// Adds rows, and removes those that are too many or too old. Its output is `true` if more are left to be removed.
struct RecordSent {
    rows: Vec<SentLine>,
    keep_rows: u64,
    keep_from: i64,
}

impl Change for RecordSent {
    type Output = bool;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Error> {
        let mut last = match self.rows.is_empty() {
            true => 0,
            false => last_number(connection).await?,
        };
        for rows in self.rows.chunks(TOGETHER) {
            let first = last + 1;
            last += rows.len() as i64;
            add(connection, rows, first, last).await?;
        }
        remove(connection, self).await
    }
}

/// The greatest number that a row ever had, 0 if there was none.
async fn last_number(connection: &mut SqliteConnection) -> Result<i64, Error> {
    let seq = sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'sent'");
    Ok(seq.fetch_optional(connection).await?.unwrap_or(0))
}

/// Adds one row of the table.
async fn add(
    connection: &mut SqliteConnection,
    rows: &[SentLine],
    first: i64,
    last: i64,
) -> Result<(), Error> {
    let size = rows.iter().map(|row| row.json.len() + 1).sum::<usize>();
    let mut json = String::with_capacity(size + 1);
    for row in rows {
        json.push(if json.is_empty() { '[' } else { ',' });
        json.push_str(&row.json);
    }
    json.push(']');
    let (mut newest, mut calls) = (i64::MIN, (Uuid::max(), Uuid::nil()));
    let mut functions = BTreeSet::new();
    for row in rows {
        newest = newest.max(row.at);
        calls = (calls.0.min(row.call), calls.1.max(row.call));
        functions.insert(row.wasm_id);
    }
    sqlx::query(
        "INSERT INTO sent (last, first, newest, call_from, call_to, rows) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(last)
    .bind(first)
    .bind(newest)
    .bind(&calls.0.as_bytes()[..])
    .bind(&calls.1.as_bytes()[..])
    .bind(json)
    .execute(&mut *connection)
    .await?;
    for wasm_id in functions {
        sqlx::query("INSERT INTO sent_functions (wasm_id, last) VALUES ($1, $2)")
            .bind(wasm_id)
            .bind(last)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn remove(connection: &mut SqliteConnection, record: &RecordSent) -> Result<bool, Error> {
    let ends = sqlx::query(
        "SELECT first, newest, (SELECT MAX(last) FROM sent) AS latest FROM sent ORDER BY last LIMIT 1",
    );
    let Some(ends) = ends.fetch_optional(&mut *connection).await? else {
        return Ok(false);
    };
    let (oldest, last): (i64, i64) = (ends.try_get("first")?, ends.try_get("latest")?);
    let mut wanted = last.saturating_sub(integer(record.keep_rows));
    // No further than this, at once.
    let step = oldest.saturating_add(integer((record.rows.len() + REMOVED) as u64));
    if ends.try_get::<i64, _>("newest")? < record.keep_from {
        let next = sqlx::query_scalar::<_, i64>(
            "SELECT first FROM sent WHERE newest >= $1 AND last < $2 ORDER BY last LIMIT 1",
        );
        let young = next.bind(record.keep_from).bind(step);
        let young = young.fetch_optional(&mut *connection).await?;
        // All up to the step are too old: whether more are is seen the next time.
        wanted = wanted.max(young.map_or(last.min(step), |first| first - 1));
    }
    sqlx::query("DELETE FROM sent WHERE last <= $1")
        .bind(wanted.min(step))
        .execute(connection)
        .await?;
    Ok(wanted >= step)
}

impl Serialize for Sent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            at,
            call,
            wasm_id,
            version,
            kind,
            subject,
            secrets,
            method,
            host,
            address,
            status,
            bytes_out,
            bytes_in,
            ms,
            outcome,
        } = self;
        let fields = (
            at, call, wasm_id, version, kind, subject, secrets, method, host, address, status,
            bytes_out, bytes_in, ms, outcome,
        );
        fields.serialize(serializer)
    }
}
