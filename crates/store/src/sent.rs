//! What left: one row for each outbound request and each command run.
//!
//! The rows are evidence, so deleting a function leaves them, and only their number and their age make them go. Callers
//! hand over many at once, as they do with calls, and they share a transaction.
//!
//! Rows are numbered without gaps as they come, so the newest `n` are the last `n` numbers: that is asked of the primary
//! key, where a count kept beside the rows would have to be written with every transaction and trusted ever after.
//!
//! A removal is bounded. Everything else that is written waits for the transaction that removes, so a first start with
//! a smaller limit takes a million rows away in many short ones. A task that removes in the background was rejected: the
//! server calls every moment anyway, and knows when it is shutting down.

use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{QueryBuilder, Row as _, SqliteConnection, SqlitePool};
use uuid::Uuid;

use crate::database::{count, damaged, integer};
use crate::writer::{Outcome, Write};
use crate::{Error, Store};

/// Rows that share a statement. Each statement is a trip to the thread that runs SQLite: one for each row took twice as
/// long (`tests/it/speed_rows.rs`), and longer ones than these are hardly faster.
const SIZES: [usize; 5] = [128, 32, 8, 2, 1];
/// Rows that one transaction removes for their number, and as many for their age, beyond as many as it adds.
const REMOVED: usize = 2000;
/// The most rows that one query returns.
const LISTED: u32 = 1000;

/// What left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// One outbound request or command.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub subject: Option<String>,
    /// The names of the secrets that were attached, comma separated; `None` if there were none.
    pub secrets: Option<String>,
    /// The method of the request.
    pub method: Option<String>,
    /// Where the request was to go: scheme, host and port.
    pub host: Option<String>,
    /// Where it went: the address and port that the host's name stood for.
    pub address: Option<String>,
    /// The status of the response, or of the command.
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
/// among those.
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
    /// Adds `rows` in their order, in one transaction, and removes rows that are not among the last `keep_rows`, or that
    /// began before `keep_from` (Unix milliseconds). When this returns `Ok`, all of it is on the disk.
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
    for rows in pieces(&record.rows) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO outbound (at, call, wasm_id, version, kind, subject, secrets, method, host, address, status,
                                   bytes_out, bytes_in, ms, outcome) ",
        );
        insert.push_values(rows, |mut values, row| {
            values
                .push_bind(row.at)
                .push_bind(&row.call.as_bytes()[..])
                .push_bind(row.wasm_id)
                .push_bind(row.version)
                .push_bind(row.kind.as_str())
                .push_bind(row.subject.as_deref())
                .push_bind(row.secrets.as_deref())
                .push_bind(row.method.as_deref())
                .push_bind(row.host.as_deref())
                .push_bind(row.address.as_deref())
                .push_bind(row.status)
                .push_bind(integer(row.bytes_out))
                .push_bind(integer(row.bytes_in))
                .push_bind(integer(row.ms))
                .push_bind(&*row.outcome);
        });
        insert.build().execute(&mut *connection).await?;
    }
    remove(connection, record).await
}

/// Rows in pieces of few sizes, so that the statement of each is prepared once and kept: to parse one of a hundred rows
/// costs as much as to run it.
fn pieces<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|&size| size <= rows.len())?;
        let (piece, rest) = rows.split_at(size);
        rows = rest;
        Some(piece)
    })
}

async fn remove(connection: &mut SqliteConnection, record: &RecordSent) -> Result<Outcome, Error> {
    let at_most = integer((record.rows.len() + REMOVED) as u64);
    let by_number = sqlx::query(
        "DELETE FROM outbound
          WHERE id IN (SELECT id FROM outbound WHERE id <= (SELECT MAX(id) FROM outbound) - $1 ORDER BY id LIMIT $2)",
    )
    .bind(integer(record.keep_rows))
    .bind(at_most)
    .execute(&mut *connection)
    .await?;
    let by_age = sqlx::query(
        "DELETE FROM outbound WHERE id IN (SELECT id FROM outbound WHERE at < $1 ORDER BY at LIMIT $2)",
    )
    .bind(record.keep_from)
    .bind(at_most)
    .execute(connection)
    .await?;
    let most = by_number.rows_affected().max(by_age.rows_affected());
    Ok(if integer(most) < at_most {
        Outcome::Done
    } else {
        Outcome::Unfinished
    })
}

async fn list(readers: &SqlitePool, query: &SentQuery) -> Result<Vec<SentRow>, Error> {
    select("", query)
        .build()
        .fetch_all(readers)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// The statement for `query`. Conditions that do not matter are left out rather than made true: SQLite plans a statement
/// before it knows what is bound, and would use no index.
fn select(prefix: &str, query: &SentQuery) -> QueryBuilder<Sqlite> {
    let mut select = QueryBuilder::new(prefix);
    select.push(
        "SELECT id, at, call, wasm_id, version, kind, subject, secrets, method, host, address, status,
                bytes_out, bytes_in, ms, outcome
           FROM outbound WHERE id > ",
    );
    select.push_bind(query.after.unwrap_or(i64::MIN));
    if let Some(before) = query.before {
        select.push(" AND id < ").push_bind(before);
    }
    if let Some(call) = query.call {
        select
            .push(" AND call = ")
            .push_bind(call.into_bytes().to_vec());
    }
    if let Some(wasm_id) = query.wasm_id {
        // A call has a few rows, a function may have all of them; the plus keeps SQLite from choosing the latter's index.
        let by_call = query.call.is_some();
        select.push(if by_call {
            " AND +wasm_id = "
        } else {
            " AND wasm_id = "
        });
        select.push_bind(wasm_id);
    }
    if let Some(kind) = query.kind {
        select.push(" AND kind = ").push_bind(kind.as_str());
    }
    if let Some(outcome) = &query.outcome {
        select.push(" AND outcome = ").push_bind(&**outcome);
    }
    select.push(if query.newest_first {
        " ORDER BY id DESC LIMIT "
    } else {
        " ORDER BY id LIMIT "
    });
    select.push_bind(i64::from(query.limit));
    select
}

fn read(row: &SqliteRow) -> Result<SentRow, Error> {
    let call = row.try_get::<&[u8], _>("call")?;
    let kind = match row.try_get("kind")? {
        "request" => SentKind::Request,
        "command" => SentKind::Command,
        _ => return Err(damaged("kind")),
    };
    Ok(SentRow {
        id: row.try_get("id")?,
        sent: Sent {
            at: row.try_get("at")?,
            call: Uuid::from_slice(call).map_err(|_| damaged("call"))?,
            wasm_id: row.try_get("wasm_id")?,
            version: row.try_get("version")?,
            kind,
            subject: row.try_get("subject")?,
            secrets: row.try_get("secrets")?,
            method: row.try_get("method")?,
            host: row.try_get("host")?,
            address: row.try_get("address")?,
            status: row.try_get("status")?,
            bytes_out: count(row, "bytes_out")?,
            bytes_in: count(row, "bytes_in")?,
            ms: count(row, "ms")?,
            outcome: row.try_get("outcome")?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked of a million rows has to be found, not looked for, and to come in its order, not sorted.
    #[tokio::test]
    async fn every_query_is_answered_by_an_index() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).await.unwrap();
        let call = Some(Uuid::nil());
        for (wasm_id, call, expected) in [
            (None, None, "SEARCH outbound USING INTEGER PRIMARY KEY"),
            (
                Some(1),
                None,
                "INDEX outbound_wasm_id (wasm_id=? AND rowid>?",
            ),
            (None, call, "INDEX outbound_call (call=? AND rowid>?"),
            (Some(1), call, "INDEX outbound_call (call=? AND rowid>?"),
        ] {
            for (before, kind, newest_first) in [
                (None, None, true),
                (Some(9), None, false),
                (None, Some(SentKind::Request), true),
                (Some(9), Some(SentKind::Command), true),
            ] {
                let query = SentQuery {
                    before,
                    wasm_id,
                    call,
                    kind,
                    outcome: kind.map(|_| "ok".into()),
                    newest_first,
                    ..SentQuery::default()
                };
                let mut plan = select("EXPLAIN QUERY PLAN ", &query);
                let steps = plan.build().fetch_all(store.readers()).await.unwrap();
                let steps: Vec<String> = steps.iter().map(|step| step.get("detail")).collect();
                assert!(
                    steps.len() == 1 && steps[0].contains(expected),
                    "{query:?}: {steps:?}"
                );
            }
        }
    }
}
