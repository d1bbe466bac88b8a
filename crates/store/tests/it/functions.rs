//! The operations on functions, and their results after the next start.

use iof_store::Rollout;

use super::{Home, digest, files, function, version};

#[tokio::test]
async fn a_created_function_is_read_back_whole() {
    let home = Home::new();
    let store = home.open().await;
    let mut new = function("source one");
    new.version.legacy_sha256 = "0xabc".into();
    let created = store.create_function(new).await.unwrap();
    assert_eq!(created.function_id, 1);
    assert!(created.usage_key.is_none());

    let read = store.function(1).await.unwrap().unwrap();
    assert_eq!(
        (read.function_id, read.description.as_str()),
        (1, "a function")
    );
    assert_eq!((read.state.as_str(), read.callback.as_str()), ("{}", "{}"));
    assert!(
        read.storage_key.len() == 32 && read.storage_key.bytes().all(|b| b.is_ascii_hexdigit())
    );
    assert!(read.usage_key_hash.is_none());
    assert!(read.admin_key_hash.matches(created.admin_key.as_str()));
    assert!(
        !read
            .admin_key_hash
            .matches("00000000-0000-0000-0000-000000000000")
    );
    assert_eq!(read.version.id, created.version);
    assert_eq!((read.version.number, read.version.size), (1, 10));
    assert_eq!(read.version.sha256, digest(b"source one"));
    assert_eq!(read.version.legacy_sha256, "0xabc");
    assert_eq!(
        (read.version.kind.as_str(), read.version.manifest.as_str()),
        ("bindgen", r#"{"exports":["say"]}"#)
    );
    assert!(read.created_at > 1_700_000_000_000 && read.version.created_at == read.created_at);

    assert!(store.function(2).await.unwrap().is_none());
    store.ready().await.unwrap();
}

#[tokio::test]
async fn replacing_adds_a_version_and_moves_the_pointer() {
    let home = Home::new();
    let store = home.open().await;
    let first = store.create_function(function("one")).await.unwrap();
    store.create_function(function("another")).await.unwrap();
    store.set_state(1, "kept".into()).await.unwrap();
    let second = store
        .add_version(1, version("two"), Rollout::Active)
        .await
        .unwrap();
    let third = store
        .add_version(1, version("three"), Rollout::Active)
        .await
        .unwrap();
    assert!(
        first.version < second.id && second.id < third.id,
        "versions sort by age"
    );

    let read = store.function(1).await.unwrap().unwrap();
    assert_eq!((first.number, second.number, third.number), (1, 2, 3));
    assert_eq!((read.version.id, read.version.number), (third.id, 3));
    assert_eq!(read.version.sha256, digest(b"three"));
    assert_eq!(read.state, "kept");
    assert!(read.admin_key_hash.matches(first.admin_key.as_str()));
    assert_eq!(
        store.source(digest(b"one")).await.unwrap().unwrap(),
        "one",
        "old versions keep their source"
    );
    assert_eq!(store.function(2).await.unwrap().unwrap().version.number, 1);
}

#[tokio::test]
async fn changes_of_a_missing_function_fail_and_leave_nothing() {
    let home = Home::new();
    let store = home.open().await;
    for code in [
        store
            .add_version(7, version("x"), Rollout::Active)
            .await
            .unwrap_err()
            .code(),
        store.set_usage_key(7, true).await.unwrap_err().code(),
        store.set_state(7, "x".into()).await.unwrap_err().code(),
        store.set_callback(7, "x".into()).await.unwrap_err().code(),
    ] {
        assert_eq!(code, "not_found");
    }
    assert!(!store.delete_function(7).await.unwrap());
    assert!(store.list().await.unwrap().is_empty());
    store.close().await.unwrap();
    home.open().await.close().await.unwrap();
    assert!(
        files(&home.objects("source")).is_empty(),
        "the source of the refused version is swept"
    );
}

#[tokio::test]
async fn a_usage_key_is_set_changed_and_removed() {
    let home = Home::new();
    let store = home.open().await;
    let created = store
        .create_function(super::NewFunction {
            private: true,
            ..function("x")
        })
        .await
        .unwrap();
    let first = created.usage_key.unwrap();
    let hash = |read: Option<iof_store::Function>| read.unwrap().usage_key_hash;
    assert!(
        hash(store.function(1).await.unwrap())
            .unwrap()
            .matches(first.as_str())
    );
    assert_ne!(first.as_str(), created.admin_key.as_str());

    let second = store.set_usage_key(1, true).await.unwrap().unwrap();
    let now = hash(store.function(1).await.unwrap()).unwrap();
    assert!(now.matches(second.as_str()) && !now.matches(first.as_str()));

    assert!(store.set_usage_key(1, false).await.unwrap().is_none());
    assert!(hash(store.function(1).await.unwrap()).is_none());
}

#[tokio::test]
async fn everything_survives_a_reopen() {
    let home = Home::new();
    let store = home.open().await;
    let one = store.create_function(function("one")).await.unwrap();
    store
        .create_function(super::NewFunction {
            private: true,
            ..function("two")
        })
        .await
        .unwrap();
    store
        .add_version(1, version("one again"), Rollout::Active)
        .await
        .unwrap();
    store.set_state(1, "state é\n".into()).await.unwrap();
    store
        .set_callback(1, r#"{"hostname":"example.com"}"#.into())
        .await
        .unwrap();
    let key = store.set_usage_key(1, true).await.unwrap().unwrap();
    store
        .put_artefact("engine", digest(b"one again"), b"code")
        .await
        .unwrap();
    store.close().await.unwrap();
    assert!(
        !home.data().join("iof.db-wal").exists(),
        "a closed directory is one file to copy"
    );

    let store = home.open().await;
    assert_eq!(store.list().await.unwrap(), [1, 2]);
    let read = store.function(1).await.unwrap().unwrap();
    assert_eq!(
        (read.state.as_str(), read.callback.as_str()),
        ("state é\n", r#"{"hostname":"example.com"}"#)
    );
    assert_eq!(read.version.number, 2);
    assert!(read.admin_key_hash.matches(one.admin_key.as_str()));
    assert!(read.usage_key_hash.unwrap().matches(key.as_str()));
    for source in ["one", "two", "one again"] {
        assert_eq!(
            store
                .source(digest(source.as_bytes()))
                .await
                .unwrap()
                .unwrap(),
            source
        );
    }
    assert_eq!(
        store
            .artefact("engine", digest(b"one again"), <[u8]>::to_vec)
            .await
            .unwrap()
            .unwrap(),
        b"code"
    );
}

#[tokio::test]
async fn the_number_of_a_deleted_function_is_never_reused() {
    let home = Home::new();
    let store = home.open().await;
    for id in 1..=3 {
        assert_eq!(
            store
                .create_function(function(format!("{id}")))
                .await
                .unwrap()
                .function_id,
            id
        );
    }
    assert!(store.delete_function(3).await.unwrap());
    assert!(!store.delete_function(3).await.unwrap());
    store.close().await.unwrap();
    let store = home.open().await;
    assert_eq!(
        store
            .create_function(function("4"))
            .await
            .unwrap()
            .function_id,
        4
    );
    assert_eq!(store.list().await.unwrap(), [1, 2, 4]);
}

#[tokio::test]
async fn deleting_removes_objects_that_nothing_else_refers_to() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("shared")).await.unwrap();
    store.create_function(function("shared")).await.unwrap();
    store
        .add_version(1, version("alone"), Rollout::Active)
        .await
        .unwrap();
    for engine in ["a", "b"] {
        store
            .put_artefact(engine, digest(b"alone"), b"code")
            .await
            .unwrap();
        store
            .put_artefact(engine, digest(b"shared"), b"code")
            .await
            .unwrap();
    }

    assert!(store.delete_function(1).await.unwrap());
    assert!(store.source(digest(b"alone")).await.unwrap().is_none());
    assert_eq!(
        store.source(digest(b"shared")).await.unwrap().unwrap(),
        "shared"
    );
    assert!(
        store
            .artefact("a", digest(b"alone"), <[u8]>::to_vec)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .artefact("b", digest(b"shared"), <[u8]>::to_vec)
            .await
            .unwrap()
            .is_some()
    );

    assert!(store.delete_function(2).await.unwrap());
    assert!(files(&home.data().join("objects")).is_empty());
}

#[tokio::test]
async fn a_version_cannot_be_changed_even_by_sql() {
    let home = Home::new();
    home.open()
        .await
        .create_function(function("x"))
        .await
        .unwrap();
    let mut outside = super::outside(&home).await;
    let refused = sqlx::query("UPDATE versions SET kind = 'other'")
        .execute(&mut outside)
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("a version never changes"),
        "{refused}"
    );
}

#[tokio::test]
async fn debug_output_omits_keys_and_the_data_of_the_owner() {
    let home = Home::new();
    let store = home.open().await;
    let created = store
        .create_function(super::NewFunction {
            private: true,
            ..function("x")
        })
        .await
        .unwrap();
    store.set_state(1, "owner's state".into()).await.unwrap();
    let read = store.function(1).await.unwrap().unwrap();
    let debug = format!(
        "{created:?} {read:?} {:?} {:?}",
        read.admin_key_hash, read.usage_key_hash
    );
    for key in [&created.admin_key, created.usage_key.as_ref().unwrap()] {
        let hash = digest(key.as_str().as_bytes());
        assert!(!debug.contains(key.as_str()) && !debug.contains(&super::hex(&hash)));
        assert!(
            !debug.contains(
                &format!("{:?}", &hash[..4])
                    .trim_matches(['[', ']'])
                    .to_owned()
            )
        );
    }
    assert!(
        !debug.contains(&read.storage_key) && !debug.contains("owner's state"),
        "{debug}"
    );
}
