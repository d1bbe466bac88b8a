//! Schedules: those of the active version, and one job at most for each of their times.

use bytes::Bytes;
use iof_store::{
    DueSchedule, JobRoom, NewFunction, NewVersion, Rollout, Settled, Settlement, Store, Submitted,
};
use uuid::Uuid;

use super::jobs::ROOM;
use super::{Home, count, function, outside, version};

/// A time after all that the tests do, in Unix milliseconds.
const LATER: i64 = 4_000_000_000_000;

/// A version that declares schedules of these names, each with the pattern.
fn declaring(source: &str, names: &[&str], cron: &str) -> NewVersion {
    let schedules: Vec<_> = names
        .iter()
        .map(|name| {
            format!(r#"{{"name":"{name}","cron":"{cron}","timezone":"UTC","export":"say"}}"#)
        })
        .collect();
    NewVersion {
        declaration: Some(format!(r#"{{"schedule":[{}]}}"#, schedules.join(","))),
        ..version(source)
    }
}

async fn with(names: &[&str], home: &Home) -> Store {
    let store = home.open().await;
    let new = NewFunction {
        version: declaring("x", names, "* * * * *"),
        ..function("x")
    };
    store.create_function(new).await.unwrap();
    store
}

async fn due(store: &Store) -> Vec<DueSchedule> {
    store.due_schedules(LATER, 99).await.unwrap()
}

/// A settlement with a job for each of these times.
fn settlement(due: &DueSchedule, times: &[i64]) -> Settlement {
    Settlement {
        due: due.clone(),
        export: "say".into(),
        request: Bytes::from_static(b"request"),
        terms: iof_store::JobTerms::default(),
        jobs: times.iter().map(|time| (Uuid::now_v7(), *time)).collect(),
        until: LATER,
        next: Some(LATER + 60_000),
    }
}

async fn settle(store: &Store, settlement: Settlement) -> Option<Settled> {
    store.settle_schedule(settlement, 99, ROOM).await.unwrap()
}

fn made(jobs: usize) -> Option<Settled> {
    Some(Settled {
        jobs,
        refused: None,
    })
}

async fn jobs(home: &Home) -> i64 {
    count(
        home,
        "SELECT COUNT(*) FROM jobs WHERE schedule IS NOT NULL AND function_id = $1",
        1,
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_settle_a_time_one_makes_its_job() {
    let home = Home::new();
    let store = with(&["tick"], &home).await;
    let read = due(&store).await;
    assert_eq!(
        (read.len(), read[0].version, &*read[0].name),
        (1, 1, "tick")
    );
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (store, settlement) = (store.clone(), settlement(&read[0], &[1000, 2000]));
        tasks.spawn(async move { settle(&store, settlement).await });
    }
    let settled: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(settled, made(2).into_iter().collect::<Vec<_>>());
    assert_eq!(jobs(&home).await, 2);
    assert_eq!(due(&store).await, []);
    assert_eq!(store.next_schedule().await.unwrap(), Some(LATER + 60_000));
    let listed = store.schedules(1).await.unwrap();
    let last = listed[0].last.as_ref().unwrap();
    assert_eq!(last.due_at, 2000);
    let job = store.job(last.id).await.unwrap().unwrap();
    assert_eq!(
        (job.schedule.as_deref(), job.due_at),
        (Some("tick"), Some(2000))
    );
}

/// The clock went back, and the schedule was declared anew: a time whose job is there has no second one.
#[tokio::test]
async fn a_time_that_has_its_job_gets_no_second_one() {
    let home = Home::new();
    let store = with(&["tick"], &home).await;
    let read = due(&store).await;
    assert_eq!(
        settle(&store, settlement(&read[0], &[1000, 2000])).await,
        made(2)
    );
    sqlx::query("UPDATE schedules SET settled_at = 0, due_at = 0")
        .execute(&mut outside(&home).await)
        .await
        .unwrap();
    let read = due(&store).await;
    assert_eq!(
        settle(&store, settlement(&read[0], &[1000, 2000, 3000])).await,
        made(1)
    );
    assert_eq!(jobs(&home).await, 3);
}

#[tokio::test]
async fn a_schedule_that_has_changed_since_it_was_read_is_not_settled() {
    let home = Home::new();
    let store = with(&["tick"], &home).await;
    let read = due(&store).await;
    let next = declaring("y", &["tick"], "* * * * *");
    store.add_version(1, next, Rollout::Active).await.unwrap();
    assert_eq!(settle(&store, settlement(&read[0], &[1000])).await, None);
    let read = due(&store).await;
    assert_eq!(read[0].version, 2);
    assert!(store.pause_schedule(1, "tick".into(), true).await.unwrap());
    assert_eq!(settle(&store, settlement(&read[0], &[1000])).await, None);
    assert_eq!(
        (due(&store).await, store.next_schedule().await.unwrap()),
        (vec![], None)
    );
    assert!(store.pause_schedule(1, "tick".into(), false).await.unwrap());
    assert!(!store.pause_schedule(1, "tock".into(), true).await.unwrap());
    let read = due(&store).await;
    store.delete_function(1).await.unwrap();
    assert_eq!(settle(&store, settlement(&read[0], &[1000])).await, None);
    assert_eq!((jobs(&home).await, due(&store).await), (0, vec![]));
}

#[tokio::test]
async fn times_before_one_without_room_are_settled() {
    let home = Home::new();
    let store = with(&["tick"], &home).await;
    let read = due(&store).await;
    let room = JobRoom {
        all: i64::MAX as u64,
        function: 3000,
    };
    let at = |number: i64| read[0].settled_at + number * 1000;
    let three = settlement(&read[0], &[at(1), at(2), at(3)]);
    let settled = store.settle_schedule(three, 99, room).await.unwrap();
    let refused = Some((Submitted::NoRoom { of_function: true }, at(3)));
    assert_eq!(settled, Some(Settled { jobs: 2, refused }));
    let settled = settle(&store, settlement(&read[0], &[at(3)])).await;
    assert_eq!(settled, None, "it was read before");
    let again = due(&store).await;
    assert_eq!(again[0].settled_at, at(3) - 1);
    assert_eq!(
        settle(&store, settlement(&again[0], &[at(3)])).await,
        made(1)
    );
}

#[tokio::test]
async fn schedules_follow_the_pointer_to_the_active_version() {
    let home = Home::new();
    let store = with(&["a", "b"], &home).await;
    let names = async || -> Vec<String> {
        let schedules = store.schedules(1).await.unwrap();
        schedules.into_iter().map(|one| one.name).collect()
    };
    let settled_at = async |name: &str| {
        let due = due(&store).await;
        due.iter().find(|one| one.name == name).unwrap().settled_at
    };
    assert_eq!(names().await, ["a", "b"]);
    let (a, b) = (settled_at("a").await, settled_at("b").await);
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    // One stays as it is, another has new times, a third is new.
    let mut next = declaring("y", &["b", "c"], "* * * * *");
    next.declaration = next
        .declaration
        .map(|text| text.replacen("* * * * *", "0 * * * *", 1));
    store.add_version(1, next, Rollout::Active).await.unwrap();
    assert_eq!(names().await, ["b", "c"]);
    assert!(settled_at("b").await > b && settled_at("c").await > b);
    let b = settled_at("b").await;
    let same = declaring("z", &["b"], "0 * * * *");
    store.add_version(1, same, Rollout::Idle).await.unwrap();
    assert_eq!(names().await, ["b", "c"], "an idle version has none");
    store.activate(1, 3).await.unwrap();
    assert_eq!(
        (names().await, settled_at("b").await),
        (vec!["b".to_owned()], b)
    );
    store.activate(1, 1).await.unwrap();
    assert_eq!(names().await, ["a", "b"]);
    assert!(settled_at("a").await > a, "it begins anew");
    let store = home.again(&store, true).await;
    assert_eq!(store.schedules(1).await.unwrap().len(), 2);
}
