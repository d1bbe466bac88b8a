//! Jobs of a release without leases.

use iof_store::JobEnd;

use super::jobs::{ROOM, finished, get, submit, take, waiting};
use super::opening::fill;
use super::upgrades::{MIGRATIONS, left_by};
use super::{Home, outside};

/// Jobs of a release without leases: those that ran are queued again, what was done says how it ended, and all go on.
#[tokio::test]
async fn jobs_of_an_older_directory_come_along() {
    let home = Home::new();
    left_by(&home, &MIGRATIONS[..14]).await;
    let rows = "
        INSERT INTO jobs (id, function_id, version, export, state, attempts, accepted_at, started_at, finished_at, request, outcome)
        VALUES (x'00000000000000000000000000000001', 1, 1, 'say', 'queued', 0, 10, NULL, NULL, x'01', NULL),
               (x'00000000000000000000000000000002', 1, 1, 'say', 'running', 1, 5, 9, NULL, x'02', NULL),
               (x'00000000000000000000000000000003', 1, 1, 'say', 'done', 1, 5, 9, 9, x'', CAST('{\"content_type\":\"x\"}' AS BLOB)),
               (x'00000000000000000000000000000004', 1, 1, 'say', 'done', 1, 5, 9, 9, x'04', CAST('{\"fault\":\"trap\"}' AS BLOB)),
               (x'00000000000000000000000000000005', 1, 1, 'say', 'done', 0, 5, 9, 9, x'05', CAST('{\"fault\":\"job-cancelled\"}' AS BLOB)),
               (x'00000000000000000000000000000006', 1, 1, 'say', 'running', 3, 5, 9, NULL, x'06', NULL)";
    fill(&home, 1).await;
    sqlx::raw_sql(rows)
        .execute(&mut outside(&home).await)
        .await
        .unwrap();
    let before = waiting(&home).await;
    let store = home.open().await;
    assert_eq!((before, waiting(&home).await), ((3, 3), (3, 3)));
    let gone = store.requeue_running("lost".into(), ROOM).await.unwrap();
    assert_eq!((gone.abandoned, gone.ended), (1, vec![(1, JobEnd::Lost)]));
    for (number, ended) in [
        (3, JobEnd::Ok),
        (4, JobEnd::Failed),
        (5, JobEnd::Cancelled),
        (6, JobEnd::Lost),
    ] {
        assert_eq!(get(&store, number).await.unwrap().ended, Some(ended));
    }
    assert_eq!(get(&store, 4).await.unwrap().fault.as_deref(), Some("trap"));
    let taken = take(&store, 9).await;
    let ids: Vec<_> = taken.iter().map(|job| job.id.as_u128()).collect();
    assert_eq!(ids, [2, 1]);
    for job in taken {
        assert!(
            store
                .finish_job(job.lease(), finished("ok"), ROOM)
                .await
                .unwrap()
        );
    }
    submit(&store, 7).await;
    assert_eq!(waiting(&home).await, (1, 1));
    let figures = store.job_figures().await.unwrap();
    assert_eq!((figures.queued, figures.running), (1, 0));
}
