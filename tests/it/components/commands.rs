//! Components run commands under the grants of their version.

use super::call;
use iof_tests::{guests::wat, server::Server, upstream::Upstream};
use serde_json::{Value, json};

/// A component whose `go` is the `run` of `iof:command`.
fn runner() -> Vec<u8> {
    let ten = "i32 ".repeat(10);
    let pass: String = (0..10).map(|n| format!("(local.get {n}) ")).collect();
    wat(&format!(
        r#"(component
        (import "iof:command/run@0.1.0" (instance $run
            (type $r (record (field "name" string) (field "arguments" (list string))
                (field "environment" (list (tuple string string))) (field "stdin" (list u8)) (field "timeout" (option u32))))
            (export "request" (type $request (eq $r)))
            (type $o (record (field "status" s32) (field "stdout" (list u8)) (field "stderr" (list u8))))
            (export "output" (type $output (eq $o)))
            (export "run" (func (param "request" $request) (result $output)))))
        (alias export $run "request" (type $request))
        (alias export $run "output" (type $output))
        (core module $memory
            (memory (export "memory") 64)
            (global $top (mut i32) (i32.const 65536))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
                (global.set $top (i32.add (local.get $at) (local.get 3)))
                (local.get $at)))
        (core instance $s (instantiate $memory))
        (alias core export $s "memory" (core memory $memory))
        (alias core export $s "realloc" (core func $realloc))
        (core func $lowered (canon lower (func $run "run") (memory $memory) (realloc $realloc)))
        (core module $m
            (import "h" "run" (func $run (param {ten} i32)))
            (func (export "go") (param {ten}) (result i32)
                (call $run {pass} (i32.const 16))
                (i32.const 16)))
        (core instance $i (instantiate $m (with "h" (instance (export "run" (func $lowered))))))
        (func (export "go") (param "request" $request) (result $output)
            (canon lift (core func $i "go") (memory $memory) (realloc $realloc))))"#
    ))
}

/// A request for `http_proxy`.
fn request(args: &[&str], stdin: &str) -> Value {
    use base64::Engine as _;
    json!([{
        "name": "http_proxy", "arguments": args, "environment": [],
        "stdin": base64::prelude::BASE64_STANDARD.encode(stdin),
    }])
}

fn text(value: &Value) -> String {
    use base64::Engine as _;
    let bytes = base64::prelude::BASE64_STANDARD.decode(value.as_str().unwrap());
    String::from_utf8(bytes.unwrap()).unwrap()
}

const DECLARED: &str = "commands = [\"http_proxy\"]\noutbound = [\"POST http://api.example.com\"]\nrecord = \"always\"\n";

#[tokio::test]
async fn a_request_leaves_under_the_rules_of_the_version() {
    let upstream = Upstream::start().await;
    let server = Server::start(upstream.pin("api.example.com", 80)).await;
    let function = server.deploy(runner(), DECLARED).await;
    let sent = request(&["post", "http://api.example.com/echo", "{}"], "body");
    let answer = call(&server, &function, "go", &sent).await;
    assert_eq!(answer.http, 200, "{}", answer.text());
    let output = answer.json();
    assert_eq!(output["status"], 0, "{output}");
    let echo: Value = serde_json::from_str(&text(&output["stdout"])).unwrap();
    assert_eq!(echo["body"], "body");

    let other = request(&["get", "http://api.example.com/echo", "{}"], "");
    let denied = call(&server, &function, "go", &other).await.json();
    assert_ne!(denied["status"], 0, "{denied}");
    let mut unknown = request(&[], "");
    unknown[0]["name"] = json!("c++");
    let denied = call(&server, &function, "go", &unknown).await.json();
    assert_eq!(denied["status"], -1, "{denied}");

    // Without the grant, nothing leaves.
    let function = server.deploy(runner(), "storage = true\n").await;
    let denied = call(&server, &function, "go", &sent).await.json();
    assert_eq!(denied["status"], -1, "{denied}");
}

#[tokio::test]
async fn its_limits_hold() {
    let server = Server::start("[limits]\ncommand_input = \"1KiB\"\n").await;
    let function = server.deploy(runner(), "").await;
    let sent = request(
        &["post", "http://api.example.com/echo", "{}"],
        &"x".repeat(2000),
    );
    let answer = call(&server, &function, "go", &sent).await;
    assert_eq!(answer.fault(), "command-input", "{}", answer.text());
}

#[tokio::test]
async fn a_replay_runs_no_command() {
    let upstream = Upstream::start().await;
    let server = Server::start(upstream.pin("api.example.com", 80)).await;
    let function = server.deploy(runner(), DECLARED).await;
    let sent = request(&["post", "http://api.example.com/echo", "{}"], "body");
    let answer = call(&server, &function, "go", &sent).await;
    drop(upstream);
    let id = answer.header("iof-call");
    let again = server.request("POST", &format!("/v1/calls/{id}/replay"));
    let again = server.answer(again.bearer_auth(&function.admin_key)).await;
    assert_eq!(
        (again.http.as_u16(), &again.json()["same"]),
        (200, &json!(true)),
        "{}",
        again.text()
    );
}
