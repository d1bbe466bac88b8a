//! The cost of rows that come by the thousand, and of removing a million. Nothing is asserted: `cargo nextest run
//! -p iof-store --release --run-ignored only --no-capture speed_rows`.

use std::time::{Duration, Instant};

use iof_store::{OutboundQuery, OutboundRecord, RecordingLimits, Store};

use super::outbound::records;
use super::recordings::recording;
use super::speed::flushes;
use super::{Home, function};

const MILLION: u64 = 1_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures"]
async fn what_left() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    for rows in [1, 100, 10_000] {
        let took = record(&store, rows, MILLION).await;
        println!("record_outbound of {rows}: {took}");
    }
    while newest(&store).await < MILLION as i64 {
        let more = store.record_outbound(records(2, 0..50_000), 2 * MILLION, 0);
        let _ = more.await.unwrap();
    }
    let more = record(&store, 10_000, 2 * MILLION).await;
    println!("record_outbound of 10000 to a million: {more}");
    while store
        .record_outbound(Vec::<OutboundRecord>::new(), MILLION, 0)
        .await
        .unwrap()
    {}
    let in_place = record(&store, 10_000, MILLION).await;
    println!("in place of as many: {in_place}");
    let size = home.data().join("iof.db").metadata().unwrap().len();
    println!("a row: {} bytes of the file", size / MILLION);

    for (query_name, function_id, outcome) in [
        ("the newest of all", None, None),
        ("the newest of a function", Some(1), None),
        ("an outcome that no row has", None, Some("refused".into())),
        ("of a function", Some(1), Some("refused".into())),
    ] {
        let query = OutboundQuery {
            function_id,
            outcome,
            limit: 1000,
            ..OutboundQuery::default()
        };
        let started = Instant::now();
        let found = store.outbound(&query).await.unwrap().len();
        println!("{query_name}: {found} rows in {:.1?}", started.elapsed());
    }

    // A second writer, while a limit of a hundred rows takes effect.
    let started = Instant::now();
    let (mut slowest, mut writes, mut removals) = (Duration::ZERO, 0, 1);
    let mut task = tokio::task::JoinSet::new();
    let removing = {
        let store = store.clone();
        task.spawn(async move {
            while store
                .record_outbound(Vec::<OutboundRecord>::new(), 100, 0)
                .await
                .unwrap()
            {
                removals += 1;
            }
            removals
        })
    };
    while !removing.is_finished() {
        let one = Instant::now();
        store.set_state(1, writes.to_string()).await.unwrap();
        slowest = slowest.max(one.elapsed());
        writes += 1;
    }
    let removals = task.join_all().await[0];
    println!(
        "a million removed in {:.1?}, {removals} transactions; {writes} other writes meanwhile, slowest {slowest:.1?}",
        started.elapsed()
    );
}

/// The least and the median of nine durations.
async fn record(store: &Store, rows: u64, keep: u64) -> String {
    let mut took = Vec::new();
    for _ in 0..9 {
        let rows = records(1, 0..rows);
        let started = Instant::now();
        let _ = store.record_outbound(rows, keep, 0).await.unwrap();
        took.push(started.elapsed());
    }
    took.sort();
    format!("{:.1?} at best, mostly {:.1?}", took[0], took[4])
}

async fn newest(store: &Store) -> i64 {
    let newest = OutboundQuery {
        limit: 1,
        ..OutboundQuery::default()
    };
    store.outbound(&newest).await.unwrap()[0].id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures"]
async fn recordings() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    let flush = flushes(&home, 1).await;
    println!("the disk: {flush:.0} flushes/s from one thread");
    let mut keep = RecordingLimits {
        per_function: u32::MAX,
        total_bytes: u64::MAX,
        from: 0,
    };
    let mut at = 0;
    for (number, size) in [(1, 1 << 10), (1, 64 << 10), (100, 64 << 10), (1, 1 << 20)] {
        let mut took = Vec::new();
        for _ in 0..9 {
            at += number;
            let all = (at - number..at).map(|at| recording(1, at, size));
            let all = all.collect();
            let started = Instant::now();
            let _ = store.put_recordings(all, keep).await.unwrap();
            took.push(started.elapsed());
        }
        took.sort();
        let (best, mostly) = (took[0], took[4]);
        println!(
            "put_recordings of {number} of {size} bytes: {best:.1?} at best, mostly {mostly:.1?}"
        );
    }
    for size in [4 << 10, 1 << 20] {
        for _ in 0..20 {
            at += 50;
            let all = (at - 50..at).map(|at| recording(1, at, size)).collect();
            let _ = store.put_recordings(all, keep).await.unwrap();
        }
        let started = Instant::now();
        store.recordings(1, 1000).await.unwrap();
        println!("a list of 1000 of {size} bytes: {:.1?}", started.elapsed());
    }
    // Another writer waits for one removal, so each is measured by itself.
    keep.total_bytes = 1 << 20;
    let (mut slowest, mut steps, started) = (Duration::ZERO, 0, Instant::now());
    let mut more = true;
    while more {
        let one = Instant::now();
        more = store.put_recordings(vec![], keep).await.unwrap();
        slowest = slowest.max(one.elapsed());
        steps += 1;
    }
    let took = started.elapsed();
    println!(
        "2900 removed, 1000 of them of 1 MiB, in {took:.1?}: {steps} steps, slowest {slowest:.1?}"
    );
}
