//! Sources: reading one returns the uploaded bytes, or an error that names the damaged source.

use iof_store::Rollout;

use super::{Home, digest, function, hex, version};

#[tokio::test]
async fn an_unknown_source_is_not_found() {
    let home = Home::new();
    assert!(home.open().await.source([9; 32]).await.unwrap().is_none());
}

#[tokio::test]
async fn a_damaged_source_is_an_error_that_names_it_and_an_upload_repairs_it() {
    let home = Home::new();
    let store = home.open().await;
    let sha256 = digest(b"source");
    store.create_function(function("source")).await.unwrap();
    for damage in ["sourcE", "sour", ""] {
        tokio::fs::write(home.source(sha256), damage).await.unwrap();
        let error = store.source(sha256).await.unwrap_err();
        assert_eq!(error.code(), "damaged");
        assert!(error.to_string().contains(&hex(&sha256)), "{error}");
    }
    store
        .add_version(1, version("source"), Rollout::Active)
        .await
        .unwrap();
    assert_eq!(store.source(sha256).await.unwrap().unwrap(), "source");
}

#[tokio::test]
async fn a_source_under_a_wrong_digest_is_refused() {
    let home = Home::new();
    let store = home.open().await;
    let mut new = function("source");
    new.version.sha256[0] ^= 1;
    assert_eq!(
        store.create_function(new).await.unwrap_err().code(),
        "invalid"
    );
    assert!(store.list().await.unwrap().is_empty());
    assert!(super::files(&home.objects("source")).is_empty());
}

#[tokio::test]
async fn a_large_source_is_read_back() {
    let home = Home::new();
    let store = home.open().await;
    let source: Vec<u8> = (0..20_000_000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    store.create_function(function(&source)).await.unwrap();
    assert!(store.source(digest(&source)).await.unwrap().unwrap() == source);
}
