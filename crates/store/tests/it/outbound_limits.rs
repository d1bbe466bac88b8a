//! The limits of the outbound log, by number and by age, and the removal of the oldest rows.

use super::outbound::{ALL, EVER, all, record, records, times};
use super::{Home, count};

#[tokio::test]
async fn the_newest_rows_are_kept_with_the_rest_of_their_chunk() {
    let home = Home::new();
    let store = home.open().await;
    assert!(!record(&store, vec![], 0, EVER).await);
    record(&store, records(1, 0..3), 5, EVER).await;
    record(&store, records(1, 3..5), 5, EVER).await;
    assert_eq!(times(&store).await, [0, 1, 2, 3, 4]);
    record(&store, records(2, 5..6), 5, EVER).await;
    assert_eq!(
        times(&store).await,
        [0, 1, 2, 3, 4, 5],
        "they came together"
    );
    record(&store, records(2, 6..8), 5, EVER).await;
    assert_eq!(
        times(&store).await,
        [3, 4, 5, 6, 7],
        "the oldest go, of whichever function"
    );
    // More rows at once than are kept.
    assert!(!record(&store, records(1, 8..600), 3, EVER).await);
    let left = times(&store).await;
    assert!((3..=128).contains(&left.len()), "{left:?}");
    let expected: Vec<_> = (600 - left.len() as i64..600).collect();
    assert_eq!(left, expected);
    assert!(!record(&store, records(1, 600..601), 0, EVER).await);
    assert_eq!(times(&store).await, [0; 0]);
    // The number of a removed row is not used again.
    store.close().await.unwrap();
    let store = home.open().await;
    record(&store, records(1, 0..1), 5, EVER).await;
    assert_eq!(all(&store).await[0].id, 602);
}

/// Rows are removed in order of number: an old row with a late number is removed with its neighbours.
#[tokio::test]
async fn an_old_row_is_removed_once_all_rows_before_it_are() {
    let home = Home::new();
    let store = home.open().await;
    for numbers in [0..100, 100..200, 90..95, 200..300] {
        record(&store, records(1, numbers), ALL, EVER).await;
    }
    record(&store, vec![], ALL, 99).await;
    assert_eq!(times(&store).await.len(), 305, "one is not too old");
    record(&store, vec![], ALL, 100).await;
    let left = times(&store).await;
    assert_eq!((left.len(), left[0]), (205, 100));
    record(&store, vec![], ALL, 200).await;
    assert_eq!(times(&store).await, (200..300).collect::<Vec<_>>());
    record(&store, vec![], 50, 250).await;
    assert_eq!(times(&store).await.len(), 100, "they came together");
    record(&store, vec![], ALL, 300).await;
    assert_eq!(times(&store).await, [0; 0]);
}

/// A smaller limit on a large table, by number and by age: each step is small, and the steps end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_removal_of_many_is_done_in_steps() {
    let rows: i64 = 9_000;
    for (keep_rows, keep_from) in [(100, EVER), (ALL, rows - 100)] {
        let home = Home::new();
        let store = home.open().await;
        record(&store, records(1, 0..rows as u64), ALL, EVER).await;
        let (mut left, mut steps) = (rows, 0);
        loop {
            let more = record(&store, records(1, 9000..9001), keep_rows, keep_from).await;
            let now = times(&store).await.len() as i64;
            assert!(left - now <= 2_001, "{left} before, {now} after one step");
            (left, steps) = (now, steps + 1);
            if !more {
                break;
            }
            assert!(now < rows && steps < 9, "{now} left after {steps} steps");
        }
        assert!(
            (100..=100 + steps + 128).contains(&left),
            "{left} after {steps} steps"
        );
        let steps = steps as u64;
        let expected: Vec<i64> = (0..rows).chain((0..steps).map(|_| 9000)).collect();
        assert_eq!(
            times(&store).await,
            expected[expected.len() - left as usize..]
        );
        let of = "SELECT COUNT(*) FROM audit_functions WHERE function_id = $1";
        let (functions, kept) = (
            count(&home, of, 1).await,
            count(&home, "SELECT COUNT(*) FROM audit WHERE $1 = 1", 1).await,
        );
        assert_eq!(functions, kept, "functions go with their rows");
    }
}
