use super::function_log::lock;
use super::*;
use bytes::Bytes;
use iof_engine::{Arg, Outcome, Value};
use iof_store::{NewFunction, NewVersion};
use sha2::{Digest as _, Sha256};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant as Clock};
use uuid::Uuid;

async fn store(functions: usize) -> (tempfile::TempDir, Store) {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(&home.path().join("data")).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..functions {
        let store = store.clone();
        tasks.spawn(async move {
            let source = Bytes::from_static(b"source");
            let version = NewVersion {
                sha256: Sha256::digest(&source).into(),
                source,
                legacy_sha256: "0x00".into(),
                kind: "bindgen".into(),
                manifest: "{}".into(),
                declaration: None,
            };
            let function = NewFunction {
                name: None,
                description: String::new(),
                private: false,
                version,
            };
            store.create_function(function).await.unwrap();
        });
        if tasks.len() == 64 {
            tasks.join_next().await.unwrap().unwrap();
        }
    }
    tasks.join_all().await;
    (home, store)
}

fn call(log: &LogHandle, argument: &str) {
    let outcome = Outcome {
        result: Ok(Value::Unit),
        log: iof_engine::Log::default(),
        guest_cpu: Duration::from_nanos(1),
        memory_peak: 65_536,
        trace: None,
        ran: true,
    };
    let arguments = Payload::of(&[Arg::Text(Bytes::copy_from_slice(argument.as_bytes()))]);
    let summary = CallSummary::of(Uuid::nil(), 1, "say", &outcome, &[]);
    log.called(arguments, summary, outcome.guest_cpu);
}

fn kept(calls: u32) -> KeptRows {
    KeptRows { calls, refused: 3 }
}

fn held(log: &CallLog) -> usize {
    log.functions.backlog.held()
}

#[tokio::test]
async fn a_function_has_one_log_however_often_it_is_loaded() {
    let (_home, store) = store(2).await;
    let log = CallLog::start(store.clone(), kept(10), ByteSize::mib(1));
    let first = log.of_function(1, &"{}".into());
    for _ in 0..100 {
        let again = log.of_function(1, &"other".into());
        assert!(Arc::ptr_eq(&first.log, &again.log));
        call(&again, "x");
    }
    call(&first, "x");
    drop(first);
    log.flush().await;
    let functions = || lock(&log.functions.functions).len();
    // The task releases written rows a moment later.
    while functions() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(held(&log), 0);
    assert_eq!(store.usage(1).await.unwrap().invocations, 101);
    let states = store.calls(1, true, 2).await.unwrap();
    assert_eq!((&*states[0].state, &*states[1].state), ("{}", "other"));
}

#[tokio::test]
async fn a_full_log_keeps_the_newest_of_the_same_function() {
    let (_home, store) = store(2).await;
    let log = CallLog::start(store.clone(), kept(100), ByteSize::kib(8));
    let (one, two) = (
        log.of_function(1, &"{}".into()),
        log.of_function(2, &"{}".into()),
    );
    // The task does not run in between, because this thread is the only one.
    for number in 0..1000 {
        call(&one, &format!("{number} {}", "x".repeat(200)));
        assert!(held(&log) <= 8 << 10);
    }
    call(&two, &"y".repeat(1000));
    log.flush().await;
    assert_eq!(held(&log), 0);
    let kept = store.calls(1, true, 1000).await.unwrap();
    assert!(kept[0].record.contains("\"999 "), "{}", kept[0].record);
    assert_eq!(log.dropped(1), 1000 - kept.len() as u64);
    assert_eq!(log.dropped(2), 1, "no room, and no older row to replace");
    for (function, calls) in [(1, 1000), (2, 1)] {
        let usage = store.usage(function).await.unwrap();
        assert_eq!((usage.invocations, usage.guest_ns), (calls, calls));
    }
    // The count outlives the log of a function that is no longer loaded.
    drop((one, two));
    while lock(&log.functions.functions)
        .values()
        .any(|entry| entry.log.strong_count() > 0)
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(log.dropped(2), 1);
    drop(log.of_function(2, &"{}".into()));
    assert_eq!(log.dropped(2), 1);
}

#[tokio::test]
async fn calls_that_could_not_be_written_are_counted_later() {
    let (_home, store) = store(1).await;
    let log = CallLog::start(store, kept(10), ByteSize::mib(1));
    let one = log.of_function(1, &"{}".into());
    call(&one, "x");
    call(&one, "x");
    let taken = one.log.take();
    log.functions.backlog.release(taken.held);
    one.log.restore(taken.counts, 2);
    let again = one.log.take();
    assert_eq!((again.counts.invocations, again.rows.len()), (2, 0));
    assert_eq!(again.counts.latest, Duration::from_nanos(1));
    assert_eq!(log.dropped(1), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_counts_all_and_ends_in_time() {
    let functions = 400;
    let (_home, store) = store(functions).await;
    let log = CallLog::start(store.clone(), kept(100), ByteSize::mib(32));
    let logs: Vec<_> = (1..=functions as i64)
        .map(|id| log.of_function(id, &"{}".into()))
        .collect();
    for number in 0..100 {
        for log in &logs {
            call(log, &format!("{number}{}", "x".repeat(600)));
        }
    }
    assert!(held(&log) > 16 << 20, "{}", held(&log));
    let started = Clock::now();
    log.stop(Instant::now() + Duration::from_millis(1500)).await;
    let took = started.elapsed();
    println!("a stop with a full log took {took:.1?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    let mut kept = 0;
    for id in 1..=functions as i64 {
        assert_eq!(store.usage(id).await.unwrap().invocations, 100);
        kept += store.calls(id, true, 1000).await.unwrap().len();
    }
    assert!((1..=100 * functions).contains(&kept), "{kept}");
    store.close().await.unwrap();
}

/// A benchmark to be run by hand; it prints figures.
#[ignore = "takes half a minute, and prints figures instead of checking them"]
#[expect(
    clippy::disallowed_methods,
    reason = "the thread does not belong to a runtime"
)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_thousand_rows_a_second_of_five_thousand_functions() {
    let functions = 5000;
    let (_home, store) = store(functions).await;
    let log = Arc::new(CallLog::start(store.clone(), kept(100), ByteSize::mib(32)));
    let logs: Arc<Vec<_>> = Arc::new(
        (1..=functions as i64)
            .map(|id| log.of_function(id, &"{}".into()))
            .collect(),
    );
    let (calls, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let started = Clock::now();
    let load = {
        let (logs, log) = (Arc::clone(&logs), Arc::clone(&log));
        let (calls, most) = (Arc::clone(&calls), Arc::clone(&most));
        std::thread::spawn(move || {
            for tick in 0..1000 {
                for number in 0..500 {
                    let at = (tick * 500 + number) * 7919 % functions;
                    call(&logs[at], "an argument of forty bytes or so, a text");
                }
                calls.fetch_add(500, Ordering::Relaxed);
                most.fetch_max(held(&log), Ordering::Relaxed);
                let due = started + Duration::from_millis(10) * (tick as u32 + 1);
                std::thread::sleep(due.saturating_duration_since(Clock::now()));
            }
        })
    };
    tokio::task::spawn_blocking(|| load.join().unwrap())
        .await
        .unwrap();
    let (took, left) = (started.elapsed(), held(&log));
    let stop = Clock::now();
    log.stop(Instant::now() + Duration::from_millis(1500)).await;
    let stop = stop.elapsed();
    let ids = 1..=functions as i64;
    let dropped: u64 = ids.clone().map(|id| log.dropped(id)).sum();
    let (mut counted, mut kept) = (0, 0);
    for id in ids {
        counted += store.usage(id).await.unwrap().invocations;
        kept += store.calls(id, true, 1000).await.unwrap().len();
    }
    let calls = calls.load(Ordering::Relaxed);
    println!(
        "{calls} calls in {took:.1?}, {counted} counted, {dropped} dropped, {kept} in the log; at most {} KiB waited, {} KiB at \
         the end, and the stop took {stop:.1?}",
        most.load(Ordering::Relaxed) >> 10,
        left >> 10
    );
    assert_eq!(counted, calls as u64);
}

/// Refused calls push out only refused calls, and share one order of numbers with the calls that ran.
#[tokio::test]
async fn refused_calls_push_out_none_that_ran() {
    let (_home, store) = store(1).await;
    let log = CallLog::start(store.clone(), kept(10), ByteSize::mib(1));
    let handle = log.of_function(1, &"{}".into());
    call(&handle, "x");
    log.flush().await;
    let refused = |message: &str| {
        let fault = iof_fault::Fault::new(iof_fault::FaultKind::Arguments, message);
        RefusedCall::new(Uuid::nil(), "say", &fault)
    };
    for number in 0..1_000 {
        log.refused(
            1,
            refused(&format!("number {number}, {}", "x".repeat(5_000))),
        );
        if number % 100 == 0 {
            log.flush().await;
        }
    }
    // No row is kept for a function that does not exist.
    log.refused(9, refused("nobody"));
    call(&handle, "y");
    log.flush().await;
    let ran = store.calls(1, false, 100).await.unwrap();
    let kept = store.refused_calls(1, None, 100).await.unwrap();
    assert_eq!((ran.len(), kept.len()), (2, 3));
    assert!(
        kept.iter()
            .all(|row| row.log_id > ran[0].log_id && row.record.len() < 2_000)
    );
    let numbers: Vec<i64> = ran.iter().chain(&kept).map(|row| row.log_id).collect();
    let distinct: std::collections::HashSet<_> = numbers.iter().collect();
    assert_eq!(distinct.len(), numbers.len(), "{numbers:?}");
    let later = store
        .refused_calls(1, Some(kept[0].log_id), 1)
        .await
        .unwrap();
    assert_eq!(later, kept[1..2]);
    assert_eq!(store.usage(1).await.unwrap().invocations, 2);
    assert!(store.refused_calls(9, None, 1).await.unwrap().is_empty());
    assert_eq!(held(&log), 0);
    assert!(store.delete_function(1).await.unwrap());
}
