//! Hostile functions with harmless models; and hostile files.

use std::time::{Duration, Instant};

use iof_infer::{Config, Parts};

use crate::setup::{bytes, le, setup, with, with_worker};

/// Memory grows with the square of the input: 40 GB for 400 KB.
#[tokio::test]
async fn a_shape_that_takes_too_much_memory_is_refused() {
    let setup = setup();
    setup.put("pairs", "pairs.onnx", "");
    let run = |n: usize| {
        let spec = format!("x:f32:{n}");
        let stdin = le(&vec![2.0; n]);
        let setup = &setup;
        async move { setup.run(&["pairs", "--input", &spec], stdin).await }
    };
    let small = run(10).await;
    assert_eq!(small.status, 0, "{:?}", small.stderr);
    let large = run(100_000).await;
    let stderr = String::from_utf8_lossy(&large.stderr).into_owned();
    assert_eq!(large.status, 6, "{stderr}");
    assert!(
        stderr.contains("infer.run_memory") || stderr.contains("infer.worker_memory"),
        "{stderr}"
    );
    assert_eq!(run(11).await.status, 0);
}

/// Memory depends on the values of the input, so that the model stays in a worker.
#[tokio::test]
async fn values_that_take_too_much_memory_end_a_worker_and_nothing_else() {
    let setup = setup();
    setup.put("count", "count.onnx", "");
    let n = |n: i64| n.to_le_bytes().to_vec();
    let printed = setup.prints(&["count"], n(3)).await;
    assert_eq!(printed["sum"]["data"], serde_json::json!([9.0]));
    assert_eq!(setup.inference.in_use(), (0, 1));
    for large in [300_000, 1 << 40, -1, i64::MAX, i64::MIN] {
        let output = setup.run(&["count"], n(large)).await;
        println!("{large}: {} {:?}", output.status, output.stderr);
        assert!(
            large < 0 || matches!(output.status, 6 | 7),
            "{:?}",
            output.stdout
        );
        let printed = setup.prints(&["count"], n(4)).await;
        assert_eq!(printed["sum"]["data"], serde_json::json!([36.0]));
    }
    // Without workers such a model cannot run.
    let none = with_worker(Config::default(), Vec::new());
    none.put("count", "count.onnx", "");
    let (status, line) = none.fails(&["count"], n(3)).await;
    assert_eq!(status, 6, "{line}");
    assert!(line.contains("no worker processes"), "{line}");
}

#[tokio::test]
async fn a_file_that_kills_its_reader_is_an_error() {
    let setup = with(Config {
        load_time: Duration::from_secs(10),
        ..Config::default()
    });
    for file in ["fill.pb", "tile.pb", "doubling.pb"] {
        // A model that was put there by hand has not been tried.
        setup.put(
            "bad",
            file,
            "inputs = [\"input:f32:1,8,8,3\"]\noutputs = [\"out\"]",
        );
        let started = Instant::now();
        let (status, line) = setup.fails(&["bad"], vec![0; 8 * 8 * 3 * 4]).await;
        println!("{file}: {status} {line}");
        assert!(matches!(status, 3 | 5 | 6 | 7), "{file}: {status} {line}");
        let parts = Parts {
            model: bytes(file),
            declaration: Some("inputs = [\"input:f32:1,8,8,3\"]".to_owned()),
            labels: None,
        };
        assert!(
            setup.inference.add("worse", parts, false).await.is_err(),
            "{file}"
        );
        assert!(started.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(150)).await;
        std::fs::remove_dir_all(setup.directory.path().join("models/bad")).unwrap();
    }
    assert_eq!(setup.inference.list().await.unwrap(), []);
}

/// A worker has no descriptors beside its pipes, and cannot open a file or a socket.
#[tokio::test]
async fn a_worker_can_open_nothing_and_dies_with_its_server() {
    let setup = setup();
    setup.put("count", "count.onnx", "");
    setup.prints(&["count"], 3i64.to_le_bytes().to_vec()).await;
    let pid = child().unwrap();
    let limits = tokio::fs::read_to_string(format!("/proc/{pid}/limits"))
        .await
        .unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..]
            .split_whitespace()
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(limit("Max open files"), "3");
    assert_eq!(limit("Max file size"), "0");
    assert_eq!(limit("Max core file size"), "0");
    assert_eq!(limit("Max data size"), (1u64 << 30).to_string());
    let status = tokio::fs::read_to_string(format!("/proc/{pid}/status"))
        .await
        .unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    assert!(status.contains("Seccomp:\t2"), "{status}");
    let environment = tokio::fs::read(format!("/proc/{pid}/environ"))
        .await
        .unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    assert!(!environment.contains("PATH"), "{environment}");
    drop(setup);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let status = tokio::fs::read_to_string(format!("/proc/{pid}/status")).await;
    assert!(status.is_err() || status.unwrap().contains("(zombie)"));
}

/// The worker that this thread's runtime started: each test has one, on its own thread.
fn child() -> Option<u32> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?.flatten();
    let own = tasks.filter(|task| {
        let name = std::fs::File::open(task.path().join("comm")).and_then(std::io::read_to_string);
        name.is_ok_and(|name| name.trim_end().starts_with("hostile::a_work"))
    });
    own.filter_map(|task| {
        let children = std::fs::File::open(task.path().join("children")).ok()?;
        std::io::read_to_string(children)
            .ok()?
            .split_whitespace()
            .last()?
            .parse()
            .ok()
    })
    .next()
}
