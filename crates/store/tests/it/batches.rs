//! Conditional changes of values: batches, updates, and values with a lifetime.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use iof_store::{Committed, Error, Saved, Store, Updated, ValueBatch, ValueKey, ValueWrite};

use super::{Home, count, function};

const NO_LIMIT: u64 = u64::MAX;

fn key(name: &'static str) -> ValueKey {
    let mut digest = [0; 32];
    digest[..name.len()].copy_from_slice(name.as_bytes());
    ValueKey {
        digest,
        name: Some(Bytes::from_static(name.as_bytes())),
    }
}

fn set(name: &'static str, value: &'static str) -> ValueWrite {
    ValueWrite {
        key: key(name),
        value: Some(Bytes::from_static(value.as_bytes())),
        expires_at: None,
    }
}

fn remove(name: &'static str) -> ValueWrite {
    ValueWrite {
        key: key(name),
        value: None,
        expires_at: None,
    }
}

/// The write, with an end so many milliseconds from now.
fn until(write: ValueWrite, milliseconds: i64) -> ValueWrite {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let end = i64::try_from(now.as_millis()).unwrap() + milliseconds;
    ValueWrite {
        expires_at: Some(end),
        ..write
    }
}

async fn commit(
    store: &Store,
    expected: &[(&'static str, Option<&'static str>)],
    writes: Vec<ValueWrite>,
    limit: u64,
) -> Result<Committed, Error> {
    let expected = expected.iter().map(|(name, value)| {
        let value = value.map(|value| Bytes::from_static(value.as_bytes()));
        (key(name).digest, value)
    });
    let batch = ValueBatch {
        expected: expected.collect(),
        writes,
    };
    store.commit_values(1, batch, limit).await
}

async fn value(store: &Store, name: &'static str) -> Option<String> {
    let value = store.load_value(1, &key(name).digest).await.unwrap();
    value.map(|value| String::from_utf8(value.into()).unwrap())
}

/// The bytes of all rows, counted and as recorded in the total.
async fn totals(home: &Home) -> (i64, i64) {
    let actual = "SELECT COALESCE(SUM(length(key) + length(value) + COALESCE(length(name), 0)), 0) FROM stored_values WHERE function_id = $1";
    let recorded = "SELECT COALESCE(SUM(bytes), 0) FROM stored_totals WHERE function_id = $1";
    (count(home, actual, 1).await, count(home, recorded, 1).await)
}

#[tokio::test]
async fn a_batch_is_made_whole_or_not_at_all() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    let first = || vec![set("a", "1"), set("b", "2"), remove("c")];
    let committed = commit(&store, &[("a", None)], first(), NO_LIMIT).await;
    assert_eq!(committed.unwrap(), Committed::Stored);
    for expected in [("a", None), ("a", Some("2")), ("missing", Some("1"))] {
        let writes = vec![set("a", "9"), remove("b")];
        let refused = commit(&store, &[("b", Some("2")), expected], writes, NO_LIMIT).await;
        assert_eq!(refused.unwrap(), Committed::Conflict, "{expected:?}");
    }
    // A removed value makes room for a new one.
    let writes = || vec![remove("a"), set("c", "12")];
    let small = commit(&store, &[], writes(), 69).await;
    assert_eq!(small.unwrap(), Committed::Stored);
    let large = commit(&store, &[], vec![set("d", ""), set("e", "")], 134).await;
    assert_eq!(large.unwrap(), Committed::QuotaExceeded);
    assert_eq!(value(&store, "a").await, None);
    assert_eq!(value(&store, "b").await.as_deref(), Some("2"));
    assert_eq!(value(&store, "d").await, None);
    assert_eq!(totals(&home).await, (69, 69));
    let missing = store.commit_values(7, ValueBatch::default(), 9).await;
    assert_eq!(missing.unwrap_err().code(), "not_found");
}

#[tokio::test]
async fn an_update_sees_what_was_committed_before_it() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    let add = |store: Store| async move {
        let change = |value: Option<Bytes>| {
            let number: u32 = match value {
                None => 0,
                Some(value) => std::str::from_utf8(&value).ok()?.parse().ok()?,
            };
            Some(Bytes::from((number + 1).to_string()))
        };
        let updated = store.update_value(1, key("n"), Box::new(change), NO_LIMIT);
        updated.await.unwrap()
    };
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..200 {
        all.spawn(add(store.clone()));
    }
    for one in all.join_all().await {
        assert!(matches!(one, Updated::Stored(_)));
    }
    assert_eq!(value(&store, "n").await.as_deref(), Some("200"));
    let text = commit(&store, &[], vec![set("n", "x")], NO_LIMIT).await;
    assert_eq!(text.unwrap(), Committed::Stored);
    assert_eq!(add(store.clone()).await, Updated::Unchanged);
    let large = Box::new(|_| Some(Bytes::from_static(b"long")));
    let large = store.update_value(1, key("m"), large, 40).await;
    assert_eq!(large.unwrap(), Updated::QuotaExceeded);
    let missing = store.update_value(7, key("m"), Box::new(|_| Some(Bytes::new())), 40);
    assert_eq!(missing.await.unwrap_err().code(), "not_found");
}

#[tokio::test]
async fn a_value_whose_lifetime_is_over_is_not_found_and_makes_room() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    let writes = vec![
        until(set("old", "1"), -1),
        until(set("new", "2"), 60_000),
        set("stays", "3"),
    ];
    assert_eq!(
        commit(&store, &[], writes, NO_LIMIT).await.unwrap(),
        Committed::Stored
    );
    assert_eq!(value(&store, "old").await, None);
    assert_eq!(value(&store, "new").await.as_deref(), Some("2"));
    let names = store.value_names(1, b"", b"", 9).await.unwrap();
    assert_eq!(names, ["new", "stays"]);
    // A batch does not see an ended value, and its row makes room.
    let full = u64::try_from(totals(&home).await.0).unwrap();
    let saved = store
        .save_value(1, key("m"), Bytes::from_static(b"x"), full)
        .await;
    assert_eq!(saved.unwrap(), Saved::Stored);
    assert_eq!(totals(&home).await.0, totals(&home).await.1);
    let again = commit(&store, &[("old", None)], vec![set("old", "4")], NO_LIMIT).await;
    assert_eq!(again.unwrap(), Committed::Stored);
    assert_eq!(value(&store, "old").await.as_deref(), Some("4"));
    // An update keeps the end of a value; a save removes it.
    let change = Box::new(|_| Some(Bytes::from_static(b"5")));
    let updated = store.update_value(1, key("new"), change, NO_LIMIT).await;
    assert_eq!(updated.unwrap(), Updated::Stored(Bytes::from_static(b"5")));
    let ends =
        "SELECT COUNT(*) FROM stored_values WHERE function_id = $1 AND expires_at IS NOT NULL";
    assert_eq!(count(&home, ends, 1).await, 1);
    let saved = store
        .save_value(1, key("new"), Bytes::new(), NO_LIMIT)
        .await;
    assert_eq!(saved.unwrap(), Saved::Stored);
    assert_eq!(count(&home, ends, 1).await, 0);
    assert_eq!(totals(&home).await.0, totals(&home).await.1);
}

#[tokio::test]
async fn rows_of_ended_values_are_removed_by_later_changes() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    for at in 0..100u8 {
        let mut write = until(set("k", "v"), -1);
        write.key.digest[31] = at;
        assert_eq!(
            commit(&store, &[], vec![write], NO_LIMIT).await.unwrap(),
            Committed::Stored
        );
    }
    let rows = "SELECT COUNT(*) FROM stored_values WHERE function_id = $1";
    assert!(count(&home, rows, 1).await <= 2);
    assert_eq!(totals(&home).await.0, totals(&home).await.1);
}
