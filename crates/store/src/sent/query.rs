//! Which of the rows are asked for, and how they are found.

use std::collections::VecDeque;

use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{QueryBuilder, Row as _, SqlitePool};
use uuid::Uuid;

use super::{Sent, SentKind, SentRow, TOGETHER};
use crate::database::{damaged, integer};
use crate::{Error, Store};

/// The most rows that one query returns.
const LISTED: u32 = 1000;
/// Rows of the table that are looked through at a time.
const PAGE: i64 = 16;

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
