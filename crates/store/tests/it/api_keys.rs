//! The keys of the server's own API: each works for its scopes, and nothing else works as a key.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use iof_store::{MAX_API_KEYS, NewKey, Scope, Scopes, Store};

use super::{Home, count, digest, function, hex, outside, sql};

pub(crate) fn new(scopes: &[Scope]) -> NewKey {
    NewKey {
        label: "laptop".into(),
        scopes: scopes.iter().copied().collect(),
        function_id: None,
        expires_at: None,
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_millis() as i64
}

async fn ids(store: &Store, function_id: Option<i64>) -> Vec<i64> {
    let keys = store.keys(function_id).await.unwrap();
    keys.iter().map(|key| key.id).collect()
}

#[tokio::test]
async fn a_key_works_for_its_scopes_and_its_function() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    let all = new(&[Scope::Deploy, Scope::Read]);
    let of_one = NewKey {
        label: "é".repeat(100),
        function_id: Some(1),
        expires_at: Some(now() + 3_600_000),
        ..new(&[Scope::Admin])
    };
    let (first, key) = store.create_key(all).await.unwrap();
    let (second, other) = store.create_key(of_one.clone()).await.unwrap();
    assert_eq!((first.id, second.id), (1, 2));
    assert_eq!(first.label, "laptop");
    assert!(first.scopes.allow(Scope::Read) && !first.scopes.allow(Scope::Call));
    assert_eq!((first.function_id, first.expires_at), (None, None));
    assert!((now() - first.created_at).abs() < 60_000);
    assert_eq!((second.label, second.scopes), (of_one.label, of_one.scopes));
    assert_eq!(second.expires_at, of_one.expires_at);
    for reopened in [false, true] {
        let store = home.again(&store, reopened).await;
        let found = store.key(key.as_str()).await.unwrap();
        assert_eq!(found.as_ref(), Some(&first));
        let found = store.key(other.as_str()).await.unwrap().unwrap();
        assert_eq!((found.id, found.function_id), (2, Some(1)));
        let listed = store.keys(None).await.unwrap();
        assert_eq!(listed, [first.clone(), found.clone()]);
        assert_eq!(store.keys(Some(1)).await.unwrap(), [found]);
        assert_eq!(store.keys(Some(2)).await.unwrap(), []);
    }
}

#[tokio::test]
async fn nothing_else_is_a_key() {
    let home = Home::new();
    let store = home.open().await;
    let created = store.create_function(function("x")).await.unwrap();
    let (_, key) = store.create_key(new(&[Scope::Call])).await.unwrap();
    let key = key.as_str();
    let bare = key.strip_prefix("iof_").unwrap();
    assert!(bare.len() == 32 && bare.bytes().all(|digit| digit.is_ascii_hexdigit()));
    for bad in [
        "",
        "iof_",
        bare,
        &key[..key.len() - 1],
        &format!("{key} "),
        &format!(" {key}"),
        &key.to_uppercase(),
        &hex(&digest(key.as_bytes())),
        &format!("iof_{}", hex(&digest(key.as_bytes()))),
        created.admin_key.as_str(), // the key of a function is not a key of the server
    ] {
        assert_eq!(store.key(bad).await.unwrap(), None, "{bad:?}");
    }
    assert!(store.key(key).await.unwrap().is_some());
}

#[tokio::test]
async fn a_key_without_scopes_or_time_is_refused() {
    let home = Home::new();
    let store = home.open().await;
    let call = || new(&[Scope::Call]);
    let long = NewKey {
        label: "é".repeat(101),
        ..call()
    };
    let ended = |expires_at| NewKey {
        expires_at: Some(expires_at),
        ..call()
    };
    let missing = NewKey {
        function_id: Some(7),
        ..call()
    };
    for (bad, code, expected) in [
        (long, "invalid", "101 characters"),
        (new(&[]), "invalid", "has no scopes"),
        (ended(i64::MIN), "invalid", "expired already"),
        (ended(now() - 1), "invalid", "expired already"),
        (missing, "not_found", "no function 7"),
    ] {
        let error = store.create_key(bad).await.unwrap_err();
        assert_eq!(error.code(), code);
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert_eq!(store.keys(None).await.unwrap(), []);
}

#[tokio::test]
async fn a_key_expires_by_itself() {
    let home = Home::new();
    let store = home.open().await;
    let end = now() + 400;
    let short = NewKey {
        expires_at: Some(end),
        ..new(&[Scope::Call])
    };
    let (_, key) = store.create_key(short).await.unwrap();
    assert!(store.key(key.as_str()).await.unwrap().is_some());
    while now() <= end {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(store.key(key.as_str()).await.unwrap(), None);
    assert_eq!(
        ids(&store, None).await,
        [1],
        "but it is still listed, with its expiry"
    );
}

#[tokio::test]
async fn a_deleted_key_is_not_found_and_its_number_is_never_reused() {
    let home = Home::new();
    let store = home.open().await;
    let (first, key) = store.create_key(new(&[Scope::Admin])).await.unwrap();
    assert!(store.delete_key(first.id).await.unwrap());
    assert_eq!(store.key(key.as_str()).await.unwrap(), None);
    assert!(!store.delete_key(first.id).await.unwrap());
    assert!(!store.delete_key(i64::MAX).await.unwrap());
    store.close().await.unwrap();
    let store = home.open().await;
    let (second, _) = store.create_key(new(&[Scope::Admin])).await.unwrap();
    assert_eq!(second.id, 2);
}

#[tokio::test]
async fn the_keys_of_a_function_are_deleted_with_it() {
    let home = Home::new();
    let store = home.open().await;
    let mut keys = Vec::new();
    for function_id in [Some(1), Some(2), None] {
        store.create_function(function("x")).await.unwrap();
        let of_it = NewKey {
            function_id,
            ..new(&[Scope::Call])
        };
        keys.push(store.create_key(of_it).await.unwrap().1);
    }
    assert!(store.delete_function(1).await.unwrap());
    assert_eq!(store.key(keys[0].as_str()).await.unwrap(), None);
    assert_eq!(ids(&store, None).await, [2, 3]);
    assert!(store.key(keys[1].as_str()).await.unwrap().is_some());
}

/// The thousandth key fits, and an expired key makes room for another.
#[tokio::test]
async fn there_are_at_most_a_thousand_keys() {
    let home = Home::new();
    let store = home.open().await;
    sqlx::query(sql(
        "WITH RECURSIVE more (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < $1)
         INSERT INTO api_keys (hash, label, scopes, created_at)
         SELECT unhex(printf('%064x', n)), '', 'call', 0 FROM more",
        "INSERT INTO api_keys (hash, label, scopes, created_at)
         SELECT decode(lpad(n::text, 64, '0'), 'hex'), '', 'call', 0 FROM generate_series(1, $1) AS n",
    ))
    .bind(MAX_API_KEYS as i64 - 1)
    .execute(&mut outside(&home).await)
    .await
    .unwrap();
    let call = || new(&[Scope::Call]);
    store.create_key(call()).await.unwrap();
    let error = store.create_key(call()).await.unwrap_err();
    assert_eq!(error.code(), "invalid");
    assert!(error.to_string().contains("1000 keys"), "{error}");
    sqlx::query("UPDATE api_keys SET expires_at = 1 WHERE id IN (3, 4)")
        .execute(&mut outside(&home).await)
        .await
        .unwrap();
    store.create_key(call()).await.unwrap();
    store.create_key(call()).await.unwrap();
    assert_eq!(
        store.create_key(call()).await.unwrap_err().code(),
        "invalid"
    );
    let there = "SELECT COUNT(*) FROM api_keys WHERE id <> $1";
    assert_eq!(count(&home, there, 3).await, MAX_API_KEYS as i64);
}

#[tokio::test]
async fn stored_scopes_that_are_invalid_are_damage() {
    let home = Home::new();
    let store = home.open().await;
    let (_, key) = store.create_key(new(&[Scope::Call])).await.unwrap();
    sqlx::query("UPDATE api_keys SET scopes = 'everything'")
        .execute(&mut outside(&home).await)
        .await
        .unwrap();
    assert_eq!(store.key(key.as_str()).await.unwrap_err().code(), "damaged");
    assert_eq!(Scopes::default().to_string(), "");
}
