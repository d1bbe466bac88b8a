//! Functions of numbers, whose core types are those of functions of texts.

use super::v1;
use iof_tests::guests::wat;
use iof_tests::server::Server;
use iof_tests::user::User;
use serde_json::json;

/// A module of 2020: an allocator, a function of two numbers, and one of a text.
const ERA: &str = r#"(module (memory (export "memory") 1)
    (func (export "__wbindgen_malloc") (param i32) (result i32) (i32.const 1024))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "length") (param i32 i32) (result i32) (local.get 1)))"#;

#[tokio::test]
async fn an_array_of_the_right_length_is_the_arguments() {
    let server = Server::start("").await;
    let function = server.upload(wat(ERA)).await;
    for (export, body, result) in [
        ("add", "[123,2]", "125"),
        ("add", " [ -1 , 4294967295 ] ", "-2"),
        ("length", "four", "4"),
        ("length", "[1,2,3]", "7"),
    ] {
        let answer = server.run(function.id, export, body).await;
        assert_eq!(answer.text(), result, "{export}({body}): {answer:?}");
        let answer = v1(&server, &function, export, body).await;
        assert_eq!(answer.text(), result, "{export}({body}) on /v1");
        let path = format!("/v1/functions/{}/call/{export}", function.id);
        if let Ok(json) = serde_json::from_str::<serde_json::Value>(body) {
            let answer = server
                .answer(server.request("POST", &path).json(&json))
                .await;
            assert!(
                answer.http.is_success(),
                "{export}({body}): {}",
                answer.text()
            );
        }
    }
    let answer = v1(&server, &function, "add", "[1, 0.5]").await;
    assert_eq!(answer.fault(), "arguments", "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn types_can_be_stated_for_every_kind_of_call() {
    let server = Server::start("").await;
    let function = server.upload(wat(ERA)).await;
    let call = |export: &str, signature: &str, body: serde_json::Value| {
        let path = format!("/v1/functions/{}/call/{export}", function.id);
        let request = server
            .request("POST", &path)
            .header("iof-signature", signature);
        request.json(&body)
    };
    let unsigned = call("add", "(u32, u32) -> u32", json!([4294967295u32, 0]));
    assert_eq!(server.answer(unsigned).await.text(), "4294967295");
    let text = call("length", "(string) -> u32", json!([1, 2]));
    assert_eq!(server.answer(text).await.text(), "5");
    for (signature, fault) in [("i32 -> i32", "signature"), ("(f64) -> i32", "arguments")] {
        let answer = server.answer(call("add", signature, json!([1, 2]))).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (400, fault),
            "{signature}"
        );
    }
    // A job keeps the stated types.
    let job = call("add", "(u32, u32) -> u32", json!([4294967295u32, 0]));
    let job = job
        .header("prefer", "respond-async")
        .bearer_auth(&function.admin_key);
    let accepted = server.answer(job).await;
    assert_eq!(accepted.http, 202);
    let path = format!("/v1/jobs/{}", accepted.json()["job"].as_str().unwrap());
    let mut job_state = server.get(&path).await.json();
    for _ in 0..100 {
        if job_state["state"] == "done" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        job_state = server.get(&path).await.json();
    }
    assert_eq!(job_state["result"], 4294967295u32, "{job_state}");
    // On the command line.
    let user = User::new(&server.url);
    let number = function.id.to_string();
    let line = [
        "call",
        &number,
        "add",
        "-d",
        "[4294967295, 0]",
        "--signature",
        "(u32, u32) -> u32",
    ];
    let output = user.types(&line).await;
    assert!(output.contains("4294967295"), "{output}");
}

/// Modules of C, Zig and AssemblyScript: numbers, without an allocator for texts.
#[tokio::test]
async fn without_an_allocator_words_of_a_text_are_numbers() {
    let server = Server::start("").await;
    let function = server
        .upload(wat(
            r#"(module (memory (export "memory") 1) (global $set (mut i32) (i32.const 0))
                 (func (export "__new") (param i32 i32) (result i32) (i32.const 0))
                 (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
                 (func (export "half") (param f64) (result f64) (f64.mul (local.get 0) (f64.const 0.5)))
                 (func (export "wide") (param i64 i64) (result i64) (i64.add (local.get 0) (local.get 1)))
                 (func (export "put") (param i32 i32) (global.set $set (i32.add (local.get 0) (local.get 1)))))"#,
        ))
        .await;
    for (export, body, result) in [
        ("add", "[2, 40]", "42"),
        ("half", "5", "2.5"),
        ("wide", "[-1, 9007199254740993]", "9007199254740992"),
        ("put", "[1, 2]", ""),
    ] {
        let answer = v1(&server, &function, export, body).await;
        assert_eq!(answer.fault(), "", "{export}: {}", answer.text());
        assert_eq!(answer.text(), result, "{export}({body})");
    }
    let answer = v1(&server, &function, "add", "2 and 40").await;
    assert_eq!(answer.fault(), "no-allocator");
    assert!(
        answer.text().contains("it takes (i32, i32)"),
        "{}",
        answer.text()
    );
}
