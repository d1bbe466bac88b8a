//! A database that refuses a write: only its caller gets the error.

use std::time::Duration;

use iof_store::{Call, Calls, EphemeralPut, Rollout, Saved};

use super::{Home, count, function, outside, version};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A write that fails undoes its whole batch; the other writes are then done again, one by one.
///
/// `ABORT` undoes a statement. `ROLLBACK` ends the transaction behind the driver's back, as SQLite itself does when the
/// disk is full (<https://www.sqlite.org/lang_transaction.html>, "Response To Errors Within A Transaction").
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_failing_write_does_not_fail_its_neighbours() {
    for undo in ["ABORT", "ROLLBACK"] {
        let home = Home::new();
        let store = home.open().await;
        store.create_function(function("one")).await.unwrap();
        let mut outside = outside(&home).await;
        let trigger = format!(
            "CREATE TRIGGER poison BEFORE UPDATE OF state ON functions WHEN NEW.state = 'poison'
             BEGIN SELECT RAISE({undo}, 'poisoned'); END"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(trigger))
            .execute(&mut outside)
            .await
            .unwrap();

        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..96 {
            let store = store.clone();
            tasks.spawn(async move {
                match task % 3 {
                    0 => {
                        let error = store.set_state(1, "poison".into()).await.unwrap_err();
                        assert_eq!(error.code(), "unavailable", "{error}");
                    }
                    1 => store.set_callback(1, format!("{task}")).await.unwrap(),
                    _ => drop(
                        store
                            .add_version(1, version(format!("{task}")), Rollout::Active)
                            .await
                            .unwrap(),
                    ),
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        let read = store.function(1).await.unwrap().unwrap();
        assert_eq!(
            read.version.number, 33,
            "each replacement once, under {undo}"
        );
        assert_eq!(read.state, "{}");
        assert_ne!(read.callback, "{}");
        store.ready().await.unwrap();
        store.close().await.unwrap();
    }
}

/// A row and the sum that includes it change together or not at all, and only once when their batch is done again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_failing_write_changes_neither_a_value_nor_its_total() {
    for undo in ["ABORT", "ROLLBACK"] {
        let home = Home::new();
        let store = home.open().await;
        store.create_function(function("one")).await.unwrap();
        let mut outside = outside(&home).await;
        // Each fails at its last statement, when its other statements have been executed.
        let triggers = format!(
            "CREATE TRIGGER poison_value BEFORE INSERT ON stored_totals WHEN NEW.bytes > 5000
             BEGIN SELECT RAISE({undo}, 'poisoned'); END;
             CREATE TRIGGER poison_ephemeral BEFORE INSERT ON ephemeral WHEN NEW.value = 'poison'
             BEGIN SELECT RAISE({undo}, 'poisoned'); END;
             CREATE TRIGGER poison_call BEFORE INSERT ON call_log WHEN instr(NEW.calls, 'poison')
             BEGIN SELECT RAISE({undo}, 'poisoned'); END"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(triggers))
            .execute(&mut outside)
            .await
            .unwrap();

        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..96_u8 {
            let store = store.clone();
            tasks.spawn(async move {
                let poisoned = task % 6 < 3;
                let text = if poisoned { "poison" } else { "fine" };
                let code = match task % 3 {
                    0 => {
                        let value = vec![7; if poisoned { 9000 } else { 100 }].into();
                        let saved = store.save_value(1, [task % 12; 32], value, u64::MAX);
                        saved.await.map(|saved| assert_eq!(saved, Saved::Stored))
                    }
                    1 => {
                        let key = format!("{:02}", task % 12);
                        let saved = store.put_ephemeral(key, text.into(), HOUR, u64::MAX, None);
                        saved
                            .await
                            .map(|saved| assert_eq!(saved, EphemeralPut::Done))
                    }
                    _ => store.record_calls(vec![one_call(text)], 5).await,
                };
                assert_eq!(code.is_err(), poisoned);
                assert!(code.is_ok() || code.unwrap_err().code() == "unavailable");
            });
        }
        tasks.join_all().await;

        let total = "SELECT bytes FROM stored_totals WHERE function_id = $1";
        assert_eq!(count(&home, total, 1).await, 2 * 132, "under {undo}");
        for slot in [0, 3, 6, 9] {
            let value = store.load_value(1, &[slot; 32]).await.unwrap();
            assert_eq!(value.is_some(), slot % 6 == 3);
            let kept = store.ephemeral(&format!("{:02}", slot + 1)).await.unwrap();
            assert_eq!(kept.is_some(), slot % 6 == 3);
        }
        let total = "SELECT bytes FROM ephemeral_total WHERE $1 = 1";
        assert_eq!(count(&home, total, 1).await, 2 * 6, "under {undo}");
        let usage = store.usage(1).await.unwrap();
        assert_eq!(
            (usage.invocations, usage.guest_ns),
            (16, 160),
            "under {undo}"
        );
        assert_eq!(usage.seconds, [(1, 50)], "under {undo}");
        store.ready().await.unwrap();
        store.close().await.unwrap();
    }
}

fn one_call(record: &str) -> Calls {
    Calls {
        function_id: 1,
        invocations: 1,
        guest_ns: 10,
        latest_ns: 10,
        newest: vec![Call {
            called_at: 1000,
            state: "{}".into(),
            record: record.into(),
            guest_ns: 10,
        }],
    }
}

/// A write waits for another program that writes (an operator's `sqlite3`).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_waits_for_a_writer_of_another_program() {
    let home = Home::new();
    let store = home.open().await;
    let mut outside = outside(&home).await;
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut outside)
        .await
        .unwrap();
    let upload = {
        let store = store.clone();
        async move { store.create_function(function("x")).await }
    };
    let release = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(store.list().await.unwrap().is_empty(), "reads do not wait");
        sqlx::raw_sql("COMMIT").execute(&mut outside).await.unwrap();
    };
    let (created, ()) = tokio::join!(upload, release);
    assert_eq!(created.unwrap().function_id, 1);
}

/// A disk that is really full. Run this test with a small file system of its own, which it fills:
/// `mount -t tmpfs -o size=3m tmpfs /mnt/small && IOF_STORE_SMALL_DISK=/mnt/small cargo test -p iof-store -- --ignored
/// full_disk`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a file system of its own"]
async fn a_full_disk_is_reported_and_recovers_without_a_restart() {
    let disk = std::path::PathBuf::from(std::env::var_os("IOF_STORE_SMALL_DISK").unwrap());
    let data = disk.join("data");
    let ballast = disk.join("ballast");
    tokio::fs::write(&ballast, vec![1; 400 << 10])
        .await
        .unwrap();
    let store = iof_store::Store::open(&data).await.unwrap();

    // Small sources, then large states: the first full disk is met by the object store, the second by SQLite.
    let mut acknowledged = Vec::new();
    let refused = loop {
        match store
            .create_function(function(format!(
                "{} {}",
                acknowledged.len(),
                "x".repeat(20_000)
            )))
            .await
        {
            Ok(created) => acknowledged.push(created.function_id),
            Err(error) => break error,
        }
    };
    println!("{} uploads, then: {refused}", acknowledged.len());
    assert_eq!(refused.code(), "disk_full");
    let refused = loop {
        match store.set_state(1, "s".repeat(100_000)).await {
            Ok(()) => {}
            Err(error) => break error,
        }
    };
    println!("then: {refused}");
    assert_eq!(refused.code(), "disk_full");

    tokio::fs::remove_file(&ballast).await.unwrap();
    acknowledged.push(
        store
            .create_function(function("after"))
            .await
            .unwrap()
            .function_id,
    );
    store.set_state(1, "after".into()).await.unwrap();
    assert_eq!(store.list().await.unwrap(), acknowledged);
    store.close().await.unwrap();
    let store = iof_store::Store::open(&data).await.unwrap();
    for id in acknowledged {
        let read = store.function(id).await.unwrap().unwrap();
        assert!(store.source(read.version.sha256).await.unwrap().is_some());
    }
}
