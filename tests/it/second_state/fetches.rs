//! `SSVM_Fetch`: the argument of a call is the response of another server.

use crate::second_state::modules;
use iof_tests::{
    call::{Answer, Uploaded},
    joey::{Call, Joey},
    server::Server,
    upstream::{IMAGE, Rude, Upstream, binary},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(super) const JSON: &str = "application/json";

/// A server that may fetch from `data.example.com`, which is `data`, and `closed.example.com`, where nothing listens.
pub(super) struct Story {
    data: Upstream,
    server: Server,
    pub(super) function: Uploaded,
    /// Holds the authority for as long as the server may read it.
    _folder: TempDir,
}

impl Story {
    pub(super) async fn begin() -> Self {
        Self::with("").await
    }

    pub(super) async fn with(egress: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        let data = Upstream::start_tls(&["data.example.com", "other.example.com"]).await;
        data.write_ca(&ca);
        let closed = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let pins = [
            data.pin("data.example.com", 443),
            data.pin("other.example.com", 443),
            format!(
                "[[egress.pin]]\nhost = \"closed.example.com\"\nport = 443\nto = \"{closed}\"\n"
            ),
        ];
        let server = Server::start(format!(
            "[defaults]\noutbound = [\"* https://data.example.com\", \"* https://closed.example.com\"]\n\
             [egress]\nca_files = [{ca:?}]\n{egress}\n{}",
            pins.concat()
        ))
        .await;
        let function = server.upload(modules::hello()).await;
        Self {
            data,
            server,
            function,
            _folder: folder,
        }
    }

    pub(super) fn joey(&self) -> Joey {
        Joey::http(&self.server)
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.data.seen().into_iter().map(|seen| seen.path).collect()
    }

    pub(super) async fn header(&self, path: &str, fetch: impl ToString) -> Answer {
        let joey = self.joey();
        call(&joey, self.function.id, path, &fetch.to_string())
            .send()
            .await
    }

    pub(super) async fn assert_never_ran(&self) {
        let path = format!(
            "/api/executables/{}?filterBy=%5B%22total_invocations%22%5D",
            self.function.id
        );
        let joey = self.joey();
        let call = joey
            .call("GET", path)
            .header("SSVM_Admin_Key", &*self.function.admin_key);
        assert_eq!(call.send().await.json(), json!({ "total_invocations": 0 }));
    }
}

pub(super) fn call<'a>(joey: &'a Joey, id: u64, path: &str, fetch: &str) -> Call<'a> {
    joey.call("POST", format!("/api/run/{id}/{path}"))
        .header("SSVM_Fetch", fetch)
}

pub(super) fn url(path: &str) -> String {
    format!("https://data.example.com{path}")
}

/// Node's options of a request, as the documentation shows them.
pub(super) fn options(path: &str, body: Value) -> Value {
    json!({
        "method": "POST", "hostname": "data.example.com", "port": 443, "path": path,
        "headers": { "Content-Type": "application/json" }, "maxRedirects": 20, "body": body,
    })
}

/// A failure of the fetch, for which the original let its caller wait forever.
pub(super) fn assert_broken(answer: &Answer, code: &str) {
    let truth = (answer.http.as_u16(), answer.status(), answer.fault());
    assert_eq!(truth, (502, 502, code), "{answer:?} {}", answer.text());
    assert_eq!(answer.json()["fault"], code);
}

#[tokio::test]
async fn the_response_of_a_url_becomes_the_argument() {
    let story = Story::begin().await;
    let (joey, id) = (story.joey(), story.function.id);
    let answer = story.header("say", url("/status/200")).await;
    assert_eq!(
        (answer.text().as_str(), answer.fault()),
        ("hello status 200", "")
    );
    let body = json!({ "SSVM_Fetch": url("/status/200"), "a": 1 }).to_string();
    for kind in [JSON, "text/plain"] {
        let answer = joey.run(id, "say", kind, &body).await;
        assert_eq!(answer.text(), "hello status 200", "{kind}");
    }
    assert!(story.data.seen().iter().all(|seen| seen.method == "GET"));
}

#[tokio::test]
async fn the_type_and_body_of_the_request_do_not_matter() {
    let story = Story::begin().await;
    let (joey, id) = (story.joey(), story.function.id);
    for kind in [
        JSON,
        "text/plain",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "image/png",
    ] {
        let call = call(&joey, id, "say", &url("/status/200")).header("Content-Type", kind);
        assert_eq!(
            call.clone().send().await.text(),
            "hello status 200",
            "{kind}, no body"
        );
        assert_eq!(
            call.body("{\"a\":1}").send().await.text(),
            "hello status 200",
            "{kind}"
        );
    }
}

#[tokio::test]
async fn the_header_comes_before_the_body() {
    let story = Story::begin().await;
    let joey = story.joey();
    let body = json!({ "SSVM_Fetch": url("/status/404") }).to_string();
    let call = call(&joey, story.function.id, "say", &url("/status/200"));
    let answer = call.header("Content-Type", JSON).body(body).send().await;
    assert_eq!(answer.text(), "hello status 200");
    assert_eq!(story.paths(), ["/status/200"]);
}

#[tokio::test]
async fn a_request_object_is_sent_as_described() {
    let story = Story::begin().await;
    let (joey, id) = (story.joey(), story.function.id);
    let fetch = options("/echo?q=1", json!({ "a": [1, "é"] }));
    let body = json!({ "SSVM_Fetch": fetch }).to_string();
    let by_header = story.header("echo", &fetch).await;
    let by_body = joey.run(id, "echo", JSON, &body).await;
    for answer in [by_header, by_body] {
        let echo = answer.json();
        assert_eq!(
            (&echo["method"], &echo["path"]),
            (&json!("POST"), &json!("/echo?q=1"))
        );
        assert_eq!(echo["headers"]["content-type"], "application/json");
        assert_eq!(echo["body"], "{\"a\":[1,\"é\"]}");
        assert_eq!(echo["headers"]["content-length"], "14");
    }
    // A text is JSON, too: it arrives in quotes.
    let echo = story
        .header("echo", options("/echo", "Tim".into()))
        .await
        .json();
    assert_eq!(echo["body"], "\"Tim\"");
    let mut put = options("/echo", json!({}));
    put["method"] = "PUT".into();
    assert_eq!(story.header("echo", put).await.json()["method"], "PUT");
}

#[tokio::test]
async fn images_and_other_bytes_are_unchanged() {
    let story = Story::begin().await;
    let answer = story.header("echo/bytes", url("/image")).await;
    assert!(answer.body == IMAGE, "{:?}", answer.body);
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    // The original decoded every other type as text, which damaged it.
    let answer = story.header("echo/bytes", url("/binary")).await;
    assert!(answer.body == binary(), "{:?}", answer.body);
    assert_eq!(story.paths().len(), 2, "an image is not fetched twice");
}

#[tokio::test]
async fn a_missing_page_is_an_argument_too() {
    let story = Story::begin().await;
    for status in [404, 500] {
        let answer = story.header("say", url(&format!("/status/{status}"))).await;
        assert_eq!(
            (answer.text(), answer.status()),
            (format!("hello status {status}"), 200)
        );
    }
    let answer = story.header("say", url("/nothing")).await;
    assert_eq!((answer.text().as_str(), answer.status()), ("hello ", 200));
}

#[tokio::test]
async fn a_refused_connection_is_reported_at_once() {
    let story = Story::begin().await;
    let start = Instant::now();
    let answer = story.header("say", "https://closed.example.com/x").await;
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    assert_broken(&answer, "egress-connect");
    story.assert_never_ran().await;
}

#[tokio::test]
async fn aborted_and_slow_responses_are_reported() {
    let limits =
        "first_byte_timeout = \"400ms\"\nidle_timeout = \"400ms\"\nmax_response = \"100KiB\"";
    let story = Story::with(limits).await;
    for (path, code) in [
        ("/slow/5000", "egress-timeout-first-byte"),
        ("/drip/20/2000", "egress-timeout-idle"),
        ("/size/200000", "egress-response-too-large"),
        ("/endless", "egress-response-too-large"),
        ("/cut/100", "egress-protocol"),
    ] {
        assert_broken(&story.header("say", url(path)).await, code);
    }
    story.assert_never_ran().await;
    assert_eq!(
        story.header("say", url("/status/200")).await.text(),
        "hello status 200"
    );
}

#[tokio::test]
async fn a_response_that_is_not_http_is_reported() {
    let rude = Rude::start("no HTTP at all\r\n\r\n").await;
    let server = Server::start(format!(
        "[[egress.pin]]\nhost = \"rude.example.com\"\nport = 80\nto = \"{}\"\n",
        rude.address()
    ))
    .await;
    let joey = Joey::http(&server);
    let id = server.upload(modules::hello()).await.id;
    let answer = call(&joey, id, "say", "http://rude.example.com/")
        .send()
        .await;
    assert_broken(&answer, "egress-protocol");
}

#[tokio::test]
async fn a_fetch_and_a_callback_can_be_combined() {
    let story = Story::begin().await;
    let joey = story.joey();
    let callback = options("/mirror", Value::Null);
    let call = call(&joey, story.function.id, "say", &url("/status/200"));
    let call = call.header("SSVM_Callback", callback.to_string());
    assert_eq!(call.send().await.text(), "hello status 200");
    assert_eq!(story.paths(), ["/status/200", "/mirror"]);
}

/// A `public_url` that does not resolve, so only the server itself can answer.
#[tokio::test]
async fn a_fetch_from_own_functions_is_not_sent_out() {
    let server = Server::start("public_url = \"https://functions.example.invalid:8081\"\n").await;
    let joey = Joey::http(&server);
    let id = server.upload(modules::hello()).await.id;
    let mut fetch = options(&format!("/api/run/{id}/say"), "Tim".into());
    fetch["hostname"] = "functions.example.invalid".into();
    fetch["port"] = 8081.into();
    fetch["headers"] = json!({ "Content-Type": "text/plain" });
    let answer = call(&joey, id, "say", &fetch.to_string()).send().await;
    assert_eq!(
        (answer.text().as_str(), answer.fault()),
        ("hello hello \"Tim\"", ""),
        "{answer:?}"
    );
    // Only functions can be fetched.
    for path in ["/api/executables", "/healthz", "/"] {
        let url = format!("https://functions.example.invalid:8081{path}");
        let answer = call(&joey, id, "say", &url).send().await;
        assert!(
            answer.status() >= 400,
            "{path} {answer:?} {}",
            answer.text()
        );
        assert!(!answer.text().contains("wasm_id"), "{}", answer.text());
    }
}
