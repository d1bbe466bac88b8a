//! The call log of a release whose table had a row for each call.

use super::call_log::{after, packed};
use super::calls::calls;
use super::opening::fill;
use super::upgrades::{MIGRATIONS, left_by};
use super::{Home, outside};

/// Calls of a release whose table had a row for each call.
const ROWS: &str = "
    INSERT INTO calls (log_id, function_id, called_at, guest_ns, state, record) VALUES
        (7, 1, 1000, 5, '{}', '{\"a\":\"é\"}'), (8, 2, 0, 6, 'x', ''),
        (9, 1, -1, 9223372036854775807, 'a' || char(0) || 'b\"', 'not JSON' || char(0)), (11, 1, 3000, 7, '', '3'),
        (40, 2, 0, 0, '', '');
    DELETE FROM calls WHERE log_id = 40;
    INSERT INTO usage (function_id, invocations, guest_ns, latest_ns) VALUES (1, 9, 90, 7), (2, 1, 6, 6)";

#[tokio::test]
async fn calls_of_the_previous_release_are_migrated() {
    let home = Home::new();
    left_by(&home, &MIGRATIONS[..8]).await;
    fill(&home, 2).await;
    let mut old = outside(&home).await;
    sqlx::raw_sql(ROWS).execute(&mut old).await.unwrap();
    drop(old);

    let store = home.open().await;
    let read = store.calls(1, false, 9).await.unwrap();
    let read: Vec<_> = read
        .iter()
        .map(|call| {
            let texts = (&*call.state, &*call.record);
            (call.log_id, call.called_at, call.guest_ns, texts)
        })
        .collect();
    let most = i64::MAX as u64;
    assert_eq!(
        read,
        [
            (7, 1000, 5, ("{}", "{\"a\":\"é\"}")),
            (9, -1, most, ("a\0b\"", "not JSON\0")),
            (11, 3000, 7, ("", "3")),
        ]
    );
    assert_eq!(after(&store, 1, 9, 9).await, [(11, 3)]);
    let usage = store.usage(1).await.unwrap();
    assert_eq!(
        (usage.invocations, usage.guest_ns, usage.latest_ns),
        (9, 90, 7)
    );
    assert_eq!(usage.seconds, [(-1, most), (1, 5), (3, 7)]);

    // Numbers continue after the greatest one ever used, and the oldest calls are removed first.
    store.record_calls(vec![calls(1, 0..2)], 3).await.unwrap();
    let ids = store.calls(1, false, 9).await.unwrap();
    let ids: Vec<_> = ids.iter().map(|call| call.log_id).collect();
    assert_eq!(ids, [11, 41, 42]);
    assert_eq!(packed(&home, 1).await, 2);
    assert_eq!(store.calls(2, true, 9).await.unwrap()[0].log_id, 8);
}
