//! Typed components whose instances serve more than one call.

use super::call;
use iof_tests::{call::Uploaded, guests::wat, server::Server};
use serde_json::json;

/// A counter, a memory that grows, and functions that end in each way.
const COUNTER: &str = r#"(component
    (core module $m
        (memory (export "memory") 1)
        (global $count (mut i32) (i32.const 0))
        (func (export "count") (result i32)
            (global.set $count (i32.add (global.get $count) (i32.const 1)))
            (global.get $count))
        (func (export "pages") (result i32) (memory.size))
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
        (func (export "spin") (param $ms i32) (loop br 0))
        (func (export "work") (result i32)
            (local $i i32)
            (loop $more
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $more (i32.lt_u (local.get $i) (i32.const 30000000))))
            (local.get $i))
        (func (export "trap") unreachable))
    (core instance $i (instantiate $m))
    (func (export "count") (result u32) (canon lift (core func $i "count")))
    (func (export "pages") (result u32) (canon lift (core func $i "pages")))
    (func (export "grow") (param "by" u32) (result s32) (canon lift (core func $i "grow")))
    (func (export "spin") (param "ms" u32) (canon lift (core func $i "spin")))
    (func (export "work") (result u32) (canon lift (core func $i "work")))
    (func (export "trap") (canon lift (core func $i "trap"))))"#;

const REUSE: &str = "reuse = { calls = 100, idle = \"10s\" }\n";

async fn counter(config: &str) -> (Server, Uploaded) {
    let server = Server::start(config).await;
    let function = server.deploy(wat(COUNTER), REUSE).await;
    (server, function)
}

async fn number(server: &Server, function: &Uploaded, export: &str) -> i64 {
    let answer = call(server, function, export, &json!([])).await;
    assert_eq!(answer.http, 200, "{}\n{}", answer.text(), server.log());
    answer.json().as_i64().unwrap()
}

async fn retired(server: &Server, reason: &str) -> u64 {
    let info = server.get("/v1/server").await.json();
    info["instances"]["retired"][reason].as_u64().unwrap()
}

#[tokio::test]
async fn calls_follow_each_other_in_one_instance() {
    let (server, function) = counter("").await;
    for expected in 1..=5 {
        assert_eq!(number(&server, &function, "count").await, expected);
    }
    // Not that of another function, even of the same code.
    let other = server.deploy(wat(COUNTER), REUSE).await;
    assert_eq!(number(&server, &other, "count").await, 1);
    assert_eq!(number(&server, &function, "count").await, 6);
}

#[tokio::test]
async fn a_trap_and_a_timeout_end_the_instance() {
    let (server, function) = counter("[limits]\nguest_cpu = \"200ms\"\n").await;
    for (export, arguments, fault) in [
        ("trap", json!([]), "trap"),
        ("spin", json!([1]), "guest-cpu"),
    ] {
        assert_eq!(number(&server, &function, "count").await, 1);
        assert_eq!(number(&server, &function, "count").await, 2);
        let answer = call(&server, &function, export, &arguments).await;
        assert_eq!(answer.fault(), fault, "{}", answer.text());
    }
    assert_eq!(number(&server, &function, "count").await, 1);
    assert_eq!(retired(&server, "fault").await, 2);
}

/// The memory that an instance has counts in its next call, and its limit is that of one call.
#[tokio::test]
async fn memory_counts_from_call_to_call() {
    let (server, function) = counter("[limits]\nmemory = \"4MiB\"\n").await;
    let grow = async |pages: u32| {
        let answer = call(&server, &function, "grow", &json!([pages])).await;
        assert_eq!(answer.http, 200, "{}", answer.text());
        answer.json().as_i64().unwrap()
    };
    assert_eq!(grow(40).await, 1);
    assert_eq!(number(&server, &function, "pages").await, 41);
    // 41 and 40 pages are more than 64.
    assert_eq!(grow(40).await, -1);
    assert_eq!(retired(&server, "memory").await, 1);
    assert_eq!(number(&server, &function, "pages").await, 1);
}

#[tokio::test]
async fn core_time_is_counted_for_each_call() {
    let (server, function) = counter("[limits]\nguest_cpu = \"1s\"\n").await;
    for _ in 0..30 {
        // Some tens of milliseconds each, more than a second in all.
        assert_eq!(number(&server, &function, "work").await, 30_000_000);
    }
    assert_eq!(number(&server, &function, "count").await, 1);
    assert_eq!(retired(&server, "fault").await, 0);
}

#[tokio::test]
async fn memory_of_idle_instances_is_bounded() {
    let (server, function) = counter("[server]\nidle_memory = \"1MiB\"\n").await;
    assert_eq!(number(&server, &function, "count").await, 1);
    assert_eq!(number(&server, &function, "count").await, 2);
    let answer = call(&server, &function, "grow", &json!([20])).await;
    assert_eq!(answer.json(), 1, "{}", answer.text());
    assert_eq!(retired(&server, "room").await, 1);
    assert_eq!(number(&server, &function, "count").await, 1);
}
