//! Modules that are refused, with the reasons, and the step at which they are.

use super::v1;
use iof_tests::call::Answer;
use iof_tests::guests::wat;
use iof_tests::server::Server;
use std::time::{Duration, Instant};

fn is_refused(answer: &Answer, fault: &str, words: &[&str]) {
    assert_eq!(
        (answer.http.as_u16(), answer.fault()),
        (422, fault),
        "{}",
        answer.text()
    );
    for word in words {
        assert!(answer.text().contains(word), "{word}: {}", answer.text());
    }
}

/// A module that describes the types of `f`, in the codes of wasm-bindgen 0.2.130.
fn saying(codes: &[u32], core: &str) -> Vec<u8> {
    let codes: String = codes
        .iter()
        .map(|code| format!("(call $describe (i32.const {code}))"))
        .collect();
    wat(&format!(
        r#"(module (import "__wbindgen_placeholder__" "__wbindgen_describe" (func $describe (param i32)))
             (memory (export "memory") 1)
             (func (export "__wbindgen_describe_f") {codes})
             (func (export "f") {core} unreachable))"#
    ))
}

#[tokio::test]
async fn a_type_that_no_call_could_pass_is_named() {
    let server = Server::start("").await;
    for (codes, core, words) in [
        (
            &[15, 0, 1, 24, 33, 33][..],
            "(param i32)",
            "it takes a JavaScript value (JsValue)",
        ),
        (
            &[15, 0, 0, 25, 4, 68, 97, 116, 101, 25, 4, 68, 97, 116, 101],
            "(result i32)",
            "it returns the JavaScript value Date",
        ),
        (
            &[15, 0, 1, 29, 1, 65, 1, 66, 33, 33],
            "(param i32)",
            "it takes the struct A",
        ),
        (
            &[15, 0, 1, 20, 22, 1, 33, 33],
            "(param i32 i32 i32)",
            "a mutable reference",
        ),
        (&[15, 0, 1, 16, 33, 33], "(param i32 i32)", "a closure"),
        (&[15, 0, 1, 36, 33, 33], "(param i32)", "a pointer"),
        // A method describes its arguments without its own struct.
        (
            &[15, 0, 0, 5, 5],
            "(param i32) (result i32)",
            "as a method of a struct has it",
        ),
        (
            &[15, 0, 1, 99, 33, 33],
            "(param i32)",
            "does not know the types",
        ),
        (&[], "(param i32)", "does not know the types"),
    ] {
        let answer = server.try_upload(saying(codes, core)).await;
        is_refused(
            &answer,
            "unsupported-type",
            &["The function `f` cannot be called", words],
        );
    }
    let trapping = r#"(module (memory (export "memory") 1) (func (export "__wbindgen_describe_f") unreachable) (func (export "f")))"#;
    is_refused(
        &server.try_upload(wat(trapping)).await,
        "unsupported-type",
        &["cannot be run"],
    );
}

#[tokio::test]
async fn a_proposal_that_is_not_served_is_named() {
    let server = Server::start("").await;
    for (text, name) in [
        ("(module (memory 1 1 shared))", "threads"),
        (
            r#"(module (memory 1) (func (export "f") (drop (i32.atomic.load (i32.const 0)))))"#,
            "threads",
        ),
        ("(module (memory 1 (pagesize 1)))", "custom page sizes"),
    ] {
        let answer = server.try_upload(wat(text)).await;
        is_refused(&answer, "unsupported-feature", &[name, "does not serve"]);
    }
    // Legacy exceptions, as Emscripten's -fwasm-exceptions wrote them: try, catch_all, end.
    let legacy =
        b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x08\x01\x06\0\x06\x40\x19\x0b\x0b";
    is_refused(
        &server.try_upload(legacy.to_vec()).await,
        "unsupported-feature",
        &["legacy exceptions"],
    );
    // A malformed module is refused as such.
    let answer = server
        .try_upload(b"\0asm\x01\0\0\0\x01\x04\x01\x60\0".to_vec())
        .await;
    assert_eq!(answer.fault(), "invalid-module", "{}", answer.text());
    // Proposals that are served run.
    for (text, result) in [
        (
            r#"(module (memory i64 1) (func (export "f") (result i32) (i32.load8_u offset=4 (i64.const 0))))"#,
            "0",
        ),
        (
            r#"(module (func $g (result i32) (i32.const 7)) (func (export "f") (result i32) (return_call $g)))"#,
            "7",
        ),
        (
            r#"(module (func (export "f") (result i32) (i32x4.extract_lane 2 (v128.const i32x4 1 2 3 4))))"#,
            "3",
        ),
        (
            r#"(module (global i32 (i32.add (i32.const 1) (i32.const 2))) (func (export "f") (result i32) (global.get 0)))"#,
            "3",
        ),
    ] {
        let function = server.upload(wat(text)).await;
        assert_eq!(
            v1(&server, &function, "f", "").await.text(),
            result,
            "{text}"
        );
    }
}

/// A module that takes seconds to compile, and has an unknown import.
#[tokio::test]
async fn an_unknown_import_is_found_before_anything_is_compiled() {
    let server = Server::start("[compile]\ncompile_time = \"20s\"\n").await;
    let body =
        "(local.set 0 (i32.add (local.get 0) (i32.mul (local.get 0) (local.get 0))))".repeat(3000);
    let functions: String = (0..150)
        .map(|at| {
            format!("(func (export \"f{at}\") (param i32) (result i32) {body} (local.get 0))")
        })
        .collect();
    let module = |import: &str| wat(&format!("(module {import} {functions})"));
    let (unknown, known) = (
        module(r#"(import "env" "nowhere" (func (param i64)))"#),
        module(""),
    );
    let begun = Instant::now();
    let answer = server.try_upload(unknown).await;
    let refused = begun.elapsed();
    is_refused(&answer, "unknown-import", &["env nowhere"]);
    let begun = Instant::now();
    let served = server.try_upload(known).await;
    let compiled = begun.elapsed();
    assert!(
        refused < Duration::from_secs(2) || refused * 4 < compiled,
        "refused in {refused:?}, compiled in {compiled:?}: {}",
        served.http
    );
    for import in [
        r#"(import "env" "memory" (memory 1))"#,
        r#"(import "env" "table" (table 1 funcref))"#,
        r#"(import "env" "global" (global i32))"#,
    ] {
        let answer = server.try_upload(wat(&format!("(module {import})"))).await;
        is_refused(&answer, "unknown-import", &["not a function"]);
    }
}

/// Go's largest programs have as many data segments as a module may have, and a snapshot would exceed that number.
#[tokio::test]
async fn a_module_that_cannot_be_snapshotted_is_compiled_unchanged() {
    let server = Server::start("").await;
    let segments: String = (0..100_000u32)
        .map(|at| format!("(data (i32.const {}) \"a\")", at * 8))
        .collect();
    let module = |start: &str| {
        wat(&format!(
            r#"(module (memory (export "memory") 16) (global $n (mut i32) (i32.const 0)) {segments}
                 {start}
                 (func (export "last") (result i32)
                   (i32.add (global.get $n) (i32.load8_u (i32.const 799992)))))"#
        ))
    };
    for (start, result) in [
        ("", "97"),
        (
            r#"(func (export "_initialize") (global.set $n (i32.const 3)))"#,
            "100",
        ),
        (
            r#"(func $s (global.set $n (i32.const 3))) (start $s)"#,
            "100",
        ),
    ] {
        let function = server.upload(module(start)).await;
        for _ in 0..2 {
            let answer = v1(&server, &function, "last", "").await;
            assert_eq!(answer.text(), result, "{start}");
        }
    }
}
