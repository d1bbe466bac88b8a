//! The file of SQLite, as another program reads it.

use iof_store::Scope;

use super::api_keys::new;
use super::secrets::{keys, set, two_functions};
use super::{Home, digest, files};

#[tokio::test]
async fn a_key_in_the_clear_exists_once() {
    let home = Home::new();
    let store = home.open().await;
    let (stored, key) = store.create_key(new(&[Scope::Admin])).await.unwrap();
    let (_, another) = store.create_key(new(&[Scope::Admin])).await.unwrap();
    assert_ne!(key.as_str(), another.as_str());
    assert!(!format!("{stored:?} {key:?}").contains(key.as_str()));
    store.close().await.unwrap();
    let database = tokio::fs::read(home.data().join("iof.db")).await.unwrap();
    let text = key.as_str().strip_prefix("iof_").unwrap();
    let found = |needle: &[u8]| database.windows(needle.len()).any(|bytes| bytes == needle);
    assert!(!found(text.as_bytes()) && found(&digest(key.as_str().as_bytes())));
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "a runtime of its own, so that blocking its thread delays nothing else"
)]
async fn no_file_holds_a_value_in_the_clear() {
    const VALUE: &str = "a-value-that-no-file-may-hold";
    let home = Home::new();
    let store = two_functions(&home).await;
    set(&store, &keys(&[1]), 1, "KEPT", VALUE).await;
    set(&store, &keys(&[1]), 1, "REPLACED", VALUE).await;
    set(&store, &keys(&[1]), 1, "REPLACED", "x").await;
    set(&store, &keys(&[1]), 2, "DELETED", VALUE).await;
    assert!(store.delete_function(2).await.unwrap());
    store.rotate_secrets(&keys(&[2, 1])).await.unwrap();
    let holders = |needle: &'static str| {
        files(&home.data())
            .into_iter()
            .filter(|path| {
                let bytes = std::fs::read(path).unwrap();
                bytes
                    .windows(needle.len())
                    .any(|window| window == needle.as_bytes())
            })
            .count()
    };
    assert!(home.data().join("iof.db-wal").metadata().unwrap().len() > 0);
    assert_eq!(
        (holders(VALUE), holders("REPLACED")),
        (0, 1),
        "database and log"
    );
    assert_eq!(
        holders("DELETED"),
        1,
        "the log keeps deleted text, so a value in the clear would have been found"
    );
    store.close().await.unwrap();
    assert_eq!(
        (holders(VALUE), holders("REPLACED")),
        (0, 1),
        "only the database"
    );
}
