//! Strings, bytes and numbers, in every shape that wasm-bindgen has had.

use iof_tests::{
    guests::{guest, wat},
    server::Server,
};

/// The output of rustc, and its shapes after the tool.
const BUILDS: [&str; 5] = [
    "raw-bindgen",
    "raw-bindgen-web",
    "raw-bindgen-bundler",
    "raw-bindgen-classic",
    "raw-bindgen-stripped",
];

#[tokio::test]
async fn every_build_of_current_wasm_bindgen_works() {
    let server = Server::start("").await;
    for build in BUILDS {
        let id = server.upload(guest(build)).await.id;
        for (export, body, result) in [
            ("say", "wörld", "hello wörld"),
            ("shout", "abc", "ABC"),
            ("length", "abcd", "4"),
            ("zero", "", "nothing needed"),
            ("silent", "", ""),
            ("empty", "", ""),
            ("join", "[\"ab\", \"cd\"]", "abcd"),
            (
                "mixed",
                "[\"a\", 7, \"bc\", -5, 2.5, true]",
                "a|7|[98, 99]|-5|2.5|true",
            ),
            ("same_u8", "255", "255"),
            ("same_i8", "-128", "-128"),
            ("same_u16", "65535", "65535"),
            ("same_i16", "-32768", "-32768"),
            ("same_i32", "-2147483648", "-2147483648"),
            ("same_i64", "-9007199254740991", "-9007199254740991"),
            ("same_f32", "1.5", "1.5"),
            ("same_f64", "-0.1", "-0.1"),
            ("fails", "ok", "fine"),
        ] {
            let answer = server.run(id, export, body).await;
            assert_eq!(answer.fault(), "", "{build} {export}({body}): {answer:?}");
            assert_eq!(answer.text(), result, "{build} {export}({body})");
        }
        for export in ["reverse", "keep"] {
            let answer = server.run_bytes(id, export, vec![1, 0, 255]).await;
            let expected: &[u8] = if export == "keep" {
                &[1, 0, 255]
            } else {
                &[255, 0, 1]
            };
            assert_eq!(answer.body, expected, "{build} {export}: {answer:?}");
        }
        let panicked = server.run(id, "panics", "boom").await;
        assert_eq!(panicked.fault(), "trap", "{build}: {panicked:?}");
        let failed = server.run(id, "fails", "no milk").await;
        assert_eq!(failed.fault(), "guest-error", "{build}: {failed:?}");
        assert!(
            failed.header("iof-message").contains("no milk"),
            "{failed:?}"
        );
        let thrown = server.run(id, "throws", "boom").await;
        assert_eq!(thrown.fault(), "guest-error", "{build}: {thrown:?}");
        assert!(thrown.header("iof-message").contains("boom"), "{thrown:?}");
    }
}

/// Only a module that describes itself distinguishes signed from unsigned numbers, and booleans from numbers.
#[tokio::test]
async fn the_descriptions_of_a_module_are_used() {
    let server = Server::start("").await;
    let id = server.upload(guest("raw-bindgen")).await.id;
    for (export, body, result) in [
        ("same_u32", "4294967295", "4294967295"),
        ("same_u64", "9007199254740991", "9007199254740991"),
        ("same_bool", "true", "true"),
    ] {
        assert_eq!(
            server.run(id, export, body).await.text(),
            result,
            "{export}"
        );
    }
    // Plain text that is JSON passes through JavaScript's numbers, as in 2020; with a charset it is unchanged.
    for (export, number) in [
        ("same_u64", "18446744073709551615"),
        ("same_i64", "-9223372036854775808"),
    ] {
        let run = server
            .request("POST", &format!("/api/run/{id}/{export}"))
            .header("Content-Type", "text/plain; charset=utf-8")
            .body(number);
        assert_eq!(server.answer(run).await.text(), number);
    }
    for (export, body, words) in [
        ("same_u8", "256", "0 to 255"),
        ("same_i32", "x", "integer of 32 bits"),
        ("join", "[\"one\"]", "a text in UTF-8, then a text in UTF-8"),
        ("zero", "something", "takes no arguments"),
    ] {
        let answer = server.run(id, export, body).await;
        assert_eq!(
            (answer.fault(), answer.status()),
            ("arguments", 400),
            "{export}: {answer:?}"
        );
        assert!(answer.header("iof-message").contains(words), "{answer:?}");
    }
}

#[tokio::test]
async fn every_pointer_of_a_guest_is_checked() {
    let server = Server::start("").await;
    let hostile = |malloc: &str, body: &str| {
        wat(&format!(
            r#"(module (memory (export "memory") 1)
                 (func (export "__wbindgen_malloc") (param i32) (result i32) {malloc})
                 (func (export "f") (param i32 i32 i32) {body}))"#
        ))
    };
    let result = |pointer: &str, length: &str| {
        format!(
            "(i32.store (local.get 0) (i32.const {pointer})) (i32.store offset=4 (local.get 0) (i32.const {length}))"
        )
    };
    for (malloc, body) in [
        ("(i32.const -1)", String::new()),
        ("(i32.const 65535)", String::new()),
        ("(i32.const 64)", result("-1", "5")),
        ("(i32.const 64)", result("65530", "7")),
        ("(i32.const 64)", result("0", "-1")),
        ("(i32.const 64)", result("-1", "-1")),
    ] {
        let id = server.upload(hostile(malloc, &body)).await.id;
        let answer = server.run(id, "f", "hello").await;
        assert_eq!(
            (answer.fault(), answer.status()),
            ("bad-pointer", 502),
            "{malloc} {body}: {answer:?}"
        );
    }
    let process = |call: &str| {
        wat(&format!(
            r#"(module (import "ssvm_process" "ssvm_process_add_stdin" (func $stdin (param i32 i32)))
                 (import "wasmedge_process" "wasmedge_process_run" (func $run (result i32)))
                 (import "wasmedge_process" "wasmedge_process_get_stderr" (func $stderr (param i32)))
                 (memory (export "memory") 1) (func (export "f") {call}))"#
        ))
    };
    for call in [
        "(call $stdin (i32.const 65530) (i32.const 7))",
        "(call $stdin (i32.const -1) (i32.const 1))",
        "(drop (call $run)) (call $stderr (i32.const 65530))",
    ] {
        let id = server.upload(process(call)).await.id;
        assert_eq!(
            server.run(id, "f", "").await.fault(),
            "bad-pointer",
            "{call}"
        );
    }
}

#[tokio::test]
async fn a_module_without_an_allocator_takes_only_numbers() {
    let server = Server::start("").await;
    let id = server
        .upload(wat(r#"(module (memory (export "memory") 1)
                 (func (export "three") (param i32 i32 i32) (result i32)
                   (i32.add (local.get 0) (i32.mul (local.get 1) (local.get 2))))
                 (func (export "text") (param i32 i32 i32)))"#))
        .await
        .id;
    assert_eq!(server.run(id, "three", "[2, 3, -4]").await.text(), "-10");
    let answer = server.run(id, "text", "x").await;
    assert_eq!(answer.fault(), "no-allocator", "{answer:?}");
}

#[tokio::test]
async fn javascript_glue_faults_only_when_it_is_called() {
    let server = Server::start("").await;
    let id = server
        .upload(wat(
            r#"(module (import "./x_bg.js" "__wbg_alert_0123456789abcdef" (func $alert (param i32 i32)))
                 (func (export "fine") (result i32) i32.const 7)
                 (func (export "alerts") (call $alert (i32.const 0) (i32.const 0))))"#,
        ))
        .await
        .id;
    assert_eq!(server.run(id, "fine", "").await.text(), "7");
    let answer = server.run(id, "alerts", "").await;
    assert_eq!(answer.fault(), "no-javascript");
    assert!(
        answer.header("iof-message").contains("__wbg_alert"),
        "{answer:?}"
    );
}

/// The memory after start-up is the beginning of every call; the changes of a call are not in the next.
#[tokio::test]
async fn priming_keeps_start_up_and_nothing_else() {
    let server = Server::start("").await;
    let module = |initialize: &str| {
        wat(&format!(
            r#"(module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
                 (memory (export "memory") 1) (global $n (mut i32) (i32.const 0))
                 (func (export "_initialize") {initialize} (global.set $n (i32.add (global.get $n) (i32.const 10))))
                 (func (export "count") (result i32)
                   (global.set $n (i32.add (global.get $n) (i32.const 1)))
                   (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 100)))
                   (i32.add (global.get $n) (i32.load (i32.const 0)))))"#
        ))
    };
    // The second module calls an import while it starts, so it starts anew in every call.
    for initialize in ["", "(drop (call $random (i32.const 16) (i32.const 4)))"] {
        let id = server.upload(module(initialize)).await.id;
        for _ in 0..3 {
            assert_eq!(
                server.run(id, "count", "").await.text(),
                "111",
                "{initialize}"
            );
        }
    }
    let primed = wat(
        r#"(module (memory (export "memory") 1) (func (export "iof_prime") (i32.store (i32.const 0) (i32.const 42)))
             (func (export "answer") (result i32) (i32.load (i32.const 0))))"#,
    );
    let id = server.upload(primed).await.id;
    assert_eq!(server.run(id, "answer", "").await.text(), "42");
    let refused = server
        .try_upload(wat("(module (func (export \"iof_prime\") unreachable))"))
        .await;
    assert_eq!(
        (refused.http.as_u16(), refused.fault()),
        (422, "prime"),
        "{refused:?}"
    );
}
