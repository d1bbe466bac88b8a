//! Plans of SQLite: queries of large tables use an index.

use sqlx::Row as _;

use super::jobs::with;
use super::{Home, outside};

/// Before SQLite deletes a row, it queries each column that may refer to it
/// (<https://www.sqlite.org/foreignkeys.html>, 3): with ten thousand functions, a query without an index costs
/// milliseconds for each row.
#[tokio::test]
async fn references_to_a_row_are_found_by_an_index() {
    let home = Home::new();
    let _store = home.open().await;
    let mut program = outside(&home).await;
    let references: Vec<(String, String)> = sqlx::query_as(
        "SELECT t.name, k.\"from\" FROM sqlite_schema t, pragma_foreign_key_list(t.name) k WHERE t.type = 'table'",
    )
    .fetch_all(&mut program)
    .await
    .unwrap();
    assert!(references.len() >= 11, "{references:?}");
    for (table, column) in references {
        let query = format!("EXPLAIN QUERY PLAN SELECT 1 FROM {table} WHERE {column} = 1");
        let step = sqlx::raw_sql(sqlx::AssertSqlSafe(query))
            .fetch_one(&mut program)
            .await
            .unwrap();
        let step: String = step.get("detail");
        assert!(step.starts_with("SEARCH"), "{table}.{column}: {step}");
    }
}

/// Queries of a hundred thousand jobs use an index.
#[tokio::test]
async fn the_next_job_is_found_by_an_index() {
    let home = Home::new();
    let store = with([], &home).await;
    for (query, index) in [
        (
            "SELECT id FROM jobs WHERE function_id = 1 AND state = 'queued' AND delayed = 0 ORDER BY rank, accepted_at, id LIMIT 9",
            "jobs_ready",
        ),
        (
            "SELECT id FROM jobs INDEXED BY jobs_leases WHERE state = 'running' AND lease_until <= 9",
            "jobs_leases",
        ),
        (
            "SELECT id FROM jobs INDEXED BY jobs_delayed WHERE state = 'queued' AND delayed = 1 AND not_before <= 9",
            "jobs_delayed",
        ),
        ("DELETE FROM jobs WHERE finished_at < 9", "jobs_finished_at"),
        ("DELETE FROM jobs WHERE function_id = 1", "jobs_function"),
    ] {
        let steps = sqlx::raw_sql(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}")))
            .fetch_all(&mut outside(&home).await)
            .await
            .unwrap();
        let steps: Vec<String> = steps.iter().map(|step| step.get("detail")).collect();
        let found = steps[0].starts_with("SEARCH jobs") && steps[0].contains(index);
        assert!(found && steps.len() == 1, "{query}: {steps:?}");
    }
    store.close().await.unwrap();
}
