//! Queues of jobs take turns: by weight, within their limits, however many jobs one of them has.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use iof_store::{
    JobRoom, JobState, JobTerms, NewFunction, NewJob, NewVersion, Postponed, Rollout, Store,
    Submitted, Taking,
};
use uuid::Uuid;

use super::job_leases::now;
use super::jobs::{ROOM, finished, job, take, taking, waiting};
use super::{Home, function, outside, sql, version};

fn declaring(source: &str, jobs: &str) -> NewVersion {
    NewVersion {
        declaration: Some(format!(r#"{{"jobs":{jobs}}}"#)),
        ..version(source)
    }
}

/// A store with a function for each of these declarations of jobs.
async fn with(declared: &[&str], home: &Home) -> Store {
    let store = home.open().await;
    for (at, jobs) in declared.iter().enumerate() {
        let new = NewFunction {
            version: declaring(&format!("{at}"), jobs),
            ..function("x")
        };
        store.create_function(new).await.unwrap();
    }
    store
}

async fn submit(store: &Store, function_id: i64, jobs: u64) {
    for _ in 0..jobs {
        let new = NewJob {
            id: Uuid::now_v7(),
            function_id,
            ..job(0)
        };
        let submitted = store.submit_job(new, u32::MAX, ROOM).await.unwrap();
        assert_eq!(submitted, Submitted::Accepted);
    }
}

/// Adds jobs that wait, as quickly as the database can.
async fn fill(home: &Home, function_id: i64, jobs: u64) {
    let insert = sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $2)
         INSERT INTO jobs (id, function_id, version, export, state, attempts, accepted_at, request)
         SELECT randomblob(16), $1, 1, 'say', 'queued', 0, i, x'01' FROM n",
        r"INSERT INTO jobs (id, function_id, version, export, state, attempts, accepted_at, request)
         SELECT uuid_send(gen_random_uuid()), $1, 1, 'say', 'queued', 0, i, '\x01' FROM generate_series(1, $2) AS i",
    );
    sqlx::query(insert)
        .bind(function_id)
        .bind(jobs as i64)
        .execute(&mut outside(home).await)
        .await
        .unwrap();
}

async fn taken(store: &Store, taking: Taking) -> Vec<i64> {
    let taken = store.take_jobs(taking).await.unwrap();
    taken.jobs.iter().map(|job| job.function_id).collect()
}

#[tokio::test]
async fn a_hundred_thousand_jobs_of_one_do_not_hold_up_the_first_of_another() {
    const JOBS: u64 = 100_000;
    let home = Home::new();
    let store = with(&["true", "true", "true"], &home).await;
    fill(&home, 1, JOBS).await;
    assert_eq!(taken(&store, taking(8)).await, [1; 8]);
    submit(&store, 2, 1).await;
    submit(&store, 3, 3).await;
    let began = Instant::now();
    let turns = taken(&store, taking(8)).await;
    let took = began.elapsed();
    // In the first turns after it came, and from then on in turn.
    assert!(turns[..3].contains(&2), "{turns:?}");
    let thirds: Vec<_> = turns.iter().filter(|of| **of == 3).collect();
    assert_eq!(thirds.len(), 3, "{turns:?}");
    assert!(took < Duration::from_millis(500), "{took:?}");
    // A place far back is counted up to a limit only.
    let began = Instant::now();
    let last = iof_store::JobQuery {
        function_id: Some(1),
        limit: 1,
        ..Default::default()
    };
    let last = store.jobs(&last).await.unwrap()[0].id;
    let position = store.job_position(last, 10_000).await.unwrap();
    assert_eq!(position, Some(10_000));
    let figures = store.job_figures().await.unwrap();
    assert_eq!((figures.queued, figures.running), (JOBS - 12, 16));
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn turns_are_shared_by_weight_and_idleness_is_no_credit() {
    let home = Home::new();
    let store = with(&[r#"{"weight":3}"#, "true", "true"], &home).await;
    submit(&store, 1, 100).await;
    submit(&store, 2, 100).await;
    let mut counts = HashMap::new();
    for _ in 0..10 {
        for of in taken(&store, taking(4)).await {
            *counts.entry(of).or_insert(0) += 1;
        }
    }
    assert_eq!(counts, HashMap::from([(1, 30), (2, 10)]));
    // It was idle while the others had their turns, and does not make up for it.
    submit(&store, 3, 100).await;
    let mut counts = HashMap::new();
    for of in taken(&store, taking(50)).await {
        *counts.entry(of).or_insert(0) += 1;
    }
    assert!((9..=11).contains(&counts[&3]), "{counts:?}");
    assert!((29..=31).contains(&counts[&1]), "{counts:?}");
}

#[tokio::test]
async fn a_queue_runs_as_many_at_once_as_it_declares() {
    let home = Home::new();
    let store = with(&[r#"{"concurrency":2}"#, "false"], &home).await;
    submit(&store, 1, 5).await;
    submit(&store, 2, 5).await;
    let server = || Taking {
        concurrency: 3,
        ..taking(9)
    };
    let first = store.take_jobs(server()).await.unwrap().jobs;
    let mut of: Vec<_> = first.iter().map(|job| job.function_id).collect();
    of.sort_unstable();
    assert_eq!(of, [1, 1, 2, 2, 2]);
    assert_eq!(taken(&store, server()).await, [0_i64; 0]);
    let ended = first.iter().find(|job| job.function_id == 1).unwrap();
    assert!(
        store
            .finish_job(ended.lease(), finished("ok"), ROOM)
            .await
            .unwrap()
    );
    assert_eq!(taken(&store, server()).await, [1]);

    // The limits are those of the active version, and follow a rollback.
    let next = declaring("next", r#"{"concurrency":4}"#);
    store.add_version(1, next, Rollout::Active).await.unwrap();
    assert_eq!(taken(&store, server()).await, [1, 1]);
    store.activate(1, 1).await.unwrap();
    assert_eq!(taken(&store, server()).await, [0_i64; 0]);
    assert!(store.delete_function(1).await.unwrap());
    assert_eq!(taken(&store, taking(9)).await, [2, 2]);
}

#[tokio::test]
async fn a_queue_begins_as_many_in_a_minute_as_it_declares() {
    let home = Home::new();
    let store = with(&[r#"{"rate":60}"#, r#"{"rate":600}"#], &home).await;
    submit(&store, 1, 9).await;
    submit(&store, 2, 99).await;
    let first = taken(&store, taking(99)).await;
    // Each has a second's worth to catch up with, and one.
    let of = |function: i64| first.iter().filter(|of| **of == function).count();
    assert!((1..=2).contains(&of(1)), "{first:?}");
    assert!((10..=11).contains(&of(2)), "{first:?}");
    assert_eq!(taken(&store, taking(99)).await, [0_i64; 0]);
    let next = store.next_job().await.unwrap().unwrap();
    assert!(next > now() - 50 && next < now() + 150, "{}", next - now());
    tokio::time::sleep(Duration::from_millis(250)).await;
    let more = taken(&store, taking(99)).await;
    assert!((1..=5).contains(&more.len()), "{more:?}");

    // A clock that goes back by a year does not stop a queue for a year.
    sqlx::query("UPDATE job_queues SET open_at = open_at + 365 * 86400000000")
        .execute(&mut outside(&home).await)
        .await
        .unwrap();
    assert!(!taken(&store, taking(99)).await.is_empty());
}

#[tokio::test]
async fn a_queue_has_a_length() {
    let home = Home::new();
    let store = with(&["true", "true"], &home).await;
    let submit = async |number: u64, function_id: i64| {
        let new = NewJob {
            function_id,
            terms: JobTerms {
                most_in_queue: 2,
                ..JobTerms::default()
            },
            ..job(number)
        };
        store.submit_job(new, 99, ROOM).await.unwrap()
    };
    assert_eq!(submit(1, 1).await, Submitted::Accepted);
    assert_eq!(submit(2, 1).await, Submitted::Accepted);
    assert_eq!(submit(3, 1).await, Submitted::QueueFull);
    assert_eq!(submit(3, 2).await, Submitted::Accepted);
    assert_eq!(take(&store, 1).await.len(), 1);
    assert_eq!(
        submit(4, 1).await,
        Submitted::Accepted,
        "one runs, and does not wait"
    );
}

/// The counts of queues are those of their rows, whatever happens to jobs.
#[tokio::test]
async fn the_counts_of_queues_are_those_of_their_jobs() {
    let home = Home::new();
    let store = with(&["true", "true"], &home).await;
    for round in 0..3 {
        submit(&store, 1, 8).await;
        submit(&store, 2, 4).await;
        let taken = take(&store, 9).await;
        for (at, job) in taken.iter().enumerate() {
            let lease = job.lease();
            let postponed = |not_before| Postponed {
                not_before,
                fault: Some("trap".into()),
            };
            let ok = match at % 5 {
                0 => store.finish_job(lease, finished("ok"), ROOM).await.unwrap(),
                1 => store.postpone_job(lease, postponed(None)).await.unwrap(),
                2 => {
                    let later = postponed(Some(now() + 60_000));
                    store.postpone_job(lease, later).await.unwrap()
                }
                3 => store.return_jobs(vec![lease]).await.unwrap() == 1,
                _ => true,
            };
            assert!(ok, "{at}");
        }
        let delayed = taken
            .iter()
            .enumerate()
            .find(|(at, _)| at % 5 == 2)
            .unwrap();
        let (of, id) = (delayed.1.function_id, delayed.1.id);
        let cancelled = store.cancel_job(of, id, "x".into()).await.unwrap();
        assert_eq!(
            cancelled,
            iof_store::CancelledJob::Cancelled,
            "it is not due"
        );
        if round == 1 {
            super::end_leases(&home).await;
            store.requeue_running("lost".into(), ROOM).await.unwrap();
        }
        let differing = "SELECT count(*) FROM job_queues q WHERE $1 = 1 AND (ready, delayed, running) <> (
            SELECT coalesce(sum(CASE WHEN state = 'queued' AND delayed = 0 THEN 1 END), 0),
                   coalesce(sum(CASE WHEN state = 'queued' AND delayed = 1 THEN 1 END), 0),
                   coalesce(sum(CASE WHEN state = 'running' THEN 1 END), 0) FROM jobs j WHERE j.function_id = q.function_id)";
        assert_eq!(super::count(&home, differing, 1).await, 0, "{round}");
        let (actual, recorded) = waiting(&home).await;
        assert_eq!(actual, recorded);
    }
    let room = JobRoom {
        all: 0,
        function: 0,
    };
    super::end_leases(&home).await;
    let gone = store.requeue_running("lost".into(), room).await.unwrap();
    assert!(gone.abandoned > 0);
    assert_eq!(store.job_figures().await.unwrap().running, 0);
    assert_eq!(
        store.job(Uuid::nil()).await.unwrap().map(|job| job.state),
        None::<JobState>
    );
}

/// Jobs that are accepted, taken and finished in a second: `cargo nextest run -p iof-store --run-ignored only --no-capture
/// jobs_a_second`. Nothing is asserted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures"]
async fn jobs_a_second() {
    for (jobs, functions, batch) in [(20_000, 1, 64), (20_000, 100, 64), (4_000, 1, 8)] {
        let home = Home::new();
        let store = with(&vec!["true"; functions], &home).await;
        let flush = super::speed::flushes(&home, 1).await;
        for function in 1..=functions {
            fill(&home, function as i64, jobs / functions as u64).await;
        }
        let began = Instant::now();
        let mut done = 0;
        let mut finishing = tokio::task::JoinSet::new();
        loop {
            let jobs = take(&store, batch).await;
            if jobs.is_empty() {
                break;
            }
            done += jobs.len();
            for job in jobs {
                let store = store.clone();
                finishing.spawn(async move {
                    store
                        .finish_job(job.lease(), finished("outcome"), ROOM)
                        .await
                });
            }
            while finishing.len() > 256 {
                assert!(finishing.join_next().await.unwrap().unwrap().unwrap());
            }
        }
        while let Some(finished) = finishing.join_next().await {
            assert!(finished.unwrap().unwrap());
        }
        let rate = done as f64 / began.elapsed().as_secs_f64();
        println!(
            "{done} jobs of {functions} functions, {batch} at a time: {rate:.0} taken and finished/s; the disk: {flush:.0} flushes/s"
        );
    }
}
