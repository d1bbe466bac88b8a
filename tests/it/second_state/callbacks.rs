//! `SSVM_Callback`: the caller, or the owner who stored it, decides where the result of a function goes.

use crate::second_state::modules;
use iof_tests::{
    call::{Answer, Uploaded},
    joey::Joey,
    server::Server,
    upstream::{Upstream, binary},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const TEXT: &str = "text/plain";
const OCTETS: &str = "application/octet-stream";

/// A server that may call `hook.example.com`, which is `hook`, and `closed.example.com`, where nothing listens.
struct Story {
    hook: Upstream,
    server: Server,
    function: Uploaded,
    /// Holds the hook's authority for as long as the server may read it.
    _folder: TempDir,
}

impl Story {
    async fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        let hook = Upstream::start_tls(&["hook.example.com", "other.example.com"]).await;
        hook.write_ca(&ca);
        let closed = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let pins = [
            hook.pin("hook.example.com", 443),
            hook.pin("hook.example.com", 8443),
            hook.pin("other.example.com", 443),
            format!(
                "[[egress.pin]]\nhost = \"closed.example.com\"\nport = 443\nto = \"{closed}\"\n"
            ),
        ];
        let server = Server::start(format!(
            "[defaults]\noutbound = [\"* https://hook.example.com\", \"* https://hook.example.com:8443\", \
             \"* https://closed.example.com\"]\n[egress]\nca_files = [{ca:?}]\n{}",
            pins.concat()
        ))
        .await;
        let function = server.upload(modules::hello()).await;
        Self {
            hook,
            server,
            function,
            _folder: folder,
        }
    }

    fn joey(&self) -> Joey {
        Joey::http(&self.server)
    }

    async fn store(&self, callback: &Value) {
        let joey = self.joey();
        let call = joey
            .call("PUT", format!("/api/callback/{}", self.function.id))
            .header("Content-Type", "application/json")
            .header("SSVM_Admin_Key", &*self.function.admin_key);
        let answer = call.body(callback.to_string()).send().await;
        assert_eq!(answer.text(), self.function.id.to_string());
    }

    /// Runs with a callback in the header.
    async fn run(&self, path: &str, callback: impl ToString, body: impl AsRef<[u8]>) -> Answer {
        let joey = self.joey();
        let kind = if path.ends_with("/bytes") {
            OCTETS
        } else {
            TEXT
        };
        joey.call("POST", format!("/api/run/{}/{path}", self.function.id))
            .header("Content-Type", kind)
            .header("SSVM_Callback", callback.to_string())
            .body(body)
            .send()
            .await
    }

    fn paths(&self) -> Vec<String> {
        self.hook.seen().into_iter().map(|seen| seen.path).collect()
    }
}

/// A callback to the hook, as the articles write it.
fn to(path: &str) -> Value {
    json!({
        "hostname": "hook.example.com", "path": path, "method": "POST", "port": 443,
        "headers": { "Content-Type": "text/plain" }, "maxRedirects": 20,
    })
}

/// A failure of the callback, which callers of 2020 never got an answer to.
fn assert_broken(answer: &Answer, code: &str) {
    let truth = (answer.http.as_u16(), answer.status(), answer.fault());
    assert_eq!(truth, (502, 502, code), "{answer:?} {}", answer.text());
    let body = answer.json();
    assert_eq!(body["fault"], code, "{body}");
    assert!(!body["error"].as_str().unwrap().is_empty());
}

fn assert_not_understood(answer: &Answer) {
    let truth = (answer.http.as_u16(), answer.status(), answer.fault());
    assert_eq!(
        truth,
        (400, 400, "callback"),
        "{answer:?} {}",
        answer.text()
    );
    assert_eq!(answer.json()["fault"], "callback");
}

/// A reader of the log of `/v1` waits for the next call, although the row of a callback comes after the last one.
#[tokio::test]
async fn a_reader_of_the_log_waits_behind_callbacks() {
    let story = Story::begin().await;
    let logs = format!("/v1/functions/{}/logs", story.function.id);
    let read = async |query: &str| {
        let logs = format!("{logs}{query}");
        let answer = story.server.read_as(&story.function, &logs).await;
        answer["logs"].as_array().unwrap().clone()
    };
    let answer = story.run("say", to("/mirror?log"), "Tim").await;
    assert_eq!(answer.text(), "hello Tim");
    let first = read("").await;
    let last = first.last().unwrap()["id"].as_i64().unwrap();
    let began = Instant::now();
    assert!(read(&format!("?after={last}&wait=2")).await.is_empty());
    let waited = began.elapsed();
    assert!(waited >= Duration::from_millis(1900), "{waited:?}");
    // Nor does it stop before the call that comes next.
    story.run("say", to("/mirror?log"), "Ada").await;
    let next = read(&format!("?after={last}&limit=1")).await;
    assert!(next[0]["id"].as_i64().unwrap() > last, "{next:?}");
}

#[tokio::test]
async fn the_answer_of_the_callback_is_the_answer() {
    let story = Story::begin().await;
    let (joey, id) = (story.joey(), story.function.id);
    let answer = story.run("say", to("/mirror?header"), "Tim").await;
    assert_eq!((answer.text().as_str(), answer.fault()), ("hello Tim", ""));
    // The whole answer comes from the callback.
    let answer = story.run("say", to("/status/200"), "Tim").await;
    assert_eq!(answer.text(), "status 200");
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let body = json!({ "a": 1, "SSVM_Callback": to("/mirror?body") }).to_string();
    for kind in [TEXT, "application/json"] {
        let answer = joey.run(id, "say", kind, &body).await;
        assert_eq!(answer.text(), r#"hello {"a":1}"#, "{kind}");
    }
    story.store(&to("/mirror?stored")).await;
    for kind in [TEXT, OCTETS, "text/plain; charset=UTF-8"] {
        assert_eq!(joey.run(id, "say", kind, "Tim").await.text(), "hello Tim");
    }
    let expected = [
        "/mirror?header",
        "/status/200",
        "/mirror?body",
        "/mirror?body",
        "/mirror?stored",
        "/mirror?stored",
        "/mirror?stored",
    ];
    assert_eq!(story.paths(), expected);
}

#[tokio::test]
async fn the_header_precedes_the_body_and_both_precede_the_stored_callback() {
    let story = Story::begin().await;
    let (joey, id) = (story.joey(), story.function.id);
    story.store(&to("/mirror?stored")).await;
    let body = json!({ "SSVM_Callback": to("/mirror?body") }).to_string();
    joey.run(id, "say", TEXT, &body).await;
    story.run("say", to("/mirror?header"), &body).await;
    assert_eq!(story.paths(), ["/mirror?body", "/mirror?header"]);
}

#[tokio::test]
async fn an_empty_object_cancels_the_stored_callback() {
    let story = Story::begin().await;
    let (joey, id) = (story.joey(), story.function.id);
    story.store(&to("/status/500")).await;
    assert_eq!(story.run("say", "{}", "Tim").await.text(), "hello Tim");
    let body = json!({ "a": 1, "SSVM_Callback": {} }).to_string();
    assert_eq!(
        joey.run(id, "say", TEXT, &body).await.text(),
        r#"hello {"a":1}"#
    );
    assert_eq!(story.paths(), Vec::<String>::new());
    story.store(&json!({})).await;
    assert_eq!(joey.run(id, "say", TEXT, "Tim").await.text(), "hello Tim");
    assert_eq!(story.paths(), Vec::<String>::new());
}

/// The original counted characters, and sent bytes as an object of numbers.
#[tokio::test]
async fn the_body_is_exactly_the_result() {
    let story = Story::begin().await;
    let text = "héllo ✓ 漢字 😀";
    let answer = story.run("echo", to("/echo"), text).await.json();
    assert_eq!(answer["body"], text);
    assert_eq!(answer["headers"]["content-length"], text.len().to_string());
    let bytes = binary();
    let answer = story.run("echo/bytes", to("/mirror"), &bytes).await;
    assert_eq!(answer.header("content-type"), OCTETS);
    assert!(answer.body == bytes, "{:?}", answer.body);
    let answer = story.run("echo", to("/echo"), "").await.json();
    assert_eq!(
        (&answer["body"], &answer["method"]),
        (&json!(""), &json!("POST"))
    );
}

#[tokio::test]
async fn method_port_path_and_headers_are_those_of_the_object() {
    let story = Story::begin().await;
    let callback = json!({
        "hostname": "hook.example.com", "port": 8443, "path": "/echo?a=%20b&c", "method": "PUT",
        "headers": { "Content-Type": "application/json", "authorization": "Bearer SG.x", "X-Custom": "1" },
    });
    let echo = story.run("say", callback, "Tim").await.json();
    assert_eq!(
        (&echo["method"], &echo["path"]),
        (&json!("PUT"), &json!("/echo?a=%20b&c"))
    );
    let headers = &echo["headers"];
    assert_eq!(headers["authorization"], "Bearer SG.x");
    assert_eq!(
        (&headers["x-custom"], &headers["content-type"]),
        (&json!("1"), &json!("application/json"))
    );
    assert_eq!(echo["body"], "hello Tim");
}

#[tokio::test]
async fn auth_is_sent_and_unsupported_options_are_refused_by_name() {
    let story = Story::begin().await;
    let with = |name: &str, value: Value| {
        let mut callback = to("/echo");
        callback[name] = value;
        callback
    };
    let echo = story
        .run("say", with("auth", json!("ada:pw")), "Tim")
        .await
        .json();
    assert_eq!(echo["headers"]["authorization"], "Basic YWRhOnB3");
    for (name, value) in [
        ("agent", json!({})),
        ("body", json!("x")),
        ("family", json!(4)),
        ("rejectUnauthorized", json!(false)),
        ("socketPath", json!("/run/docker.sock")),
        ("timeout", json!(1)),
        ("hostnam", json!("hook.example.com")),
    ] {
        let answer = story.run("say", with(name, value), "Tim").await;
        assert_eq!(answer.fault(), "callback", "{name}");
        let text = answer.text();
        assert!(text.contains(&format!("`{name}`")), "{text}");
    }
    assert_eq!(story.paths(), ["/echo"]);
}

#[tokio::test]
async fn any_status_of_the_callback_is_success() {
    let story = Story::begin().await;
    for status in [404, 500] {
        let answer = story
            .run("say", to(&format!("/status/{status}")), "Tim")
            .await;
        assert_eq!(
            (answer.http.as_u16(), answer.text(), answer.fault()),
            (200, format!("status {status}"), "")
        );
    }
}

#[tokio::test]
async fn a_failed_function_makes_no_callback() {
    let story = Story::begin().await;
    let answer = story.run("trap", to("/mirror"), "Tim").await;
    assert_eq!((answer.http.as_u16(), answer.fault()), (200, "trap"));
    assert!(answer.text().contains("Error executing this function"));
    assert_eq!(story.paths(), Vec::<String>::new());
}

#[tokio::test]
async fn an_invalid_callback_is_refused_before_anything_runs() {
    let story = Story::begin().await;
    let (joey, id) = (story.joey(), story.function.id);
    let mut nameless = to("/mirror");
    nameless.as_object_mut().unwrap().remove("hostname");
    let mut numbered = to("/mirror");
    numbered["hostname"] = 5.into();
    let mut far = to("/mirror");
    far["port"] = 99_999.into();
    for callback in [
        "nonsense",
        "{",
        "7",
        &nameless.to_string(),
        &numbered.to_string(),
        &far.to_string(),
    ] {
        assert_not_understood(&story.run("say", callback, "Tim").await);
        if let Ok(callback) = serde_json::from_str::<Value>(callback) {
            let body = json!({ "SSVM_Callback": callback }).to_string();
            assert_not_understood(&joey.run(id, "say", "application/json", body).await);
        }
    }
    let call = joey
        .call("PUT", format!("/api/callback/{id}"))
        .header("Content-Type", "application/json")
        .header("SSVM_Admin_Key", &*story.function.admin_key);
    assert_eq!(call.body("{broken").send().await.http.as_u16(), 400);
    assert_eq!(story.paths(), Vec::<String>::new());
    let usage = joey
        .call(
            "GET",
            format!("/api/executables/{id}?filterBy=%5B%22total_invocations%22%5D"),
        )
        .header("SSVM_Admin_Key", &*story.function.admin_key);
    assert_eq!(usage.send().await.json(), json!({ "total_invocations": 0 }));
}

#[tokio::test]
async fn a_callback_that_is_not_accepted_is_reported_at_once() {
    let story = Story::begin().await;
    let mut callback = to("/mirror");
    callback["hostname"] = "closed.example.com".into();
    let start = Instant::now();
    let answer = story.run("say", &callback, "Tim").await;
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    assert_broken(&answer, "egress-connect");
    assert_broken(
        &story.run("say/bytes", &callback, "Tim").await,
        "egress-connect",
    );
}

#[tokio::test]
async fn a_callback_leaves_only_where_a_rule_allows_it() {
    let story = Story::begin().await;
    for (host, port) in [("other.example.com", 443), ("hook.example.com", 444)] {
        let mut callback = to("/mirror");
        callback["hostname"] = host.into();
        callback["port"] = port.into();
        assert_broken(&story.run("say", callback, "Tim").await, "egress-denied");
    }
    assert_eq!(story.paths(), Vec::<String>::new());
}

/// By default all public addresses are allowed, and no internal ones.
#[tokio::test]
async fn internal_addresses_are_not_called_back_by_default() {
    let server = Server::start("").await;
    let (joey, id) = (
        Joey::http(&server),
        server.upload(modules::hello()).await.id,
    );
    for host in ["127.0.0.1", "169.254.169.254", "10.0.0.1"] {
        let callback =
            json!({ "hostname": host, "path": "/", "method": "POST", "port": 443, "headers": {} });
        let call = joey
            .call("POST", format!("/api/run/{id}/say"))
            .header("Content-Type", TEXT)
            .header("SSVM_Callback", callback.to_string());
        assert_broken(&call.body("Tim").send().await, "egress-address");
    }
}
