//! Every route of the 2020 API with all of its answers, to the byte, for requests of the clients of 2020.
//!
//! One walk through the routes, over HTTP and HTTPS, as curl and as Node, with true status lines, and by fifty clients
//! at once.

use crate::second_state::modules;
use crate::second_state::walk_functions::{deletes, multipart, reads, runs, updates, uploads};
use crate::second_state::walk_state::{callbacks, ephemeral, keys, log, states};
use iof_tests::{
    call::{Answer, Uploaded},
    joey::{Call, Joey, Manner},
    server::Server,
};
use serde_json::json;

pub(crate) const NIL: &str = "00000000-0000-0000-0000-000000000000";
pub(crate) const FAILED: &str = r#"{"return_value":"Error executing this function, please check function name, input parameters, return parameter for correctness"}"#;
pub(crate) const BLANK: &str = r#"{"error":"Wasm executable is blank, please check your HTTP request syntax, the wasm file location and also the contents of the wasm file and try again."}"#;
pub(crate) const OCTETS: &str = "application/octet-stream";
/// A number that no function has.
pub(crate) const NOBODY: u64 = 999_999;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Look {
    /// JSON or text as Express sent it from a string, under 200.
    Html,
    /// A body of `/bytes`, under 200.
    Octets,
    /// The two answers that were real JSON, under 200.
    Json,
    /// An answer where the original hung or crashed: a true status line and `{"error":…,"fault":…}`.
    True,
}

pub(crate) struct Walk<'a> {
    pub(crate) joey: &'a Joey,
    /// `second_state.status = "real"`.
    pub(crate) real: bool,
    /// True if no other client uses the server.
    pub(crate) alone: bool,
    /// A text that only this walker writes.
    pub(crate) name: String,
}

impl Walk<'_> {
    /// Checks that the answer is exactly this; `status` is the true one.
    pub(crate) fn check(
        &self,
        case: &str,
        answer: &Answer,
        truth: (u16, &str),
        look: Look,
        body: impl AsRef<[u8]>,
    ) {
        let (status, fault) = truth;
        let case = format!("{} {case}: {answer:?} {}", self.name, answer.text());
        let line = if self.real || look == Look::True {
            status
        } else {
            200
        };
        assert_eq!(answer.http.as_u16(), line, "{case}");
        assert_eq!((answer.status(), answer.fault()), (status, fault), "{case}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{case}");
        let content_type = match look {
            Look::Html => "text/html; charset=utf-8",
            Look::Octets => OCTETS,
            Look::Json | Look::True => "application/json; charset=utf-8",
        };
        assert_eq!(answer.header("content-type"), content_type, "{case}");
        if look == Look::True {
            let json = answer.json();
            let error = json["error"].as_str().unwrap_or_default();
            assert!(!error.is_empty(), "{case}");
            assert_eq!(json, json!({ "error": error, "fault": fault }), "{case}");
        } else {
            let body = body.as_ref();
            assert!(
                answer.body == body,
                "{case}\nis not\n{}",
                String::from_utf8_lossy(body)
            );
        }
    }

    pub(crate) async fn ok(&self, call: Call<'_>, case: &str, body: impl AsRef<[u8]>) {
        self.check(case, &call.send().await, (200, ""), Look::Html, body);
    }

    pub(crate) async fn no(
        &self,
        call: Call<'_>,
        case: &str,
        truth: (u16, &str),
        body: impl AsRef<[u8]>,
    ) {
        self.check(case, &call.send().await, truth, Look::Html, body);
    }

    pub(crate) async fn hung(&self, call: Call<'_>, case: &str, truth: (u16, &str)) {
        self.check(case, &call.send().await, truth, Look::True, "");
    }

    pub(crate) fn call(&self, method: &str, path: String) -> Call<'_> {
        self.joey.call(method, path)
    }

    pub(crate) fn upload(&self, module: &[u8]) -> Call<'_> {
        self.call("POST", "/api/executables".into())
            .header("Content-Type", OCTETS)
            .header("SSVM_Description", &*self.name)
            .body(module)
    }

    pub(crate) fn filter(&self, route: &str, id: u64, names: &str) -> Call<'_> {
        let names = names
            .replace('[', "%5B")
            .replace(']', "%5D")
            .replace('"', "%22");
        self.call("GET", format!("/api/{route}/{id}?filterBy={names}"))
    }
}

pub(crate) fn error(text: &str) -> String {
    format!("{{\"error\":\"{text}\"}}")
}

/// A UUID of version 4, in lower case.
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            14 => byte == b'4',
            19 => matches!(byte, b'8' | b'9' | b'a' | b'b'),
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        })
}

/// Walks through all routes, and leaves nothing behind.
async fn walk(joey: &Joey, real: bool, alone: bool, name: &str) {
    let walk = Walk {
        joey,
        real,
        alone,
        name: name.to_owned(),
    };
    let module = modules::hello();
    walk.ok(
        joey.call("GET", "/"),
        "the root",
        r#"[{"application":"wasm_joey"},{"usage_documentation:":"https://github.com/second-state/wasm-joey/blob/master/documentation/usage.md"}]"#,
    )
    .await;
    let public = uploads(&walk, &module).await;
    let private = walk
        .upload(&module)
        .header("SSVM_Create_Usage_Key", "true")
        .send()
        .await
        .json();
    let private = Uploaded {
        id: private["wasm_id"].as_u64().unwrap(),
        admin_key: private["SSVM_Admin_Key"].as_str().unwrap().to_owned(),
        json: private,
    };
    reads(&walk, &public, &module).await;
    runs(&walk, &public, &private).await;
    multipart(&walk, &public, &private).await;
    states(&walk, &public, &private).await;
    callbacks(&walk, &public).await;
    keys(&walk, &public).await;
    ephemeral(&walk).await;
    log(&walk, &public).await;
    updates(&walk, &public).await;
    elsewhere(&walk).await;
    deletes(&walk, &public).await;
    deletes(&walk, &private).await;
}

/// Unknown routes, and the preflights of browsers.
async fn elsewhere(walk: &Walk<'_>) {
    for (method, path) in [
        ("GET", "/api/nope"),
        ("PUT", "/api/executables"),
        ("GET", "/api/run/1/say"),
    ] {
        let answer = walk.joey.call(method, path).send().await;
        assert_eq!(
            (answer.http.as_u16(), answer.status()),
            (404, 404),
            "{method} {path}"
        );
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert!(
            answer
                .text()
                .contains(&format!("<pre>Cannot {method} {path}</pre>")),
            "{}",
            answer.text()
        );
    }
    let answer = walk.joey.call("OPTIONS", "/api/run/1/say").send().await;
    assert_eq!((answer.http.as_u16(), answer.text()), (204, String::new()));
}

#[tokio::test]
async fn every_route_answers_as_in_2020_over_http() {
    let server = Server::start("").await;
    walk(&Joey::http(&server), false, true, "a walker with curl").await;
    let node = Joey::http(&server).like(Manner::Node);
    walk(&node, false, true, "a walker with Node").await;
}

#[tokio::test]
async fn every_route_answers_as_in_2020_over_https() {
    let server = Server::builder().tls().start().await;
    walk(&Joey::https(&server), false, true, "a walker with curl").await;
    let node = Joey::https(&server).like(Manner::Node);
    walk(&node, false, true, "a walker with Node").await;
}

#[tokio::test]
async fn with_real_statuses_the_status_line_matches_the_header() {
    let server = Server::start("[second_state]\nstatus = \"real\"\n").await;
    walk(&Joey::http(&server), true, true, "a walker").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_concurrent_clients_see_only_their_own_functions() {
    let server = Server::builder().tls().start().await;
    // Compiled once, so that fifty clients do not wait for fifty compiles of the same module.
    server.upload(modules::hello()).await;
    let walks = (0..50).map(|n| {
        let joey = match n % 2 {
            0 => Joey::http(&server),
            _ => Joey::https(&server),
        };
        let joey = joey.like(if n % 4 < 2 {
            Manner::Curl
        } else {
            Manner::Node
        });
        async move { walk(&joey, false, false, &format!("walker {n}")).await }
    });
    futures::future::join_all(walks).await;
}

/// A test of the original sends this. RFC 3986 does not allow a bare quote in a query; Node sends it as written.
#[tokio::test]
async fn a_filter_is_accepted_with_the_bare_quotes_of_clients() {
    let server = Server::start("").await;
    for manner in [Manner::Curl, Manner::Node] {
        let joey = Joey::http(&server).like(manner);
        let id = joey.deploy(modules::hello()).await.id;
        let path = format!("/api/executables/{id}?filterBy=[\"wasm_description\"]");
        let answer = joey.get(path).await;
        assert_eq!(
            answer.text(),
            r#"{"wasm_description":"Hello"}"#,
            "{answer:?}"
        );
    }
}
