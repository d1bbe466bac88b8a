//! Tests of plans: each statement of a large table is answered by an index.

use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use super::call_statements::TRIM;
use super::calls::{AFTER, NEWEST, OLDEST, USAGE};
use super::connection;
use super::outbound_query::select;
use crate::model::OutboundQuery;

/// The index finds the rows of a function in order, however many rows others have.
#[tokio::test]
async fn every_statement_walks_a_part_of_the_index() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("iof.db");
    tokio::fs::write(&path, "").await.unwrap();
    let (_writer, readers) = connection::open(&path).await.unwrap();
    let from = "INDEX call_log_function_id (function_id=? AND through>?";
    for (statement, expected) in [
        (NEWEST, from),
        (OLDEST, from),
        (AFTER, from),
        (USAGE, from),
        (
            TRIM,
            "INDEX call_log_function_id (function_id=? AND through<?",
        ),
    ] {
        let plan = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let steps = sqlx::query(plan).fetch_all(&readers).await.unwrap();
        let steps: Vec<String> = steps.iter().map(|step| step.get("detail")).collect();
        let of_log: Vec<_> = steps.iter().filter(|step| step.contains(" c ")).collect();
        assert!(
            !of_log.is_empty()
                && of_log.iter().all(|step| step.contains(expected))
                && !steps.iter().any(|step| step.contains("FOR ORDER BY")),
            "{statement}: {steps:?}"
        );
    }
}

/// A query of a million rows uses an index, and its rows come in order without a sort, except for the few rows of
/// one call.
#[tokio::test]
async fn every_query_is_answered_by_an_index() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("iof.db");
    tokio::fs::write(&path, "").await.unwrap();
    let (_writer, readers) = connection::open(&path).await.unwrap();
    let call = Some(Uuid::nil());
    let of_call = "SEARCH audit USING INDEX audit_call (call_to>?)";
    for (function_id, call, expected) in [
        (None, None, "SEARCH audit USING INTEGER PRIMARY KEY"),
        (
            Some(1),
            None,
            "SEARCH audit_functions USING PRIMARY KEY (function_id=? AND last>?",
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
            let query = OutboundQuery {
                before,
                function_id,
                call,
                newest_first,
                ..OutboundQuery::default()
            };
            let mut plan = select("EXPLAIN QUERY PLAN ", &query, query.after, before);
            let steps = plan.build().fetch_all(&readers).await.unwrap();
            let steps: Vec<String> = steps.iter().map(|step| step.get("detail")).collect();
            let sorted = steps.iter().any(|step| step.contains("TEMP B-TREE"));
            assert!(
                steps[0].contains(expected) && sorted == call.is_some(),
                "{query:?}: {steps:?}"
            );
        }
    }
}
