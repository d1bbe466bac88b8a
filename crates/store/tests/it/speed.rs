//! The cost of the store beside that of the disk in the same run. Nothing is asserted: `cargo nextest run -p iof-store
//! --release --run-ignored only --no-capture speed`.

use std::io::Write as _;
use std::time::{Duration, Instant};

use super::{Home, digest, function};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures"]
async fn uploads_and_reads() {
    let home = Home::new();
    let flush = flushes(&home, 1).await;
    let flush16 = flushes(&home, 16).await;
    println!("the disk: {flush:.0} flushes/s from one thread, {flush16:.0} from 16");

    let store = home.open().await;
    for uploaders in [1, 16, 64] {
        let started = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..uploaders {
            let store = store.clone();
            tasks.spawn(async move {
                let (mut done, mut slowest) = (0_u32, Duration::ZERO);
                while started.elapsed() < Duration::from_secs(4) {
                    let source = format!("{uploaders} {task} {done} {}", "x".repeat(2000));
                    let one = Instant::now();
                    store.create_function(function(source)).await.unwrap();
                    slowest = slowest.max(one.elapsed());
                    done += 1;
                }
                (done, slowest)
            });
        }
        let results = tasks.join_all().await;
        let rate = f64::from(results.iter().map(|(done, _)| done).sum::<u32>())
            / started.elapsed().as_secs_f64();
        let slowest = results.iter().map(|(_, slowest)| *slowest).max().unwrap();
        println!(
            "{uploaders} uploaders of 2 KB: {rate:.0} acknowledged/s, slowest {slowest:.1?}, {:.2} of a flush each",
            flush / rate
        );
    }

    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..16 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut done = 0_u32;
            while started.elapsed() < Duration::from_secs(3) {
                store.set_state(1 + task, done.to_string()).await.unwrap();
                done += 1;
            }
            done
        });
    }
    let done = f64::from(tasks.join_all().await.iter().sum::<u32>());
    println!(
        "16 writers of state: {:.0} acknowledged/s",
        done / started.elapsed().as_secs_f64()
    );

    for size in [1 << 20, 16 << 20] {
        let code = vec![7; size];
        let started = Instant::now();
        store
            .put_artefact("engine", digest(b"x"), &code)
            .await
            .unwrap();
        let put = started.elapsed();
        let started = Instant::now();
        store
            .artefact("engine", digest(b"x"), <[u8]>::to_vec)
            .await
            .unwrap()
            .unwrap();
        println!(
            "artefact of {} MiB: put {put:.1?}, read and checked {:.1?}",
            size >> 20,
            started.elapsed()
        );
    }

    let started = Instant::now();
    for id in 1..=2000 {
        store.function(1 + id % 100).await.unwrap().unwrap();
    }
    println!("function(): {:.1?} each", started.elapsed() / 2000);
    let started = Instant::now();
    store.close().await.unwrap();
    println!("close(): {:.1?}", started.elapsed());
    let started = Instant::now();
    let store = home.open().await;
    println!(
        "open() of {} functions: {:.1?}",
        store.list().await.unwrap().len(),
        started.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures"]
async fn values_and_calls() {
    let home = Home::new();
    let flush = flushes(&home, 1).await;
    println!("the disk: {flush:.0} flushes/s from one thread");
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    for savers in [1, 16] {
        let started = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..savers {
            let store = store.clone();
            tasks.spawn(async move {
                let mut done = 0_u32;
                while started.elapsed() < Duration::from_secs(2) {
                    let key = digest(format!("{task} {done}").as_bytes());
                    let saved = store.save_value(1, key, vec![7; 100].into(), u64::MAX);
                    assert_eq!(saved.await.unwrap(), iof_store::Saved::Stored);
                    done += 1;
                }
                done
            });
        }
        let rate =
            f64::from(tasks.join_all().await.iter().sum::<u32>()) / started.elapsed().as_secs_f64();
        println!("{savers} savers of 100 bytes: {rate:.0}/s");
    }
    for (calls, keep) in [(1, 1000), (1000, 1000), (1000, 1000)] {
        let call = iof_store::Call {
            called_at: 0,
            state: "{}".into(),
            record: "r".repeat(300),
            guest_ns: 1,
        };
        let calls = iof_store::Calls {
            function_id: 1,
            invocations: calls,
            guest_ns: calls,
            latest_ns: 1,
            newest: vec![call; calls as usize],
        };
        let (number, started) = (calls.invocations, Instant::now());
        store.record_calls(vec![calls], keep).await.unwrap();
        println!(
            "record_calls of {number}, {keep} kept: {:.1?}",
            started.elapsed()
        );
    }
    let started = Instant::now();
    store.usage(1).await.unwrap();
    println!("usage() with 1000 rows: {:.1?}", started.elapsed());
}

/// The number of writes of 2 KB, each followed by fsync, in a second.
pub(crate) async fn flushes(home: &Home, threads: usize) -> f64 {
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for thread in 0..threads {
        let path = home.folder.path().join(format!("raw-{thread}"));
        tasks.spawn_blocking(move || {
            let mut file = std::fs::File::create(path).unwrap();
            let mut done = 0_u32;
            while started.elapsed() < Duration::from_secs(2) {
                file.write_all(&[7; 2048]).unwrap();
                file.sync_all().unwrap();
                done += 1;
            }
            done
        });
    }
    f64::from(tasks.join_all().await.iter().sum::<u32>()) / started.elapsed().as_secs_f64()
}
