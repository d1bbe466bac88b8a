//! The log of calls: only the newest calls are kept, and all are counted.

use iof_store::{Call, Calls, Rollout, Store, Usage};

use super::{Home, count, function, version};

pub(crate) fn call(called_at: i64, record: impl ToString, guest_ns: u64) -> Call {
    Call {
        called_at,
        state: "state é".into(),
        record: record.to_string(),
        guest_ns,
    }
}

/// Calls whose records are `numbers`; each began a second after the one before, and costs a nanosecond more.
pub(crate) fn calls(function_id: i64, numbers: std::ops::Range<u64>) -> Calls {
    Calls {
        function_id,
        invocations: numbers.end - numbers.start,
        guest_ns: numbers.clone().sum(),
        latest_ns: numbers.end - 1,
        newest: numbers
            .map(|number| call(number as i64 * 1000, number, number))
            .collect(),
    }
}

pub(crate) async fn records(
    store: &Store,
    function_id: i64,
    newest_first: bool,
    count: u32,
) -> Vec<u64> {
    let calls = store.calls(function_id, newest_first, count).await.unwrap();
    calls
        .iter()
        .map(|call| call.record.parse().unwrap())
        .collect()
}

async fn rows(home: &Home, function_id: i64) -> (i64, i64) {
    (
        count(
            home,
            "SELECT COALESCE(SUM(CASE WHEN last - first < through - COALESCE(trimmed, 0) THEN last - first + 1
                                      ELSE through - COALESCE(trimmed, 0) END), 0)
               FROM call_log LEFT JOIN usage USING (function_id) WHERE function_id = $1",
            function_id,
        )
        .await,
        count(
            home,
            "SELECT COUNT(*) FROM usage WHERE function_id = $1",
            function_id,
        )
        .await,
    )
}

#[tokio::test]
async fn calls_are_read_back_and_survive_a_new_version_and_a_reopen() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    assert_eq!(store.calls(1, true, 10).await.unwrap(), []);
    assert_eq!(store.usage(1).await.unwrap(), Usage::default());
    let recorded = Calls {
        function_id: 1,
        invocations: 5,
        guest_ns: 900,
        latest_ns: 30,
        newest: vec![
            call(1_600_000_000_999, r#"{"a":"é"}"#, 10),
            call(1_600_000_001_000, "", 20),
            call(1_600_000_001_999, "not JSON\0", 30),
        ],
    };
    store.record_calls(vec![recorded], 10).await.unwrap();
    store
        .add_version(1, version("y"), Rollout::Active)
        .await
        .unwrap();
    for reopened in [false, true] {
        let store = home.again(&store, reopened).await;
        let read = store.calls(1, false, 10).await.unwrap();
        assert_eq!(read.len(), 3);
        assert_eq!((read[0].log_id, read[0].function_id), (1, 1));
        assert_eq!(
            (read[0].called_at, read[0].guest_ns),
            (1_600_000_000_999, 10)
        );
        assert_eq!(
            (read[0].state.as_str(), read[0].record.as_str()),
            ("state é", r#"{"a":"é"}"#)
        );
        assert_eq!((read[2].log_id, read[2].record.as_str()), (3, "not JSON\0"));
        assert_eq!(
            store.usage(1).await.unwrap(),
            Usage {
                invocations: 5,
                guest_ns: 900,
                latest_ns: 30,
                seconds: vec![(1_600_000_000, 10), (1_600_000_001, 50)],
            }
        );
    }
}

#[tokio::test]
async fn the_log_keeps_the_newest_and_the_counters_all() {
    let home = Home::new();
    let store = home.open().await;
    for source in ["one", "two"] {
        store.create_function(function(source)).await.unwrap();
    }
    store.record_calls(vec![calls(2, 0..4)], 9).await.unwrap();
    store.record_calls(vec![calls(1, 0..3)], 5).await.unwrap();
    store.record_calls(vec![calls(1, 3..5)], 5).await.unwrap();
    assert_eq!(records(&store, 1, false, 9).await, [0, 1, 2, 3, 4]);
    store.record_calls(vec![calls(1, 5..6)], 5).await.unwrap();
    assert_eq!(records(&store, 1, false, 9).await, [1, 2, 3, 4, 5]);
    assert_eq!(records(&store, 1, false, 2).await, [1, 2]);
    assert_eq!(records(&store, 1, true, 9).await, [5, 4, 3, 2, 1]);
    assert_eq!(records(&store, 1, true, 2).await, [5, 4]);
    assert_eq!(records(&store, 1, true, 0).await, [0; 0]);
    // More calls at once than are kept, for one function twice in one list.
    let many = vec![calls(1, 6..20), calls(1, 20..21)];
    store.record_calls(many, 3).await.unwrap();
    assert_eq!(records(&store, 1, false, 9).await, [18, 19, 20]);
    assert_eq!(
        store.usage(1).await.unwrap(),
        Usage {
            invocations: 21,
            guest_ns: 210,
            latest_ns: 20,
            seconds: vec![(18, 18), (19, 19), (20, 20)],
        }
    );
    // With nothing kept, all calls are still counted.
    store.record_calls(vec![calls(1, 21..23)], 0).await.unwrap();
    assert_eq!(records(&store, 1, false, 9).await, [0; 0]);
    let usage = store.usage(1).await.unwrap();
    assert_eq!(
        (usage.invocations, usage.guest_ns, usage.latest_ns),
        (23, 253, 22)
    );
    assert_eq!(usage.seconds, []);
    assert_eq!(
        records(&store, 2, false, 9).await,
        [0, 1, 2, 3],
        "the other's"
    );

    // The number of a removed row is not used again.
    store.close().await.unwrap();
    let store = home.open().await;
    let last = store.calls(2, true, 1).await.unwrap()[0].log_id;
    // Function 1 was written ten times; each write takes a number for each of its functions.
    store.record_calls(vec![calls(1, 23..24)], 5).await.unwrap();
    store.record_calls(vec![calls(1, 24..25)], 5).await.unwrap();
    assert!(store.calls(1, true, 1).await.unwrap()[0].log_id > last + 10);
}

#[tokio::test]
async fn counters_saturate() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    let huge = Calls {
        function_id: 1,
        invocations: u64::MAX,
        guest_ns: i64::MAX as u64 - 1,
        latest_ns: u64::MAX,
        newest: vec![
            call(-1, 1, u64::MAX),
            call(-1, 2, u64::MAX),
            call(i64::MIN, 3, 0),
        ],
    };
    let end = i64::MAX as u64;
    store.record_calls(vec![huge.clone()], 9).await.unwrap();
    let usage = store.usage(1).await.unwrap();
    assert_eq!(
        (usage.invocations, usage.guest_ns, usage.latest_ns),
        (end, end - 1, end)
    );
    assert_eq!(
        usage.seconds,
        [(i64::MIN.div_euclid(1000), 0), (-1, 2 * end)]
    );
    store.record_calls(vec![huge], 9).await.unwrap();
    let usage = store.usage(1).await.unwrap();
    assert_eq!(
        (usage.invocations, usage.guest_ns, usage.latest_ns),
        (end, end, end)
    );
    assert_eq!(usage.seconds[1], (-1, u64::MAX));
    // Without calls, the latest cost stays.
    let none = Calls {
        function_id: 1,
        invocations: 0,
        guest_ns: 0,
        latest_ns: 0,
        newest: vec![],
    };
    store.record_calls(vec![none], 9).await.unwrap();
    assert_eq!(store.usage(1).await.unwrap().latest_ns, end);
}

#[tokio::test]
async fn calls_of_deleted_functions_are_skipped() {
    let home = Home::new();
    let store = home.open().await;
    for source in ["one", "two", "three"] {
        store.create_function(function(source)).await.unwrap();
    }
    let all = vec![calls(1, 0..3), calls(2, 0..4), calls(3, 0..5)];
    store.record_calls(all.clone(), 9).await.unwrap();
    assert!(store.delete_function(2).await.unwrap());
    assert_eq!(rows(&home, 2).await, (0, 0));
    assert_eq!(store.calls(2, true, 9).await.unwrap(), []);
    assert_eq!(store.usage(2).await.unwrap(), Usage::default());

    store.record_calls(all, 9).await.unwrap();
    assert_eq!(rows(&home, 1).await, (6, 1));
    assert_eq!(rows(&home, 2).await, (0, 0));
    assert_eq!(rows(&home, 3).await, (9, 1));
    store.record_calls(vec![], 9).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counters_are_exact_under_fifty_writers() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let store = store.clone();
        tasks.spawn(async move {
            for _ in 0..5 {
                store.record_calls(vec![calls(1, 0..3)], 7).await.unwrap();
                let usage = store.usage(1).await.unwrap();
                assert_eq!(
                    usage.invocations, usage.guest_ns,
                    "both counters are of one moment"
                );
            }
        });
    }
    tasks.join_all().await;
    let usage = store.usage(1).await.unwrap();
    assert_eq!(
        (usage.invocations, usage.guest_ns, usage.latest_ns),
        (750, 750, 2)
    );
    assert_eq!(rows(&home, 1).await, (7, 1));
    assert_eq!(
        records(&store, 1, true, 4).await,
        [2, 1, 0, 2],
        "a list stays together"
    );
}

#[test]
fn debug_output_omits_the_data_of_owners_and_callers() {
    let debug = format!("{:?}", calls(1, 77_770..77_771));
    assert!(
        !debug.contains("state") && debug.contains("77770000"),
        "{debug}"
    );
}
