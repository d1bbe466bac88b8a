//! Artefacts are returned only if this host made them, for this engine and this source, and they are complete.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{Home, digest, files, function};

const ENGINE: &str = "wasmtime-48.0.8-abc";

async fn with_artefact(home: &Home) -> (iof_store::Store, [u8; 32]) {
    let store = home.open().await;
    store.create_function(function("source")).await.unwrap();
    let sha256 = digest(b"source");
    store
        .put_artefact(ENGINE, sha256, b"machine code")
        .await
        .unwrap();
    assert_eq!(
        store
            .artefact(ENGINE, sha256, <[u8]>::to_vec)
            .await
            .unwrap()
            .unwrap(),
        b"machine code"
    );
    (store, sha256)
}

#[tokio::test]
async fn a_changed_or_truncated_artefact_is_not_returned_and_is_removed() {
    let home = Home::new();
    let (store, sha256) = with_artefact(&home).await;
    let path = home.artefact(ENGINE, sha256);
    let whole = tokio::fs::read(&path).await.unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let longer = [&whole[..], b"!"].concat();
    for bad in [
        &flipped[..],
        &longer,
        &whole[..whole.len() - 1],
        &whole[..40],
        &whole[..39],
        b"",
    ] {
        tokio::fs::write(&path, bad).await.unwrap();
        assert!(
            store
                .artefact(ENGINE, sha256, <[u8]>::to_vec)
                .await
                .unwrap()
                .is_none()
        );
        assert!(!path.exists());
    }
    store.put_artefact(ENGINE, sha256, b"again").await.unwrap();
    assert_eq!(
        store
            .artefact(ENGINE, sha256, <[u8]>::to_vec)
            .await
            .unwrap()
            .unwrap(),
        b"again"
    );
}

#[tokio::test]
async fn an_artefact_of_another_host_engine_or_source_is_not_returned() {
    let (ours, theirs) = (Home::new(), Home::new());
    let (store, sha256) = with_artefact(&ours).await;
    let (_other, _) = with_artefact(&theirs).await;
    let sealed_there = tokio::fs::read(theirs.artefact(ENGINE, sha256))
        .await
        .unwrap();
    let sealed_here = tokio::fs::read(ours.artefact(ENGINE, sha256))
        .await
        .unwrap();
    assert_eq!(sealed_there.len(), sealed_here.len());

    put(&ours.artefact(ENGINE, sha256), &sealed_there).await;
    assert!(
        store
            .artefact(ENGINE, sha256, <[u8]>::to_vec)
            .await
            .unwrap()
            .is_none(),
        "another host"
    );
    put(&ours.artefact("engine-b", sha256), &sealed_here).await;
    assert!(
        store
            .artefact("engine-b", sha256, <[u8]>::to_vec)
            .await
            .unwrap()
            .is_none(),
        "another engine"
    );
    put(&ours.artefact(ENGINE, [3; 32]), &sealed_here).await;
    assert!(
        store
            .artefact(ENGINE, [3; 32], <[u8]>::to_vec)
            .await
            .unwrap()
            .is_none(),
        "another source"
    );
}

#[tokio::test]
async fn the_host_key_is_private_and_permanent() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    home.open().await.close().await.unwrap();
    let path = home.data().join("artefact.key");
    let first = tokio::fs::read(&path).await.unwrap();
    assert_eq!(first.len(), 32);
    assert_ne!(first, [0; 32]);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    home.open().await.close().await.unwrap();
    assert_eq!(tokio::fs::read(&path).await.unwrap(), first);
}

#[tokio::test]
async fn a_truncated_host_key_is_an_error_that_names_the_next_step() {
    let home = Home::new();
    home.open().await.close().await.unwrap();
    tokio::fs::write(home.data().join("artefact.key"), b"short")
        .await
        .unwrap();
    let error = home.attempt().await.err().unwrap();
    assert_eq!(error.code(), "damaged");
    assert!(error.to_string().contains("artefact.key"), "{error}");
}

#[tokio::test]
async fn a_fingerprint_that_is_a_path_is_refused() {
    let home = Home::new();
    let store = home.open().await;
    assert_eq!(
        store
            .put_artefact("../source", [0; 32], b"x")
            .await
            .unwrap_err()
            .code(),
        "invalid"
    );
    assert_eq!(
        store
            .artefact("a/b", [0; 32], <[u8]>::to_vec)
            .await
            .unwrap_err()
            .code(),
        "invalid"
    );
}

#[tokio::test]
async fn a_start_keeps_the_last_engine_and_those_used_within_thirty_days() {
    let home = Home::new();
    let (store, sha256) = with_artefact(&home).await;
    for engine in ["old", "recent", "last"] {
        store.put_artefact(engine, sha256, b"code").await.unwrap();
    }
    store
        .put_artefact("last", [1; 32], b"of no version")
        .await
        .unwrap();
    store.close().await.unwrap();
    let engines = home.objects("artefact");
    age(&engines.join(ENGINE), 50);
    age(&engines.join("old"), 31);
    age(&engines.join("recent"), 29);
    age(&engines.join("last"), 28);

    let store = home.open().await;
    store.swept().await;
    let kept: Vec<_> = files(&engines);
    assert_eq!(
        kept,
        [
            home.artefact("last", sha256),
            home.artefact("recent", sha256)
        ]
    );
    store.close().await.unwrap();

    // Using an engine keeps it, and the one used last is never too old.
    age(&engines.join("recent"), 100);
    age(&engines.join("last"), 90);
    let store = home.open().await;
    store.swept().await;
    assert_eq!(files(&engines), [home.artefact("last", sha256)]);
    assert!(
        store
            .artefact("last", sha256, <[u8]>::to_vec)
            .await
            .unwrap()
            .is_some()
    );
    let used = engines.join("last").metadata().unwrap().modified().unwrap();
    assert!(used.elapsed().unwrap() < Duration::from_secs(60));
}

async fn put(path: &Path, bytes: &[u8]) {
    tokio::fs::create_dir_all(path.parent().unwrap())
        .await
        .unwrap();
    tokio::fs::write(path, bytes).await.unwrap();
}

fn age(dir: &Path, days: u64) {
    let then = SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60);
    std::fs::File::open(dir)
        .unwrap()
        .set_modified(then)
        .unwrap();
}
