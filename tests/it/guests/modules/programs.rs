//! Programs as compilers make them, and their input: stdin of any bytes, arguments, both, or neither.

use super::v1;
use iof_tests::guests::{guest, wat};
use iof_tests::server::Server;
use iof_tests::user::User;
use serde_json::{Value, json};

/// A program that prints `hi`, with more exports.
fn program(exports: &str) -> Vec<u8> {
    wat(&format!(
        r#"(module
             (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
             (memory (export "memory") 1)
             (data (i32.const 16) "hi\n")
             (func (export "_start")
               (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 3))
               (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
             {exports})"#
    ))
}

/// Exports that TinyGo, Rust of 2020 to 2023, Emscripten, Binaryen and component tools leave in programs.
const LEFT: [&str; 6] = [
    "",
    r#"(func (export "malloc") (param i32) (result i32) (i32.const 1024)) (func (export "free") (param i32))
       (func (export "calloc") (param i32 i32) (result i32) (i32.const 1024))
       (func (export "realloc") (param i32 i32) (result i32) (i32.const 1024))
       (func (export "resume")) (func (export "go_scheduler"))"#,
    r#"(func (export "main") (param i32 i32) (result i32) (i32.const 1)) (func (export "__main_void") (result i32) (i32.const 0))"#,
    r#"(func (export "asyncify_start_unwind") (param i32)) (func (export "asyncify_get_state") (result i32) (i32.const 0))"#,
    r#"(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
       (func (export "_initialize") unreachable)"#,
    r#"(func (export "stackSave") (result i32) (i32.const 0)) (func (export "emscripten_stack_get_end") (result i32) (i32.const 0))
       (func (export "__errno_location") (result i32) (i32.const 0)) (table (export "__indirect_function_table") 1 funcref)"#,
];

async fn exports(server: &Server, function: &iof_tests::call::Uploaded) -> Value {
    let path = format!("/v1/functions/{}", function.id);
    server.read_as(function, &path).await["versions"][0]["exports"].clone()
}

#[tokio::test]
async fn a_module_with_start_is_a_program() {
    let server = Server::start("").await;
    for left in LEFT {
        let function = server.upload(program(left)).await;
        assert_eq!(exports(&server, &function).await, json!(["main"]), "{left}");
        assert_eq!(
            v1(&server, &function, "main", "").await.text(),
            "hi\n",
            "{left}"
        );
    }
}

#[tokio::test]
async fn other_functions_of_a_program_stay_callable() {
    let server = Server::start("").await;
    let more = r#"(func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
                  (func (export "mallocs") (result i32) (i32.const 3)) (func (export "malloc") (param i32) (result i32) (i32.const 0))"#;
    let function = server.upload(program(more)).await;
    assert_eq!(
        exports(&server, &function).await,
        json!(["add", "mallocs", "main"])
    );
    for (export, body, result) in [
        ("add", "[2,3]", "5"),
        ("mallocs", "", "3"),
        ("main", "", "hi\n"),
    ] {
        let answer = v1(&server, &function, export, body).await;
        assert_eq!(answer.text(), result, "{export}: {}", answer.text());
    }
    // With another type, `_start` does not make the module a program.
    let other = server
        .upload(wat(r#"(module (func (export "_start") (param i32)) (func (export "malloc") (param i32) (result i32) (i32.const 7)))"#))
        .await;
    assert_eq!(exports(&server, &other).await, json!(["malloc"]));
}

#[tokio::test]
async fn stdin_is_any_bytes_beside_arguments() {
    let server = Server::start("").await;
    let function = server.deploy(guest("program"), "").await;
    let path = format!("/v1/functions/{}/call/main", function.id);
    let bytes: Vec<u8> = (0..=255).chain(*b"\r\n--x\r\n").collect();
    let form = |parts: Vec<(&'static str, Vec<u8>)>| {
        let mut body = vec![];
        for (name, bytes) in parts {
            body.extend(format!("--of-a-test\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f\"\r\n\r\n").bytes());
            body.extend(bytes);
            body.extend(b"\r\n");
        }
        body.extend(b"--of-a-test--\r\n");
        let request = server.request("POST", &path).body(body);
        request.header("content-type", "multipart/form-data; boundary=of-a-test")
    };
    let same = || ("args", br#"["same"]"#.to_vec());
    for parts in [
        vec![("stdin", bytes.clone()), same()],
        vec![same(), ("stdin", bytes.clone())],
    ] {
        let answer = server.answer(form(parts)).await;
        assert_eq!(answer.fault(), "", "{}", answer.text());
        assert_eq!(answer.body, bytes);
    }
    // Each of them may be missing.
    let only_words = server
        .answer(form(vec![("args", br#"["words","a b"]"#.to_vec())]))
        .await;
    assert_eq!(only_words.text(), "a b");
    let only_stdin = server.answer(form(vec![("stdin", b"text".to_vec())])).await;
    assert_eq!(only_stdin.text(), "TEXT");
    let in_json = server
        .request("POST", &path)
        .json(&json!({ "args": ["words", "w"] }));
    assert_eq!(server.answer(in_json).await.text(), "w");
    for (parts, words) in [
        (
            vec![("stdin", vec![]), ("args", b"-c".to_vec())],
            "`args` is not JSON",
        ),
        (vec![("args", b"[1]".to_vec())], "args"),
        (vec![("argv", b"[]".to_vec())], "there is no `argv`"),
        (
            vec![("stdin", vec![]), ("stdin", vec![])],
            "was sent more than once",
        ),
    ] {
        let answer = server.answer(form(parts)).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (400, "arguments"),
            "{words}"
        );
        assert!(answer.text().contains(words), "{}", answer.text());
    }
    let torn = server
        .request("POST", &path)
        .body("--of-a-test\r\nContent-");
    let torn = torn.header("content-type", "multipart/form-data; boundary=of-a-test");
    assert_eq!(server.answer(torn).await.fault(), "multipart");
    let many = (0..101).map(|_| ("stdin", vec![])).collect();
    assert_eq!(server.answer(form(many)).await.fault(), "multipart-parts");
}

#[tokio::test(flavor = "multi_thread")]
async fn iof_call_passes_stdin_and_arguments_to_a_program() {
    let server = Server::start("").await;
    let function = server.deploy(guest("program"), "").await;
    let user = User::new(&server.url);
    let number = function.id.to_string();
    let bytes: Vec<u8> = (0..=255).collect();
    std::fs::write(user.folder().join("bytes"), &bytes).unwrap();
    let run = |args: &[&str], stdin: &str| {
        let line = [&["call", number.as_str()], args].concat();
        tokio::task::block_in_place(|| user.run(&line, stdin))
    };
    let output = run(&["--stdin", "bytes", "--", "same"], "");
    assert_eq!(
        output.stdout,
        bytes,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(run(&["main", "--stdin", "-"], "text").stdout, b"TEXT");
    assert_eq!(
        run(&["--", "words", "--stdin", "-x"], "").stdout,
        b"--stdin|-x"
    );
    for line in [
        &["main", "text", "--", "same"][..],
        &["--stdin", "nothing-here"],
        &["-d", "{}", "--", "x"],
    ] {
        let output = run(line, "");
        assert_eq!(output.status.code(), Some(2), "{line:?}");
    }
}
