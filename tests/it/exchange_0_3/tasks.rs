//! Tasks, streams and futures: what goes on when an answer is given, and what a hostile guest makes the host hold.

use super::{get, handler, path, row};
use iof_tests::guests::handler_component;
use iof_tests::server::Server;
use iof_tests::upstream::Upstream;
use std::time::{Duration, Instant};

/// `p3_cli_serve_post_return`: tasks go on, and hear that the response was sent when it was.
#[tokio::test]
async fn a_guest_hears_that_its_response_was_sent() {
    let (server, function) = handler("").await;
    assert_eq!(get(&server, &function, "/sent").await.text(), "sent");
    let row = row(&server, &function, 1).await;
    assert_eq!(row["stderr"], "Ok(())\n", "{row}");
    assert!(row["fault"].is_null(), "{row}");
}

/// `p3_http_echo` with `x-host-to-host`: a body that the guest passes on is not touched by it.
#[tokio::test]
async fn a_body_passes_beside_the_guest() {
    let (server, function) = handler("[limits]\nguest_cpu = \"1s\"\n").await;
    let body = vec![b'x'; 32 << 20];
    let request = server.request("POST", &path(&function, "/direct"));
    let answer = server.answer(request.body(body)).await;
    assert_eq!((answer.http.as_u16(), answer.body.len()), (200, 32 << 20));
    let row = row(&server, &function, 1).await;
    assert!(row["fault"].is_null(), "{row}");
}

/// `p3_cli_many_tasks`, `p3_cli_many_stream`: what is held on the host has an end, and the server goes on.
#[tokio::test]
async fn what_the_host_holds_for_a_guest_is_bounded() {
    let (server, function) = handler(
        "[limits]\nhandles = 500\nmemory = \"64MiB\"\nlog = \"10KiB\"\nguest_cpu = \"1s\"\n",
    )
    .await;
    for (below, text) in [
        ("/streams?100", "100 streams"),
        ("/futures?100", "100 futures"),
        ("/printed-streams?100", "100 streams"),
        ("/tasks?100", "100 tasks"),
        ("/fields?100", "100 fields"),
    ] {
        // The tasks would go on for an hour.
        if below.starts_with("/tasks") {
            let began = Instant::now();
            let request = server.request("GET", &path(&function, below));
            let mut response = request.send().await.unwrap();
            assert_eq!(response.chunk().await.unwrap().unwrap(), text);
            assert!(began.elapsed() < Duration::from_secs(5));
            continue;
        }
        assert_eq!(get(&server, &function, below).await.text(), text);
    }
    for (below, fault) in [
        ("/streams?1048576", "handles"),
        ("/futures?1048576", "handles"),
        ("/printed-streams?1048576", "handles"),
        ("/tasks?1048576", "handles"),
        ("/fields?1048576", "handles"),
        ("/print-much?20000", "log"),
        ("/yield", "guest-cpu"),
    ] {
        let began = Instant::now();
        let answer = get(&server, &function, below).await;
        assert_eq!(answer.fault(), fault, "{below}: {}", answer.text());
        assert!(
            began.elapsed() < Duration::from_secs(25),
            "{below}: {:?}",
            began.elapsed()
        );
    }
    assert_eq!(get(&server, &function, "/hello").await.text(), "hello");
}

/// A task that never ends is ended by the time of its call, and its client has its answer.
#[tokio::test]
async fn tasks_end_with_the_time_of_their_call() {
    let (server, function) = handler("[limits]\nwall_time = \"2s\"\n").await;
    let response = server
        .request("GET", &path(&function, "/after?3600000"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.text().await.unwrap(), "done");
    let row = row(&server, &function, 1).await;
    assert_eq!(row["fault"], "wall-time", "{row}");
}

/// `p3_http_proxy`: the response of another server is the answer itself.
#[tokio::test]
async fn a_response_passes_beside_the_guest() {
    let upstream = Upstream::start().await;
    let server = Server::start(upstream.pin("up.test", 80)).await;
    let function = server
        .deploy(
            handler_component(super::HANDLER),
            "outbound = [\"* http://up.test\"]\n",
        )
        .await;
    let forward = |target: &str| {
        let request = server.request("GET", &path(&function, "/forward"));
        server.answer(request.header("x-target", target.to_owned()))
    };
    let size = 16 << 20;
    let answer = forward(&format!("http://up.test/size/{size}")).await;
    assert_eq!((answer.http.as_u16(), answer.body.len()), (200, size));
    let answer = forward("http://up.test/status/404").await;
    assert_eq!((answer.http.as_u16(), &*answer.text()), (404, "status 404"));
    let answer = forward("http://elsewhere.test/").await;
    assert_eq!(
        (answer.http.as_u16(), answer.fault()),
        (502, "response"),
        "{}",
        answer.text()
    );
}

/// `p3_http_outbound_request_chunk_size`: pieces that are larger than what the host takes at a time arrive as they were written.
#[tokio::test]
async fn pieces_of_any_size_arrive_in_their_order() {
    let upstream = Upstream::start().await;
    let server = Server::start(upstream.pin("up.test", 80)).await;
    let function = server
        .deploy(
            handler_component(super::HANDLER),
            "outbound = [\"* http://up.test\"]\n",
        )
        .await;
    let request = server
        .request("GET", &path(&function, "/checks/chunks"))
        .header("x-target", "http://up.test/mirror");
    assert_eq!(server.answer(request).await.text(), "ok");
}

/// `p3_http_forbidden_headers`: what is of one connection is not shown to a guest, and so not passed on.
#[tokio::test]
async fn headers_of_the_connection_stay_in_a_request_that_is_passed_on() {
    let upstream = Upstream::start().await;
    let server = Server::start(upstream.pin("up.test", 80)).await;
    let function = server
        .deploy(
            handler_component(super::HANDLER),
            "outbound = [\"* http://up.test\"]\n",
        )
        .await;
    let request = server
        .request("GET", &path(&function, "/pass-on"))
        .header("x-own", "1")
        .header("keep-alive", "5")
        .header("te", "trailers")
        .header("proxy-connection", "close");
    let answer = server.answer(request).await;
    assert_eq!(answer.http, 200, "{}", answer.text());
    let sent = upstream.seen();
    assert_eq!(sent[0].headers["x-own"], "1");
    assert_eq!(sent[0].headers["host"], "up.test");
    for name in ["keep-alive", "te", "proxy-connection", "upgrade"] {
        assert!(sent[0].headers.get(name).is_none(), "{name}");
    }
}
