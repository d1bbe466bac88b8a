//! The declaration of a version: allowed and denied requests, and the operator's ceiling.

use iof_tests::{
    guests::{guest, wat},
    server::Server,
    upstream::Upstream,
};
use serde_json::{Value, json};

const DECLARED: &str = r#"
commands = ["http_proxy"]
outbound = ["GET http://api.example.com/echo"]
"#;

async fn proxied(server: &Server, id: u64, method: &str, url: &str) -> Value {
    let request = json!({ "program": "http_proxy", "args": [method, url] });
    let answer = server.run(id, "run_ssvm", request.to_string()).await;
    assert_eq!(answer.fault(), "", "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn a_version_gets_only_the_declared_grants() {
    let upstream = Upstream::start().await;
    let server = Server::start(upstream.pin("api.example.com", 80)).await;
    let function = server.deploy(guest("command"), DECLARED).await;
    let get = proxied(&server, function.id, "get", "http://api.example.com/echo").await;
    assert_eq!(get["status"], 0, "{get}");
    for (method, url) in [
        ("post", "http://api.example.com/echo"),
        ("get", "http://api.example.com/status/404"),
        ("get", "http://other.example.com/echo"),
    ] {
        let denied = proxied(&server, function.id, method, url).await;
        assert_eq!(denied["status"], 3, "{method} {url}: {denied}");
    }
    // An empty file grants nothing.
    let bare = server.deploy(guest("command"), "").await;
    let denied = proxied(&server, bare.id, "get", "http://api.example.com/echo").await;
    assert_eq!(denied["status"], -1, "{denied}");
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn fetches_and_callbacks_follow_the_declaration_too() {
    let upstream = Upstream::start().await;
    let server = Server::start(upstream.pin("api.example.com", 80)).await;
    const CALLERS: &str = "callers_may = [\"fetch\", \"callback\"]";
    let declared = format!("outbound = [\"GET http://api.example.com/echo\"]\n{CALLERS}");
    let declared = server.deploy(guest("hello"), &declared).await;
    let bare = server.deploy(guest("hello"), CALLERS).await;
    for (function, fault) in [(&declared, ""), (&bare, "egress-denied")] {
        let request = server
            .request("POST", &format!("/api/run/{}/say", function.id))
            .header("Content-Type", "text/plain")
            .header("SSVM_Fetch", "http://api.example.com/echo");
        let answer = server.answer(request).await;
        assert_eq!(answer.fault(), fault, "{}", answer.text());
        let callback = json!({ "protocol": "http:", "hostname": "api.example.com", "path": "/echo", "method": "GET" });
        let request = server
            .request("POST", &format!("/api/run/{}/say", function.id))
            .header("Content-Type", "text/plain")
            .header("SSVM_Callback", callback.to_string())
            .body("x");
        let answer = server.answer(request).await;
        assert_eq!(answer.fault(), fault, "{}", answer.text());
    }
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn storage_is_a_grant() {
    let server = Server::start("").await;
    for (declaration, fault) in [("storage = true", ""), ("", "storage-not-granted")] {
        let function = server
            .deploy(guest("cumulative-storage"), declaration)
            .await;
        let answer = server.run(function.id, "init", "1").await;
        assert_eq!(answer.fault(), fault, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_declaration_above_the_ceiling_is_refused_by_name() {
    let server = Server::start(
        "[ceiling]\ncommands = [\"http_proxy\"]\noutbound = [\"GET https://*.example.com\"]\nstorage = false\n",
    )
    .await;
    for (declaration, named) in [
        ("commands = [\"sh\"]", "`sh`"),
        (
            "outbound = [\"GET https://example.com\"]",
            "GET https://example.com",
        ),
        (
            "outbound = [\"POST https://a.example.com\"]",
            "GET https://*.example.com",
        ),
        ("storage = true", "[ceiling] storage = false"),
        ("[limits]\nmemory = \"1GiB\"", "limits.memory"),
        ("concurrency = 1000", "server.concurrency"),
    ] {
        let answer = server.try_deploy(guest("hello"), declaration).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (403, "ceiling"),
            "{declaration}"
        );
        let message = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(message.contains(named), "{declaration}: {message}");
    }
    let taken = "outbound = [\"GET https://api.example.com/v1\"]\n[limits]\nmemory = \"64MiB\"";
    assert_eq!(server.deploy(guest("hello"), taken).await.id, 1);
}

#[tokio::test]
async fn a_lowered_ceiling_applies_to_deployed_versions() {
    let mut server = Server::start("").await;
    let function = server
        .deploy(guest("hello"), "commands = [\"http_proxy\"]")
        .await;
    assert_eq!(server.run(function.id, "say", "x").await.fault(), "");
    server.stop().await;
    let server = server.restart_with("[ceiling]\ncommands = []\n").await;
    let answer = server.run(function.id, "say", "x").await;
    assert_eq!(
        (answer.http.as_u16(), answer.fault()),
        (403, "ceiling"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn limits_of_a_version_end_only_its_own_calls() {
    let server = Server::start("").await;
    let spin = wat(
        r#"(module (memory (export "memory") 1) (func (export "spin") (result i32) (loop $l br $l) i32.const 0))"#,
    );
    let declared = server.deploy(spin, "[limits]\nwall_time = \"100ms\"").await;
    let started = std::time::Instant::now();
    let answer = server.run(declared.id, "spin", "").await;
    assert_eq!(answer.fault(), "wall-time", "{}", answer.text());
    assert!(
        answer.header("iof-message").contains("100ms"),
        "{}",
        answer.header("iof-message")
    );
    assert!(started.elapsed().as_secs() < 5);

    let grow = r#"(module (memory (export "memory") 1)
        (func (export "grow") (result i32) (memory.grow (i32.const 100))))"#;
    let small = server
        .deploy(wat(grow), "[limits]\nmemory = \"1MiB\"")
        .await;
    let large = server.deploy(wat(grow), "").await;
    assert_eq!(server.run(small.id, "grow", "").await.text(), "-1");
    assert_eq!(server.run(large.id, "grow", "").await.text(), "1");
}

#[tokio::test]
async fn concurrency_and_rate_of_a_version_answer_429() {
    let upstream = Upstream::start().await;
    let server = Server::start(format!(
        "[server]\nqueue_wait = \"100ms\"\n{}",
        upstream.pin("api.example.com", 80)
    ))
    .await;
    let declaration =
        "commands = [\"http_proxy\"]\noutbound = [\"* http://api.example.com\"]\nconcurrency = 1";
    let narrow = server.deploy(guest("command"), declaration).await;
    let request =
        json!({ "program": "http_proxy", "args": ["get", "http://api.example.com/slow/1000"] })
            .to_string();
    let calls = (0..3).map(|_| server.run(narrow.id, "run_ssvm", request.clone()));
    let answers = futures::future::join_all(calls).await;
    let mut faults: Vec<_> = answers
        .iter()
        .map(|answer| (answer.http.as_u16(), answer.fault()))
        .collect();
    faults.sort_unstable();
    assert_eq!(
        faults,
        [(200, ""), (429, "concurrency"), (429, "concurrency")]
    );

    let rare = server.deploy(guest("hello"), "rate = 12").await;
    let mut faults = vec![];
    for _ in 0..4 {
        let answer = server.run(rare.id, "say", "x").await;
        faults.push(answer.fault().to_owned());
        if !answer.fault().is_empty() {
            assert_eq!(
                (answer.http.as_u16(), answer.header("retry-after")),
                (429, "1")
            );
        }
    }
    assert_eq!(faults, ["", "", "rate", "rate"]);
    // A change of its state does not allow another burst.
    let state = server
        .request("PUT", &format!("/api/state/{}", rare.id))
        .header("SSVM_Admin_Key", &rare.admin_key)
        .header("Content-Type", "text/plain")
        .body("new");
    assert_eq!(server.answer(state).await.text(), rare.id.to_string());
    assert_eq!(server.run(rare.id, "say", "x").await.fault(), "rate");
}

#[tokio::test]
async fn an_updated_binary_keeps_its_grants() {
    let upstream = Upstream::start().await;
    let server = Server::start(upstream.pin("api.example.com", 80)).await;
    let function = server.deploy(guest("command"), "").await;
    let swap = server
        .request("PUT", &format!("/api/update_wasm_binary/{}", function.id))
        .header("SSVM_Admin_Key", &function.admin_key)
        .header("Content-Type", "application/octet-stream")
        .body(guest("command"));
    assert_eq!(server.answer(swap).await.fault(), "");
    let denied = proxied(&server, function.id, "get", "http://api.example.com/echo").await;
    assert_eq!(denied["status"], -1, "{denied}");
}

#[tokio::test]
async fn versions_are_listed_with_their_declarations() {
    let server = Server::start("").await;
    let function = server.deploy(guest("hello"), DECLARED).await;
    assert_eq!(function.json["version"], 1);
    assert_eq!(function.json["exports"], json!(["say"]));
    let next = server
        .try_deploy_version(&function, guest("hello"), "storage = true")
        .await;
    assert_eq!(
        (next.http.as_u16(), &next.json()["version"]),
        (201, &json!(2))
    );
    let read = server
        .read_as(&function, &format!("/v1/functions/{}", function.id))
        .await;
    assert_eq!(read["version"], 2, "{read}");
    assert_eq!(
        read["versions"][0]["declaration"]["storage"], true,
        "{read}"
    );
    assert_eq!(
        read["versions"][1]["declaration"]["outbound"],
        json!(["GET http://api.example.com/echo"])
    );
    let next = server
        .try_deploy_version(&function, guest("hello"), "storage = 1")
        .await;
    assert_eq!(
        (next.http.as_u16(), next.fault()),
        (422, "declaration"),
        "{}",
        next.text()
    );
}

#[tokio::test]
async fn malformed_uploads_are_named() {
    let server = Server::start("[auth]\nkeys = [\"a key of the server\"]\n").await;
    let post = || server.request("POST", "/v1/functions");
    let with_key = || post().bearer_auth("a key of the server");
    let form = "multipart/form-data; boundary=x";
    for (request, status, fault) in [
        (post().body("x"), 401, "key"),
        (with_key().body("x"), 415, "content-type"),
        (
            with_key().header("Content-Type", "application/wasm"),
            400,
            "not-wasm",
        ),
        (
            with_key()
                .header("Content-Type", "application/wasm")
                .body("x"),
            400,
            "not-wasm",
        ),
        (
            with_key()
                .header("Content-Type", "multipart/form-data")
                .body("x"),
            400,
            "multipart",
        ),
        (
            with_key().header("Content-Type", form).body("x"),
            400,
            "multipart",
        ),
        (
            with_key().header("Content-Type", form).body(
                "--x\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nx\r\n--x--\r\n",
            ),
            400,
            "multipart",
        ),
        (
            with_key().header("Content-Type", form).body("--x--\r\n"),
            400,
            "multipart",
        ),
        (server.request("GET", "/v1/functions/1"), 401, "key"),
        (
            server
                .request("GET", "/v1/functions/1")
                .bearer_auth("a key of the server"),
            404,
            "no-such-function",
        ),
        (server.request("GET", "/v1/nothing"), 404, "no-such-route"),
        (server.request("DELETE", "/v1/egress"), 405, "method"),
        (server.request("GET", "/v1/egress"), 401, "key"),
        (
            server
                .request("GET", "/v1/egress")
                .header("Origin", "https://evil.example"),
            403,
            "origin",
        ),
        (with_key().header("Origin", "null"), 403, "origin"),
        (
            server
                .request("GET", "/v1/egress?functoin=1")
                .bearer_auth("a key of the server"),
            400,
            "query",
        ),
        (
            server
                .request("GET", "/v1/egress?limit=x")
                .bearer_auth("a key of the server"),
            400,
            "query",
        ),
        (
            server
                .request("GET", "/v1/egress?limit=0")
                .bearer_auth("a key of the server"),
            400,
            "query",
        ),
    ] {
        let answer = server.answer(request).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (status, fault),
            "{}",
            answer.text()
        );
        assert!(
            answer.json()["error"]
                .as_str()
                .is_some_and(|output| output.ends_with('.')),
            "{}",
            answer.text()
        );
        // Our own API is not open to pages of other origins.
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}
