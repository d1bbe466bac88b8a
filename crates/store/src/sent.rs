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

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{QueryBuilder, Row as _, SqliteConnection, SqlitePool};
use uuid::Uuid;

use crate::database::{damaged, integer};
use crate::writer::{Outcome, Write};
use crate::{Error, Store};

/// Rows that are one row of the table, at most. To list the newest few reads as many.
const TOGETHER: usize = 128;
/// Rows that one transaction removes, beyond as many as it adds.
const REMOVED: usize = 2000;
/// The most rows that one query returns.
const LISTED: u32 = 1000;
/// Rows of the table that are looked through at a time.
const PAGE: i64 = 16;

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

/// One outbound request or command. Its serde form is the one in which it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// When it began, in Unix milliseconds.
    pub at: i64,
    /// The call that it was part of.
    #[serde(with = "hyphenated")]
    pub call: Uuid,
    /// The function. The row outlives it.
    pub wasm_id: i64,
    /// The number of the version that ran.
    pub version: i64,
    /// Which of the two.
    pub kind: SentKind,
    /// The rule that let the request through, `None` if none did; or the command's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The names of the secrets that were attached, comma separated; `None` if there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<String>,
    /// The method of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Where the request was to go: scheme, host and port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Where it went: the address and port that the host's name stood for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The status of the response, or of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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

/// One outbound request or command, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentRow {
    /// Its number. Ascending in the order in which rows were recorded, never used again.
    pub id: i64,
    /// What left.
    pub sent: Sent,
}

/// Which rows are asked for. What is `None` does not matter. By default, the newest 100 of all.
///
/// A function's rows, a call's and a range of numbers are found by an index; the kind and the outcome are looked for
/// among those, so a kind or an outcome that is rare may read them all.
#[derive(Debug, Clone)]
pub struct SentQuery {
    /// Numbers greater than this one. A reader that goes on from the last number it saw misses no row.
    pub after: Option<i64>,
    /// Numbers less than this one.
    pub before: Option<i64>,
    /// Of this function.
    pub wasm_id: Option<i64>,
    /// Of this call.
    pub call: Option<Uuid>,
    /// Of this kind.
    pub kind: Option<SentKind>,
    /// With this outcome.
    pub outcome: Option<String>,
    /// No more rows than this; 1 to 1000.
    pub limit: u32,
    /// In descending order of numbers, and the greatest of them.
    pub newest_first: bool,
}

impl Default for SentQuery {
    fn default() -> Self {
        Self {
            after: None,
            before: None,
            wasm_id: None,
            call: None,
            kind: None,
            outcome: None,
            limit: 100,
            newest_first: true,
        }
    }
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
    pub async fn record_sent(
        &self,
        rows: Vec<Sent>,
        keep_rows: u64,
        keep_from: i64,
    ) -> Result<bool, Error> {
        let record = Write::RecordSent(RecordSent {
            rows,
            keep_rows,
            keep_from,
        });
        Ok(matches!(self.write(record).await?, Outcome::Unfinished))
    }

    /// The rows that `query` asks for. Functions that were deleted still have theirs.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the limit is not 1 to 1000, and those of [`Store::function`].
    pub async fn sent(&self, query: &SentQuery) -> Result<Vec<SentRow>, Error> {
        if !(1..=LISTED).contains(&query.limit) {
            return Err(Error::Invalid {
                what: format!("a list has 1 to {LISTED} rows, and not {}", query.limit),
            });
        }
        list(self.readers(), query).await
    }
}

/// Rows to be added, and how many and how old ones stay.
pub(crate) struct RecordSent {
    rows: Vec<Sent>,
    keep_rows: u64,
    keep_from: i64,
}

pub(crate) async fn record(
    connection: &mut SqliteConnection,
    record: &RecordSent,
) -> Result<Outcome, Error> {
    let mut last = match record.rows.is_empty() {
        true => 0,
        false => last_number(connection).await?,
    };
    for rows in record.rows.chunks(TOGETHER) {
        let first = last + 1;
        last += rows.len() as i64;
        add(connection, rows, first, last).await?;
    }
    remove(connection, record).await
}

/// The greatest number that a row ever had, 0 if there was none.
async fn last_number(connection: &mut SqliteConnection) -> Result<i64, Error> {
    let seq = sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'sent'");
    Ok(seq.fetch_optional(connection).await?.unwrap_or(0))
}

/// Adds one row of the table.
async fn add(
    connection: &mut SqliteConnection,
    rows: &[Sent],
    first: i64,
    last: i64,
) -> Result<(), Error> {
    let json = serde_json::to_string(rows).map_err(|_| damaged("rows"))?;
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

async fn remove(connection: &mut SqliteConnection, record: &RecordSent) -> Result<Outcome, Error> {
    let ends = sqlx::query(
        "SELECT first, newest, (SELECT MAX(last) FROM sent) AS latest FROM sent ORDER BY last LIMIT 1",
    );
    let Some(ends) = ends.fetch_optional(&mut *connection).await? else {
        return Ok(Outcome::Done);
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
    Ok(if wanted < step {
        Outcome::Done
    } else {
        Outcome::Unfinished
    })
}

async fn list(readers: &SqlitePool, query: &SentQuery) -> Result<Vec<SentRow>, Error> {
    let mut found = Vec::new();
    let (mut after, mut before) = (query.after, query.before);
    loop {
        let page = select("", query, after, before)
            .build()
            .fetch_all(readers)
            .await?;
        for row in &page {
            let (first, last) = (row.try_get("first")?, row.try_get("last")?);
            match query.newest_first {
                true => before = Some(first),
                false => after = Some(last),
            }
            let mut rows = read(row, first)?;
            while let Some(row) = match query.newest_first {
                true => rows.pop_back(),
                false => rows.pop_front(),
            } {
                if query.wants(&row) {
                    found.push(row);
                    if found.len() == query.limit as usize {
                        return Ok(found);
                    }
                }
            }
            // A quarter of a millisecond; others wait for this thread.
            tokio::task::yield_now().await;
        }
        if integer(page.len() as u64) < PAGE {
            return Ok(found);
        }
    }
}

impl SentQuery {
    fn wants(&self, row: &SentRow) -> bool {
        let sent = &row.sent;
        self.after.is_none_or(|after| row.id > after)
            && self.before.is_none_or(|before| row.id < before)
            && self.wasm_id.is_none_or(|id| sent.wasm_id == id)
            && self.call.is_none_or(|call| sent.call == call)
            && self.kind.is_none_or(|kind| sent.kind == kind)
            && self
                .outcome
                .as_ref()
                .is_none_or(|what| sent.outcome == *what)
    }
}

/// The rows of the table among which those that `query` wants are. Conditions that do not matter are left out rather than
/// made true: SQLite plans a statement before it knows what is bound, and would use no index.
fn select(
    prefix: &str,
    query: &SentQuery,
    after: Option<i64>,
    before: Option<i64>,
) -> QueryBuilder<Sqlite> {
    let mut select = QueryBuilder::new(prefix);
    select.push("SELECT sent.first, sent.last, sent.rows FROM ");
    let last = match (query.call, query.wasm_id) {
        (Some(call), _) => {
            let call = call.into_bytes().to_vec();
            // Few are in the span of a call: those are found first, and sorted.
            select.push("sent INDEXED BY sent_call WHERE call_to >= ");
            select.push_bind(call.clone());
            select.push(" AND call_from <= ").push_bind(call);
            "+sent.last"
        }
        (None, Some(wasm_id)) => {
            select.push("sent_functions JOIN sent USING (last) WHERE wasm_id = ");
            select.push_bind(wasm_id);
            "sent_functions.last"
        }
        (None, None) => {
            select.push("sent WHERE TRUE");
            "sent.last"
        }
    };
    select.push(format_args!(" AND {last} > "));
    select.push_bind(after.unwrap_or(i64::MIN));
    if let Some(before) = before {
        select.push(" AND first < ").push_bind(before);
        // The first one is less than this, and so is the last, or they would not be together.
        let beyond = before.saturating_add(TOGETHER as i64);
        select
            .push(format_args!(" AND {last} < "))
            .push_bind(beyond);
    }
    let order = if query.newest_first { "DESC" } else { "ASC" };
    select.push(format_args!(" ORDER BY {last} {order} LIMIT "));
    select.push_bind(PAGE);
    select
}

fn read(row: &SqliteRow, first: i64) -> Result<VecDeque<SentRow>, Error> {
    let rows: Vec<Sent> =
        serde_json::from_str(row.try_get("rows")?).map_err(|_| damaged("rows"))?;
    let numbered = rows.into_iter().zip(first..);
    Ok(numbered.map(|(sent, id)| SentRow { id, sent }).collect())
}

/// A call as it is written everywhere.
mod hyphenated {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use uuid::Uuid;

    pub(super) fn serialize<S: Serializer>(call: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = Uuid::encode_buffer();
        serializer.serialize_str(call.as_hyphenated().encode_lower(&mut buffer))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Uuid, D::Error> {
        let text = std::borrow::Cow::<'a, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked of a million rows has to be found, not looked for, and to come in its order, not sorted: but for
    /// those of one call, which are few.
    #[tokio::test]
    async fn every_query_is_answered_by_an_index() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).await.unwrap();
        let call = Some(Uuid::nil());
        let of_call = "SEARCH sent USING INDEX sent_call (call_to>?)";
        for (wasm_id, call, expected) in [
            (None, None, "SEARCH sent USING INTEGER PRIMARY KEY"),
            (
                Some(1),
                None,
                "SEARCH sent_functions USING PRIMARY KEY (wasm_id=? AND last>?",
            ),
            (None, call, of_call),
            (Some(1), call, of_call),
        ] {
            for (before, newest_first) in [
                (None, true),
                (Some(9), false),
                (None, false),
                (Some(9), true),
            ] {
                let query = SentQuery {
                    before,
                    wasm_id,
                    call,
                    newest_first,
                    ..SentQuery::default()
                };
                let mut plan = select("EXPLAIN QUERY PLAN ", &query, query.after, before);
                let steps = plan.build().fetch_all(store.readers()).await.unwrap();
                let steps: Vec<String> = steps.iter().map(|step| step.get("detail")).collect();
                let sorted = steps.iter().any(|step| step.contains("TEMP B-TREE"));
                assert!(
                    steps[0].contains(expected) && sorted == call.is_some(),
                    "{query:?}: {steps:?}"
                );
            }
        }
    }
}
