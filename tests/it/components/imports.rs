//! Imports that nobody serves are named, each with what would help.

use super::{CORE, call, export};
use iof_tests::{guests::wat, server::Server};
use serde_json::json;

fn importing(interface: &str, items: &str) -> Vec<u8> {
    wat(&format!(
        "(component (import \"{interface}\" (instance {items})))"
    ))
}

#[tokio::test]
async fn each_import_is_named_with_what_would_serve_it() {
    let server = Server::start("").await;
    let function = "(export \"get-environment\" (func (result (list (tuple string string)))))";
    for (source, words) in [
        (
            importing(
                "fermyon:spin/key-value@2.0.0",
                "(export \"open\" (func)) (export \"close\" (func))",
            ),
            &[
                "fermyon:spin/key-value@2.0.0 `open` (an interface of Spin",
                "`close`",
            ][..],
        ),
        (
            importing("wasi:cli/environment@0.2.0-rc-2023-11-10", function),
            &["a pre-release version", "0.2.12"],
        ),
        (
            importing("wasi:cli/environment@1.0.0", function),
            &["another version"],
        ),
        (
            importing("wasi:cli/environment@0.3.0-rc-2026-03-15", function),
            &["a pre-release version", "for 0.3.0"],
        ),
        (
            importing(
                "wasi:http/outgoing-handler@0.2.0",
                "(export \"handle\" (func))",
            ),
            &["types that it does not have"],
        ),
        (
            importing("wasi:cli/environment@0.2.0", "(export \"leave\" (func))"),
            &["`leave` (no interface of WASI 0.2 or 0.3"],
        ),
        (
            importing(
                "wasi:http/types@0.2.12",
                "(export \"response-outparam\" (type $r (sub resource)))
                 (export \"[method]response-outparam.send-informational\"
                    (func (param \"self\" (borrow $r)) (param \"status\" u16)))",
            ),
            &["interim responses (1xx) are not sent"],
        ),
        (
            importing("my:app/math@1.0.0", "(export \"add\" (func))"),
            &["wac plug"],
        ),
        (
            wat("(component (import \"add\" (func)))"),
            &["`add` (a function of no interface)"],
        ),
        (
            wat("(component (import \"code\" (core module)))"),
            &["`code`"],
        ),
        // The name is right, and the type is not.
        (
            importing(
                "wasi:cli/environment@0.2.0",
                "(export \"get-environment\" (func (result u8)))",
            ),
            &["types that it does not have", "get-environment"],
        ),
    ] {
        let answer = server.try_upload(source).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (422, "unknown-import"),
            "{words:?}: {}",
            answer.text()
        );
        let error = answer.json()["error"].to_string();
        for words in words {
            assert!(error.contains(words), "{words}: {error}");
        }
    }
}

#[tokio::test]
async fn every_release_of_wasi_0_2_is_served() {
    let server = Server::start("").await;
    for patch in [0, 1, 3, 4, 8, 9, 10, 12] {
        let source = importing(
            &format!("wasi:cli/environment@0.2.{patch}"),
            "(export \"get-environment\" (func (result (list (tuple string string)))))",
        );
        let answer = server.try_upload(source).await;
        assert_eq!(answer.http, 200, "0.2.{patch}: {}", answer.text());
    }
}

#[tokio::test]
async fn an_import_may_fault_when_it_is_called() {
    let server = Server::start("[compile]\nunknown_imports = \"fault\"\n").await;
    let source = format!(
        "(component
            (import \"my:app/math@1.0.0\" (instance $math (export \"f\" (func))))
            (core func $f (canon lower (func $math \"f\")))
            (core module $calls (import \"a\" \"f\" (func $f)) (func (export \"call\") (call $f)))
            (core instance $c (instantiate $calls (with \"a\" (instance (export \"f\" (func $f))))))
            (func (export \"f\") (canon lift (core func $c \"call\")))
            {CORE} {})",
        export("nothing", "", "nothing")
    );
    let function = server.deploy(wat(&source), "").await;
    assert_eq!(
        call(&server, &function, "nothing", &json!({})).await.http,
        204
    );
    let answer = call(&server, &function, "f", &json!({})).await;
    assert_eq!(answer.fault(), "missing-import", "{}", answer.text());
    assert!(
        answer.text().contains("my:app/math@1.0.0"),
        "{}",
        answer.text()
    );
}
