//! Rows of the call log hold many calls each; lists do not show where rows begin and end.

use iof_store::{Calls, Store};

use super::calls::{call, calls, records};
use super::{Home, count, function};

/// The number of rows of a function in the table.
pub(crate) async fn packed(home: &Home, function_id: i64) -> i64 {
    let packed = "SELECT COUNT(*) FROM call_log WHERE function_id = $1";
    count(home, packed, function_id).await
}

pub(crate) async fn after(
    store: &Store,
    function_id: i64,
    after: i64,
    limit: u32,
) -> Vec<(i64, u64)> {
    let calls = store.calls_after(function_id, after, limit).await.unwrap();
    let numbered = calls.iter();
    numbered
        .map(|call| (call.log_id, call.record.parse().unwrap()))
        .collect()
}

#[tokio::test]
async fn lists_and_cursors_cross_rows() {
    let home = Home::new();
    let store = home.open().await;
    for source in ["one", "two"] {
        store.create_function(function(source)).await.unwrap();
    }
    // Calls of the other function come between, so that numbers are not consecutive.
    for first in [0, 150, 300, 450] {
        let both = vec![calls(1, first..first + 150), calls(2, first..first + 1)];
        store.record_calls(both, 1000).await.unwrap();
    }
    assert_eq!(packed(&home, 1).await, 8, "128 and 22, four times");
    assert_eq!(packed(&home, 2).await, 4);
    let all = after(&store, 1, 0, 1000).await;
    let expected: Vec<_> = (0..600).map(|n| (1 + n + n / 150, n as u64)).collect();
    assert_eq!(all, expected);
    for start in [0, 1, 127, 128, 149, 150, 151, 300, 599] {
        for limit in [0, 1, 2, 22, 23, 128, 129, 700] {
            let end = (start + limit).min(600);
            let page = after(&store, 1, all[start].0 - 1, limit as u32).await;
            assert_eq!(page, all[start..end], "{limit} from {start}");
        }
    }
    assert_eq!(after(&store, 1, all[599].0, 9).await, []);
    assert_eq!(after(&store, 1, i64::MAX, 9).await, []);
    assert_eq!(after(&store, 1, i64::MIN, 1).await, all[..1]);
    for limit in [0_u32, 1, 21, 22, 23, 149, 151, 600, u32::MAX] {
        let count = u64::from(limit).min(600);
        let newest: Vec<_> = (600 - count..600).rev().collect();
        assert_eq!(records(&store, 1, true, limit).await, newest);
        let oldest: Vec<_> = (0..count).collect();
        assert_eq!(records(&store, 1, false, limit).await, oldest);
    }
    assert_eq!(records(&store, 2, false, 9).await, [0, 150, 300, 450]);
}

#[tokio::test]
async fn a_log_is_exact_however_many_are_kept() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("one")).await.unwrap();
    store
        .record_calls(vec![calls(1, 0..100)], 100)
        .await
        .unwrap();
    // A limit below the length of a row hides calls, but the row stays.
    store
        .record_calls(vec![calls(1, 100..101)], 10)
        .await
        .unwrap();
    let ten: Vec<_> = (91..=100).collect();
    assert_eq!(records(&store, 1, false, 1000).await, ten);
    assert_eq!(records(&store, 1, false, 3).await, ten[..3]);
    assert_eq!(records(&store, 1, true, 1000).await.len(), 10);
    assert_eq!(after(&store, 1, 0, 1000).await.len(), 10);
    assert_eq!(after(&store, 1, 50, 1).await[0].1, 91);
    assert_eq!(store.usage(1).await.unwrap().seconds.len(), 10);
    assert_eq!(packed(&home, 1).await, 2);
    // A greater limit does not bring back trimmed calls.
    store
        .record_calls(vec![calls(1, 101..102)], 100)
        .await
        .unwrap();
    assert_eq!(records(&store, 1, false, 1000).await.len(), 11);
    // A row is removed when all its calls are trimmed.
    store
        .record_calls(vec![calls(1, 102..104)], 4)
        .await
        .unwrap();
    assert_eq!(records(&store, 1, false, 9).await, [100, 101, 102, 103]);
    assert_eq!(packed(&home, 1).await, 3);
    // A batch without rows trims as well.
    let none = Calls {
        newest: vec![],
        ..calls(1, 104..105)
    };
    store.record_calls(vec![none.clone()], 2).await.unwrap();
    assert_eq!(records(&store, 1, false, 9).await, [102, 103]);
    store.record_calls(vec![none], 0).await.unwrap();
    assert_eq!(records(&store, 1, false, 9).await, [0; 0]);
    assert_eq!(packed(&home, 1).await, 0);
    assert_eq!(store.usage(1).await.unwrap().invocations, 106);
    store
        .record_calls(vec![calls(1, 105..106)], 2)
        .await
        .unwrap();
    let last = store.calls(1, true, 9).await.unwrap();
    assert_eq!((last.len(), last[0].log_id), (1, 105));
}

#[tokio::test]
async fn a_row_ends_when_its_text_is_long() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("one")).await.unwrap();
    let long = "\"\u{1}é".repeat(5000);
    let newest = vec![call(0, &long, 1); 20];
    let many = Calls {
        newest,
        ..calls(1, 0..20)
    };
    store.record_calls(vec![many], 30).await.unwrap();
    assert!(packed(&home, 1).await >= 5);
    let read = store.calls(1, false, 99).await.unwrap();
    assert_eq!(read.len(), 20);
    assert!(read.iter().all(|call| call.record == long));
}

#[tokio::test]
async fn each_call_has_its_own_state() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("one")).await.unwrap();
    let states = ["a", "a", "", "", "null", "a\0b", "a\0b", "[\"'"];
    let mut many = calls(1, 0..8);
    for (call, state) in many.newest.iter_mut().zip(states) {
        call.state = state.into();
    }
    store.record_calls(vec![many], 5).await.unwrap();
    let read = store.calls(1, false, 9).await.unwrap();
    let read: Vec<_> = read.iter().map(|call| &*call.state).collect();
    assert_eq!(read, states[3..]);
}

#[tokio::test]
async fn a_batch_of_many_functions_skips_deleted_ones() {
    let home = Home::new();
    let store = home.open().await;
    for number in 0..300 {
        let source = format!("source {number}");
        store.create_function(function(&source)).await.unwrap();
    }
    for deleted in [1, 150, 300] {
        assert!(store.delete_function(deleted).await.unwrap());
    }
    for _ in 0..2 {
        let batch = (0..400).map(|id| calls(id, 0..3)).collect();
        store.record_calls(batch, 5).await.unwrap();
    }
    let mut numbers = std::collections::BTreeSet::new();
    for id in 0..400 {
        let there = (2..300).contains(&id) && id != 150;
        let (kept, invocations) = if there { (5, 6) } else { (0, 0) };
        let calls = store.calls(id, false, 9).await.unwrap();
        assert_eq!(calls.len(), kept, "of {id}");
        numbers.extend(calls.iter().map(|call| call.log_id));
        assert_eq!(store.usage(id).await.unwrap().invocations, invocations);
    }
    assert_eq!(numbers.len(), 297 * 5);
    assert_eq!(numbers.last(), Some(&(297 * 6)));
}
