//! A database that refuses one of many rows of a change: none of them is stored, and no other caller is
//! affected.

use iof_store::{NewJob, RecordingLimits, Store, Submitted};

use super::jobs::{job, waiting};
use super::outbound::{all, records};
use super::recordings::{recording, totals};
use super::{Home, function, outside};

/// `ROLLBACK` ends the transaction behind the driver's back, as a full disk does (see `failures`).
const UNDO: [&str; 2] = ["ABORT", "ROLLBACK"];

/// Makes a table refuse rows that contain `poison`.
async fn poison(home: &Home, table: &str, column: &str, undo: &str) {
    let trigger = format!(
        "CREATE TRIGGER poison BEFORE INSERT ON {table} WHEN NEW.{column} LIKE '%poison%'
         BEGIN SELECT RAISE({undo}, 'poisoned'); END"
    );
    let created = sqlx::raw_sql(sqlx::AssertSqlSafe(trigger));
    created.execute(&mut outside(home).await).await.unwrap();
}

/// Runs `write` 48 times at once; two of three are to fail.
async fn burst<F: Future<Output = Result<bool, iof_store::Error>> + Send + 'static>(
    store: &Store,
    write: impl Fn(Store, i64, &'static str) -> F,
) {
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..48 {
        let poisoned = task % 3 != 0;
        let written = write(
            store.clone(),
            task,
            if poisoned { "poison" } else { "fine" },
        );
        tasks.spawn(async move {
            match written.await {
                Ok(_) => assert!(!poisoned),
                Err(error) => assert!(poisoned && error.code() == "unavailable", "{error}"),
            }
        });
    }
    tasks.join_all().await;
    store.ready().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rows_of_one_change_are_stored_together() {
    for undo in UNDO {
        let home = Home::new();
        let store = home.open().await;
        poison(&home, "audit", "rows", undo).await;
        burst(&store, |store, task, outcome| async move {
            // More rows than fit into one statement, with the bad one in the last statement.
            let mut rows = records(task, 0..300);
            rows[299].outcome = outcome.into();
            store.record_outbound(rows, u64::MAX, 0).await
        })
        .await;
        let rows = all(&store).await;
        assert_eq!(rows.len(), 16 * 300, "under {undo}");
        for together in rows.chunks(300) {
            let function_id = together[0].record.function_id;
            assert_eq!(function_id % 3, 0);
            for (row, expected) in together.iter().zip(records(function_id, 0..300)) {
                assert_eq!(row.record.at, expected.at);
                assert_eq!(row.record.call, expected.call);
            }
        }
    }
}

/// The recordings that would have made room are still there, and the total is that of the existing rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn recordings_of_one_change_are_stored_together() {
    for undo in UNDO {
        let home = Home::new();
        let store = home.open().await;
        store.create_function(function("x")).await.unwrap();
        poison(&home, "recordings", "outcome", undo).await;
        burst(&store, |store, task, outcome| async move {
            let mut three = [0, 1, 2].map(|number| recording(1, 3 * task + number, 10));
            three[2].outcome = outcome.into();
            // The poisoned recordings would need room that the others take.
            let keep = RecordingLimits {
                per_function: if outcome == "poison" { 3 } else { u32::MAX },
                total_bytes: u64::MAX,
                from: 0,
            };
            store.put_recordings(three.to_vec(), keep).await
        })
        .await;
        let kept = store.recordings(1, 999).await.unwrap();
        let times: Vec<_> = kept.iter().map(|head| head.at).collect();
        let expected: Vec<_> = (0..144).filter(|at| at % 9 < 3).rev().collect();
        assert_eq!(times, expected, "under {undo}");
        assert_eq!(totals(&home).await, (480, 480), "under {undo}");
    }
}

/// The number of waiting jobs equals that of their rows even if some were undone, and no taken job is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refused_job_is_not_counted() {
    for undo in UNDO {
        let home = Home::new();
        let store = home.open().await;
        store.create_function(function("x")).await.unwrap();
        poison(&home, "jobs", "export", undo).await;
        burst(&store, |store, task, outcome| async move {
            let new = NewJob {
                export: outcome.into(),
                ..job(task as u64)
            };
            let saved = store.submit_job(new, 99, super::jobs::ROOM).await?;
            assert_eq!(saved, Submitted::Accepted);
            Ok(true)
        })
        .await;
        assert_eq!(waiting(&home).await, (16, 16), "under {undo}");
        let taken = super::jobs::take(&store, 99).await;
        assert!(taken.len() == 16 && taken.iter().all(|job| job.export == "fine"));
    }
}
