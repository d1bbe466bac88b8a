//! Defects of a module that do not prevent its deploy, but cause a warning.

use iof_tests::guests::wat;
use iof_tests::server::Server;

/// A module whose instances cannot start is accepted, as in the API of 2020, with a warning in the answer.
#[tokio::test]
async fn a_module_that_cannot_start_causes_a_warning() {
    let server = Server::start("").await;
    for (text, trap) in [
        (
            "(module (func $s unreachable) (start $s) (func (export \"f\")))",
            "unreachable",
        ),
        (
            "(module (memory 1) (data (i32.const 65536) \"x\") (func (export \"f\")))",
            "out of bounds memory",
        ),
        (
            "(module (table 1 funcref) (elem (i32.const 1) $f) (func $f (export \"f\")))",
            "out of bounds table",
        ),
        (
            "(module (func $s (loop (br 0))) (start $s) (func (export \"f\")))",
            "",
        ),
        (
            "(module (import \"wasi_snapshot_preview1\" \"sched_yield\" (func $y (result i32)))
               (func $s (drop (call $y))) (start $s) (func (export \"f\")))",
            "",
        ),
        (
            "(module (memory 1) (data (i32.const 65535) \"x\") (func (export \"f\")))",
            "",
        ),
    ] {
        let function = server.deploy(wat(text), "").await;
        let answer = server
            .read_as(&function, &format!("/v1/functions/{}", function.id))
            .await;
        for json in [&function.json, &answer] {
            let warning = json["warnings"][0].as_str().unwrap_or_default();
            assert_eq!(warning.is_empty(), trap.is_empty(), "{text}: {json}");
            assert!(warning.contains(trap), "{text}: {json}");
        }
        if !trap.is_empty() {
            let called = server.run(function.id, "f", "").await;
            assert_ne!(called.fault(), "", "{text}");
        }
        // The answer of 2020 has the same fields as before.
        let uploaded = server.upload(wat(text)).await.json;
        assert!(uploaded.get("warnings").is_none(), "{uploaded}");
    }
}
