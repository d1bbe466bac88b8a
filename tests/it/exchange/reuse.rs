//! Handlers of requests whose instances serve more than one request (`reuse` in function.toml).

use super::{HANDLER, LONG};
use iof_tests::{exchange::Handler, guests::guest, server::Server};
use serde_json::Value;
use std::time::{Duration, Instant};

const REUSE: &str = "outbound = []\nreuse = { calls = 4, idle = \"5s\" }\n";

async fn served(handler: &Handler, below: &str) -> String {
    let answer = handler.server.get(&handler.path(below)).await;
    assert_eq!(
        answer.http,
        200,
        "{}\n{}",
        answer.text(),
        handler.server.log()
    );
    answer.text()
}

/// The figures of reused instances, when no call is under way any more: an instance is kept after its answer.
async fn figures(server: &Server, settled: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let figures = server.get("/v1/server").await.json()["instances"].clone();
        if settled(&figures) {
            return figures;
        }
        assert!(began.elapsed() < LONG, "{figures}\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn retired(server: &Server, reason: &str, count: u64) {
    figures(server, |figures| figures["retired"][reason] == count).await;
}

async fn idle(server: &Server, count: u64) {
    figures(server, |figures| figures["idle"] == count).await;
}

#[tokio::test]
async fn an_instance_serves_as_many_requests_as_it_may() {
    let handler = Handler::declared(HANDLER, "", REUSE).await;
    let mut counts = vec![];
    for _ in 0..6 {
        counts.push(served(&handler, "/served").await);
        // The answer leaves before the instance is kept.
        figures(&handler.server, |figures| {
            figures["idle"] == 1 || figures["retired"]["calls"] == 1
        })
        .await;
    }
    assert_eq!(counts, ["1", "2", "3", "4", "1", "2"]);
    retired(&handler.server, "calls", 1).await;
    let figures = figures(&handler.server, |figures| figures["idle"] == 1).await;
    assert_eq!(figures["reused"], 4, "{figures}");
    assert!(figures["bytes"].as_u64().unwrap() >= 1 << 16, "{figures}");
}

#[tokio::test]
async fn without_the_line_every_request_has_a_fresh_instance() {
    let handler = Handler::start(HANDLER, "").await;
    for _ in 0..3 {
        assert_eq!(served(&handler, "/served").await, "1");
    }
    let figures = figures(&handler.server, |_| true).await;
    assert_eq!(
        (&figures["idle"], &figures["reused"]),
        (&0.into(), &0.into())
    );
}

#[tokio::test]
async fn an_instance_that_holds_a_resource_is_dropped() {
    let handler = Handler::declared(HANDLER, "", REUSE).await;
    assert_eq!(served(&handler, "/served").await, "1");
    idle(&handler.server, 1).await;
    assert_eq!(served(&handler, "/keep").await, "2");
    retired(&handler.server, "resources", 1).await;
    assert_eq!(served(&handler, "/served").await, "1");
}

#[tokio::test]
async fn a_fault_a_timeout_and_a_client_that_leaves_end_the_instance() {
    let handler = Handler::declared(HANDLER, "[limits]\nguest_cpu = \"200ms\"\n", REUSE).await;
    let server = &handler.server;
    for (number, below) in ["/trap", "/spin", "/nothing"].iter().enumerate() {
        assert_eq!(served(&handler, "/served").await, "1", "before {below}");
        idle(server, 1).await;
        let request = server.request("GET", &handler.path(below));
        assert!(!server.answer(request).await.fault().is_empty(), "{below}");
        retired(server, "fault", number as u64 + 1).await;
    }
    drop(handler.begin("/sleep?5000", "").await);
    retired(server, "fault", 4).await;
    assert_eq!(served(&handler, "/served").await, "1");
}

#[tokio::test]
async fn an_idle_instance_ends_in_time() {
    let declared = "outbound = []\nreuse = { idle = \"200ms\" }\n";
    let handler = Handler::declared(HANDLER, "", declared).await;
    assert_eq!(served(&handler, "/served").await, "1");
    retired(&handler.server, "idle", 1).await;
    idle(&handler.server, 0).await;
    assert_eq!(served(&handler, "/served").await, "1");
}

#[tokio::test]
async fn requests_at_the_same_time_have_an_instance_each() {
    let handler = Handler::declared(HANDLER, "[server]\nidle_instances = 3\n", REUSE).await;
    let path = handler.path("/sleep?300");
    let calls = (0..8).map(|_| handler.server.get(&path));
    for answer in futures::future::join_all(calls).await {
        assert_eq!(answer.text(), "slept");
    }
    let figures = figures(&handler.server, |figures| figures["retired"]["room"] == 5).await;
    assert_eq!(
        (&figures["idle"], &figures["limit"]),
        (&3.into(), &3.into())
    );
}

#[tokio::test]
async fn another_version_or_secret_never_meets_an_old_instance() {
    let handler = Handler::declared(HANDLER, "", REUSE).await;
    let (server, function) = (&handler.server, &handler.function);
    for _ in 0..2 {
        served(&handler, "/served").await;
        idle(server, 1).await;
    }
    // The same code, and other grants.
    let again = format!("{REUSE}[variables]\nA = \"b\"\n");
    let module = iof_tests::guests::handler_component(HANDLER);
    let answer = server.try_deploy_version(function, module, &again).await;
    assert_eq!(answer.http, 201, "{}", answer.text());
    assert_eq!(served(&handler, "/served").await, "1");
    idle(server, 1).await;
    let active = format!("/v1/functions/{}/active", function.id);
    let request = server
        .request("PUT", &active)
        .bearer_auth(&function.admin_key)
        .json(&serde_json::json!({ "version": 1 }));
    let answer = server.answer(request).await;
    assert!(answer.http.is_success(), "{}", answer.text());
    assert_eq!(served(&handler, "/served").await, "1");
}

#[tokio::test]
async fn what_cannot_be_reused_is_refused_by_name() {
    let server = Server::start("").await;
    let http = || iof_tests::guests::handler_component(HANDLER);
    let http_0_3 = || iof_tests::guests::handler_component("http-handler-0-3");
    for (module, declared, named) in [
        (http(), "reuse = { calls = 1 }", "reuse.calls"),
        (http(), "reuse = { calls = 10001 }", "got 10001"),
        (http(), "reuse = { concurrent = 16 }", "reuse.concurrent"),
        (http(), "reuse = { idle = \"2m\" }", "reuse.idle"),
        (http(), "reuse = { idle = \"0s\" }", "reuse.idle"),
        (http(), "reuse = true", "reuse"),
        (http(), "reuse = { call = 3 }", "call"),
        (http_0_3(), "reuse = {}", "WASI 0.3"),
        (guest("hello"), "reuse = {}", "core module"),
        (guest("program"), "reuse = {}", "program"),
        (
            guest("hello"),
            "reuse = {}\nrecord = \"errors\"",
            "replayed",
        ),
    ] {
        let answer = server.try_deploy(module, declared).await;
        assert_eq!(
            answer.fault(),
            "declaration",
            "{declared}: {}",
            answer.text()
        );
        assert!(
            answer.text().contains(named),
            "{declared}: {}",
            answer.text()
        );
    }
}
