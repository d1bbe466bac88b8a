//! Variables: from `function.toml`, from an environment, from a deploy, and changed without a build.

use crate::v1::functions::{KEY, ask};
use iof_tests::guests::wat;
use iof_tests::server::Server;
use iof_tests::user::User;
use serde_json::json;
use std::fs;

/// A program that prints its environment.
fn environment() -> Vec<u8> {
    wat(r#"(module
        (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_get" (func $get (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
          (drop (call $sizes (i32.const 0) (i32.const 4)))
          (drop (call $get (i32.const 16) (i32.const 1024)))
          (i32.store (i32.const 8) (i32.const 1024))
          (i32.store (i32.const 12) (i32.load (i32.const 4)))
          (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 900)))))"#)
}

const DECLARATION: &str = "storage = true\n[variables]\nAPI_URL = \"https://api.test\"\nLEVEL = \"1\"\n[env.staging]\nAPI_URL = \"https://staging.test\"\n";

async fn seen(server: &Server) -> String {
    let answer = server
        .answer(server.request("POST", "/v1/functions/hello/call/main"))
        .await;
    assert_eq!(answer.http, 200, "{}", answer.text());
    answer.text().replace('\0', "\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_reach_the_function_and_change_without_a_build() {
    let server = Server::start("").await;
    let user = User::new(&server.url);
    fs::write(user.folder().join("hello.wasm"), environment()).unwrap();
    fs::write(user.folder().join("function.toml"), DECLARATION).unwrap();
    let types = async |line: &[&str], words: &[&str]| {
        let output = user.types(line).await;
        for word in words {
            assert!(output.contains(word), "{word:?} is missing in: {output}");
        }
    };
    types(&["deploy", "hello.wasm"], &["version 1", "LEVEL = 1"]).await;
    let first = seen(&server).await;
    assert!(
        first.contains("API_URL=https://api.test\n") && first.contains("LEVEL=1\n"),
        "{first}"
    );
    assert!(
        first.contains("wasm_id=1\n"),
        "existing variables stay: {first}"
    );

    let line = [
        "deploy",
        "hello.wasm",
        "--env",
        "staging",
        "--set",
        "LEVEL=2",
    ];
    types(
        &line,
        &[
            "version 2",
            "- LEVEL = 1",
            "+ LEVEL = 2",
            "+ API_URL = https://staging.test",
        ],
    )
    .await;
    let second = seen(&server).await;
    assert!(
        second.contains("API_URL=https://staging.test\n") && second.contains("LEVEL=2\n"),
        "{second}"
    );

    // Changes need neither a build nor the module.
    fs::remove_file(user.folder().join("hello.wasm")).unwrap();
    types(
        &["variable", "set", "hello", "LEVEL=3", "NEW=a=b"],
        &["hello runs version 3 now"],
    )
    .await;
    types(
        &["variable", "rm", "hello", "API_URL"],
        &["hello runs version 4 now"],
    )
    .await;
    types(&["variable", "ls", "hello"], &["LEVEL  3", "NEW    a=b"]).await;
    types(&["show", "hello"], &["storage", "LEVEL = 3"]).await;
    let fourth = seen(&server).await;
    assert!(
        !fourth.contains("API_URL") && fourth.contains("LEVEL=3\n") && fourth.contains("NEW=a=b\n"),
        "{fourth}"
    );
    types(&["rollback", "hello", "--version", "2"], &["version 2"]).await;
    assert_eq!(seen(&server).await, second);

    for (line, words) in [
        (&["variable", "set", "hello", "1A=x"][..], "1A"),
        (
            &["variable", "set", "hello", "storage_key=x"],
            "set by the server",
        ),
        (&["variable", "set", "hello", "A"], "not NAME=VALUE"),
        (&["variable", "set", "nobody", "A=x"], "admin key"),
        (&["deploy", "missing.wasm", "--env", "live"], "missing.wasm"),
    ] {
        types(line, &[words, "exit status 2"]).await;
    }
    assert_eq!(seen(&server).await, second, "nothing changed");
}

#[tokio::test]
async fn a_version_that_declares_nothing_keeps_its_defaults() {
    let server = crate::v1::functions::operated().await;
    crate::v1::functions::create(&server, "?name=hello", environment(), KEY).await;
    let change = json!({ "variables": [{ "name": "A", "value": "x" }] });
    let path = "/v1/functions/hello/variables";
    let refused = ask(&server, "PATCH", path, KEY, Some(change.clone())).await;
    assert_eq!(
        (refused.http.as_u16(), refused.fault()),
        (422, "declaration")
    );
    assert!(
        refused.text().contains("no function.toml"),
        "{}",
        refused.text()
    );
    assert_eq!(
        ask(&server, "PATCH", path, "", Some(change)).await.http,
        401
    );
    for wrong in [
        json!({}),
        json!({"variables": [{"name": "A"}], "more": 1}),
        json!({"variables": [{"name": 1, "value": "x"}]}),
    ] {
        assert_eq!(
            ask(&server, "PATCH", path, KEY, Some(wrong)).await.http,
            400
        );
    }
}
