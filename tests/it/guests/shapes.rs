//! Modules in the shapes of compilers since 2020: every kind of function in every shape, as text.
//!
//! | shape | allocator | result of a text | 64 bits |
//! |---|---|---|---|
//! | `2020`, wasm-bindgen 0.2.61 | `malloc(size)` | return area, which that host put at 8 | two `i32` |
//! | `2021`, 0.2.70 on | the same, and `__wbindgen_add_to_stack_pointer` for the area | return area | two `i32` |
//! | `2023`, 0.2.87 on | `malloc(size, align)` | return area | `i64` |
//! | `today` | the same | two results | `i64` |

use iof_tests::{
    guests::{guest, wat},
    server::Server,
};

#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    takes_align: bool,
    area: bool,
    halves: bool,
    more: &'static str,
}

const SHAPES: [Shape; 4] = [
    Shape {
        name: "2020",
        takes_align: false,
        area: true,
        halves: true,
        more: "",
    },
    Shape {
        name: "2021",
        takes_align: false,
        area: true,
        halves: true,
        more: STACK_POINTER,
    },
    Shape {
        name: "2023",
        takes_align: true,
        area: true,
        halves: false,
        more: STACK_POINTER,
    },
    Shape {
        name: "today",
        takes_align: true,
        area: false,
        halves: false,
        more: "",
    },
];

const STACK_POINTER: &str = r#"
    (global $stack (mut i32) (i32.const 1024))
    (func (export "__wbindgen_add_to_stack_pointer") (param i32) (result i32)
      (global.set $stack (i32.add (global.get $stack) (local.get 0))) (global.get $stack))"#;

/// The common part of all shapes. Imports of glue exist and are never called; `_initialize` is called once.
const INSIDE: &str = r#"
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (import "./era_bg.js" "__wbindgen_object_drop_ref" (func (param i32)))
    (import "__wbindgen_anyref_xform__" "__wbindgen_anyref_table_grow" (func (param i32) (result i32)))
    (import "wbg" "__wbg_log_0123456789abcdef" (func (param i32 i32)))
    (import "__wbindgen_placeholder__" "__wbindgen_throw" (func (param i32 i32)))
    (memory (export "memory") 4)
    (data (i32.const 16) "ready!never")
    (global $heap (mut i32) (i32.const 2048))
    (global $ready (mut i32) (i32.const 0))
    (func (export "_initialize") (global.set $ready (i32.add (global.get $ready) (i32.const 1))))
    (func $new (param $size i32) (result i32)
      (global.get $heap)
      (global.set $heap (i32.add (global.get $heap) (i32.and (i32.add (local.get $size) (i32.const 7)) (i32.const -8)))))
    (func $join (param $a i32) (param $al i32) (param $b i32) (param $bl i32) (result i32 i32)
      (local $new i32)
      (local.set $new (call $new (i32.add (local.get $al) (local.get $bl))))
      (memory.copy (local.get $new) (local.get $a) (local.get $al))
      (memory.copy (i32.add (local.get $new) (local.get $al)) (local.get $b) (local.get $bl))
      (local.get $new) (i32.add (local.get $al) (local.get $bl)))
    (func $same (param $a i32) (param $al i32) (result i32 i32) (local.get $a) (local.get $al))
    (func $hello (result i32 i32)
      (if (result i32 i32) (i32.eq (global.get $ready) (i32.const 1))
        (then (i32.const 16) (i32.const 6)) (else (i32.const 22) (i32.const 5))))
    (func $repeat (param $a i32) (param $al i32) (param $times i32) (result i32 i32)
      (local $new i32) (local $at i32)
      (local.set $new (call $new (i32.mul (local.get $al) (local.get $times))))
      (local.set $at (local.get $new))
      (block $done (loop $more
        (br_if $done (i32.eqz (local.get $times)))
        (memory.copy (local.get $at) (local.get $a) (local.get $al))
        (local.set $at (i32.add (local.get $at) (local.get $al)))
        (local.set $times (i32.sub (local.get $times) (i32.const 1)))
        (br $more)))
      (local.get $new) (i32.sub (local.get $at) (local.get $new)))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "length") (param i32 i32) (result i32) (local.get 1))
    (func (export "answer") (result i32) (i32.const 42))"#;

fn module(shape: Shape) -> Vec<u8> {
    let align = if shape.takes_align { "i32" } else { "" };
    let mut text = format!(
        r#"(module {INSIDE} {}
             (func (export "__wbindgen_malloc") (param i32 {align}) (result i32) (call $new (local.get 0)))
             (func (export "__wbindgen_realloc") (param i32 i32 i32 {align}) (result i32) (local $new i32)
               (local.set $new (call $new (local.get 2)))
               (memory.copy (local.get $new) (local.get 0) (local.get 1)) (local.get $new))
             (func (export "__wbindgen_free") (param i32 i32 {align}))"#,
        shape.more
    );
    for (name, params) in [("same", 2), ("join", 4), ("hello", 0), ("repeat", 3)] {
        let first = usize::from(shape.area);
        let pass: String = (first..first + params)
            .map(|at| format!("(local.get {at})"))
            .collect();
        let takes = " i32".repeat(first + params);
        text += &if shape.area {
            format!(
                r#"(func (export "{name}") (param{takes}) (local $pointer i32) (local $length i32)
                     (call ${name} {pass}) (local.set $length) (local.set $pointer)
                     (i32.store (local.get 0) (local.get $pointer))
                     (i32.store offset=4 (local.get 0) (local.get $length)))"#
            )
        } else {
            format!(
                r#"(func (export "{name}") (param{takes}) (result i32 i32) (call ${name} {pass}))"#
            )
        };
    }
    text += if shape.halves {
        r#"(func $whole (param i32 i32) (result i64)
             (i64.or (i64.extend_i32_u (local.get 0)) (i64.shl (i64.extend_i32_u (local.get 1)) (i64.const 32))))
           (func (export "sum") (param i32 i32 i32 i32 i32)
             (i64.store (local.get 0) (i64.add
               (call $whole (local.get 1) (local.get 2)) (call $whole (local.get 3) (local.get 4)))))"#
    } else {
        r#"(func (export "sum") (param i64 i64) (result i64) (i64.add (local.get 0) (local.get 1)))"#
    };
    wat(&(text + ")"))
}

#[tokio::test]
async fn every_function_works_in_every_shape() {
    let server = Server::start("").await;
    for shape in SHAPES {
        let id = server.upload(module(shape)).await.id;
        for (export, body, result) in [
            ("same", "wörld", "wörld"),
            ("same", "22", "22"),
            ("same", "", ""),
            ("join", "[\"ab\", \"cd\"]", "abcd"),
            // A missing argument is an empty text.
            ("join", "ab", "ab"),
            ("join", "", ""),
            ("hello", "", "ready!"),
            ("repeat", "[\"ab\", 3]", "ababab"),
            ("length", "four", "4"),
            ("answer", "", "42"),
        ] {
            let answer = server.run(id, export, body).await;
            assert_eq!(
                answer.fault(),
                "",
                "{} {export}({body}): {answer:?}",
                shape.name
            );
            assert_eq!(answer.text(), result, "{} {export}({body})", shape.name);
        }
        let bytes = server.run_bytes(id, "same", vec![0, 255, 1]).await;
        assert_eq!(bytes.body, [0, 255, 1], "{}", shape.name);
        for (export, signature, body, result) in [
            ("add", "(i32, i32) -> i32", "[2, -3]", "-1"),
            ("add", "(u32, u32) -> u32", "[4294967295, 0]", "4294967295"),
            (
                "sum",
                "(i64, i64) -> i64",
                "[9007199254740993, -1]",
                "9007199254740992",
            ),
            (
                "sum",
                "(i64, i64) -> i64",
                "[-9223372036854775808, 0]",
                "-9223372036854775808",
            ),
            (
                "sum",
                "(u64, u64) -> u64",
                "[18446744073709551614, 1]",
                "18446744073709551615",
            ),
            ("repeat", "(string, u32) -> string", "[\"ab\", 2]", "abab"),
            ("same", "(string) -> string", "[1, 2]", "[1, 2]"),
            ("hello", "() -> string", "", "ready!"),
        ] {
            let answer = server.run_as(id, export, signature, body).await;
            let call = format!("{} {export} as {signature} of {body}", shape.name);
            assert_eq!(answer.fault(), "", "{call}: {answer:?}");
            assert_eq!(answer.text(), result, "{call}");
        }
        for (signature, fault, words) in [
            ("(f64) -> string", "arguments", "its core type is"),
            ("([i32]) -> string", "arguments", "a JSON array"),
            ("i64 -> i64", "signature", "(i64, string) -> i64"),
        ] {
            let answer = server.run_as(id, "same", signature, "1").await;
            assert_eq!(
                (answer.fault(), answer.status()),
                (fault, 400),
                "{answer:?}"
            );
            assert!(answer.header("iof-message").contains(words), "{answer:?}");
        }
    }
}

/// A module that did not pass through the wasm-bindgen tool describes its types, in the codes of its time.
#[tokio::test]
async fn descriptors_of_2020_decide_numbers_of_64_bits() {
    let server = Server::start("").await;
    let describe = |codes: &[u32]| -> String {
        codes
            .iter()
            .map(|code| format!("(call $describe (i32.const {code}))"))
            .collect()
    };
    let id = server
        .upload(wat(&format!(
            r#"(module (import "__wbindgen_placeholder__" "__wbindgen_describe" (func $describe (param i32)))
                 (memory (export "memory") 1)
                 (func (export "__wbindgen_malloc") (param i32) (result i32) (i32.const 1024))
                 (func (export "__wbindgen_describe_same") {})
                 (func (export "same") (param i32 i32 i32)
                   (i32.store (local.get 0) (local.get 1)) (i32.store offset=4 (local.get 0) (local.get 2)))
                 (func (export "__wbindgen_describe_high") {})
                 (func (export "high") (param i32 i32) (result i32) (local.get 1)))"#,
            describe(&[11, 0, 1, 7, 7]),
            describe(&[11, 0, 1, 6, 4]),
        )))
        .await
        .id;
    let exact = |export: &str, body: &'static str| {
        server
            .request("POST", &format!("/api/run/{id}/{export}"))
            .header("Content-Type", "text/plain; charset=utf-8")
            .body(body)
    };
    for (export, body, result) in [
        ("same", "18446744073709551615", "18446744073709551615"),
        ("same", "4294967296", "4294967296"),
        ("high", "-4294967296", "-1"),
    ] {
        let answer = server.answer(exact(export, body)).await;
        assert_eq!(answer.text(), result, "{export}({body}): {answer:?}");
    }
    // A stated signature that contradicts the description is refused.
    let answer = server.run_as(id, "same", "(i64) -> i64", "1").await;
    assert_eq!(answer.fault(), "arguments");
    assert!(
        answer.header("iof-message").contains("(u64) -> u64"),
        "{answer:?}"
    );
}

/// A module of the tool of 2020 itself, with its shims: see `tests/fixtures/README.md`.
#[tokio::test]
async fn a_module_of_the_tool_of_2020_works_unchanged() {
    let server = Server::start("").await;
    let module = include_bytes!("../../fixtures/wasm-bindgen-0.2.61.wasm");
    let id = server.upload(module.to_vec()).await.id;
    for (export, body, result) in [
        ("say", "wörld", "hello wörld"),
        ("say", "", "hello "),
        ("join", "[\"ab\", \"cd\"]", "abcd"),
        ("join", "ab", "ab"),
        ("hello", "", "hello"),
        ("repeat", "[\"ab\", 3]", "ababab"),
        ("half", "5", "2.5"),
    ] {
        let answer = server.run(id, export, body).await;
        assert_eq!(answer.text(), result, "{export}({body}): {answer:?}");
    }
    let bytes = server.run_bytes(id, "bytes", vec![1, 0, 255]).await;
    assert_eq!(bytes.body, [255, 0, 1], "{bytes:?}");
    for (export, signature, body, result) in [
        ("add", "(i32, i32) -> i32", "[1, -2]", "-1"),
        (
            "sum",
            "(i64, i64) -> i64",
            "[9007199254740993, -1]",
            "9007199254740992",
        ),
        (
            "usum",
            "(u64, u64) -> u64",
            "[18446744073709551614, 1]",
            "18446744073709551615",
        ),
    ] {
        let answer = server.run_as(id, export, signature, body).await;
        assert_eq!(answer.text(), result, "{export}({body}): {answer:?}");
    }
}

/// Without a description or a stated signature, a number of 64 bits in halves is not guessed.
#[tokio::test]
async fn unstated_types_are_not_guessed() {
    let server = Server::start("").await;
    let id = server.upload(module(SHAPES[0])).await.id;
    let answer = server.run(id, "sum", "[1, 2]").await;
    assert_ne!(answer.text(), "3", "{answer:?}");
}

/// The functions that the tests of the 2020 service called, with exactly its results.
#[tokio::test]
async fn the_functions_of_the_tests_of_2020_answer_as_then() {
    let server = Server::start("").await;
    let id = server.upload(guest("second-state")).await.id;
    for (export, body, result) in [
        ("say", "Tim", "hello Tim"),
        ("double", "22", "44"),
        ("average", "[20, 30]", "{\"celsius_temperature\":25.0}"),
        (
            "average",
            "{\"a\": 24.5, \"b\": [25.5]}",
            "{\"celsius_temperature\":25.0}",
        ),
        // Plain text that is JSON passes through JavaScript, and 25.0 is 25.
        (
            "c_to_f",
            "{\"celsius_temperature\":25.0}",
            "{\"result\":77.0}",
        ),
        (
            "multipart",
            "[\"one\", \"{\\\"asdf\\\": 10}\", \"2\"]",
            "{\"input_a\":\"one\",\"input_b\":\"{\\\"asdf\\\": 10}\",\"input_c\":\"2\"}",
        ),
        (
            "multipart",
            "one",
            "{\"input_a\":\"one\",\"input_b\":\"\",\"input_c\":\"\"}",
        ),
        ("state", "", "{}"),
    ] {
        let answer = server.run(id, export, body).await;
        assert_eq!(answer.fault(), "", "{export}({body}): {answer:?}");
        assert_eq!(answer.text(), result, "{export}({body})");
    }
    let literal = server
        .request("POST", &format!("/api/run/{id}/c_to_f"))
        .header("Content-Type", "text/plain; charset=utf-8")
        .body("{\"celsius_temperature\":25.0}");
    assert_eq!(server.answer(literal).await.fault(), "trap");
    let form = server
        .request("POST", &format!("/api/run/{id}/slack"))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("text=hi+there&team=x");
    assert_eq!(server.answer(form).await.text(), "hi there");
    let environment = server.run(id, "environment", "").await.json();
    assert_eq!(environment["wasm_id"], id.to_string());
    assert_eq!(environment["storage_key"].as_str().unwrap().len(), 32);
}
