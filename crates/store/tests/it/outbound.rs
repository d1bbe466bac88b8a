//! The outbound log: a row stays until it exceeds a limit of age or number, even if its function is deleted.

use std::ops::Range;

use iof_store::{OutboundKind, OutboundQuery, OutboundRecord, OutboundRow, OutboundWait, Store};
use uuid::Uuid;

use super::{Home, function, outside};

pub(crate) const ALL: u64 = u64::MAX;
pub(crate) const EVER: i64 = i64::MIN;

/// Rows of a function whose times and numbers of bytes are `numbers`; ten rows a call.
pub(crate) fn records(function_id: i64, numbers: Range<u64>) -> Vec<OutboundRecord> {
    let row = |number: u64| OutboundRecord {
        at: number as i64,
        call: Uuid::from_u64_pair(function_id as u64, number / 10),
        function_id,
        version: 1,
        kind: OutboundKind::Request,
        subject: Some("GET https://api.example.com/v1/".into()),
        secrets: Some("API_TOKEN".into()),
        method: Some("GET".into()),
        host: Some("https://api.example.com:443".into()),
        address: Some("203.0.113.7:443".into()),
        status: Some(200),
        bytes_out: number,
        bytes_in: 1000,
        ms: 12,
        outcome: "ok".into(),
        // Some of them waited.
        waited: (number % 7 == 3).then(|| OutboundWait {
            ms: number,
            limit: "max_concurrent".into(),
        }),
    };
    numbers.map(row).collect()
}

fn command(function_id: i64, outcome: &str) -> OutboundRecord {
    OutboundRecord {
        at: 7,
        call: Uuid::nil(),
        function_id,
        version: 2,
        kind: OutboundKind::Command,
        subject: None,
        secrets: None,
        method: None,
        host: None,
        address: None,
        status: None,
        bytes_out: 0,
        bytes_in: 0,
        ms: 0,
        outcome: outcome.into(),
        waited: None,
    }
}

/// All rows, oldest first, page by page.
pub(crate) async fn all(store: &Store) -> Vec<OutboundRow> {
    let mut found: Vec<OutboundRow> = Vec::new();
    loop {
        let query = OutboundQuery {
            after: found.last().map(|row| row.id),
            limit: 1000,
            newest_first: false,
            ..OutboundQuery::default()
        };
        match store.outbound(&query).await.unwrap() {
            page if page.is_empty() => return found,
            page => found.extend(page),
        }
    }
}

pub(crate) async fn times(store: &Store) -> Vec<i64> {
    all(store).await.iter().map(|row| row.record.at).collect()
}

pub(crate) async fn record(
    store: &Store,
    rows: Vec<OutboundRecord>,
    keep_rows: u64,
    keep_from: i64,
) -> bool {
    let recorded = store.record_outbound(rows, keep_rows, keep_from);
    recorded.await.unwrap()
}

#[tokio::test]
async fn rows_are_read_back_whole_and_outlive_their_function() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    let mut rows = records(1, 0..2);
    rows[0].subject = Some("é\0'; DROP TABLE audit; --".into());
    rows[1].outcome = "x".repeat(1 << 20);
    rows.push(command(1, ""));
    rows.push(command(99, "no such function"));
    assert!(!record(&store, rows.clone(), ALL, EVER).await);
    assert!(!record(&store, vec![], ALL, EVER).await);
    assert!(store.delete_function(1).await.unwrap());
    for reopened in [false, true] {
        let store = home.again(&store, reopened).await;
        let read = all(&store).await;
        let ids: Vec<_> = read.iter().map(|row| row.id).collect();
        assert_eq!(ids, [1, 2, 3, 4]);
        let read: Vec<_> = read.into_iter().map(|row| row.record).collect();
        assert_eq!(read, rows);
    }
}

#[tokio::test]
async fn the_greatest_numbers_are_read_back_and_queried() {
    let home = Home::new();
    let store = home.open().await;
    let extreme = |number: i64, count: u64| OutboundRecord {
        at: number,
        function_id: number,
        version: number,
        status: Some(number),
        bytes_out: count,
        bytes_in: count,
        ms: count,
        call: Uuid::max(),
        ..command(1, "ok")
    };
    let expected = vec![extreme(i64::MIN, u64::MAX), extreme(i64::MAX, 0)];
    for row in expected.clone() {
        assert!(!record(&store, vec![row], ALL, EVER).await);
    }
    let read: Vec<_> = all(&store)
        .await
        .into_iter()
        .map(|row| row.record)
        .collect();
    assert_eq!(read, expected);
    for extreme in [i64::MIN, i64::MAX] {
        let found = async |query: OutboundQuery| store.outbound(&query).await.unwrap().len();
        let (after, before) = (Some(extreme), Some(extreme));
        let function_id = Some(extreme);
        let of = OutboundQuery {
            function_id,
            ..OutboundQuery::default()
        };
        let beyond = OutboundQuery {
            after,
            ..OutboundQuery::default()
        };
        let below = OutboundQuery {
            before,
            ..OutboundQuery::default()
        };
        let expected = if extreme < 0 { (1, 2, 0) } else { (1, 0, 2) };
        assert_eq!(
            (found(of).await, found(beyond).await, found(below).await),
            expected
        );
    }
    assert!(!record(&store, vec![], i64::MAX as u64, i64::MIN + 1).await);
    assert_eq!(times(&store).await, [i64::MAX]);
    assert!(!record(&store, vec![], i64::MAX as u64 + 1, i64::MAX).await);
    assert_eq!(times(&store).await, [i64::MAX], "not before itself");
}

/// Each query returns what the same filter finds among all rows in memory.
#[tokio::test]
async fn a_query_finds_exactly_the_matching_rows() {
    let home = Home::new();
    let store = home.open().await;
    let mut rows = Vec::new();
    for number in 0..60 {
        let function_id = 1 + number as i64 % 3;
        let mut row = records(function_id, number..number + 1).remove(0);
        if number % 4 == 0 {
            row.kind = OutboundKind::Command;
        }
        if number % 5 == 0 {
            row.outcome = "egress-denied".into();
        }
        rows.push(row);
    }
    record(&store, rows, ALL, EVER).await;
    let all = all(&store).await;
    let calls = [None, Some(all[1].record.call), Some(Uuid::nil())];
    let mut matching = 0;
    for (after, before) in [
        (None, None),
        (Some(10), Some(50)),
        (Some(50), None),
        (None, Some(1)),
    ] {
        for function_id in [None, Some(2), Some(4)] {
            for call in calls {
                for (kind, outcome) in [
                    (None, None),
                    (Some(OutboundKind::Request), None),
                    (None, Some("egress-denied")),
                    (Some(OutboundKind::Command), Some("ok")),
                ] {
                    for (limit, newest_first) in
                        [(1000, false), (1000, true), (3, false), (3, true)]
                    {
                        let mut expected: Vec<_> = all
                            .iter()
                            .filter(|row| after.is_none_or(|after| row.id > after))
                            .filter(|row| before.is_none_or(|before| row.id < before))
                            .filter(|row| function_id.is_none_or(|id| row.record.function_id == id))
                            .filter(|row| call.is_none_or(|call| row.record.call == call))
                            .filter(|row| kind.is_none_or(|kind| row.record.kind == kind))
                            .filter(|row| {
                                outcome.is_none_or(|outcome| row.record.outcome == outcome)
                            })
                            .cloned()
                            .collect();
                        if newest_first {
                            expected.reverse();
                        }
                        expected.truncate(limit as usize);
                        let query = OutboundQuery {
                            after,
                            before,
                            function_id,
                            call,
                            kind,
                            outcome: outcome.map(str::to_owned),
                            limit,
                            newest_first,
                        };
                        assert_eq!(store.outbound(&query).await.unwrap(), expected, "{query:?}");
                        matching += usize::from(!expected.is_empty());
                    }
                }
            }
        }
    }
    assert!(matching > 100, "{matching} queries had results");
}

/// The rows of a call are found even if they came in different transactions, among rows of other calls.
#[tokio::test]
async fn the_rows_of_a_call_are_found_in_all_chunks() {
    let home = Home::new();
    let store = home.open().await;
    for round in 0..40 {
        let mut rows = records(1, round * 10..round * 10 + 5);
        rows.extend(records(1, 20..21));
        record(&store, rows, ALL, EVER).await;
    }
    for newest_first in [false, true] {
        let query = OutboundQuery {
            call: Some(Uuid::from_u64_pair(1, 2)),
            newest_first,
            ..OutboundQuery::default()
        };
        let found = store.outbound(&query).await.unwrap();
        let ids: Vec<_> = found.iter().map(|row| row.id).collect();
        let mut expected: Vec<_> = (1..=40).map(|n| n * 6).chain(13..=17).collect();
        expected.sort_unstable();
        if newest_first {
            expected.reverse();
        }
        assert_eq!(ids, expected);
    }
}

#[tokio::test]
async fn a_list_has_its_limits() {
    let home = Home::new();
    let store = home.open().await;
    record(&store, records(1, 0..1001), ALL, EVER).await;
    for (limit, expected) in [
        (0, None),
        (1, Some(1)),
        (1000, Some(1000)),
        (1001, None),
        (u32::MAX, None),
    ] {
        let query = OutboundQuery {
            limit,
            ..OutboundQuery::default()
        };
        let found = store.outbound(&query).await;
        match expected {
            Some(rows) => assert_eq!(found.unwrap().len(), rows),
            None => {
                let error = found.unwrap_err();
                assert_eq!(error.code(), "invalid");
                assert!(error.to_string().contains(&limit.to_string()), "{error}");
            }
        }
    }
    let newest = store.outbound(&OutboundQuery::default()).await.unwrap();
    assert_eq!((newest.len(), newest[0].id), (100, 1001));
}

/// A reader that continues from the last number it saw misses no row, however many writers there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_that_follows_misses_no_row() {
    let home = Home::new();
    let store = home.open().await;
    let mut tasks = tokio::task::JoinSet::new();
    for function_id in 1..=8 {
        let store = store.clone();
        tasks.spawn(async move {
            for round in 0..20 {
                record(
                    &store,
                    records(function_id, round * 7..round * 7 + 7),
                    ALL,
                    EVER,
                )
                .await;
            }
        });
    }
    let mut seen: Vec<OutboundRow> = Vec::new();
    while seen.len() < 8 * 140 {
        let query = OutboundQuery {
            after: seen.last().map(|row| row.id),
            newest_first: false,
            ..OutboundQuery::default()
        };
        seen.extend(store.outbound(&query).await.unwrap());
    }
    tasks.join_all().await;
    assert_eq!(seen, all(&store).await);
    for function_id in 1..=8 {
        let of: Vec<_> = seen
            .iter()
            .filter(|row| row.record.function_id == function_id)
            .collect();
        let times: Vec<_> = of.iter().map(|row| row.record.at).collect();
        assert_eq!(times, (0..140).collect::<Vec<_>>());
        assert!(of[0].id + 6 == of[6].id, "a list stays together");
    }
}

#[tokio::test]
async fn a_row_changed_by_another_program_is_damaged() {
    for change in [
        "rows = replace(rows, '1000', '-1')",
        "rows = '['",
        "rows = '[{}]'",
    ] {
        let home = Home::new();
        let store = home.open().await;
        record(&store, records(1, 0..1), ALL, EVER).await;
        let change = format!("UPDATE audit SET {change}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(change))
            .execute(&mut outside(&home).await)
            .await
            .unwrap();
        let error = store.outbound(&OutboundQuery::default()).await.unwrap_err();
        assert_eq!(error.code(), "damaged");
    }
}
