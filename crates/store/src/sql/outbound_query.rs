//! The rows that match a query of the outbound log, and the index that finds them.

use std::collections::VecDeque;

use sqlx::{QueryBuilder, Row as _};

use super::column::{damaged, integer};
use super::driver::{Sql, SqlPool, SqlRow, indexed_by};
use super::error::Result;
use crate::model::{OutboundQuery, OutboundRecord, OutboundRow};

/// The most records of one row of the table. Listing the newest few reads as many.
pub(super) const ROWS_PER_CHUNK: usize = 128;
/// The number of table rows that are examined at a time.
const PAGE: i64 = 16;

pub(super) async fn list(readers: &SqlPool, query: &OutboundQuery) -> Result<Vec<OutboundRow>> {
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
            // This takes a quarter of a millisecond, and others wait for this thread.
            tokio::task::yield_now().await;
        }
        if integer(page.len() as u64) < PAGE {
            return Ok(found);
        }
    }
}

/// The rows of the table that may contain rows that match `query`. Conditions that do not apply are left out rather
/// than made true: SQLite plans a statement before it knows the bound values, and would use no index.
pub(super) fn select(
    prefix: &str,
    query: &OutboundQuery,
    after: Option<i64>,
    before: Option<i64>,
) -> QueryBuilder<Sql> {
    let mut select = QueryBuilder::new(prefix);
    select.push("SELECT audit.first, audit.last, audit.rows FROM ");
    let last = match (query.call, query.function_id) {
        (Some(call), _) => {
            let call = call.into_bytes().to_vec();
            // Few rows are in the span of a call: they are found first, and then sorted.
            select.push(concat!(
                "audit ",
                indexed_by!("audit_call"),
                " WHERE call_to >= "
            ));
            select.push_bind(call.clone());
            select.push(" AND call_from <= ").push_bind(call);
            "+audit.last"
        }
        (None, Some(function_id)) => {
            select.push("audit_functions JOIN audit USING (last) WHERE function_id = ");
            select.push_bind(function_id);
            "audit_functions.last"
        }
        (None, None) => {
            select.push("audit WHERE TRUE");
            "audit.last"
        }
    };
    select.push(format_args!(" AND {last} > "));
    select.push_bind(after.unwrap_or(i64::MIN));
    if let Some(before) = before {
        select.push(" AND first < ").push_bind(before);
        // The first number is less than this, and so is the last, or they would not be in one chunk.
        let beyond = before.saturating_add(ROWS_PER_CHUNK as i64);
        select
            .push(format_args!(" AND {last} < "))
            .push_bind(beyond);
    }
    let order = if query.newest_first { "DESC" } else { "ASC" };
    select.push(format_args!(" ORDER BY {last} {order} LIMIT "));
    select.push_bind(PAGE);
    select
}

fn read(row: &SqlRow, first: i64) -> Result<VecDeque<OutboundRow>> {
    let rows: Vec<OutboundRecord> =
        serde_json::from_str(row.try_get("rows")?).map_err(|_| damaged("rows"))?;
    let numbered = rows.into_iter().zip(first..);
    Ok(numbered
        .map(|(record, id)| OutboundRow { id, record })
        .collect())
}
