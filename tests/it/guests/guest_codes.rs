//! Codes that functions choose, which are in a separate name space, so that none looks like a code of the server.

use crate::second_state::walk::FAILED;
use iof_tests::{guests::wat, server::Server};
use serde_json::json;
use std::time::Duration;

/// Codes by which the server decides, or its clients might.
const CODES: [&str; 24] = [
    "usage-key",
    "admin-key",
    "key",
    "scope",
    "origin",
    "host",
    "misdirected",
    "path",
    "no-such-function",
    "no-such-export",
    "no-such-route",
    "request-body",
    "module-size",
    "body-wait",
    "body-memory",
    "state",
    "ephemeral-value",
    "rate",
    "concurrency",
    "callback-depth",
    "queue",
    "internal",
    "guest-error",
    "not-recorded",
];

/// A module whose `f` fails with this code.
fn failing(code: &str) -> Vec<u8> {
    wat(&format!(
        r#"(module (import "iof" "fail" (func $fail (param i32 i32 i32 i32)))
             (memory (export "memory") 1) (data (i32.const 16) "{code}why")
             (func (export "f") (call $fail (i32.const 16) (i32.const {length}) (i32.const {why}) (i32.const 3))))"#,
        length = code.len(),
        why = 16 + code.len(),
    ))
}

#[tokio::test]
async fn a_code_of_a_function_is_not_a_code_of_the_server() {
    let server = Server::start("").await;
    for code in CODES {
        let function = server.deploy(failing(code), "jobs = true").await;
        let fault = format!("function:{code}");
        for path in ["/api/run", "/api/multipart/run"] {
            for bytes in ["", "/bytes"] {
                let request = server.request("POST", &format!("{path}/{}/f{bytes}", function.id));
                let request = match path {
                    "/api/run" => request,
                    _ => request
                        .header("Content-Type", "multipart/form-data; boundary=b")
                        .body("--b--\r\n"),
                };
                let answer = server.answer(request).await;
                assert_eq!(
                    (
                        answer.http.as_u16(),
                        answer.status(),
                        answer.fault(),
                        answer.text().as_str()
                    ),
                    (200, 502, fault.as_str(), FAILED),
                    "{code}"
                );
                assert_eq!(answer.header("connection"), "", "{code}");
                assert_eq!(answer.header("retry-after"), "", "{code}");
            }
        }
        let call = format!("/v1/functions/{}/call/f", function.id);
        let answer = server.answer(server.request("POST", &call)).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (502, fault.as_str()),
            "{code}"
        );
        assert_eq!(answer.json(), json!({ "error": "why", "fault": fault }));
        assert_eq!(answer.header("connection"), "", "{code}");
        let job = server
            .request("POST", &call)
            .header("Prefer", "respond-async");
        let job = server.answer(job).await.json()["job"]
            .as_str()
            .unwrap()
            .to_owned();
        let outcome = loop {
            let job_state = server.get(&format!("/v1/jobs/{job}")).await.json();
            if job_state["state"] == "done" {
                break job_state;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(outcome["fault"], fault);
    }
}
