//! Ephemeral texts: replaced, removed, expired. A live text is never displaced by another.

use std::time::Duration;

use iof_store::{EphemeralPut, EphemeralShare, Store};

use super::{Home, count, outside};

const HOUR: Duration = Duration::from_secs(60 * 60);
const NO_LIMIT: u64 = u64::MAX;

async fn put(store: &Store, key: &str, value: &str, life: Duration, limit: u64) -> EphemeralPut {
    store
        .put_ephemeral(key.into(), value.into(), life, limit, None)
        .await
        .unwrap()
}

async fn get(store: &Store, key: &str) -> Option<String> {
    store.ephemeral(key).await.unwrap()
}

async fn rows(home: &Home) -> i64 {
    count(home, "SELECT COUNT(*) FROM ephemeral WHERE $1 = 0", 0).await
}

/// The bytes of all rows, counted and as recorded in the total.
async fn totals(home: &Home) -> (i64, i64) {
    let actual = "SELECT COALESCE(SUM(octet_length(key) + octet_length(value)), 0) FROM ephemeral WHERE $1 = 0";
    let recorded = "SELECT bytes FROM ephemeral_total WHERE $1 = 0";
    (count(home, actual, 0).await, count(home, recorded, 0).await)
}

/// Lets the rows that match `condition` expire.
async fn expire(home: &Home, condition: &str) {
    let query = format!("UPDATE ephemeral SET expires_at = 1 WHERE {condition}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(query))
        .execute(&mut outside(home).await)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_text_is_read_back_replaced_and_removed() {
    let home = Home::new();
    let store = home.open().await;
    assert_eq!(get(&store, "a").await, None);
    for value in ["first", "", "{\"é\": 1}"] {
        assert_eq!(
            put(&store, "a", value, HOUR, NO_LIMIT).await,
            EphemeralPut::Done
        );
        assert_eq!(get(&store, "a").await.unwrap(), value);
    }
    let _ = put(&store, "b", "other", HOUR, NO_LIMIT).await;
    assert_eq!(totals(&home).await, (10 + 6, 10 + 6));

    store.close().await.unwrap();
    let store = home.open().await;
    assert_eq!(get(&store, "a").await.unwrap(), "{\"é\": 1}");
    assert!(store.delete_ephemeral("a".into()).await.unwrap());
    assert!(!store.delete_ephemeral("a".into()).await.unwrap());
    assert_eq!(get(&store, "a").await, None);
    assert_eq!(get(&store, "b").await.unwrap(), "other");
    assert_eq!(totals(&home).await, (6, 6));
}

#[tokio::test]
async fn a_text_expires_and_a_new_one_starts_a_new_life() {
    let home = Home::new();
    let store = home.open().await;
    let short = Duration::from_secs(1);
    for key in ["gone", "renewed", "shortened"] {
        let life = if key == "shortened" { HOUR } else { short };
        let _ = put(&store, key, "value", life, NO_LIMIT).await;
        assert_eq!(get(&store, key).await.unwrap(), "value", "{key}");
    }
    let _ = put(&store, "renewed", "value", HOUR, NO_LIMIT).await;
    let _ = put(&store, "shortened", "value", short, NO_LIMIT).await;
    let _ = put(&store, "forever", "value", Duration::MAX, NO_LIMIT).await;
    tokio::time::sleep(short).await;
    assert_eq!(get(&store, "gone").await, None);
    assert_eq!(get(&store, "shortened").await, None);
    assert_eq!(get(&store, "renewed").await.unwrap(), "value");
    assert_eq!(get(&store, "forever").await.unwrap(), "value");
    assert!(!store.delete_ephemeral("gone".into()).await.unwrap());
    let (actual, recorded) = totals(&home).await;
    assert_eq!(actual, recorded);

    // The same after a restart, and for a new text under the same key.
    store.close().await.unwrap();
    let store = home.open().await;
    assert_eq!(get(&store, "shortened").await, None);
    let _ = put(&store, "shortened", "back", HOUR, NO_LIMIT).await;
    assert_eq!(get(&store, "shortened").await.unwrap(), "back");
    let live = "renewedvalueforevervalueshortenedback".len() as i64;
    assert_eq!(totals(&home).await, (live, live));
}

#[tokio::test]
async fn the_total_is_bounded_to_the_byte() {
    let home = Home::new();
    let store = home.open().await;
    assert_eq!(put(&store, "é", "12", HOUR, 3).await, EphemeralPut::Full);
    assert_eq!(put(&store, "é", "12", HOUR, 4).await, EphemeralPut::Done);
    assert_eq!(put(&store, "b", "34", HOUR, 6).await, EphemeralPut::Full);
    assert_eq!(get(&store, "b").await, None);
    assert_eq!(put(&store, "b", "34", HOUR, 7).await, EphemeralPut::Done);
    // The replaced text makes room for the new one; a refused text leaves the old one in place.
    assert_eq!(put(&store, "b", "345", HOUR, 7).await, EphemeralPut::Full);
    assert_eq!(get(&store, "b").await.unwrap(), "34");
    assert_eq!(put(&store, "b", "56", HOUR, 7).await, EphemeralPut::Done);
    assert_eq!(put(&store, "é", "1", HOUR, 7).await, EphemeralPut::Done);
    assert_eq!(put(&store, "b", "567", HOUR, 7).await, EphemeralPut::Done);
    assert_eq!(totals(&home).await, (7, 7));
    assert!(store.delete_ephemeral("b".into()).await.unwrap());
    assert_eq!(put(&store, "c", "abc", HOUR, 7).await, EphemeralPut::Done);
}

/// A put removes a few expired rows, and more if it needs their room, but not all of them.
#[tokio::test]
async fn expired_rows_are_removed_a_few_at_a_time_and_never_take_room() {
    let home = Home::new();
    let store = home.open().await;
    for number in 0..200 {
        let _ = put(&store, &format!("{number:06}"), "1234", HOUR, 2010).await;
    }
    assert_eq!(rows(&home).await, 200);
    assert_eq!(
        put(&store, "live", "1234567", HOUR, 2010).await,
        EphemeralPut::Full
    );
    assert_eq!(
        put(&store, "live", "123456", HOUR, 2010).await,
        EphemeralPut::Done
    );
    expire(&home, "value = '1234'").await;

    assert_eq!(
        put(&store, "one", "more", HOUR, 2010).await,
        EphemeralPut::Done
    );
    let left = rows(&home).await;
    assert!(left > 100 && left < 202, "{left} rows left");
    assert_eq!(
        get(&store, "000199").await,
        None,
        "although its row still exists"
    );
    // The smallest limit at which the text fits: every expired row has to go.
    assert_eq!(put(&store, "last", "1", HOUR, 21).await, EphemeralPut::Full);
    assert_eq!(put(&store, "last", "1", HOUR, 22).await, EphemeralPut::Done);
    assert_eq!(rows(&home).await, 3);
    assert_eq!(totals(&home).await, (22, 22));

    // An expired text under the key of the put.
    expire(&home, "key = 'last'").await;
    assert_eq!(put(&store, "last", "2", HOUR, 22).await, EphemeralPut::Done);
    assert_eq!(get(&store, "last").await.unwrap(), "2");
    assert_eq!(totals(&home).await, (22, 22));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_total_is_exact_under_fifty_writers() {
    let home = Home::new();
    let store = home.open().await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..50 {
        let store = store.clone();
        tasks.spawn(async move {
            for round in 0..8 {
                let key = format!("{}", (task + round) % 30);
                let value = "x".repeat(task);
                let life = if round % 3 == 0 { Duration::ZERO } else { HOUR };
                let _ = put(&store, &key, &value, life, 600).await;
                if round % 4 == 1 {
                    let _ = store.delete_ephemeral(key).await.unwrap();
                }
            }
        });
    }
    tasks.join_all().await;
    let (actual, recorded) = totals(&home).await;
    assert_eq!(actual, recorded);
    assert!(actual > 0 && actual <= 600, "{actual}");
}

/// Asserts that the recorded bytes of each owner equal the sum of its rows.
async fn shares_add_up(home: &Home) {
    let mismatches = "SELECT COUNT(*) FROM (SELECT owner, SUM(size) AS bytes FROM ephemeral WHERE owner <> '' GROUP BY owner) o
                   FULL JOIN ephemeral_shares s ON s.owner = o.owner
                  WHERE coalesce(s.bytes, -1) <> coalesce(o.bytes, -1) AND $1 = 0";
    assert_eq!(count(home, mismatches, 0).await, 0);
}

#[tokio::test]
async fn an_owner_has_a_share() {
    let home = Home::new();
    let store = home.open().await;
    let put = async |owner: &str, key: &str, value: &str, life: Duration, limit: u64| {
        let owner = owner.to_owned();
        let share = (!owner.is_empty()).then_some(EphemeralShare { owner, limit });
        let put = store.put_ephemeral(key.into(), value.into(), life, 100, share);
        let put = put.await.unwrap();
        shares_add_up(&home).await;
        put
    };
    assert_eq!(put("a", "1", "123", HOUR, 4).await, EphemeralPut::Done);
    assert_eq!(put("a", "2", "1", HOUR, 5).await, EphemeralPut::ShareFull);
    assert_eq!(put("b", "2", "123", HOUR, 4).await, EphemeralPut::Done);
    // The owner's own row makes room; the row of another owner changes hands.
    assert_eq!(put("a", "1", "1234", HOUR, 5).await, EphemeralPut::Done);
    assert_eq!(put("a", "2", "1", HOUR, 6).await, EphemeralPut::ShareFull);
    assert_eq!(put("a", "2", "1", HOUR, 7).await, EphemeralPut::Done);
    assert_eq!(put("b", "3", "123", HOUR, 4).await, EphemeralPut::Done);
    assert_eq!(put("", "3", "123", HOUR, 0).await, EphemeralPut::Done);
    assert_eq!(put("b", "4", "123", HOUR, 4).await, EphemeralPut::Done);
    // Expired texts do not count toward the share.
    expire(&home, "owner = 'b'").await;
    assert_eq!(put("b", "5", "123", HOUR, 4).await, EphemeralPut::Done);
    assert!(store.delete_ephemeral("5".into()).await.unwrap());
    shares_add_up(&home).await;
    assert_eq!(put("b", "6", "123", HOUR, 4).await, EphemeralPut::Done);
    assert_eq!(
        put("c", "7", &"x".repeat(99), HOUR, 500).await,
        EphemeralPut::Full
    );
}
