//! Jobs: accepted once, run at least once, done once.
//!
//! More than 400 lines: the life of a job, a test for each of its ends.

use std::collections::HashSet;

use bytes::Bytes;
use iof_store::{
    Error, Finished, Job, JobEnd, JobKind, JobRoom, JobState, JobTerms, NewJob, Rollout, Store,
    Submitted, Taken, Taking,
};
use uuid::Uuid;

use super::{Home, count, end_leases, function, outside, sql, version};

/// Room without a limit.
pub(crate) const ROOM: JobRoom = JobRoom {
    all: i64::MAX as u64,
    function: i64::MAX as u64,
};

/// An outcome, and its two replacements for lack of room.
pub(crate) fn finished(outcome: impl Into<Bytes>) -> Finished {
    Finished {
        outcome: outcome.into(),
        fault: None,
        without_room: "all full".into(),
        without_room_of_function: "full".into(),
    }
}

/// The job of this number, of function 1.
pub(crate) fn job(number: u64) -> NewJob {
    NewJob {
        id: Uuid::from_u128(number.into()),
        function_id: 1,
        version: 1,
        export: "say".into(),
        request: format!("request {number}").into(),
        terms: JobTerms::default(),
    }
}

/// Takes up to `limit` jobs, with leases that do not end during a test.
pub(crate) fn taking(limit: u32) -> Taking {
    Taking {
        limit,
        lease: 600_000,
        concurrency: u32::MAX,
        held: vec![],
        lost: "lost".into(),
        expired: "expired".into(),
        room: ROOM,
    }
}

pub(crate) async fn take(store: &Store, limit: u32) -> Vec<Job> {
    store.take_jobs(taking(limit)).await.unwrap().jobs
}

/// Queues the running jobs again, and returns their number.
pub(crate) async fn requeue(store: &Store, home: &Home) -> u64 {
    end_leases(home).await;
    let taken: Taken = store.requeue_running("lost".into(), ROOM).await.unwrap();
    taken.abandoned
}

pub(crate) async fn submit(store: &Store, number: u64) {
    let saved = store.submit_job(job(number), u32::MAX, ROOM).await;
    assert_eq!(saved.unwrap(), Submitted::Accepted);
}

/// The number of jobs that are not done, counted and as recorded.
pub(crate) async fn waiting(home: &Home) -> (i64, i64) {
    let actual = "SELECT COUNT(*) FROM jobs WHERE state <> 'done' AND $1 = 1";
    let recorded = "SELECT jobs FROM jobs_waiting WHERE one = $1";
    (count(home, actual, 1).await, count(home, recorded, 1).await)
}

pub(crate) async fn with(submitted: impl IntoIterator<Item = u64>, home: &Home) -> Store {
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    for number in submitted {
        submit(&store, number).await;
    }
    store
}

fn numbers(jobs: &[Job]) -> Vec<u128> {
    jobs.iter().map(|job| job.id.as_u128()).collect()
}

pub(crate) async fn get(store: &Store, number: u64) -> Option<Job> {
    store.job(job(number).id).await.unwrap()
}

async fn finish(store: &Store, number: u64, outcome: &'static str) -> bool {
    let lease = match get(store, number).await {
        Some(job) => job.lease(),
        None => iof_store::Lease {
            id: job(number).id,
            token: 1,
        },
    };
    let done = store.finish_job(lease, finished(outcome), ROOM);
    done.await.unwrap()
}

#[tokio::test]
async fn a_job_is_queued_then_running_then_done() {
    let home = Home::new();
    let store = with(1..=1, &home).await;
    let queued = get(&store, 1).await.unwrap();
    let expected = Job {
        id: Uuid::from_u128(1),
        function_id: 1,
        version: 1,
        export: "say".into(),
        state: JobState::Queued,
        attempts: 0,
        accepted_at: queued.accepted_at,
        started_at: None,
        finished_at: None,
        schedule: None,
        due_at: None,
        request: "request 1".into(),
        outcome: None,
        kind: JobKind::Call,
        priority: 0,
        not_before: None,
        expires_at: None,
        most_attempts: 3,
        token: 0,
        ended: None,
        fault: None,
        callback: None,
        of_job: None,
    };
    assert!(queued == expected && queued.accepted_at > 1_700_000_000_000);

    let taken = take(&store, 9).await.remove(0);
    let expected = Job {
        state: JobState::Running,
        attempts: 1,
        token: 1,
        started_at: taken.started_at,
        ..expected
    };
    assert!(taken == expected, "{taken:?}");
    assert!(taken.started_at >= Some(taken.accepted_at));
    assert!(get(&store, 1).await.unwrap() == expected);
    assert_eq!(waiting(&home).await, (1, 1));

    assert!(finish(&store, 1, "outcome").await);
    let done = get(&store, 1).await.unwrap();
    let expected = Job {
        state: JobState::Done,
        finished_at: done.finished_at,
        ended: Some(JobEnd::Ok),
        request: Bytes::new(),
        outcome: Some("outcome".into()),
        ..expected
    };
    assert!(done == expected, "{done:?}");
    assert!(done.finished_at >= done.started_at);
    assert_eq!(waiting(&home).await, (0, 0));
    store.close().await.unwrap();
    assert!(get(&home.open().await, 1).await.unwrap() == expected);
    let debug = format!("{:?} {done:?} {taken:?}", job(1));
    assert!(!debug.contains("request") && !debug.contains("outcome"));
}

#[tokio::test]
async fn jobs_are_taken_once_and_the_oldest_first() {
    let home = Home::new();
    let store = with(0..=0, &home).await;
    for number in [3, 1, 2] {
        submit(&store, number).await;
    }
    // The order is that of acceptance, whatever the ids; at the same time, that of the ids.
    sqlx::query(sql(
        "UPDATE jobs SET accepted_at = CASE hex(id) WHEN $1 THEN 1 ELSE 2 END",
        "UPDATE jobs SET accepted_at = CASE upper(encode(id, 'hex')) WHEN $1 THEN 1 ELSE 2 END",
    ))
    .bind(format!("{:032X}", 3))
    .execute(&mut outside(&home).await)
    .await
    .unwrap();
    assert_eq!(take(&store, 0).await, []);
    assert_eq!(numbers(&take(&store, 2).await), [3, 0]);
    assert_eq!(numbers(&take(&store, 9).await), [1, 2]);
    assert_eq!(take(&store, 9).await, []);
}

#[tokio::test]
async fn a_job_that_cannot_run_is_not_accepted() {
    let home = Home::new();
    let store = with(1..=1, &home).await;
    let missing = NewJob {
        function_id: 7,
        ..job(2)
    };
    let error = store.submit_job(missing, 9, ROOM).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { function_id: 7 }));
    for version in [0, 2] {
        let unknown = NewJob { version, ..job(2) };
        let error = store.submit_job(unknown, 9, ROOM).await.unwrap_err();
        assert_eq!(error.code(), "no_version");
    }
    let again = NewJob {
        request: "another".into(),
        ..job(1)
    };
    let error = store.submit_job(again, 9, ROOM).await.unwrap_err();
    assert_eq!(error.code(), "invalid");
    assert!(error.to_string().contains("already"), "{error}");
    assert_eq!(get(&store, 1).await.unwrap().request, "request 1");
    assert_eq!(get(&store, 2).await, None);
    assert_eq!(waiting(&home).await, (1, 1));

    // Any version may run a job, not only the active one.
    let added = store.add_version(1, version("idle"), Rollout::Idle);
    let number = added.await.unwrap().number;
    let of_idle = NewJob {
        version: number,
        ..job(2)
    };
    assert_eq!(
        store.submit_job(of_idle, 9, ROOM).await.unwrap(),
        Submitted::Accepted
    );
}

#[tokio::test]
async fn waiting_jobs_are_limited() {
    let home = Home::new();
    let store = with(1..=2, &home).await;
    let third = || store.submit_job(job(3), 2, ROOM);
    assert_eq!(third().await.unwrap(), Submitted::TooMany);
    assert_eq!(take(&store, 1).await.len(), 1);
    assert_eq!(third().await.unwrap(), Submitted::TooMany, "it is not done");
    assert!(finish(&store, 1, "").await);
    assert_eq!(third().await.unwrap(), Submitted::Accepted);
    let full = store.submit_job(job(4), 2, ROOM).await.unwrap();
    assert_eq!(full, Submitted::TooMany);
    assert_eq!(
        store.submit_job(job(4), 0, ROOM).await.unwrap(),
        Submitted::TooMany
    );
    assert_eq!(get(&store, 4).await, None);
    assert_eq!(waiting(&home).await, (2, 2));
    store.close().await.unwrap();
    let store = home.open().await;
    assert_eq!(
        store.submit_job(job(4), 2, ROOM).await.unwrap(),
        Submitted::TooMany
    );
    assert!(store.delete_function(1).await.unwrap());
    assert_eq!(waiting(&home).await, (0, 0));
}

#[tokio::test]
async fn only_a_running_job_can_be_finished_and_only_once() {
    let home = Home::new();
    let store = with(1..=2, &home).await;
    assert!(!finish(&store, 1, "not begun").await);
    assert!(!finish(&store, 7, "unknown").await);
    assert_eq!(take(&store, 1).await.len(), 1);
    assert!(finish(&store, 1, "first").await);
    assert!(!finish(&store, 1, "second").await);
    assert_eq!(get(&store, 1).await.unwrap().outcome.unwrap(), "first");
    assert_eq!(get(&store, 2).await.unwrap().state, JobState::Queued);
    let changed = sqlx::query(sql(
        "UPDATE jobs SET outcome = x'00' WHERE state = 'done'",
        r"UPDATE jobs SET outcome = '\x00' WHERE state = 'done'",
    ))
    .execute(&mut outside(&home).await)
    .await
    .unwrap_err();
    assert!(changed.to_string().contains("never changes"), "{changed}");
}

#[tokio::test]
async fn an_interrupted_job_is_queued_again_up_to_a_number_of_attempts() {
    let home = Home::new();
    let store = with([], &home).await;
    for number in 1..=4 {
        let terms = JobTerms {
            most_attempts: 2,
            ..JobTerms::default()
        };
        let new = NewJob {
            terms,
            ..job(number)
        };
        let saved = store.submit_job(new, 9, ROOM).await.unwrap();
        assert_eq!(saved, Submitted::Accepted);
    }
    assert_eq!(numbers(&take(&store, 3).await), [1, 2, 3]);
    assert!(finish(&store, 2, "done").await);
    assert_eq!(requeue(&store, &home).await, 2);
    let one = get(&store, 1).await.unwrap();
    assert_eq!((one.state, one.attempts), (JobState::Queued, 1));
    assert_eq!(one.request, "request 1");
    assert_eq!(get(&store, 2).await.unwrap().outcome.unwrap(), "done");
    assert_eq!(waiting(&home).await, (3, 3));

    // It is taken before jobs that were accepted after it.
    let taken = take(&store, 1).await;
    assert_eq!((numbers(&taken), taken[0].attempts), (vec![1], 2));
    end_leases(&home).await;
    let gone = store.requeue_running("lost".into(), ROOM).await.unwrap();
    assert_eq!((gone.abandoned, gone.ended), (0, vec![(1, JobEnd::Lost)]));
    let one = get(&store, 1).await.unwrap();
    assert_eq!((one.state, one.attempts), (JobState::Done, 2));
    assert_eq!(
        (one.outcome.unwrap(), one.ended),
        ("lost".into(), Some(JobEnd::Lost))
    );
    // A dead letter can be retried.
    assert_eq!(one.request, "request 1");
    assert!(one.finished_at.is_some());
    assert_eq!(waiting(&home).await, (2, 2));
    assert_eq!(numbers(&take(&store, 9).await), [3, 4]);
    assert_eq!(requeue(&store, &home).await, 1);
    assert_eq!(waiting(&home).await, (1, 1));
}

#[tokio::test]
async fn old_outcomes_are_removed_and_nothing_else() {
    let home = Home::new();
    let store = with(1..=100, &home).await;
    assert_eq!(take(&store, 90).await.len(), 90);
    for number in 1..=80 {
        assert!(finish(&store, number, "").await);
    }
    let seventieth = get(&store, 70).await.unwrap().finished_at.unwrap();
    let before = "SELECT COUNT(*) FROM jobs WHERE finished_at < $1";
    let old = count(&home, before, seventieth).await;
    assert_eq!(store.expire_jobs(i64::MIN).await.unwrap(), 0);
    let expired = store.expire_jobs(seventieth).await.unwrap();
    assert_eq!(expired as i64, old);
    assert!(get(&store, 70).await.is_some());
    assert_eq!(store.expire_jobs(i64::MAX).await.unwrap(), 80 - expired);
    assert_eq!(get(&store, 70).await, None);
    assert_eq!(waiting(&home).await, (20, 20));
    for (number, state) in [(81, JobState::Running), (91, JobState::Queued)] {
        assert_eq!(get(&store, number).await.unwrap().state, state);
    }
}

#[tokio::test]
async fn jobs_are_deleted_with_their_function() {
    let home = Home::new();
    let store = with(1..=3, &home).await;
    store.create_function(function("other")).await.unwrap();
    assert_eq!(take(&store, 2).await.len(), 2);
    let of_other = NewJob {
        function_id: 2,
        ..job(4)
    };
    assert_eq!(
        store.submit_job(of_other, 9, ROOM).await.unwrap(),
        Submitted::Accepted
    );
    assert!(finish(&store, 1, "").await);
    assert!(store.delete_function(1).await.unwrap());
    for number in 1..=3 {
        assert_eq!(get(&store, number).await, None);
    }
    assert!(!finish(&store, 2, "too late").await);
    assert_eq!(waiting(&home).await, (1, 1));
    assert_eq!(numbers(&take(&store, 9).await), [4]);
}

/// Eight tasks submit while four take and finish: each job is accepted within the limit, taken once, and done.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_job_is_run_once_under_twelve_tasks() {
    const MOST: u32 = 20;
    let home = Home::new();
    let store = with([], &home).await;
    let mut submitters = tokio::task::JoinSet::new();
    for task in 0..8_u64 {
        let store = store.clone();
        submitters.spawn(async move {
            for round in 0..20 {
                let new = job(task * 20 + round);
                while store.submit_job(new.clone(), MOST, ROOM).await.unwrap() == Submitted::TooMany
                {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let store = store.clone();
        workers.spawn(async move {
            let mut taken = Vec::new();
            loop {
                let jobs = take(&store, 3).await;
                for job in &jobs {
                    assert_eq!(job.attempts, 1);
                    assert!(
                        store
                            .finish_job(job.lease(), finished("ok"), ROOM)
                            .await
                            .unwrap()
                    );
                    taken.push(job.id);
                }
                if jobs.is_empty() && store.job(Uuid::max()).await.unwrap().is_some() {
                    break;
                }
            }
            taken
        });
    }
    submitters.join_all().await;
    let last = NewJob {
        id: Uuid::max(),
        ..job(0)
    };
    while store.submit_job(last.clone(), MOST, ROOM).await.unwrap() == Submitted::TooMany {}
    let taken = workers.join_all().await.concat();
    assert_eq!(taken.len(), 161);
    assert_eq!(taken.into_iter().collect::<HashSet<_>>().len(), 161);
    assert_eq!(waiting(&home).await, (0, 0));
}
