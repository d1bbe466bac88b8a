//! An acknowledged upload survives `kill -9` at any moment; an interrupted one leaves nothing.

use futures::StreamExt;
use iof_tests::{guests::wat, server::Server};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A module that answers `n`: each one is different, so each is compiled and stored separately.
fn module(n: usize) -> Vec<u8> {
    wat(&format!(
        "(module (func (export \"n\") (result i32) (i32.const {n})))"
    ))
}

/// The number of uploads; `cargo xtask soak uploads` makes ten thousand.
fn count() -> usize {
    std::env::var("IOF_TEST_UPLOADS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_uploads_survive_kill_9() {
    let mut server = Server::start("[log]\n".replace("[log]\n", "log = \"warn\"\n")).await;
    let count = count();
    let killed = AtomicBool::new(false);
    // Killed in the middle of a burst, with the last tenth in progress.
    let kill_at = count - count / 10;
    let mut acknowledged = Vec::with_capacity(count);
    {
        let server = &server;
        let killed = &killed;
        let mut uploads = futures::stream::iter(0..count)
            .map(|n| async move {
                if killed.load(Ordering::Relaxed) {
                    return None;
                }
                let request = server
                    .request("POST", "/api/executables")
                    .header("Content-Type", "application/octet-stream")
                    .body(module(n));
                let answer = server.send(request).await.ok()?;
                (answer.http.as_u16() == 200)
                    .then(|| (answer.json()["wasm_id"].as_u64().unwrap(), n))
            })
            .buffer_unordered(16);
        while let Some(upload) = uploads.next().await {
            acknowledged.extend(upload);
            if acknowledged.len() == kill_at && !killed.swap(true, Ordering::Relaxed) {
                server.signal(rustix::process::Signal::KILL);
            }
        }
    }
    assert!(
        acknowledged.len() >= kill_at,
        "{} uploads were acknowledged",
        acknowledged.len()
    );
    server.kill().await;
    let start = Instant::now();
    let server = server.restart().await;
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "the restart took {:?}",
        start.elapsed()
    );

    let listed = server.get("/api/executables").await.json();
    let listed: Vec<u64> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["wasm_id"].as_u64().unwrap())
        .collect();
    let server = &server;
    futures::stream::iter(acknowledged)
        .for_each_concurrent(8, |(id, n)| {
            assert!(listed.binary_search(&id).is_ok(), "{id} is missing");
            async move {
                let answer = server.run(id, "n", "").await;
                assert_eq!(answer.text(), n.to_string(), "function {id}: {answer:?}");
            }
        })
        .await;
}

#[tokio::test]
async fn missing_or_damaged_compiled_code_is_compiled_again() {
    let mut server = Server::start("").await;
    let id = server.upload(module(7)).await.id;
    assert_eq!(server.run(id, "n", "").await.text(), "7");
    for damage in ["remove", "flip"] {
        assert!(server.stop().await.success());
        let mut folders = vec![server.data().join("objects/artefact")];
        let mut damaged = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else if damage == "remove" {
                    std::fs::remove_file(entry.path()).unwrap();
                    damaged += 1;
                } else {
                    let mut bytes = std::fs::read(entry.path()).unwrap();
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                    std::fs::write(entry.path(), bytes).unwrap();
                    damaged += 1;
                }
            }
        }
        assert!(damaged > 0);
        server = server.restart().await;
        assert_eq!(
            server.run(id, "n", "").await.text(),
            "7",
            "{damage}: {}",
            server.log()
        );
    }
}

#[tokio::test]
async fn a_graceful_stop_finishes_calls_in_progress() {
    let mut server = Server::start("").await;
    let wasi = server.upload(iof_tests::guests::guest("wasi")).await.id;
    let call = server
        .request("POST", &format!("/api/run/{wasi}/sleep_ms"))
        .header("Content-Type", "text/plain")
        .body("800");
    let call = tokio::spawn(call.send());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let status = server.stop().await;
    assert!(status.success(), "{}", server.log());
    let answer = call.await.unwrap().unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    assert!(answer.text().await.unwrap().parse::<u64>().unwrap() >= 800);
}

#[tokio::test]
async fn a_second_signal_stops_at_once() {
    let mut server = Server::start("").await;
    let wasi = server.upload(iof_tests::guests::guest("wasi")).await.id;
    let call = server
        .request("POST", &format!("/api/run/{wasi}/sleep_ms"))
        .header("Content-Type", "text/plain")
        .body("20000");
    let call = tokio::spawn(call.send());
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.signal(rustix::process::Signal::TERM);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let start = Instant::now();
    assert!(server.stop().await.success(), "{}", server.log());
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    assert!(call.await.unwrap().is_err(), "the call was aborted");
}
