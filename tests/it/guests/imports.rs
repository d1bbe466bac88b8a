//! Imports that the server does not serve, and start-up code that only the server runs.

use iof_tests::guests::wat;
use iof_tests::server::Server;

/// A module with an export that needs an import, and one that does not.
fn module(import: &str) -> Vec<u8> {
    wat(&format!(
        "(module (import {import}) (func (export \"with\") call 0) (func (export \"without\") (result i32) i32.const 7))"
    ))
}

const TENSORFLOW: &str = "\"ssvm_tensorflow\" \"ssvm_tensorflow_create_session\" (func)";

#[tokio::test]
async fn an_extension_faults_when_it_is_called() {
    let server = Server::start("").await;
    for import in [
        TENSORFLOW,
        "\"ssvm_tensorflowlite\" \"x\" (func)",
        "\"ssvm_image\" \"x\" (func)",
        "\"wasmedge_tensorflow\" \"x\" (func)",
        "\"wasmedge_image\" \"x\" (func)",
        "\"wasi_ephemeral_nn\" \"load\" (func)",
    ] {
        let id = server.upload(module(import)).await.id;
        assert_eq!(server.run(id, "without", "").await.text(), "7");
        let called = server.run(id, "with", "").await;
        assert_eq!(
            (called.status(), called.fault()),
            (502, "missing-import"),
            "{import}"
        );
        let name = import.split('"').nth(3).unwrap();
        let message = called.header("iof-message");
        assert!(
            message.contains(name) && message.contains("command"),
            "{message}"
        );
        assert!(called.text().contains("Error executing this function"));
    }
}

#[tokio::test]
async fn other_imports_are_refused_with_a_remedy() {
    let server = Server::start("").await;
    for (import, hint) in [
        ("\"env\" \"abort\" (func)", "AssemblyScript"),
        ("\"env\" \"memcpy\" (func)", "linker"),
        ("\"wasi_unstable\" \"fd_write\" (func)", "rustc"),
        (
            "\"wasi_snapshot_preview1\" \"sock_open\" (func)",
            "http_proxy",
        ),
        // The name is known, but not with this type.
        ("\"wasi_snapshot_preview1\" \"fd_write\" (func)", "type"),
        (
            "\"ssvm_native\" \"ssvm_storage_createUUID\" (func (result i32))",
            "type",
        ),
        ("\"wasmedge_httpsreq\" \"x\" (func)", "http_proxy"),
        (
            "\"wasmedge-bindgen\" \"return_result\" (func)",
            "before 0.4",
        ),
        ("\"wasmedge_bitnet\" \"x\" (func)", "WasmEdge"),
        ("\"gojs\" \"x\" (func)", "GOOS"),
        ("\"wasi:http/types\" \"x\" (func)", "component"),
        ("\"else\" \"where\" (func)", "else where"),
        ("\"env\" \"memory\" (memory 1)", "not a function"),
    ] {
        let refused = server.try_upload(module_of(import)).await;
        assert_eq!(
            (refused.http.as_u16(), refused.fault()),
            (422, "unknown-import"),
            "{import}"
        );
        assert!(
            refused.text().contains(hint),
            "{import}: {}",
            refused.text()
        );
    }
}

fn module_of(import: &str) -> Vec<u8> {
    wat(&format!("(module (import {import}))"))
}

#[tokio::test]
async fn a_setting_admits_them_and_they_fault_when_called() {
    let mut server = Server::start("").await;
    let wrong_type = "\"ssvm_native\" \"ssvm_storage_endStoreTx\" (func (param i32))";
    let tests = [
        module("\"else\" \"where\" (func)"),
        wat(&format!(
            "(module (import {wrong_type}) (func (export \"with\") (call 0 (i32.const 1))))"
        )),
    ];
    for module in &tests {
        assert_eq!(server.try_upload(module.clone()).await.http.as_u16(), 422);
    }
    server.stop().await;

    let lenient = Server::builder()
        .config("[compile]\nunknown_imports = \"fault\"\n")
        .start()
        .await;
    for module in &tests {
        let id = lenient.upload(module.clone()).await.id;
        let called = lenient.run(id, "with", "").await;
        assert_eq!((called.status(), called.fault()), (502, "missing-import"));
    }
    // An import that is not a function cannot fault in a call.
    let memory = module_of("\"env\" \"memory\" (memory 1)");
    assert_eq!(lenient.try_upload(memory).await.http.as_u16(), 422);
}

/// Libraries from before 2021 have constructors that no other code calls, and no environment without them.
#[tokio::test]
async fn constructors_that_nothing_calls_are_run() {
    let server = Server::start("").await;
    let constructs = |export: &str| {
        wat(&format!(
            r#"(module
              (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
              (memory (export "memory") 1)
              (func $__wasm_call_ctors {export} (drop (call $sizes (i32.const 0) (i32.const 4))))
              (func (export "variables") (result i32) (i32.load (i32.const 0))))"#
        ))
    };
    for export in ["", "(export \"__wasm_call_ctors\")"] {
        let id = server.upload(constructs(export)).await.id;
        let answer = server.run(id, "variables", "").await;
        assert_eq!(answer.text(), "2", "wasm_id and storage_key: {answer:?}");
    }
}
