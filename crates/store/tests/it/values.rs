//! Values that guests store: separate for each function, limited, and deleted with the function.

use bytes::Bytes;
use iof_store::{Rollout, Saved, Store, ValueKey};

use super::{Home, count, function, text, version};

const NO_LIMIT: u64 = u64::MAX;

async fn save(store: &Store, id: i64, key: [u8; 32], value: &str, limit: u64) -> Saved {
    let value = Bytes::copy_from_slice(value.as_bytes());
    store.save_value(id, key, value, limit).await.unwrap()
}

async fn load(store: &Store, id: i64, key: [u8; 32]) -> Option<String> {
    store.load_value(id, &key).await.unwrap().map(text)
}

/// The bytes of the function's values, counted and as recorded in the total.
async fn totals(home: &Home, id: i64) -> (i64, i64) {
    let actual = "SELECT COALESCE(SUM(length(key) + length(value) + COALESCE(length(name), 0)), 0) FROM stored_values WHERE function_id = $1";
    let recorded = "SELECT COALESCE(SUM(bytes), 0) FROM stored_totals WHERE function_id = $1";
    (
        count(home, actual, id).await,
        count(home, recorded, id).await,
    )
}

#[tokio::test]
async fn a_value_is_read_back_and_replaced() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    assert_eq!(load(&store, 1, [1; 32]).await, None);
    for value in ["first", "", "a longer one \0 é", "second"] {
        assert_eq!(
            save(&store, 1, [1; 32], value, NO_LIMIT).await,
            Saved::Stored
        );
        assert_eq!(load(&store, 1, [1; 32]).await.unwrap(), value);
    }
    let large = Bytes::from((0..1 << 20).map(|i| (i / 3) as u8).collect::<Vec<_>>());
    let saved = store.save_value(1, [2; 32], large.clone(), NO_LIMIT).await;
    assert_eq!(saved.unwrap(), Saved::Stored);
    assert!(store.load_value(1, &[2; 32]).await.unwrap().unwrap() == large);
    let sum = 64 + 6 + (1 << 20);
    assert_eq!(totals(&home, 1).await, (sum, sum));

    store.close().await.unwrap();
    let store = home.open().await;
    assert_eq!(load(&store, 1, [1; 32]).await.unwrap(), "second");
    assert!(store.load_value(1, &[2; 32]).await.unwrap().unwrap() == large);
}

#[tokio::test]
async fn functions_do_not_see_each_others_values() {
    let home = Home::new();
    let store = home.open().await;
    for source in ["one", "two"] {
        store.create_function(function(source)).await.unwrap();
    }
    let _ = save(&store, 1, [7; 32], "mine", NO_LIMIT).await;
    assert_eq!(load(&store, 2, [7; 32]).await, None);
    // The total of the other function does not count either.
    assert_eq!(save(&store, 2, [7; 32], "yours", 37).await, Saved::Stored);
    assert_eq!(load(&store, 1, [7; 32]).await.unwrap(), "mine");
    assert_eq!(load(&store, 2, [7; 32]).await.unwrap(), "yours");
}

#[tokio::test]
async fn the_total_is_bounded_to_the_byte() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    assert_eq!(
        save(&store, 1, [1; 32], "123", 34).await,
        Saved::QuotaExceeded
    );
    assert_eq!(save(&store, 1, [1; 32], "123", 35).await, Saved::Stored);
    assert_eq!(save(&store, 1, [2; 32], "", 66).await, Saved::QuotaExceeded);
    assert_eq!(save(&store, 1, [2; 32], "", 67).await, Saved::Stored);
    // The replaced value makes room for the new one.
    assert_eq!(
        save(&store, 1, [1; 32], "1234", 67).await,
        Saved::QuotaExceeded
    );
    assert_eq!(save(&store, 1, [1; 32], "1234", 68).await, Saved::Stored);
    assert_eq!(save(&store, 1, [1; 32], "12", 68).await, Saved::Stored);
    assert_eq!(save(&store, 1, [2; 32], "ab", 68).await, Saved::Stored);
    assert_eq!(
        save(&store, 1, [2; 32], "abc", 68).await,
        Saved::QuotaExceeded
    );
    assert_eq!(load(&store, 1, [1; 32]).await.unwrap(), "12");
    assert_eq!(load(&store, 1, [2; 32]).await.unwrap(), "ab");
    assert_eq!(totals(&home, 1).await, (68, 68));
    // The same holds after the next start.
    store.close().await.unwrap();
    let store = home.open().await;
    assert_eq!(
        save(&store, 1, [2; 32], "abc", 68).await,
        Saved::QuotaExceeded
    );
    assert_eq!(save(&store, 1, [2; 32], "abc", 69).await, Saved::Stored);
}

/// The guests of 2020 cannot remove values, so after its limit is lowered, a function must still be able to overwrite.
#[tokio::test]
async fn a_lower_limit_refuses_only_growth() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    assert_eq!(save(&store, 1, [1; 32], "1234", 100).await, Saved::Stored);
    assert_eq!(save(&store, 1, [1; 32], "5678", 10).await, Saved::Stored);
    assert_eq!(save(&store, 1, [1; 32], "567", 10).await, Saved::Stored);
    assert_eq!(
        save(&store, 1, [1; 32], "5678", 10).await,
        Saved::QuotaExceeded
    );
    assert_eq!(save(&store, 1, [2; 32], "", 10).await, Saved::QuotaExceeded);
    assert_eq!(load(&store, 1, [1; 32]).await.unwrap(), "567");
    assert_eq!(totals(&home, 1).await, (35, 35));
}

#[tokio::test]
async fn a_missing_function_has_and_takes_no_values() {
    let home = Home::new();
    let store = home.open().await;
    assert_eq!(load(&store, 7, [0; 32]).await, None);
    for limit in [NO_LIMIT, 0] {
        let error = store.save_value(7, [0; 32], Bytes::new(), limit).await;
        assert_eq!(error.unwrap_err().code(), "not_found");
    }
    assert_eq!(totals(&home, 7).await, (0, 0));
}

#[tokio::test]
async fn values_survive_a_new_version_and_are_deleted_with_the_function() {
    let home = Home::new();
    let store = home.open().await;
    for source in ["one", "two"] {
        store.create_function(function(source)).await.unwrap();
    }
    for id in [1, 2] {
        for key in 0..5 {
            let _ = save(&store, id, [key; 32], "value", NO_LIMIT).await;
        }
    }
    store
        .add_version(1, version("three"), Rollout::Active)
        .await
        .unwrap();
    assert_eq!(load(&store, 1, [4; 32]).await.unwrap(), "value");
    assert_eq!(totals(&home, 1).await, (5 * 37, 5 * 37));

    assert!(store.delete_function(1).await.unwrap());
    assert_eq!(load(&store, 1, [4; 32]).await, None);
    assert_eq!(totals(&home, 1).await, (0, 0));
    assert_eq!(load(&store, 2, [4; 32]).await.unwrap(), "value");
    assert_eq!(totals(&home, 2).await, (5 * 37, 5 * 37));
}

/// Fifty writers of two keys each, with room for sixty values.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_limit_is_exact_under_fifty_writers() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..50 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut done = 0;
            for key in [2 * task, 2 * task + 1] {
                let saved = save(&store, 1, [key; 32], "12345678", 60 * 40).await;
                let there = load(&store, 1, [key; 32]).await.is_some();
                assert_eq!(saved == Saved::Stored, there);
                done += u32::from(there);
            }
            done
        });
    }
    assert_eq!(tasks.join_all().await.iter().sum::<u32>(), 60);
    assert_eq!(totals(&home, 1).await, (2400, 2400));
}

/// Fifty writers of the same ten keys: each replaces a value that another has just saved.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_total_is_exact_under_fifty_writers() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..50_u8 {
        let store = store.clone();
        tasks.spawn(async move {
            for round in 0..10_u8 {
                let value = "é".repeat(usize::from(task ^ round));
                let key = [(task + round) % 10; 32];
                let _ = save(&store, 1, key, &value, 500).await;
            }
        });
    }
    tasks.join_all().await;
    let (actual, recorded) = totals(&home, 1).await;
    assert_eq!(actual, recorded);
    assert!(actual > 320 && actual <= 500, "{actual}");
    store.close().await.unwrap();
}

/// A save races with the deletion of its function: the value is deleted with it, or there is no such function.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_save_never_outlives_its_function() {
    let home = Home::new();
    let store = home.open().await;
    let (mut before, mut after) = (0, 0);
    for round in 0..60 {
        let id = store
            .create_function(function(format!("{round}")))
            .await
            .unwrap()
            .function_id;
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..6_u8 {
            let store = store.clone();
            tasks.spawn(async move {
                if task == 3 {
                    assert!(store.delete_function(id).await.unwrap());
                    return None;
                }
                let value = Bytes::from_static(b"value");
                Some(store.save_value(id, [task; 32], value, NO_LIMIT).await)
            });
        }
        for saved in tasks.join_all().await.into_iter().flatten() {
            match saved {
                Ok(saved) => {
                    assert_eq!(saved, Saved::Stored);
                    before += 1;
                }
                Err(error) => {
                    assert_eq!(error.code(), "not_found", "{error}");
                    after += 1;
                }
            }
        }
        assert!(store.load_value(id, &[0; 32]).await.unwrap().is_none());
        assert_eq!(totals(&home, id).await, (0, 0), "round {round}");
    }
    println!("{before} saved before the deletion, {after} refused after it");
    assert!(before > 0 && after > 0);
}

#[tokio::test]
async fn a_removed_value_takes_no_room() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    for round in 0..3u8 {
        assert_eq!(
            save(&store, 1, [round; 32], "1234", 36).await,
            Saved::Stored
        );
        assert_eq!(save(&store, 1, [9; 32], "", 36).await, Saved::QuotaExceeded);
        assert!(store.remove_value(1, [round; 32]).await.unwrap());
        assert!(!store.remove_value(1, [round; 32]).await.unwrap());
        assert_eq!(load(&store, 1, [round; 32]).await, None);
        assert_eq!(totals(&home, 1).await, (0, 0));
    }
    assert!(!store.remove_value(2, [0; 32]).await.unwrap());
}

#[tokio::test]
async fn names_are_listed_by_prefix_and_page() {
    let home = Home::new();
    let store = home.open().await;
    for source in ["one", "two"] {
        store.create_function(function(source)).await.unwrap();
    }
    let key = |name: &[u8]| {
        let mut digest = [0; 32];
        digest[..name.len()].copy_from_slice(name);
        let name = Some(Bytes::copy_from_slice(name));
        ValueKey { digest, name }
    };
    let names: [&[u8]; 6] = [b"b/2", b"a", b"b/1", b"b", b"\xff\xff", b"b0"];
    for name in names {
        let value = Bytes::from_static(b"v");
        let saved = store.save_value(1, key(name), value, NO_LIMIT).await;
        assert_eq!(saved.unwrap(), Saved::Stored);
    }
    assert_eq!(
        save(&store, 1, [7; 32], "of 2020", NO_LIMIT).await,
        Saved::Stored
    );
    let bytes = 7 * 32 + 6 + 7 + 3 + 1 + 3 + 1 + 2 + 2;
    assert_eq!(totals(&home, 1).await, (bytes, bytes));
    let list = async |prefix: &[u8], after: &[u8], limit: u32| {
        let names = store.value_names(1, prefix, after, limit).await.unwrap();
        names
            .iter()
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(list(b"", b"", 9).await, "a b b/1 b/2 b0 \u{fffd}\u{fffd}");
    assert_eq!(list(b"b/", b"", 9).await, "b/1 b/2");
    assert_eq!(list(b"b/", b"b/1", 9).await, "b/2");
    assert_eq!(list(b"b", b"", 2).await, "b b/1");
    assert_eq!(list(b"\xff", b"", 9).await, "\u{fffd}\u{fffd}");
    assert_eq!(list(b"c", b"", 9).await, "");
    assert!(store.value_names(2, b"", b"", 9).await.unwrap().is_empty());
    // A value is replaced and removed with its name.
    let saved = store.save_value(1, key(b"b/1"), Bytes::new(), 0).await;
    assert_eq!(saved.unwrap(), Saved::Stored);
    assert!(store.remove_value(1, key(b"b/2").digest).await.unwrap());
    assert_eq!(list(b"b/", b"", 9).await, "b/1");
    let bytes = bytes - 1 - 32 - 1 - 3;
    assert_eq!(totals(&home, 1).await, (bytes, bytes));
    assert!(store.delete_function(1).await.unwrap());
    assert_eq!(list(b"", b"", 9).await, "");
}
