//! Rollouts: versions that are made active, rolled back, and tried as a canary.

use iof_store::{Error, FunctionFilter, Percent, Rollout, Store};

use super::{Home, digest, files, function, outside, version};

fn percent(percent: u8) -> Percent {
    Percent::new(percent).unwrap()
}

async fn add(store: &Store, source: &str, rollout: Rollout) -> i64 {
    let added = store.add_version(1, version(source), rollout);
    added.await.unwrap().number
}

/// The number of the active version of function 1, and its canary's with its share.
async fn runs(store: &Store) -> (i64, Option<(i64, u8)>) {
    let read = store.function(1).await.unwrap().unwrap();
    let canary = read
        .canary
        .map(|canary| (canary.version.number, canary.percent.get()));
    let listed = store
        .functions(&FunctionFilter::default(), 0, 1)
        .await
        .unwrap()
        .remove(0);
    let shared = listed.canary.map(|(number, share)| (number, share.get()));
    assert_eq!((listed.version, shared), (read.version.number, canary));
    (read.version.number, canary)
}

#[test]
fn a_share_is_1_to_99() {
    for good in 1..=99 {
        assert_eq!(percent(good).get(), good);
    }
    for bad in [0, 100, 101, 255] {
        let error = Percent::new(bad).unwrap_err();
        assert_eq!(error.code(), "invalid");
        assert!(error.to_string().contains(&format!("got {bad}")), "{error}");
    }
    assert_eq!(percent(5).to_string(), "5 %");
}

#[tokio::test]
async fn a_new_version_is_rolled_out_as_requested() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("one")).await.unwrap();
    store.create_function(function("another")).await.unwrap();
    assert_eq!(runs(&store).await, (1, None));
    assert_eq!(add(&store, "two", Rollout::Idle).await, 2);
    assert_eq!(runs(&store).await, (1, None));
    assert_eq!(add(&store, "three", Rollout::Canary(percent(1))).await, 3);
    assert_eq!(runs(&store).await, (1, Some((3, 1))));
    assert_eq!(add(&store, "four", Rollout::Idle).await, 4);
    assert_eq!(
        runs(&store).await,
        (1, Some((3, 1))),
        "idle changes nothing"
    );
    assert_eq!(add(&store, "five", Rollout::Canary(percent(99))).await, 5);
    assert_eq!(runs(&store).await, (1, Some((5, 99))), "one at a time");
    assert_eq!(add(&store, "six", Rollout::Active).await, 6);
    assert_eq!(runs(&store).await, (6, None), "which ends the canary");

    let other = store.function(2).await.unwrap().unwrap();
    assert_eq!((other.version.number, other.canary), (1, None));
    assert_eq!(store.versions(1).await.unwrap().len(), 6);
    for rollout in [Rollout::Active, Rollout::Canary(percent(1)), Rollout::Idle] {
        let error = store.add_version(7, version("x"), rollout).await;
        assert!(matches!(error, Err(Error::NotFound { function_id: 7 })));
        assert_eq!(files(&home.objects("source")).len(), 7, "nor its source");
    }
}

/// Both versions are read with the function, with all that a call of either needs.
#[tokio::test]
async fn a_canary_is_read_whole_beside_the_active_version() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("one")).await.unwrap();
    let new = iof_store::NewVersion {
        kind: "http".into(),
        manifest: "{}".into(),
        legacy_sha256: "0xabc".into(),
        declaration: Some(r#"{"rules":[]}"#.into()),
        ..version("the canary")
    };
    let added = store.add_version(1, new, Rollout::Canary(percent(50)));
    let added = added.await.unwrap();
    for reopened in [false, true] {
        let store = home.again(&store, reopened).await;
        let read = store.function(1).await.unwrap().unwrap();
        let canary = read.canary.clone().unwrap();
        assert_eq!((canary.version.id, canary.version.number), (added.id, 2));
        assert_eq!(canary.version.sha256, digest(b"the canary"));
        assert_eq!((canary.version.size, canary.percent), (10, percent(50)));
        let all = store.versions(1).await.unwrap();
        assert_eq!(all, [canary.version, read.version]);
        assert_eq!(all[0].declaration.as_deref(), Some(r#"{"rules":[]}"#));
        assert_eq!(all[1].declaration, None);
    }
}

#[tokio::test]
async fn the_active_version_can_be_set_back_and_forth() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("one")).await.unwrap();
    add(&store, "two", Rollout::Active).await;
    add(&store, "three", Rollout::Canary(percent(10))).await;
    store.activate(1, 3).await.unwrap(); // promote
    assert_eq!(runs(&store).await, (3, None));
    store.activate(1, 1).await.unwrap(); // roll back by two versions
    assert_eq!(runs(&store).await, (1, None));
    store.set_canary(1, Some((2, percent(10)))).await.unwrap();
    store.activate(1, 1).await.unwrap(); // the version that is active already
    assert_eq!(runs(&store).await, (1, None), "which ends the canary, too");
    store.set_canary(1, Some((2, percent(10)))).await.unwrap();
    store.activate(1, 3).await.unwrap(); // another than the canary
    assert_eq!(runs(&store).await, (3, None));
    assert_eq!(add(&store, "four", Rollout::Active).await, 4, "not 2 again");
    store.activate(1, 2).await.unwrap();
    store.close().await.unwrap();
    assert_eq!(runs(&home.open().await).await, (2, None));
}

#[tokio::test]
async fn a_share_is_set_changed_and_ended() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("one")).await.unwrap();
    for source in ["two", "three"] {
        add(&store, source, Rollout::Idle).await;
    }
    store.set_canary(1, None).await.unwrap(); // there is none
    for (number, share) in [(2, 1), (2, 99), (3, 50)] {
        let set = store.set_canary(1, Some((number, percent(share))));
        set.await.unwrap();
        assert_eq!(runs(&store).await, (1, Some((number, share))));
    }
    store.set_canary(1, None).await.unwrap();
    assert_eq!(runs(&store).await, (1, None));
}

#[tokio::test]
async fn a_missing_version_cannot_be_rolled_out() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("one")).await.unwrap();
    store.create_function(function("another")).await.unwrap();
    add(&store, "two", Rollout::Canary(percent(5))).await;
    for number in [i64::MIN, -1, 0, 3, i64::MAX] {
        let errors = [
            store.activate(1, number).await.unwrap_err(),
            store
                .set_canary(1, Some((number, percent(5))))
                .await
                .unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.code(), "no_version");
            let expected = format!("function 1 has no version {number}");
            assert_eq!(error.to_string(), expected);
        }
    }
    // Function 2 has no version 2, although function 1 has one.
    assert_eq!(store.activate(2, 2).await.unwrap_err().code(), "no_version");
    for canary in [None, Some((1, percent(5)))] {
        let error = store.set_canary(7, canary).await.unwrap_err();
        assert_eq!(error.code(), "not_found");
    }
    assert_eq!(store.activate(7, 1).await.unwrap_err().code(), "not_found");
    let active = store.set_canary(1, Some((1, percent(5)))).await;
    let error = active.unwrap_err();
    assert_eq!(error.code(), "invalid");
    assert!(error.to_string().contains("is the active one"), "{error}");
    assert_eq!(runs(&store).await, (1, Some((2, 5))), "nothing changed");
}

#[tokio::test]
async fn half_a_canary_is_refused_even_from_sql() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("one")).await.unwrap();
    add(&store, "two", Rollout::Canary(percent(5))).await;
    for change in [
        "canary_percent = NULL",
        "canary_version = NULL",
        "canary_percent = 0",
        "canary_percent = 100",
        "canary_version = active_version",
        "active_version = canary_version",
        "canary_version = 'none'",
    ] {
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
            "UPDATE functions SET {change} WHERE function_id = 1"
        )))
        .execute(&mut outside(&home).await)
        .await;
        assert!(refused.is_err(), "{change}");
    }
    assert_eq!(runs(&store).await, (1, Some((2, 5))));
}

#[tokio::test]
async fn a_function_with_a_canary_is_deleted_whole() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("one")).await.unwrap();
    add(&store, "two", Rollout::Canary(percent(5))).await;
    assert!(store.delete_function(1).await.unwrap());
    assert!(store.function(1).await.unwrap().is_none());
    assert!(files(&home.objects("source")).is_empty());
}

/// Deployments and rollbacks at once, as from two terminals: the last one decides, and the canary is never the active
/// version.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_last_of_concurrent_rollouts_decides() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("one")).await.unwrap();
    add(&store, "two", Rollout::Idle).await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..48 {
        let store = store.clone();
        tasks.spawn(async move {
            let number = 1 + task / 3 % 2;
            let done = match task % 3 {
                0 => store.activate(1, number).await,
                1 => store.set_canary(1, Some((number, percent(5)))).await,
                _ => store.set_canary(1, None).await,
            };
            assert!(done.is_ok() || done.unwrap_err().code() == "invalid");
            let read = store.function(1).await.unwrap().unwrap();
            assert!(
                read.canary
                    .is_none_or(|canary| canary.version != read.version)
            );
        });
    }
    tasks.join_all().await;
    store.activate(1, 2).await.unwrap();
    assert_eq!(runs(&store).await, (2, None));
}
