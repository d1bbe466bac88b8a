//! Leases of jobs: only the last owner changes a job, and a job whose owner is gone is queued again.

use bytes::Bytes;
use iof_store::{
    CancelledJob, IdempotencyKey, JobEnd, JobKind, JobQuery, JobState, JobTerms, Lease, NewJob,
    Postponed, Store, Submitted, Taking,
};
use uuid::Uuid;

use super::Home;
use super::jobs::{ROOM, finished, get, job, requeue, take, taking, waiting, with};

/// Now, in Unix milliseconds.
pub(crate) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_millis().try_into().unwrap()
}

/// Leases that have ended when they begin.
fn short(limit: u32) -> Taking {
    Taking {
        lease: -1,
        ..taking(limit)
    }
}

async fn under(store: &Store, number: u64, terms: JobTerms) -> Submitted {
    let new = NewJob {
        terms,
        ..job(number)
    };
    store.submit_job(new, 99, ROOM).await.unwrap()
}

fn again(not_before: Option<i64>, fault: Option<&str>) -> Postponed {
    Postponed {
        not_before,
        fault: fault.map(str::to_owned),
    }
}

#[tokio::test]
async fn a_late_owner_changes_nothing() {
    let home = Home::new();
    let store = with(1..=1, &home).await;
    let late = store.take_jobs(short(1)).await.unwrap().jobs.remove(0);
    let taken = store.take_jobs(taking(1)).await.unwrap();
    assert_eq!(taken.abandoned, 1);
    let new = &taken.jobs[0];
    assert_eq!((new.id, new.attempts), (late.id, 2));
    assert!(new.token > late.token);

    let kept = store.keep_leases(vec![late.lease(), new.lease()], 9_000);
    assert_eq!(kept.await.unwrap(), [late.lease()]);
    let finish = async |lease: Lease| {
        let done = store.finish_job(lease, finished("outcome"), ROOM);
        done.await.unwrap()
    };
    let postponed = store.postpone_job(late.lease(), again(None, Some("trap")));
    assert!(!postponed.await.unwrap());
    assert_eq!(store.return_jobs(vec![late.lease()]).await.unwrap(), 0);
    assert!(!finish(late.lease()).await);
    assert!(get(&store, 1).await.as_ref() == Some(new));
    assert!(finish(new.lease()).await);
    assert!(!finish(new.lease()).await, "it is done");
    assert_eq!(waiting(&home).await, (0, 0));
}

/// A clock that jumps ends leases early; the jobs that a taker holds are still its own.
#[tokio::test]
async fn a_taker_never_takes_its_own_jobs_for_abandoned() {
    let home = Home::new();
    let store = with(1..=2, &home).await;
    let first = store.take_jobs(short(1)).await.unwrap().jobs.remove(0);
    let taken = store.take_jobs(Taking {
        held: vec![first.lease()],
        ..short(9)
    });
    let taken = taken.await.unwrap();
    assert_eq!((taken.abandoned, taken.jobs.len()), (0, 1));
    // Another taker's are: those of both leases have ended.
    let taken = store.take_jobs(taking(9)).await.unwrap();
    assert_eq!((taken.abandoned, taken.jobs.len()), (2, 2));
}

#[tokio::test]
async fn another_attempt_waits_and_counts_unless_it_was_not_begun() {
    let home = Home::new();
    let store = with(1..=2, &home).await;
    let one = take(&store, 1).await.remove(0);
    let soon = now() + 400;
    let postponed = store.postpone_job(one.lease(), again(Some(soon), Some("trap")));
    assert!(postponed.await.unwrap());
    let waits = get(&store, 1).await.unwrap();
    assert_eq!((waits.state, waits.attempts), (JobState::Queued, 1));
    assert_eq!(
        (waits.not_before, waits.fault.as_deref()),
        (Some(soon), Some("trap"))
    );
    assert_eq!(store.next_job().await.unwrap(), Some(soon));
    let figures = store.job_figures().await.unwrap();
    assert_eq!(
        (figures.queued, figures.delayed, figures.running),
        (1, 1, 0)
    );
    assert_eq!(take(&store, 9).await.len(), 1, "only the other one is due");
    tokio::time::sleep(std::time::Duration::from_millis(450)).await;
    let one = take(&store, 9).await.remove(0);
    assert_eq!((one.id, one.attempts, one.not_before), (job(1).id, 2, None));

    // Handed back, it is taken again at once, as if it had not been.
    assert_eq!(store.return_jobs(vec![one.lease()]).await.unwrap(), 1);
    let one = take(&store, 9).await.remove(0);
    assert_eq!((one.id, one.attempts), (job(1).id, 2));
    assert_eq!(requeue(&store, &home).await, 2);
    assert_eq!(waiting(&home).await, (2, 2));
}

#[tokio::test]
async fn times_of_jobs_in_the_far_past_and_future_are_times() {
    let home = Home::new();
    let store = with([], &home).await;
    let of = |not_before, expires_at| JobTerms {
        not_before,
        expires_at,
        ..JobTerms::default()
    };
    for (number, terms) in [
        (1, of(Some(i64::MIN), None)),
        (2, of(Some(i64::MAX), Some(i64::MAX))),
        (3, of(None, Some(i64::MIN))),
        (4, of(Some(now() + 60_000), Some(now() - 1))),
    ] {
        assert_eq!(under(&store, number, terms).await, Submitted::Accepted);
    }
    let taken = store.take_jobs(taking(9)).await.unwrap();
    let ids: Vec<_> = taken.jobs.iter().map(|job| job.id.as_u128()).collect();
    assert_eq!(ids, [1]);
    assert_eq!(taken.ended, [(1, JobEnd::Expired), (1, JobEnd::Expired)]);
    for number in [3, 4] {
        let expired = get(&store, number).await.unwrap();
        assert_eq!(expired.ended, Some(JobEnd::Expired));
        assert_eq!(expired.outcome, Some(Bytes::from_static(b"expired")));
        assert_eq!(expired.request, format!("request {number}"));
    }
    assert_eq!(get(&store, 2).await.unwrap().state, JobState::Queued);
    assert_eq!(waiting(&home).await, (2, 2));
}

#[tokio::test]
async fn the_same_request_under_a_key_is_accepted_once() {
    let home = Home::new();
    let store = with([], &home).await;
    store.create_function(super::function("y")).await.unwrap();
    let key = |key: u8, request: u8| JobTerms {
        idempotency: Some(IdempotencyKey {
            key: [key; 32],
            request: [request; 32],
        }),
        ..JobTerms::default()
    };
    assert_eq!(under(&store, 1, key(1, 1)).await, Submitted::Accepted);
    let first = Submitted::Known(job(1).id);
    assert_eq!(under(&store, 2, key(1, 1)).await, first);
    assert_eq!(under(&store, 2, key(1, 2)).await, Submitted::OtherRequest);
    assert_eq!(under(&store, 2, key(2, 1)).await, Submitted::Accepted);
    // Another function has keys of its own.
    let of_other = NewJob {
        function_id: 2,
        terms: key(1, 9),
        ..job(3)
    };
    let other = store.submit_job(of_other, 99, ROOM).await.unwrap();
    assert_eq!(other, Submitted::Accepted);
    // It is known while it runs, when it is done, and when nothing more would be accepted; not when its job is gone.
    let running = take(&store, 1).await.remove(0);
    assert_eq!(under(&store, 4, key(1, 1)).await, first);
    assert!(
        store
            .finish_job(running.lease(), finished("ok"), ROOM)
            .await
            .unwrap()
    );
    let full = NewJob {
        terms: key(1, 1),
        ..job(4)
    };
    assert_eq!(store.submit_job(full, 0, ROOM).await.unwrap(), first);
    assert_eq!(store.expire_jobs(i64::MAX).await.unwrap(), 1);
    assert_eq!(under(&store, 4, key(1, 2)).await, Submitted::Accepted);
}

/// The job that sends an outcome is there once, however the first one ends.
#[tokio::test]
async fn every_end_is_called_back() {
    let home = Home::new();
    let store = with([], &home).await;
    let called_back = |number: u64, terms: JobTerms| {
        let sends = Uuid::from_u128(u128::from(number) + 100);
        let terms = JobTerms {
            callback: Some(("https://example.com/".into(), sends)),
            ..terms
        };
        under(&store, number, terms)
    };
    let expired = JobTerms {
        expires_at: Some(now() + 100),
        ..JobTerms::default()
    };
    let lost = JobTerms {
        most_attempts: 1,
        ..JobTerms::default()
    };
    for (number, terms) in [
        (1, JobTerms::default()),
        (2, JobTerms::default()),
        (3, lost),
        (4, expired),
    ] {
        assert_eq!(called_back(number, terms).await, Submitted::Accepted);
    }
    let cancelled = store.cancel_job(1, job(2).id, "cancelled".into()).await;
    assert_eq!(cancelled.unwrap(), CancelledJob::Cancelled);
    // The callback of what was cancelled is due, too, and comes last.
    let taken = take(&store, 2).await;
    let ids: Vec<_> = taken.iter().map(|job| job.id.as_u128()).collect();
    assert_eq!(ids, [1, 3]);
    assert!(
        store
            .finish_job(taken[0].lease(), finished("ok"), ROOM)
            .await
            .unwrap()
    );
    assert_eq!(requeue(&store, &home).await, 0);
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    take(&store, 0).await;
    let callbacks = take(&store, 9).await;
    let mut of: Vec<_> = callbacks
        .iter()
        .map(|job| {
            assert_eq!(job.kind, JobKind::Callback);
            assert_eq!(job.callback.as_ref().unwrap().0, "https://example.com/");
            (job.id.as_u128(), job.of_job.unwrap().as_u128())
        })
        .collect();
    of.sort_unstable();
    assert_eq!(of, [(101, 1), (102, 2), (103, 3), (104, 4)]);

    // One that failed is a dead letter, which can be retried; and it is not called back itself.
    let failed = iof_store::Finished {
        fault: Some("egress-connect".into()),
        ..finished("failed")
    };
    assert!(
        store
            .finish_job(callbacks[0].lease(), failed, ROOM)
            .await
            .unwrap()
    );
    let dead = JobQuery {
        function_id: Some(1),
        ended: Some(JobEnd::Failed),
        limit: 9,
        ..JobQuery::default()
    };
    let dead = store.jobs(&dead).await.unwrap();
    assert!(dead.len() == 1 && dead[0].retriable, "{dead:?}");
    let retried = store.retry_job((1, dead[0].id), Uuid::from_u128(999), 99, ROOM);
    assert_eq!(
        retried.await.unwrap(),
        iof_store::RetriedJob::Submitted(Submitted::Accepted)
    );
    let again = take(&store, 9).await.remove(0);
    assert_eq!(
        (again.kind, again.of_job),
        (JobKind::Callback, callbacks[0].of_job)
    );
    assert_eq!(waiting(&home).await, (4, 4));
}

#[tokio::test]
async fn jobs_are_listed_by_what_they_are_and_page_by_page() {
    let home = Home::new();
    let store = with(1..=5, &home).await;
    let urgent = JobTerms {
        priority: 9,
        ..JobTerms::default()
    };
    assert_eq!(under(&store, 6, urgent).await, Submitted::Accepted);
    assert_eq!(store.job_position(job(5).id, 99).await.unwrap(), Some(5));
    assert_eq!(store.job_position(job(5).id, 3).await.unwrap(), Some(3));
    assert_eq!(store.job_position(job(6).id, 99).await.unwrap(), Some(0));
    let taken = take(&store, 2).await;
    let ids: Vec<_> = taken.iter().map(|job| job.id.as_u128()).collect();
    assert_eq!(ids, [6, 1], "the priority comes first, then the age");
    assert_eq!(store.job_position(job(6).id, 99).await.unwrap(), None);
    assert!(
        store
            .finish_job(taken[1].lease(), finished("ok"), ROOM)
            .await
            .unwrap()
    );
    let list = async |query: JobQuery| -> Vec<u128> {
        let jobs = store.jobs(&JobQuery { limit: 99, ..query }).await.unwrap();
        jobs.iter().map(|job| job.id.as_u128()).collect()
    };
    let all = JobQuery::default();
    let of = |state| JobQuery {
        state: Some(state),
        ..JobQuery::default()
    };
    assert_eq!(list(all.clone()).await, [6, 5, 4, 3, 2, 1]);
    assert_eq!(list(of(JobState::Running)).await, [6]);
    assert_eq!(list(of(JobState::Queued)).await, [5, 4, 3, 2]);
    let ended = JobQuery {
        ended: Some(JobEnd::Ok),
        function_id: Some(1),
        ..all.clone()
    };
    assert_eq!(list(ended).await, [1]);
    let priority = |priority| JobQuery {
        priority: Some(priority),
        ..JobQuery::default()
    };
    assert_eq!(list(priority(9)).await, [6]);
    assert_eq!(list(priority(-9)).await, [0_u128; 0]);
    let future = JobQuery {
        since: Some(now() + 60_000),
        ..all.clone()
    };
    assert_eq!(list(future).await, [0_u128; 0]);
    let (mut after, mut pages) = (None, vec![]);
    loop {
        let page = JobQuery {
            function_id: Some(1),
            after,
            limit: 4,
            ..JobQuery::default()
        };
        let page = store.jobs(&page).await.unwrap();
        let Some(last) = page.last() else {
            break;
        };
        after = Some((last.accepted_at, last.id));
        pages.push(page.len());
    }
    assert_eq!(pages, [4, 2]);
}
