//! Every answered call is logged: refused calls are rows of the log, and displace none that ran.

use super::module;
use crate::v1::functions::{KEY, ask, create, numbered};
use iof_tests::guests::path;
use iof_tests::server::Server;
use iof_tests::user::User;
use serde_json::Value;

async fn rows(server: &Server, function: &str, key: &str) -> Vec<Value> {
    let path = format!("/v1/functions/{function}/logs?limit=1000");
    let answer = ask(server, "GET", &path, key, None).await;
    assert_eq!(answer.http, 200, "{}", answer.text());
    answer.json()["logs"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_is_a_row_with_its_reason() {
    let config = format!(
        "[auth]\nkeys = [\"{KEY}\"]\n[server]\nrequest_body = \"1KiB\"\nuri_size = \"1KiB\"\n"
    );
    let server = Server::start(config).await;
    let typed = std::fs::read(path("typed")).unwrap();
    create(&server, "?name=typed", typed, KEY).await;
    create(&server, "?name=private&private=true", numbered(1), KEY).await;
    let post = |function: &str, export: &str| {
        server.request("POST", &format!("/v1/functions/{function}/call/{export}"))
    };
    let json = "application/json";
    for (request, status, fault, function) in [
        (
            post("typed", "add").header("content-type", json).body("{"),
            400,
            "json",
            "typed",
        ),
        (
            post("typed", "add")
                .header("content-type", json)
                .body("{\"a\":1}"),
            400,
            "arguments",
            "typed",
        ),
        (
            post("typed", "add")
                .header("content-type", "image/png")
                .body("x"),
            415,
            "content-type",
            "typed",
        ),
        (
            post("typed", "add")
                .header("content-type", json)
                .body(" ".repeat(2_000)),
            413,
            "request-body",
            "typed",
        ),
        (
            server.request("GET", "/v1/functions/typed/call/add"),
            405,
            "method",
            "typed",
        ),
        (post("private", "which"), 404, "no-such-function", "private"),
        (
            post("typed", "add")
                .header("origin", "https://page.test")
                .body("{}"),
            403,
            "origin",
            "typed",
        ),
        (
            post("typed", "add")
                .header("iof-signature", "what?")
                .body("{}"),
            400,
            "signature",
            "typed",
        ),
    ] {
        let answer = server.answer(request).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (status, fault),
            "{}",
            answer.text()
        );
        let call = answer.header("iof-call").to_owned();
        let rows = rows(&server, function, KEY).await;
        let row = rows.iter().find(|row| row["call"] == *call);
        let row = row.unwrap_or_else(|| panic!("no row of {call} ({fault}): {rows:?}"));
        // The log of a private function names the reason, which its caller must not learn.
        let logged = if function == "private" {
            "usage-key"
        } else {
            fault
        };
        assert_eq!(row["fault"], logged, "{row}");
        assert_eq!(row["refused"], true, "{row}");
        assert!(!row["message"].as_str().unwrap().is_empty(), "{row}");
        assert!(
            ["add", "which"].contains(&row["export"].as_str().unwrap()),
            "{row}"
        );
    }
    // A call that ran and failed is one row, not a refused one; it counts, unlike refused ones.
    let failed = server
        .answer(
            post("typed", "nobody")
                .header("content-type", json)
                .body("{}"),
        )
        .await;
    assert_eq!(failed.http, 404, "{}", failed.text());
    let usage = ask(&server, "GET", "/v1/functions/typed/usage", KEY, None)
        .await
        .json();
    let rows = rows(&server, "typed", KEY).await;
    let of_call: Vec<_> = rows
        .iter()
        .filter(|row| row["call"] == failed.header("iof-call"))
        .collect();
    assert_eq!(of_call.len(), 1, "{rows:?}");
    let ran = rows.iter().filter(|row| row["refused"].is_null()).count();
    assert_eq!(usage["invocations"].as_u64(), Some(ran as u64), "{rows:?}");
    // A function that does not exist has no log.
    let nobody = server.answer(post("nobody", "which")).await;
    assert_eq!(nobody.http, 404);
}

/// A client that leaves before it has sent its request, or before it has its answer, gets none; its call has a row nevertheless.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_client_left_is_a_row() {
    use std::io::Write as _;
    let server = Server::start(format!(
        "[auth]\nkeys = [\"{KEY}\"]\n[server]\nbody_wait = \"2s\"\n"
    ))
    .await;
    let typed = std::fs::read(path("typed")).unwrap();
    create(&server, "?name=typed", typed, KEY).await;
    let spin = iof_tests::guests::wat(
        "(module (func (export \"spin\") (local i64) (loop (local.set 0 (i64.add (local.get 0) (i64.const 1)))
            (br_if 0 (i64.lt_u (local.get 0) (i64.const 1000000000000))))))",
    );
    create(&server, "?name=spins", spin, KEY).await;
    let address = server.url.trim_start_matches("http://").to_owned();
    let begun = [
        (
            "typed",
            "add",
            "content-length: 100\r\n\r\n{\"a\":",
            "request",
        ),
        (
            "typed",
            "add",
            "transfer-encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n",
            "request",
        ),
        (
            "spins",
            "spin",
            "content-length: 2\r\n\r\n[]",
            "client-gone",
        ),
    ];
    let both = begun
        .into_iter()
        .flat_map(|begun| [(begun, false), (begun, true)]);
    for ((function, export, body, fault), reset) in both {
        let before = rows(&server, function, KEY).await.len();
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        let head = format!(
            "POST /v1/functions/{function}/call/{export} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n{body}"
        );
        stream.write_all(head.as_bytes()).unwrap();
        // The head is read, and the call runs.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        if reset {
            rustix::net::sockopt::set_socket_linger(&stream, Some(std::time::Duration::ZERO))
                .unwrap();
        }
        drop(stream);
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        let row = loop {
            let rows = rows(&server, function, KEY).await;
            if let Some(row) = rows.get(before) {
                break row.clone();
            }
            assert!(
                std::time::Instant::now() < until,
                "no row of {function} {reset}: {body}"
            );
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        };
        assert_eq!(
            (&row["export"], &row["fault"]),
            (&export.into(), &fault.into()),
            "{row}"
        );
        match fault {
            // What it used until then counts, so that nobody computes for free.
            "client-gone" => {
                assert!(row["refused"].is_null(), "{row}");
                let used = row["guest_us"].as_u64().unwrap();
                assert!((20_000..3_000_000).contains(&used), "{row}");
            }
            _ => assert_eq!(row["refused"], true, "{row}"),
        }
    }
    let usage = ask(&server, "GET", "/v1/functions/spins/usage", KEY, None)
        .await
        .json();
    assert_eq!(usage["invocations"], 2, "{usage}");
}

/// The reason why a function cannot be loaded is in its log, and so are the refusals of the API of 2020.
#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_cannot_be_loaded_has_a_log() {
    let server = Server::start("[server]\nlog_rows = 10\n").await;
    let user = User::new(&server.url);
    module(&user, 1);
    let declaration = "[[secrets]]\nvalue = \"Bearer {TOKEN}\"\nheader = \"authorization\"\nto = \"GET https://a.test\"\n";
    std::fs::write(user.folder().join("function.toml"), declaration).unwrap();
    let output = user.types(&["deploy", "hello.wasm"]).await;
    assert!(output.contains("TOKEN is not set"), "{output}");
    let refused = user.types(&["call", "hello", "which"]).await;
    assert!(refused.contains("[secret-not-set"), "{refused}");
    let logs = user.types(&["logs", "hello"]).await;
    assert!(
        logs.contains("which  refused: secret-not-set  call ID")
            && logs.contains("declares the secret TOKEN"),
        "{logs}"
    );
    let other = server.upload(iof_tests::guests::guest("hello")).await;
    let request = server.request("POST", &format!("/api/run/{}/say", other.id));
    let refused = server
        .answer(request.header("content-encoding", "nothing").body("x"))
        .await;
    assert_eq!(refused.http, 415, "{}", refused.text());
    let path = format!("/v1/functions/{}/logs", other.id);
    let logs = server.read_as(&other, &path).await;
    assert_eq!(logs["logs"][0]["fault"], "content-encoding", "{logs}");
    // The log of 2020 has no such row.
    let request = server
        .request("GET", &format!("/api/log/{}?last=10", other.id))
        .header("SSVM_Admin_Key", &other.admin_key);
    assert_eq!(server.answer(request).await.text(), "[]");
}

/// A flood of an anonymous client displaces refused rows, but no row of a call that ran.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_refused_calls_leaves_the_good_ones() {
    let server = Server::start("[server]\nrefused_rows = 5\n").await;
    let created = create(&server, "?name=hello", numbered(1), "").await.json();
    let key = created["admin_key"].as_str().unwrap();
    let call = "/v1/functions/hello/call/which";
    assert_eq!(server.answer(server.request("POST", call)).await.http, 200);
    for _ in 0..300 {
        let refused = server.answer(server.request("PUT", call)).await;
        assert_eq!(refused.http, 405);
    }
    assert_eq!(server.answer(server.request("POST", call)).await.http, 200);
    let rows = rows(&server, "hello", key).await;
    let refused = rows.iter().filter(|row| row["refused"] == true).count();
    assert_eq!((rows.len(), refused), (7, 5), "{rows:?}");
    // Numbers ascend over both kinds, so a follower sees each row once.
    let ids: Vec<i64> = rows.iter().map(|row| row["id"].as_i64().unwrap()).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    let path = format!("/v1/functions/hello/logs?after={}&limit=2", ids[2]);
    let page = ask(&server, "GET", &path, key, None).await.json();
    let page: Vec<i64> = page["logs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].as_i64().unwrap())
        .collect();
    assert_eq!(page, ids[3..5]);
    // The rows survive a restart.
    let mut server = server;
    assert!(server.stop().await.success());
    let server = server.restart().await;
    assert_eq!(self::rows(&server, "hello", key).await.len(), 7);
}
