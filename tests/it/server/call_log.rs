//! The log of calls under load: waiting rows are limited, drops are reported, counts are right, and a stop is quick.

use futures::StreamExt;
use iof_tests::{call::Uploaded, guests::guest, server::Server};
use serde_json::Value;
use std::time::{Duration, Instant};

async fn uploads(server: &Server, count: usize) -> Vec<Uploaded> {
    futures::stream::iter(0..count)
        .then(|_| server.upload(guest("hello")))
        .collect()
        .await
}

/// Calls each function `times`, some at a time.
async fn load(server: &Server, functions: &[Uploaded], times: usize, argument: &str) {
    let calls = functions.iter().cycle().take(functions.len() * times);
    let statuses = futures::stream::iter(calls)
        .map(|function| async { server.run(function.id, "say", argument).await.status() })
        .buffer_unordered(16);
    assert!(statuses.all(async |status| status == 200).await);
}

async fn logs(server: &Server, function: &Uploaded) -> Value {
    let path = format!("/v1/functions/{}/logs?limit=1000", function.id);
    server.read_as(function, &path).await
}

/// The numbers of calls that were counted, that are in the log, and that were dropped.
async fn kept(server: &Server, function: &Uploaded) -> (u64, u64, u64) {
    let path = format!("/v1/functions/{}/usage", function.id);
    let usage = server.read_as(function, &path).await;
    let logs = logs(server, function).await;
    (
        usage["invocations"].as_u64().unwrap(),
        logs["logs"].as_array().unwrap().len() as u64,
        logs["dropped"].as_u64().unwrap(),
    )
}

#[tokio::test]
async fn rows_without_room_are_dropped_reported_and_counted() {
    let server = Server::start("[server]\ncall_log_memory = \"0B\"\n").await;
    let functions = uploads(&server, 2).await;
    load(&server, &functions[..1], 30, "x").await;
    assert_eq!(kept(&server, &functions[0]).await, (30, 0, 30));
    assert_eq!(kept(&server, &functions[1]).await, (0, 0, 0));
    let log = server.log();
    let logged: Vec<_> = log
        .lines()
        .filter(|line| line.contains("rows of the call log were dropped"))
        .collect();
    assert!(
        logged.len() == 1
            && logged[0].contains("WARN")
            && logged[0].contains("server.call_log_memory"),
        "once in ten seconds: {log}"
    );
}

#[tokio::test]
async fn every_call_is_in_the_log_or_dropped_and_all_are_counted() {
    let config = "[server]\ncall_log_memory = \"16KiB\"\nlog_rows = 1000\n";
    let mut server = Server::start(config).await;
    let functions = uploads(&server, 8).await;
    load(&server, &functions, 150, &"x".repeat(2000)).await;
    let mut dropped = 0;
    for function in &functions {
        let (counted, logged, without_room) = kept(&server, function).await;
        assert_eq!((counted, logged + without_room), (150, 150));
        dropped += without_room;
    }
    println!("{dropped} of 1200 were dropped");
    // It is not an error if a function is deleted while its calls wait.
    load(&server, &functions[..1], 20, "x").await;
    let delete = server
        .request("DELETE", &format!("/v1/functions/{}", functions[0].id))
        .bearer_auth(&functions[0].admin_key);
    assert_eq!(server.answer(delete).await.status(), 204);
    assert!(server.stop().await.success());
    assert!(!server.log().contains("ERROR"), "{}", server.log());
    let server = server.restart().await;
    for function in &functions[1..] {
        let (counted, logged, without_room) = kept(&server, function).await;
        assert_eq!((counted, without_room), (150, 0), "since the start");
        assert!(logged > 0 || dropped > 0);
    }
}

/// Regression: each load of a function had a log of its own, and each row held the state of its load.
#[tokio::test]
async fn functions_that_are_loaded_again_and_again_take_no_more_memory() {
    let server = Server::start("[server]\nloaded_memory = \"64 KiB\"\n").await;
    let functions = uploads(&server, 3).await;
    for function in &functions {
        let state = server
            .request("PUT", &format!("/api/state/{}", function.id))
            .header("SSVM_Admin_Key", &function.admin_key)
            .header("Content-Type", "text/plain")
            .body("s".repeat(1_000_000));
        assert_eq!(server.answer(state).await.status(), 200);
    }
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.unwrap().trim().trim_end_matches(" kB").parse::<u64>();
        kib.unwrap() >> 10
    };
    load(&server, &functions, 50, "x").await;
    let before = resident();
    load(&server, &functions, 150, "x").await;
    let after = resident();
    assert!(after < before + 64, "{before} MiB, then {after} MiB");
    for function in &functions {
        assert_eq!(kept(&server, function).await, (200, 100, 0));
    }
}

#[tokio::test]
async fn a_stop_with_a_full_log_is_quick_and_counts_every_call() {
    let mut server = Server::start("[server]\nlog_rows = 1000\n").await;
    let functions = uploads(&server, 10).await;
    load(&server, &functions, 200, &"x".repeat(1000)).await;
    let started = Instant::now();
    assert!(server.stop().await.success());
    let took = started.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    let server = server.restart().await;
    for function in &functions {
        assert_eq!(kept(&server, function).await.0, 200);
    }
}
