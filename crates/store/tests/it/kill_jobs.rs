//! `kill -9` while jobs are accepted, run and done: acknowledged jobs survive, and running ones run again.

use std::collections::HashMap;

use iof_store::JobState;
use uuid::Uuid;

use super::jobs::{ROOM, finished, requeue, submit, take, waiting};
use super::kill::{kill_at, open};
use super::{Home, function};

const MOST_ATTEMPTS: u32 = 3;

/// The process that is killed: one task accepts jobs, three run them; every third job is never done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the test below, as a process of its own"]
async fn child() {
    let store = open().await;
    let mut start = 0;
    while store.job(Uuid::from_u128(start)).await.unwrap().is_some() {
        start += 1;
    }
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let store = store.clone();
        tasks.spawn(async move {
            loop {
                for job in take(&store, 1).await {
                    let number = job.id.as_u128();
                    println!("taken {number} {}", job.attempts);
                    if !number.is_multiple_of(3) {
                        let outcome = finished(number.to_string());
                        assert!(store.finish_job(job.lease(), outcome, ROOM).await.unwrap());
                        println!("finished {number} {}", job.attempts);
                    }
                }
            }
        });
    }
    tasks.spawn(async move {
        for number in start.. {
            submit(&store, number as u64).await;
            println!("accepted {number} 0");
        }
    });
    tasks.join_all().await;
}

#[tokio::test]
async fn acknowledged_jobs_survive_sigkill() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    store.close().await.unwrap();
    // The last report on each job: its attempts, and whether it was done.
    let mut acknowledged: HashMap<u128, (u32, bool)> = HashMap::new();
    let mut again = 0;
    for round in 0..5_u64 {
        kill_at("kill_jobs::child", &home, 150 + round * 31, |words| {
            let [what @ ("accepted" | "taken" | "finished"), number, attempts] = words else {
                return false;
            };
            let last = acknowledged.entry(number.parse().unwrap()).or_default();
            // A job may be taken before its acceptance is printed.
            last.0 = last.0.max(attempts.parse().unwrap());
            last.1 |= *what == "finished";
            true
        })
        .await;

        let store = home.open().await;
        let (actual, recorded) = waiting(&home).await;
        assert_eq!(actual, recorded);
        for (number, (attempts, done)) in &acknowledged {
            let job = store.job(Uuid::from_u128(*number)).await.unwrap();
            let job = job.unwrap_or_else(|| panic!("{number} was accepted and is gone"));
            assert!(job.attempts >= *attempts, "{attempts} were begun: {job:?}");
            assert!(!done || job.state == JobState::Done, "it was done: {job:?}");
            if let Some(outcome) = job.outcome {
                let given_up = job.attempts == MOST_ATTEMPTS && outcome == "lost";
                assert!(given_up || outcome == number.to_string());
            } else {
                assert_eq!(job.request, format!("request {number}"));
            }
        }
        again += requeue(&store, &home).await;
        for number in acknowledged.keys() {
            let job = store.job(Uuid::from_u128(*number)).await.unwrap().unwrap();
            assert_ne!(job.state, JobState::Running);
            let given_up = job.outcome.is_some_and(|outcome| outcome == "lost");
            assert_eq!(given_up, number % 3 == 0 && job.attempts == MOST_ATTEMPTS);
        }
        store.close().await.unwrap();
    }
    println!("{} jobs, {again} begun again", acknowledged.len());
    assert!(again > 0);
}
