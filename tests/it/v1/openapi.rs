//! The OpenAPI document of `/v1`: pinned, and checked against the server by an independent tool.

use iof_tests::{guests, guests::guest, server::Server};
use serde_json::json;
use std::process::Command;

#[tokio::test]
async fn the_document_is_the_one_that_is_known() {
    let server = Server::start("").await;
    let document = server.get("/v1/openapi.json").await;
    assert_eq!(
        document.header("content-type"),
        "application/json; charset=utf-8"
    );
    let document = serde_json::to_string_pretty(&document.json()).unwrap();
    insta::assert_snapshot!(document);
}

/// Requests that match the document are accepted, others are refused, and every answer matches the document.
#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_no_violation() {
    const KEY: &str = "a key of the operator";
    let program = guests::built("schemathesis/bin/schemathesis");
    assert!(
        program.is_file(),
        "`cargo xtask test` fetches {}",
        program.display()
    );
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("secrets.key");
    std::fs::write(&keys, "00".repeat(31) + "01").unwrap();
    let server = Server::start(format!(
        "[auth]\nkeys = [\"{KEY}\"]\n[secrets]\nkey_file = {keys:?}\n[limits]\nwall_time = \"5s\"\n"
    ))
    .await;
    for (name, declaration) in [
        (
            "typed",
            "record = \"always\"\nstorage = true\nschedule = [{ cron = \"0 0 1 1 *\", export = \"nothing\", name = \"yearly\" }]\n",
        ),
        ("hello", ""),
    ] {
        let created = server
            .try_deploy_named(name, KEY, guest(name), declaration)
            .await;
        assert_eq!(created.http, 201, "{}", created.text());
    }
    let kept = server
        .request("POST", "/v1/functions/typed/call/store")
        .json(&json!({"key": "kept", "value": 1}));
    assert!(server.answer(kept).await.http.is_success());
    let call = server
        .request("POST", "/v1/functions/typed/call/echo_json")
        .json(&json!({"value": 1}));
    let call = server.answer(call).await.header("iof-call").to_owned();
    let job = server
        .request("POST", "/v1/functions/typed/call/echo_json")
        .bearer_auth(KEY)
        .header("prefer", "respond-async");
    let job = server.answer(job.json(&json!({"value": 1}))).await.json()["job"]
        .as_str()
        .unwrap()
        .to_owned();
    let config = guests::root().join("tests/openapi/schemathesis.toml");
    let output = tokio::task::block_in_place(|| {
        Command::new(&program)
            .arg("--config-file")
            .arg(config)
            .arg("run")
            .arg(format!("{}/v1/openapi.json", server.url))
            .args([
                "--phases",
                "coverage,fuzzing",
                "--max-examples",
                "10",
                "--seed",
                "1",
                "--no-color",
            ])
            .args(["--header", &format!("Authorization: Bearer {KEY}")])
            .args(["--request-timeout", "30"])
            .env("IOF_JOB", job)
            .env("IOF_CALL", call)
            .env("HOME", folder.path())
            .current_dir(folder.path())
            .output()
            .unwrap()
    });
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{printed}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        !printed.contains("operations repeatedly returned"),
        "{printed}"
    );
    // The server still runs, and answers.
    assert_eq!(server.get("/readyz").await.http, 200);
}
