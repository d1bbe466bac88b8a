//! Recordings: the newest are kept within three limits, and none outlives its function.

use bytes::Bytes;
use iof_store::{Recording, RecordingLimits, Rollout, Store};
use uuid::Uuid;

use super::{Home, count, function, outside, version};

const ALL: RecordingLimits = RecordingLimits {
    per_function: u32::MAX,
    total_bytes: u64::MAX,
    from: i64::MIN,
};

/// A recording of `size` bytes of a call that began at `at`; the call's id contains that time.
pub(crate) fn recording(function_id: i64, at: i64, size: usize) -> Recording {
    Recording {
        call: Uuid::from_u64_pair(function_id as u64, at as u64),
        function_id,
        version: 1,
        at,
        outcome: "ok".into(),
        data: Bytes::from(vec![at as u8; size]),
    }
}

async fn put(store: &Store, recordings: Vec<Recording>, keep: RecordingLimits) -> bool {
    store.put_recordings(recordings, keep).await.unwrap()
}

async fn times(store: &Store, function_id: i64) -> Vec<i64> {
    let heads = store.recordings(function_id, u32::MAX).await.unwrap();
    heads.iter().map(|head| head.at).collect()
}

/// The bytes of all data, counted and as recorded in the total.
pub(crate) async fn totals(home: &Home) -> (i64, i64) {
    let actual = "SELECT COALESCE(SUM(length(data)), 0) FROM recordings WHERE $1 = 0";
    let recorded = "SELECT SUM(bytes) FROM recordings_total WHERE $1 = 0";
    (count(home, actual, 0).await, count(home, recorded, 0).await)
}

async fn functions(home: &Home, number: i64) -> Store {
    let store = home.open().await;
    for function_id in 1..=number {
        let new = function(function_id.to_string());
        store.create_function(new).await.unwrap();
    }
    store
}

#[tokio::test]
async fn a_recording_is_read_back_whole() {
    let home = Home::new();
    let store = functions(&home, 2).await;
    assert_eq!(store.recording(Uuid::nil()).await.unwrap(), None);
    assert_eq!(times(&store, 1).await, [0; 0]);
    let mut one = recording(1, 1_700_000_000_000, 1 << 20);
    one.outcome = "é\0'; --".into();
    one.version = 7;
    let empty = recording(2, 0, 0);
    assert!(!put(&store, vec![one.clone(), empty.clone()], ALL).await);
    store
        .add_version(1, version("next"), Rollout::Active)
        .await
        .unwrap();
    for reopened in [false, true] {
        let store = home.again(&store, reopened).await;
        for expected in [&one, &empty] {
            let read = store.recording(expected.call).await.unwrap().unwrap();
            assert!(read == *expected);
            let heads = store.recordings(expected.function_id, 9).await.unwrap();
            assert_eq!(heads.len(), 1);
            let head = &heads[0];
            assert_eq!(
                (head.call, head.function_id),
                (expected.call, expected.function_id)
            );
            assert_eq!((head.at, head.version), (expected.at, expected.version));
            assert_eq!(head.outcome, expected.outcome);
            assert_eq!(head.size, expected.data.len() as u64);
        }
        assert_eq!(store.recording(Uuid::max()).await.unwrap(), None);
        assert_eq!(times(&store, 9).await, [0; 0]);
    }
    assert_eq!(totals(&home).await, (1 << 20, 1 << 20));
}

#[test]
fn debug_output_omits_the_data_of_callers() {
    let debug = format!("{:?}", recording(1, 77, 5));
    assert!(!debug.contains("data") && !debug.contains("MMM"), "{debug}");
    assert!(debug.contains("size: 5"), "{debug}");
}

#[tokio::test]
async fn the_newest_of_each_function_are_kept() {
    let home = Home::new();
    let store = functions(&home, 2).await;
    let keep = RecordingLimits {
        per_function: 3,
        ..ALL
    };
    put(&store, vec![recording(2, 1, 1)], ALL).await;
    for at in [5, 9, 7] {
        put(&store, vec![recording(1, at, 1)], keep).await;
    }
    assert_eq!(times(&store, 1).await, [9, 7, 5], "newest first");
    assert_eq!(store.recordings(1, 2).await.unwrap()[1].at, 7);
    assert_eq!(store.recordings(1, 0).await.unwrap(), []);
    // A recording that comes late of a call that began early is not kept.
    assert!(!put(&store, vec![recording(1, 6, 1), recording(1, 4, 1)], keep).await);
    assert_eq!(times(&store, 1).await, [9, 7, 6]);
    // Of calls that began at the same time, exactly the limit is kept.
    let same = |call| Recording {
        call,
        ..recording(1, 9, 1)
    };
    let together = (1..9).map(|number| same(Uuid::from_u128(number))).collect();
    put(&store, together, keep).await;
    assert_eq!(times(&store, 1).await, [9, 9, 9]);
    assert_eq!(times(&store, 2).await, [1], "the other's");
    let none = RecordingLimits {
        per_function: 0,
        ..ALL
    };
    assert!(!put(&store, vec![recording(1, 10, 1)], none).await);
    assert_eq!(times(&store, 1).await, [0; 0]);
    assert_eq!(totals(&home).await, (1, 1));
}

#[tokio::test]
async fn the_newest_of_all_are_kept_to_the_byte() {
    let home = Home::new();
    let store = functions(&home, 2).await;
    let keep = |total_bytes| RecordingLimits { total_bytes, ..ALL };
    for at in 0..10 {
        put(&store, vec![recording(1 + at % 2, at, 10)], keep(100)).await;
    }
    assert_eq!(totals(&home).await, (100, 100));
    put(&store, vec![recording(1, 10, 1)], keep(101)).await;
    assert_eq!(totals(&home).await, (101, 101));
    put(&store, vec![recording(1, 11, 0)], keep(100)).await;
    assert_eq!(totals(&home).await, (91, 91), "the oldest, and no other");
    assert_eq!(times(&store, 1).await, [11, 10, 8, 6, 4, 2]);
    assert_eq!(times(&store, 2).await, [9, 7, 5, 3, 1]);
    // A recording that by itself exceeds the limit displaces no other.
    assert!(!put(&store, vec![recording(1, 12, 102)], keep(101)).await);
    assert_eq!(totals(&home).await, (91, 91));
    assert!(!put(&store, vec![recording(1, 13, 101)], keep(101)).await);
    assert_eq!(
        times(&store, 1).await,
        [13, 11],
        "an empty recording takes no room"
    );
    assert_eq!(times(&store, 2).await, [0; 0]);
    assert_eq!(totals(&home).await, (101, 101));
    assert!(!put(&store, vec![], keep(0)).await);
    assert_eq!(totals(&home).await, (0, 0));
}

#[tokio::test]
async fn an_old_recording_is_removed_and_not_accepted() {
    let home = Home::new();
    let store = functions(&home, 2).await;
    let keep = |from| RecordingLimits { from, ..ALL };
    let all = [3, 1, 4, 2].map(|at| recording(1, at, 1)).to_vec();
    put(&store, all, keep(2)).await;
    assert_eq!(times(&store, 1).await, [4, 3, 2]);
    put(&store, vec![recording(2, 9, 1)], keep(4)).await;
    assert_eq!(times(&store, 1).await, [4]);
    assert!(!put(&store, vec![], keep(5)).await);
    assert_eq!(times(&store, 1).await, [0; 0]);
    assert_eq!(totals(&home).await, (1, 1));
}

#[tokio::test]
async fn a_recording_stays_as_it_first_was() {
    let home = Home::new();
    let store = functions(&home, 2).await;
    let first = recording(1, 5, 3);
    put(&store, vec![first.clone()], ALL).await;
    for other in [recording(1, 5, 9), recording(2, 6, 9)] {
        let call = first.call;
        assert!(!put(&store, vec![Recording { call, ..other }], ALL).await);
    }
    assert!(store.recording(first.call).await.unwrap().unwrap() == first);
    assert_eq!(times(&store, 2).await, [0; 0]);
    let changed = sqlx::query("UPDATE recordings SET outcome = 'other'");
    let refused = changed
        .execute(&mut outside(&home).await)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("a recording never changes"));
    assert_eq!(totals(&home).await, (3, 3));
    // Rows deleted by another program no longer count.
    let deleted = sqlx::query("DELETE FROM recordings");
    deleted.execute(&mut outside(&home).await).await.unwrap();
    assert_eq!(totals(&home).await, (0, 0));
}

#[tokio::test]
async fn recordings_are_deleted_with_their_function() {
    let home = Home::new();
    let store = functions(&home, 2).await;
    let all = vec![
        recording(1, 1, 5),
        recording(2, 2, 7),
        recording(3, 3, 9),
        recording(1, 4, 1),
    ];
    put(&store, all.clone(), ALL).await;
    assert_eq!(totals(&home).await, (13, 13), "there is no function 3");
    assert!(store.delete_function(1).await.unwrap());
    assert_eq!(times(&store, 1).await, [0; 0]);
    assert_eq!(store.recording(all[0].call).await.unwrap(), None);
    assert_eq!(totals(&home).await, (7, 7));
    assert!(!put(&store, all, ALL).await);
    assert_eq!(totals(&home).await, (7, 7));
    assert_eq!(times(&store, 2).await, [2]);
}

#[tokio::test]
async fn limits_and_times_may_be_extreme() {
    let home = Home::new();
    let store = functions(&home, 1).await;
    let extreme = |at: i64| Recording {
        version: at,
        ..recording(1, at, 1)
    };
    let all = vec![extreme(i64::MIN), extreme(0), extreme(i64::MAX)];
    let none = extreme(1);
    let missing = [i64::MIN, i64::MAX].map(|function_id| Recording {
        function_id,
        ..none.clone()
    });
    put(&store, [all.clone(), missing.to_vec()].concat(), ALL).await;
    assert_eq!(times(&store, 1).await, [i64::MAX, 0, i64::MIN]);
    for one in all {
        assert!(store.recording(one.call).await.unwrap().unwrap() == one);
    }
    assert_eq!(times(&store, i64::MIN).await, [0; 0]);
    let last = RecordingLimits {
        from: i64::MAX,
        total_bytes: 1 << 63,
        ..ALL
    };
    assert!(!put(&store, vec![], last).await);
    assert_eq!(times(&store, 1).await, [i64::MAX]);
}

/// After a limit is lowered, many recordings are removed in small steps, and the steps end.
#[tokio::test]
async fn a_first_removal_of_many_is_done_in_steps() {
    let rows = 450;
    for keep in [
        RecordingLimits {
            per_function: 10,
            ..ALL
        },
        RecordingLimits {
            total_bytes: 100,
            ..ALL
        },
        RecordingLimits {
            from: rows - 9,
            ..ALL
        },
    ] {
        let home = Home::new();
        let store = functions(&home, 1).await;
        let all = (0..rows).map(|at| recording(1, at, 10)).collect();
        assert!(!put(&store, all, ALL).await);
        let (mut left, mut steps) = (rows, 0);
        while put(&store, vec![recording(1, rows, 10)], keep).await {
            let now = times(&store, 1).await.len() as i64;
            assert!(
                left - now <= 101 && now < left,
                "{keep:?}: {left}, then {now}"
            );
            (left, steps) = (now, steps + 1);
        }
        assert_eq!(steps, 4, "{keep:?}");
        let expected: Vec<_> = (rows - 9..=rows).rev().collect();
        assert_eq!(times(&store, 1).await, expected, "{keep:?}");
        assert_eq!(totals(&home).await, (100, 100));
    }
}

/// Removing a hundred recordings of a megabyte would be a long step.
#[tokio::test]
async fn a_removal_of_large_ones_is_done_in_steps() {
    for keep in [
        RecordingLimits {
            total_bytes: 1 << 20,
            ..ALL
        },
        RecordingLimits { from: 39, ..ALL },
    ] {
        let home = Home::new();
        let store = functions(&home, 1).await;
        let all = (0..40).map(|at| recording(1, at, 1 << 20)).collect();
        assert!(!put(&store, all, ALL).await);
        for (more, left) in [(true, 24), (true, 8), (false, 1)] {
            assert_eq!(put(&store, vec![], keep).await, more, "{keep:?}");
            assert_eq!(times(&store, 1).await.len(), left, "{keep:?}");
        }
        assert_eq!(times(&store, 1).await, [39]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_total_is_exact_under_many_writers() {
    let home = Home::new();
    let store = functions(&home, 20).await;
    let keep = RecordingLimits {
        per_function: 5,
        total_bytes: 2000,
        from: 3,
    };
    let mut tasks = tokio::task::JoinSet::new();
    for function_id in 1..=20 {
        let store = store.clone();
        tasks.spawn(async move {
            for at in 0..12 {
                let two =
                    [at, at + 100].map(|at| recording(function_id, at, 10 * function_id as usize));
                put(&store, two.to_vec(), keep).await;
            }
            if function_id % 5 == 0 {
                assert!(store.delete_function(function_id).await.unwrap());
                put(&store, vec![recording(function_id, 500, 1)], keep).await;
            }
        });
    }
    tasks.join_all().await;
    let (actual, recorded) = totals(&home).await;
    assert_eq!(actual, recorded);
    assert!((1000..=2000).contains(&actual), "{actual}");
    for function_id in 1..=20 {
        let kept = times(&store, function_id).await.len();
        assert!(kept <= 5 && (function_id % 5 != 0 || kept == 0));
    }
}
