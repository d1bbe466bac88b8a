//! Opening a data directory: its lock, the leftovers that a start removes, and those that it refuses to remove.

use std::os::unix::fs::PermissionsExt as _;

use iof_store::{FunctionFilter, OutboundQuery, OutboundRecord, RecordingLimits, Store};
use sqlx::Connection as _;

use super::{Home, digest, files, function, hex, outside};

#[tokio::test]
async fn a_second_opener_is_refused_until_the_first_closes() {
    let home = Home::new();
    let store = home.open().await;
    let error = home.attempt().await.err().unwrap();
    assert_eq!(error.code(), "locked");
    let message = error.to_string();
    assert!(
        message.contains(&home.data().display().to_string()),
        "{message}"
    );
    assert!(
        message.contains(&format!("pid {}", std::process::id())),
        "{message}"
    );
    assert!(message.contains("its own directory"), "{message}");
    store.close().await.unwrap();
    home.open().await;
}

#[tokio::test]
async fn a_closed_store_refuses_requests() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    let clone = store.clone();
    store.close().await.unwrap();
    clone.close().await.unwrap();
    assert_eq!(
        clone
            .create_function(function("y"))
            .await
            .unwrap_err()
            .code(),
        "closed"
    );
    assert_eq!(clone.function(1).await.unwrap_err().code(), "closed");
    assert_eq!(clone.ready().await.unwrap_err().code(), "closed");
    assert_eq!(clone.delete_function(1).await.unwrap_err().code(), "closed");
    let life = std::time::Duration::from_secs(1);
    let keep = RecordingLimits {
        per_function: 1,
        total_bytes: 1,
        from: 0,
    };
    for error in [
        clone.load_value(1, &[0; 32]).await.unwrap_err(),
        clone
            .save_value(1, [0; 32], bytes::Bytes::new(), 99)
            .await
            .unwrap_err(),
        clone.ephemeral("k").await.unwrap_err(),
        clone
            .put_ephemeral("k".into(), "v".into(), life, 99, None)
            .await
            .unwrap_err(),
        clone.delete_ephemeral("k".into()).await.unwrap_err(),
        clone.record_calls(vec![], 9).await.unwrap_err(),
        clone.calls(1, true, 9).await.unwrap_err(),
        clone.usage(1).await.unwrap_err(),
        clone
            .record_outbound(Vec::<OutboundRecord>::new(), 9, 0)
            .await
            .unwrap_err(),
        clone.outbound(&OutboundQuery::default()).await.unwrap_err(),
        clone.put_recordings(vec![], keep).await.unwrap_err(),
        clone.recording(uuid::Uuid::nil()).await.unwrap_err(),
        clone.recordings(1, 9).await.unwrap_err(),
        clone.named("x").await.unwrap_err(),
        clone
            .functions(&FunctionFilter::default(), 0, 9)
            .await
            .unwrap_err(),
        clone.activate(1, 1).await.unwrap_err(),
        clone.set_canary(1, None).await.unwrap_err(),
        clone.key("iof_").await.unwrap_err(),
        clone.keys(None).await.unwrap_err(),
        clone.delete_key(1).await.unwrap_err(),
        clone
            .submit_job(super::jobs::job(1), 9, super::jobs::ROOM)
            .await
            .unwrap_err(),
        clone.take_jobs(super::jobs::taking(9)).await.unwrap_err(),
        clone.job(uuid::Uuid::nil()).await.unwrap_err(),
        clone.expire_jobs(0).await.unwrap_err(),
        clone.version(1, 1).await.unwrap_err(),
        clone.versions(1).await.unwrap_err(),
    ] {
        assert_eq!(error.code(), "closed");
    }
}

#[tokio::test]
async fn a_dropped_store_releases_its_directory() {
    let home = Home::new();
    home.open()
        .await
        .create_function(function("x"))
        .await
        .unwrap();
    let started = std::time::Instant::now();
    let store = loop {
        match home.attempt().await {
            Ok(store) => break store,
            Err(error) => assert_eq!(error.code(), "locked"),
        }
        assert!(started.elapsed().as_secs() < 10);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    assert_eq!(store.list().await.unwrap(), [1]);
}

#[tokio::test]
async fn created_files_are_private() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    let mode = |name: &str| {
        home.data()
            .join(name)
            .metadata()
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!((mode(""), mode("objects")), (0o700, 0o700));
    for file in ["iof.db", "iof.db-wal", "iof.db-shm", "lock", "artefact.key"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_named() {
    let home = Home::new();
    let file = home.folder.path().join("file");
    tokio::fs::write(&file, "").await.unwrap();
    // Permissions do not stop root, as whom the tests may run; /proc/self does.
    for bad in [file.clone(), file.join("data"), "/proc/self/iof".into()] {
        let error = Store::open(&bad).await.err().unwrap();
        assert_eq!(error.code(), "directory");
        let message = error.to_string();
        assert!(
            message.contains(&bad.display().to_string()) && message.contains("write access"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_start_removes_the_leftovers_of_uploads_and_nothing_else() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("kept")).await.unwrap();
    store.close().await.unwrap();
    let kept = home.source(digest(b"kept"));
    let orphan = home.source(digest(b"orphan"));
    let torn = format!("{}#1", orphan.display());
    let torn_again = format!("{}#12", kept.display());
    let foreign = home.objects("source").join("00").join("README");
    for path in [
        orphan.display().to_string(),
        torn,
        torn_again,
        foreign.display().to_string(),
    ] {
        tokio::fs::write(path, "x").await.unwrap();
    }
    let store = home.open().await;
    store.swept().await;
    let mut expected = vec![kept, foreign];
    expected.sort();
    assert_eq!(files(&home.objects("source")), expected);
    assert_eq!(
        store.source(digest(b"kept")).await.unwrap().unwrap(),
        "kept"
    );
}

/// An upload during the sweep keeps its file, even one that was written within the same tick of the file system's
/// clock.
#[tokio::test]
async fn uploads_beside_the_sweep_are_kept() {
    let home = Home::new();
    home.open().await.close().await.unwrap();
    for number in 0..500 {
        let orphan = home.source(digest(format!("orphan {number}").as_bytes()));
        tokio::fs::write(orphan, "x").await.unwrap();
    }
    // One source is uploaded again in the middle of the sweep.
    let store = home.open().await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in (0..500).step_by(25) {
        let store = store.clone();
        tasks.spawn(async move {
            let source = format!("orphan {number}");
            store.create_function(function(&source)).await.unwrap();
        });
    }
    tasks.join_all().await;
    store.swept().await;
    assert_eq!(files(&home.objects("source")).len(), 20);
    for number in (0..500).step_by(25) {
        let source = format!("orphan {number}");
        let stored = store.source(digest(source.as_bytes())).await.unwrap();
        assert_eq!(stored.unwrap(), source.as_str());
    }
}

#[tokio::test]
async fn a_lost_database_does_not_remove_the_sources() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("precious")).await.unwrap();
    store.close().await.unwrap();
    tokio::fs::remove_file(home.data().join("iof.db"))
        .await
        .unwrap();
    for _ in 0..2 {
        let error = home
            .attempt()
            .await
            .err()
            .expect("a new database over old sources");
        assert_eq!(error.code(), "damaged");
        assert!(error.to_string().contains("iof.db"), "{error}");
        assert_eq!(
            files(&home.objects("source")),
            [home.source(digest(b"precious"))]
        );
    }
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_refused() {
    let home = Home::new();
    home.open().await.close().await.unwrap();
    let mut outside = outside(&home).await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', 1, x'00', 0)",
    )
    .execute(&mut outside)
    .await
    .unwrap();
    let error = home.attempt().await.err().unwrap();
    assert_eq!(error.code(), "newer");
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_damaged() {
    let home = Home::new();
    home.open().await.close().await.unwrap();
    tokio::fs::write(home.data().join("iof.db"), "x".repeat(8192))
        .await
        .unwrap();
    let error = home.attempt().await.err().unwrap();
    assert_eq!(error.code(), "damaged");
}

/// A start with ten thousand functions takes a fraction of a second; the allowed time suits a slow, shared machine.
#[tokio::test]
async fn ten_thousand_functions_open_quickly() {
    let home = Home::new();
    home.open().await.close().await.unwrap();
    fill(&home, 10_000).await;
    let started = std::time::Instant::now();
    let store = home.open().await;
    let took = started.elapsed();
    println!("opened 10,000 functions in {took:?}");
    assert_eq!(store.list().await.unwrap().len(), 10_000);
    assert_eq!(files(&home.objects("source")).len(), 10_000);
    assert!(took.as_millis() < 1500, "{took:?}");
}

/// Makes rows and sources by the thousand, without flushing each.
pub(crate) async fn fill(home: &Home, functions: u32) {
    let mut outside = outside(home).await;
    let mut all = outside.begin().await.unwrap();
    for number in 0..functions {
        let source = format!("source {number}");
        let sha256 = digest(source.as_bytes());
        let id = format!("01900000-0000-7000-8000-{number:012}");
        let add = "INSERT INTO functions (description, storage_key, admin_key_hash, active_version, created_at)
                   VALUES ('', $1, $2, $3, 0)";
        sqlx::query(add)
            .bind("0".repeat(32))
            .bind(&sha256[..])
            .bind(&id)
            .execute(&mut *all)
            .await
            .unwrap();
        let add = "INSERT INTO versions (id, function_id, number, sha256, legacy_sha256, size, kind, manifest, created_at)
                   VALUES ($1, $2, 1, $3, '', 1, 'bindgen', '{}', 0)";
        sqlx::query(add)
            .bind(&id)
            .bind(number + 1)
            .bind(&sha256[..])
            .execute(&mut *all)
            .await
            .unwrap();
        std::os::unix::fs::symlink(
            "/dev/null",
            home.objects("source")
                .join(&hex(&sha256)[..2])
                .join(hex(&sha256)),
        )
        .unwrap();
    }
    all.commit().await.unwrap();
}
