//! The room of jobs: the limit of their requests and outcomes.

use iof_store::{JobRoom, NewJob, Submitted};

use super::jobs::{finished, get, job, take, with};
use super::{Home, count, function};

/// The bytes of jobs, counted and as recorded, of function 1 and of all functions.
async fn kept(home: &Home) -> [(i64, i64); 2] {
    let one = "SELECT coalesce(SUM(1024 + octet_length(export) + length(request) + coalesce(length(outcome), 0)), 0)
                 FROM jobs WHERE function_id = $1";
    let all = "SELECT coalesce(SUM(1024 + octet_length(export) + length(request) + coalesce(length(outcome), 0)), 0)
                 FROM jobs WHERE $1 = 1";
    let said_of_one = "SELECT coalesce((SELECT bytes FROM jobs_kept WHERE function_id = $1), 0)";
    let said_of_all = "SELECT bytes FROM jobs_waiting WHERE one = $1";
    [
        (count(home, one, 1).await, count(home, said_of_one, 1).await),
        (count(home, all, 1).await, count(home, said_of_all, 1).await),
    ]
}

#[tokio::test]
async fn requests_and_outcomes_are_limited() {
    let home = Home::new();
    let store = with([], &home).await;
    let other = store
        .create_function(function("other"))
        .await
        .unwrap()
        .function_id;
    let room = JobRoom {
        all: 12 << 10,
        function: 8 << 10,
    };
    let of = |function_id: i64, number: u64, size: usize| NewJob {
        function_id,
        request: vec![b'x'; size].into(),
        ..job(number)
    };
    let submit = |new: NewJob| store.submit_job(new, 9, room);
    let no_room = |of_function: bool| Submitted::NoRoom { of_function };
    assert_eq!(submit(of(1, 1, 8 << 10)).await.unwrap(), no_room(true));
    assert_eq!(
        submit(of(1, 2, 4 << 10)).await.unwrap(),
        Submitted::Accepted
    );
    assert_eq!(submit(of(1, 3, 2000)).await.unwrap(), Submitted::Accepted);
    assert_eq!(submit(of(1, 4, 0)).await.unwrap(), no_room(true));
    assert_eq!(submit(of(other, 5, 5 << 10)).await.unwrap(), no_room(false));
    assert_eq!(
        submit(of(other, 6, 2 << 10)).await.unwrap(),
        Submitted::Accepted
    );
    assert_eq!(take(&store, 9).await.len(), 3);
    // The request is dropped, so the outcome may take its room.
    let finish = async |number: u64, size: usize| {
        let outcome = finished(vec![b'y'; size]);
        assert!(
            store
                .finish_job(get(&store, number).await.unwrap().lease(), outcome, room)
                .await
                .unwrap()
        );
        get(&store, number).await.unwrap().outcome.unwrap()
    };
    assert_eq!(finish(2, 6 << 10).await, "full");
    assert_eq!(finish(3, 4 << 10).await.len(), 4 << 10);
    assert_eq!(finish(6, 6 << 10).await, "all full");
    let [one, all] = kept(&home).await;
    assert!(one.0 == one.1 && all.0 == all.1, "{one:?} {all:?}");
    assert!(one.0 > 6 << 10 && all.0 < 12 << 10, "{one:?} {all:?}");
    // The bytes of a deleted function are freed.
    assert!(store.delete_function(1).await.unwrap());
    assert_eq!(kept(&home).await[0], (0, 0));
    assert_eq!(
        submit(of(other, 7, 4 << 10)).await.unwrap(),
        Submitted::Accepted
    );
    assert_eq!(store.expire_jobs(i64::MAX).await.unwrap(), 1);
    assert!(store.delete_function(other).await.unwrap());
    assert_eq!(kept(&home).await, [(0, 0), (0, 0)]);
}
