//! Unchanged modules of compilers other than Rust's (`tests/fixtures/toolchains`).

use super::v1;
use iof_tests::call::Uploaded;
use iof_tests::guests::root;
use iof_tests::server::Server;
use serde_json::json;

async fn upload(server: &Server, name: &str) -> Uploaded {
    let path = root().join("tests/fixtures/toolchains").join(name);
    server.upload(tokio::fs::read(path).await.unwrap()).await
}

async fn calls(server: &Server, function: &Uploaded, expected: &[(&str, &str, &str)]) {
    for (export, body, result) in expected {
        let answer = v1(server, function, export, body).await;
        assert_eq!(answer.fault(), "", "{export}: {}", answer.text());
        assert_eq!(answer.text(), *result, "{export}({body})");
    }
}

#[tokio::test]
async fn assemblyscript() {
    let server = Server::start("").await;
    let function = upload(&server, "assemblyscript.wasm").await;
    let expected = [
        ("add", "[2, 40]", "42"),
        // The result is the argument.
        ("wide", "[3, -3074457345618258603]", "9223372036854775807"),
        ("mean", "[1, 2]", "1.5"),
        ("narrow", "[41]", "42"),
        ("truth", "[0]", "1"),
        ("fibonacci", "[90]", "2880067194370816120"),
    ];
    calls(&server, &function, &expected).await;
    let failed = v1(&server, &function, "fail", "").await;
    assert_eq!(failed.fault(), "trap", "{}", failed.text());
}

#[tokio::test]
async fn a_program_of_assemblyscript() {
    let server = Server::start("").await;
    let function = upload(&server, "assemblyscript-program.wasm").await;
    let path = format!("/v1/functions/{}/call/main", function.id);
    let request = server
        .request("POST", &path)
        .json(&json!({ "args": ["one", "two"] }));
    let answer = server.answer(request).await;
    assert_eq!(answer.text(), "hello from AssemblyScript\none\ntwo\n");
}

#[tokio::test]
async fn zig() {
    let server = Server::start("").await;
    let function = upload(&server, "zig.wasm").await;
    let expected = [
        ("add", "[2147483647, 1]", "-2147483648"),
        ("wide", "[4294967296, 2147483647]", "9223372032559808512"),
        ("hypotenuse", "[3, 4]", "5"),
    ];
    calls(&server, &function, &expected).await;
}

#[tokio::test]
async fn c() {
    let server = Server::start("").await;
    let function = upload(&server, "c.wasm").await;
    let path = format!("/v1/functions/{}/call/main", function.id);
    for (input, printed) in [("", "0 0 0\n"), ("a b\n\u{e4} c\n", "2 4 9\n")] {
        let request = server
            .request("POST", &path)
            .json(&json!({ "stdin": input, "args": [] }));
        let answer = server.answer(request).await;
        assert_eq!((answer.fault(), answer.text().as_str()), ("", printed));
    }
    let request = server
        .request("POST", &path)
        .json(&json!({ "args": ["exit", "3"] }));
    let answer = server.answer(request).await;
    assert_eq!(
        (answer.fault(), answer.header("iof-exit-status")),
        ("exit", "3")
    );
}
