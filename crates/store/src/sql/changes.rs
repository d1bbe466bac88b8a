//! The audit log, as rows.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use sqlx::Row as _;

use super::column::damaged;
use super::database::Database;
use super::driver::{SqlConnection, SqlPool, SqlRow, as_text, greatest, least, optional_text};
use super::error::Result;
use crate::clock::unix_ms;
use crate::error::Error;
use crate::model::{
    Author, AuthorKey, ChangeLimits, ChangeQuery, ChangeRecord, NewRecord, Surface,
};
use crate::rows::Changes;

/// The rows that one change removes: a smaller limit takes effect in steps.
const REMOVED: i64 = 1000;

impl Changes for Database {
    fn keep_changes(&self, limits: ChangeLimits) {
        self.kept.set(limits);
    }

    async fn changes(&self, query: &ChangeQuery) -> Result<Vec<ChangeRecord>, Error> {
        Ok(list(&self.readers, query).await?)
    }
}

/// The limits of the record, which may change while the writer runs.
pub(super) struct KeptChanges {
    function_rows: AtomicU32,
    rows: AtomicU32,
}

impl KeptChanges {
    fn set(&self, limits: ChangeLimits) {
        self.function_rows
            .store(limits.function_rows, Ordering::Relaxed);
        self.rows.store(limits.rows, Ordering::Relaxed);
    }
}

impl Default for KeptChanges {
    fn default() -> Self {
        let ChangeLimits {
            function_rows,
            rows,
        } = ChangeLimits::default();
        Self {
            function_rows: function_rows.into(),
            rows: rows.into(),
        }
    }
}

/// The entry of a change of one function, if it was made.
pub(super) fn recorded(
    output: &Result<(), Error>,
    by: &Author,
    action: &'static str,
    function_id: i64,
    details: Value,
) -> Option<NewRecord> {
    let made = output.is_ok();
    made.then(|| of_function(by, action, function_id, details))
}

/// The entry of a change of one function.
pub(super) fn of_function(
    by: &Author,
    action: &'static str,
    function_id: i64,
    details: Value,
) -> NewRecord {
    NewRecord {
        by: by.clone(),
        action,
        function_id: Some(function_id),
        function_name: None,
        details,
    }
}

/// Adds a change, and removes the oldest that exceed a limit.
pub(super) async fn insert(
    connection: &mut SqlConnection,
    new: &NewRecord,
    kept: &KeptChanges,
) -> Result<()> {
    let key = &new.by.key;
    sqlx::query(
        "INSERT INTO changes (made_at, surface, key_kind, key_id, key_label, action, function_id, function_name, details)
         VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce($8, (SELECT name FROM functions WHERE function_id = $7)), $9)",
    )
    .bind(unix_ms())
    .bind(new.by.surface.as_str())
    .bind(key.kind())
    .bind(key.id())
    .bind(key.label().map(as_text))
    .bind(new.action)
    .bind(new.function_id)
    .bind(&new.function_name)
    .bind(new.details.to_string())
    .execute(&mut *connection)
    .await?;
    if let Some(function_id) = new.function_id {
        sqlx::query(
            "DELETE FROM changes WHERE change_id IN
                (SELECT change_id FROM changes WHERE function_id = $1 ORDER BY change_id DESC LIMIT $3 OFFSET $2)",
        )
        .bind(function_id)
        .bind(i64::from(kept.function_rows.load(Ordering::Relaxed)))
        .bind(REMOVED)
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query(concat!(
        "DELETE FROM changes WHERE change_id IN
            (SELECT change_id FROM changes ORDER BY change_id
              LIMIT (SELECT ",
        least!(),
        "(",
        greatest!(),
        "(CAST(SUM(rows) AS BIGINT) - $1, 0), $2) FROM changes_kept))"
    ))
    .bind(i64::from(kept.rows.load(Ordering::Relaxed)))
    .bind(REMOVED)
    .execute(connection)
    .await?;
    Ok(())
}

async fn list(readers: &SqlPool, query: &ChangeQuery) -> Result<Vec<ChangeRecord>> {
    // Two texts, so that each is answered by its index.
    let of_all = "SELECT * FROM changes WHERE change_id < $1 AND made_at >= $2 AND $3 IS NULL
                   ORDER BY change_id DESC LIMIT $4";
    let of_one = "SELECT * FROM changes WHERE change_id < $1 AND made_at >= $2 AND function_id = $3
                   ORDER BY change_id DESC LIMIT $4";
    sqlx::query(match query.function_id {
        None => of_all,
        Some(_) => of_one,
    })
    .bind(query.before.unwrap_or(i64::MAX))
    .bind(query.since.unwrap_or(i64::MIN))
    .bind(query.function_id)
    .bind(i64::from(query.limit))
    .fetch_all(readers)
    .await?
    .iter()
    .map(read)
    .collect()
}

fn read(row: &SqlRow) -> Result<ChangeRecord> {
    let surface = Surface::parse(row.try_get("surface")?);
    let key = AuthorKey::parse(
        row.try_get("key_kind")?,
        row.try_get("key_id")?,
        optional_text(row, "key_label")?,
    );
    Ok(ChangeRecord {
        id: row.try_get("change_id")?,
        made_at: row.try_get("made_at")?,
        by: Author {
            surface: surface.ok_or_else(|| damaged("surface"))?,
            key: key.ok_or_else(|| damaged("key_kind"))?,
        },
        action: row.try_get("action")?,
        function_id: row.try_get("function_id")?,
        function_name: row.try_get("function_name")?,
        details: row.try_get("details")?,
    })
}
