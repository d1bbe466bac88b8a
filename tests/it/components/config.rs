//! The variables of a version by `wasi:config`, and messages in the call's log by `wasi:logging`.

use super::call;
use iof_tests::{guests::wat, server::Server};
use serde_json::json;

/// A component that passes its arguments on to both.
fn passes_on(draft: &str) -> Vec<u8> {
    wat(&format!(
        r#"(component
    (import "wasi:config/store@{draft}" (instance $config
        (type $e (variant (case "upstream" string) (case "io" string)))
        (export "error" (type $error (eq $e)))
        (export "get" (func (param "key" string) (result (result (option string) (error $error)))))
        (export "get-all" (func (result (result (list (tuple string string)) (error $error)))))))
    (alias export $config "error" (type $error))
    (import "wasi:logging/logging@0.1.0-draft" (instance $logging
        (type $l (enum "trace" "debug" "info" "warn" "error" "critical"))
        (export "level" (type $level (eq $l)))
        (export "log" (func (param "level" $level) (param "context" string) (param "message" string)))))
    (alias export $logging "level" (type $level))
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
    (core func $get (canon lower (func $config "get") (memory $memory) (realloc $realloc)))
    (core func $all (canon lower (func $config "get-all") (memory $memory) (realloc $realloc)))
    (core func $log (canon lower (func $logging "log") (memory $memory) (realloc $realloc)))
    (core module $m
        (import "h" "get" (func $get (param i32 i32 i32)))
        (import "h" "all" (func $all (param i32)))
        (import "h" "log" (func $log (param i32 i32 i32 i32 i32)))
        (func (export "get") (param i32 i32) (result i32)
            (call $get (local.get 0) (local.get 1) (i32.const 16)) (i32.const 16))
        (func (export "all") (result i32) (call $all (i32.const 16)) (i32.const 16))
        (func (export "log") (param i32 i32 i32 i32 i32)
            (call $log (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4))))
    (core instance $i (instantiate $m (with "h" (instance
        (export "get" (func $get)) (export "all" (func $all)) (export "log" (func $log))))))
    (func (export "get") (param "key" string) (result (result (option string) (error $error)))
        (canon lift (core func $i "get") (memory $memory) (realloc $realloc)))
    (func (export "all") (result (result (list (tuple string string)) (error $error)))
        (canon lift (core func $i "all") (memory $memory) (realloc $realloc)))
    (func (export "log") (param "level" $level) (param "context" string) (param "message" string)
        (canon lift (core func $i "log") (memory $memory) (realloc $realloc))))"#
    ))
}

/// `p2_cli_serve_config`: of wasmtime, of wasmCloud and of Spin, which name the same interface by different drafts.
#[tokio::test]
async fn declared_variables_are_configuration() {
    let server = Server::start("").await;
    for draft in ["0.2.0-rc.1", "0.2.0-draft", "0.2.0-draft-2024-09-27"] {
        let declaration = "[variables]\nHELLO = \"world\"\nEMPTY = \"\"\n";
        let function = server.deploy(passes_on(draft), declaration).await;
        for (key, value) in [
            ("HELLO", json!("world")),
            ("EMPTY", json!("")),
            ("hello", json!(null)),
            // Of the environment of every function, and not declared.
            ("wasm_id", json!(null)),
            ("storage_key", json!(null)),
        ] {
            let answer = call(&server, &function, "get", &json!([key])).await;
            assert_eq!(answer.json(), value, "{draft} {key}");
        }
        let all = call(&server, &function, "all", &json!([])).await;
        assert_eq!(all.json(), json!([["EMPTY", ""], ["HELLO", "world"]]));
    }
    let other = server.deploy(passes_on("0.2.0-rc.1"), "").await;
    let answer = call(&server, &other, "get", &json!(["HELLO"])).await;
    assert_eq!(answer.json(), json!(null), "of its own version only");
}

#[tokio::test]
async fn messages_are_lines_of_the_log() {
    let server = Server::start("[limits]\nlog = \"1KiB\"\n").await;
    let function = server.deploy(passes_on("0.2.0-rc.1"), "").await;
    for (level, context, message, line) in [
        ("warn", "cart", "3 items", "WARN [cart] 3 items\n"),
        ("critical", "", "no disk\n", "CRITICAL no disk\n"),
        // No message passes for two, and a terminal is not told what to do.
        (
            "info",
            "a\nb",
            "c\r\nERROR d",
            "INFO [a\\nb] c\\r\\nERROR d\n",
        ),
    ] {
        let answer = call(&server, &function, "log", &json!([level, context, message])).await;
        assert!(answer.http.is_success(), "{}", answer.text());
        let path = format!("/v1/functions/{}/logs", function.id);
        let began = std::time::Instant::now();
        loop {
            let logs = server.read_as(&function, &path).await;
            let rows = logs["logs"].as_array().unwrap().clone();
            if rows.iter().any(|row| row["stderr"] == line) {
                break;
            }
            assert!(began.elapsed().as_secs() < 20, "{line:?}: {logs}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    let long = "x".repeat(2000);
    let answer = call(&server, &function, "log", &json!(["info", "", long])).await;
    assert_eq!(answer.fault(), "log", "{}", answer.text());
    let answer = call(&server, &function, "log", &json!(["loud", "", ""])).await;
    assert_eq!(answer.fault(), "arguments", "{}", answer.text());
}
