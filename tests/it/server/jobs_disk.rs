//! The disk space of jobs is limited, for all and for each function, and only permitted callers use it.

use crate::second_state::modules;
use iof_tests::{
    call::{Answer, Uploaded},
    guests::guest,
    server::Server,
};
use std::time::Duration;

async fn submit(
    server: &Server,
    function: &Uploaded,
    key: &str,
    text: impl Into<String>,
) -> Answer {
    call(server, function.id, "echo", key, text).await
}

async fn call(
    server: &Server,
    id: u64,
    export: &str,
    key: &str,
    text: impl Into<String>,
) -> Answer {
    let mut request = server
        .request("POST", &format!("/v1/functions/{id}/call/{export}"))
        .header("Content-Type", "text/plain")
        .header("Prefer", "respond-async")
        .body(text.into());
    if !key.is_empty() {
        request = request.bearer_auth(key);
    }
    server.answer(request).await
}

async fn outcome(server: &Server, accepted: &Answer, key: &str) -> serde_json::Value {
    assert_eq!(accepted.http, 202, "{}", accepted.text());
    let path = format!("/v1/jobs/{}", accepted.json()["job"].as_str().unwrap());
    for _ in 0..200 {
        let mut request = server.request("GET", &path);
        if !key.is_empty() {
            request = request.bearer_auth(key);
        }
        let answer = server.answer(request).await;
        assert_eq!(answer.http, 200, "{}", answer.text());
        if answer.json()["state"] == "done" {
            return answer.json();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the job does not end\n{}", server.log());
}

#[tokio::test]
async fn a_caller_without_a_key_needs_a_declaration() {
    let server = Server::start("").await;
    let undeclared = server.deploy(modules::hello(), "").await;
    let declared = server.deploy(modules::hello(), "jobs = true").await;
    let uploaded = server.upload(modules::hello()).await;
    for function in [&undeclared, &uploaded] {
        let refused = submit(&server, function, "", "Ada").await;
        let truth = (refused.http.as_u16(), refused.fault());
        assert_eq!(truth, (403, "jobs-undeclared"), "{}", refused.text());
        let wrong = submit(&server, function, &declared.admin_key, "Ada").await;
        assert_eq!(wrong.http, 403, "the key of another function");
        let accepted = submit(&server, function, &function.admin_key, "Ada").await;
        assert_eq!(outcome(&server, &accepted, "").await["result"], "Ada");
    }
    let accepted = submit(&server, &declared, "", "Ada").await;
    assert_eq!(outcome(&server, &accepted, "").await["result"], "Ada");
    // For a private function the usage key is needed and sufficient.
    let private = server
        .request("POST", "/api/executables")
        .header("Content-Type", "application/octet-stream")
        .header("SSVM_Create_Usage_Key", "true")
        .body(modules::hello());
    let private = server.answer(private).await.json();
    let id = private["wasm_id"].as_u64().unwrap();
    let key = private["SSVM_Usage_Key"].as_str().unwrap();
    assert_eq!(call(&server, id, "echo", "", "Ada").await.http, 404);
    let accepted = call(&server, id, "echo", key, "Ada").await;
    assert_eq!(outcome(&server, &accepted, key).await["result"], "Ada");
    // A request without the preference is a regular call.
    let call = server
        .request(
            "POST",
            &format!("/v1/functions/{}/call/echo", undeclared.id),
        )
        .header("Content-Type", "text/plain")
        .body("Ada");
    assert_eq!(server.answer(call).await.text(), "Ada");
}

#[tokio::test]
async fn the_disk_space_of_jobs_is_limited() {
    let server =
        Server::start("[server]\njobs_size = \"100KiB\"\njobs_function_size = \"64KiB\"\n").await;
    let one = server.deploy(modules::hello(), "jobs = true").await;
    let other = server.deploy(modules::hello(), "jobs = true").await;
    let text = "x".repeat(25 << 10);
    for _ in 0..2 {
        let accepted = submit(&server, &one, "", &*text).await;
        assert_eq!(outcome(&server, &accepted, "").await["result"], *text);
    }
    let full = submit(&server, &one, "", &*text).await;
    let truth = (full.http.as_u16(), full.fault());
    assert_eq!(truth, (507, "jobs-function-size"), "{}", full.text());
    let accepted = submit(&server, &other, "", &*text).await;
    assert_eq!(outcome(&server, &accepted, "").await["result"], *text);
    let full = submit(&server, &other, "", &*text).await;
    let truth = (full.http.as_u16(), full.fault());
    assert_eq!(truth, (507, "jobs-size"), "{}", full.text());
    // A job that never fits is not stored first.
    let huge = submit(&server, &other, "", "x".repeat(1 << 20)).await;
    assert_eq!(
        (huge.http.as_u16(), huge.fault()),
        (507, "jobs-function-size")
    );
    // The jobs of a deleted function are removed.
    let delete = server
        .request("DELETE", &format!("/v1/functions/{}", one.id))
        .bearer_auth(&one.admin_key);
    assert_eq!(server.answer(delete).await.http, 204);
    let accepted = submit(&server, &other, "", &*text).await;
    assert_eq!(outcome(&server, &accepted, "").await["result"], *text);
}

/// A small request with a large outcome: the job is done, and names the reason why its outcome is missing.
#[tokio::test]
async fn an_outcome_without_room_is_a_fault() {
    let server =
        Server::start("[server]\njobs_size = \"3MiB\"\njobs_function_size = \"1500KiB\"\n").await;
    let function = server.deploy(guest("wasi"), "jobs = true").await;
    let mut outcomes = vec![];
    for _ in 0..2 {
        let accepted = call(&server, function.id, "huge_answer", "", "1").await;
        outcomes.push(outcome(&server, &accepted, "").await);
    }
    let [fits, does_not] = &outcomes[..] else {
        unreachable!()
    };
    assert_eq!(fits["result"].as_str().map(str::len), Some(1 << 20));
    assert_eq!(does_not["fault"], "jobs-function-size", "{does_not}");
    assert!(does_not.get("result").is_none());
    let size: u64 = std::fs::read_dir(server.data())
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert!(size < 8 << 20, "{size} bytes");
}
