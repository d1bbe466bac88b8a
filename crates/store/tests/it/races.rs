//! Guarantees under concurrent operations.

use std::collections::HashSet;

use iof_store::Rollout;

use super::{Home, digest, files, function, version};

/// A deletion that finds a source unused must not take it from an upload of the same bytes that is about to need it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_deletion_never_removes_the_source_of_an_upload() {
    let home = Home::new();
    let store = home.open().await;
    let sha256 = digest(b"the same bytes");
    let mut previous = store
        .create_function(function("the same bytes"))
        .await
        .unwrap()
        .function_id;
    for round in 0..150 {
        let (deleted, created) = tokio::join!(
            tokio::task::unconstrained(store.delete_function(previous)),
            tokio::task::unconstrained(store.create_function(function("the same bytes"))),
        );
        assert!(deleted.unwrap());
        previous = created.unwrap().function_id;
        let source = store.source(sha256).await.unwrap();
        assert!(
            source.is_some(),
            "round {round}: an acknowledged upload lost its source"
        );
    }
}

/// A change continues in a task of its own, so that its locks are held until its files are in place.
#[tokio::test]
async fn a_change_is_finished_although_its_caller_went_away() {
    let home = Home::new();
    let store = home.open().await;
    let once = std::time::Duration::ZERO; // polls once, then drops
    let gone = tokio::time::timeout(once, store.create_function(function("x"))).await;
    assert!(gone.is_err());
    store.close().await.unwrap();

    let store = home.open().await;
    assert_eq!(store.list().await.unwrap(), [1]);
    assert!(
        tokio::time::timeout(once, store.delete_function(1))
            .await
            .is_err()
    );
    store.close().await.unwrap();
    assert!(files(&home.objects("source")).is_empty());
    assert!(home.open().await.list().await.unwrap().is_empty());
}

/// An HTTP server drops a handler's future when its client hangs up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_leaves_whole_functions() {
    let home = Home::new();
    let store = home.open().await;
    for number in 0..60_u64 {
        let upload = store.create_function(function(format!("source {}", number % 7)));
        drop(tokio::time::timeout(std::time::Duration::from_micros(number * 50), upload).await);
        if number % 3 == 0 {
            drop(
                tokio::time::timeout(
                    std::time::Duration::from_micros(number * 30),
                    store.delete_function(1 + number as i64 / 2),
                )
                .await,
            );
        }
    }
    store.close().await.unwrap();

    let store = home.open().await;
    let mut live = HashSet::new();
    for id in store.list().await.unwrap() {
        let sha256 = store.function(id).await.unwrap().unwrap().version.sha256;
        assert!(
            store.source(sha256).await.unwrap().is_some(),
            "function {id} has no source"
        );
        live.insert(sha256);
    }
    assert!(!live.is_empty());
    assert_eq!(files(&home.objects("source")).len(), live.len());
}

/// One connection writes, so the writes of a burst wait their turn; none fails because the database is locked.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_burst_of_writes_is_never_refused() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("zero")).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..32 {
        let store = store.clone();
        tasks.spawn(async move {
            for round in 0..8 {
                store
                    .create_function(function(format!("{task} {round}")))
                    .await
                    .unwrap();
                store
                    .add_version(1, version(format!("{task} {round} again")), Rollout::Active)
                    .await
                    .unwrap();
                store.set_state(1, format!("{task} {round}")).await.unwrap();
                assert!(store.function(1).await.unwrap().is_some());
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(
        store.list().await.unwrap(),
        (1..=257).collect::<Vec<_>>(),
        "no number twice, none skipped"
    );
    assert_eq!(
        store.function(1).await.unwrap().unwrap().version.number,
        257
    );
}

/// In a batch, a write of a missing function is refused without an effect on its neighbours.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writes_in_a_batch_do_not_affect_each_other() {
    let home = Home::new();
    let store = home.open().await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..64_i64 {
        let store = store.clone();
        tasks.spawn(async move {
            if task % 2 == 0 {
                assert_eq!(
                    store
                        .set_state(1000 + task, "x".into())
                        .await
                        .unwrap_err()
                        .code(),
                    "not_found"
                );
            } else {
                let id = store
                    .create_function(function(format!("{task}")))
                    .await
                    .unwrap()
                    .function_id;
                assert_eq!(
                    store.function(id).await.unwrap().unwrap().version.sha256,
                    digest(format!("{task}").as_bytes())
                );
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(store.list().await.unwrap().len(), 32);
}
