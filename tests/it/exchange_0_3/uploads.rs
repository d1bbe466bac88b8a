//! Uploads of handlers of WASI 0.3: which are taken, and what is said of those that are not.

use super::get;
use iof_tests::{
    guests::{handler_component, wat},
    server::Server,
};

/// A handler with such a type, exported by such a name.
fn exporting(name: &str, ty: &str, core: &str) -> Vec<u8> {
    wat(&format!(
        r#"(component
            (core module $m {core})
            (core instance $i (instantiate $m))
            (func $handle {ty} (canon lift (core func $i "handle")))
            (instance $handler (export "handle" (func $handle)))
            (export "{name}" (instance $handler)))"#
    ))
}

#[tokio::test]
async fn what_is_not_a_handler_of_0_3_0_is_refused() {
    let server = Server::start("").await;
    let plain = r#"(func (export "handle"))"#;
    for (source, status, fault, words) in [
        // Of a release candidate: the current version is named.
        (
            exporting("wasi:http/handler@0.3.0-rc-2026-03-15", "", plain),
            415,
            "unsupported-kind",
            "wasi:http/handler@0.3.0 ",
        ),
        (
            exporting("wasi:http/handler@0.4.0", "", plain),
            415,
            "unsupported-kind",
            "wasi:http/handler@0.3.0 ",
        ),
        (
            exporting("wasi:cli/run@0.3.0-rc-2026-03-15", "", plain),
            415,
            "unsupported-kind",
            "wasi:cli/run@0.3.0 ",
        ),
        (
            exporting("wasi:http/handler@0.3.0", "", plain),
            400,
            "invalid-module",
            "another type",
        ),
    ] {
        let answer = server.try_upload(source).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (status, fault),
            "{words}: {}",
            answer.text()
        );
        assert!(answer.text().contains(words), "{words}: {}", answer.text());
    }
}

/// Tasks that wait in the middle of their code hold stacks, so there are few instances in which they do.
#[tokio::test]
async fn instances_that_wait_are_few() {
    let server = Server::start("").await;
    let with = |count: usize| {
        let instances = "(instance (instantiate $c))".repeat(count);
        wat(&format!(
            r#"(component
                (component $c
                    (core module $m (func (export "f")))
                    (core instance $i (instantiate $m))
                    (func (export "f") async (canon lift (core func $i "f"))))
                {instances})"#
        ))
    };
    let answer = server.try_upload(with(4)).await;
    assert_eq!(answer.http, 200, "{}", answer.text());
    let answer = server.try_upload(with(5)).await;
    assert_eq!(answer.fault(), "module-components", "{}", answer.text());
    assert!(answer.text().contains("at most 4"), "{}", answer.text());
}

/// The trap of a guest whose toolchain is from before the release says what to build it with.
#[tokio::test]
async fn an_old_toolchain_is_named() {
    let server = Server::start("").await;
    let function = server.deploy(wat(OLD), "").await;
    let path = format!("/v1/functions/{}/call/read", function.id);
    let request = server.request("POST", &path).json(&serde_json::json!([]));
    let answer = server.answer(request).await;
    assert_eq!(answer.fault(), "trap", "{}", answer.text());
    for words in ["waitable", "before WASI 0.3.0", "wit-bindgen"] {
        assert!(answer.text().contains(words), "{words}: {}", answer.text());
    }
}

/// Gives up a read of a stream that is in a set of waitables, as `wit-bindgen` did.
const OLD: &str = r#"(component
    (type $s (stream u8))
    (core module $memory (memory (export "memory") 1))
    (core instance $mem (instantiate $memory))
    (alias core export $mem "memory" (core memory $memory))
    (core func $new (canon stream.new $s))
    (core func $read (canon stream.read $s async (memory $memory)))
    (core func $cancel (canon stream.cancel-read $s))
    (core func $set (canon waitable-set.new))
    (core func $join (canon waitable.join))
    (core module $m
        (import "h" "new" (func $new (result i64)))
        (import "h" "read" (func $read (param i32 i32 i32) (result i32)))
        (import "h" "cancel" (func $cancel (param i32) (result i32)))
        (import "h" "set" (func $set (result i32)))
        (import "h" "join" (func $join (param i32 i32)))
        (func (export "read")
            (local $stream i32)
            (local.set $stream (i32.wrap_i64 (call $new)))
            (drop (call $read (local.get $stream) (i32.const 0) (i32.const 1)))
            (call $join (local.get $stream) (call $set))
            (drop (call $cancel (local.get $stream)))))
    (core instance $i (instantiate $m (with "h" (instance
        (export "new" (func $new)) (export "read" (func $read)) (export "cancel" (func $cancel))
        (export "set" (func $set)) (export "join" (func $join))))))
    (func (export "read") async (canon lift (core func $i "read"))))"#;

/// `p3_http_middleware`: a middleware by itself imports a handler, and is a component with one when it is composed.
#[tokio::test]
async fn a_middleware_is_composed_with_its_handler() {
    let server = Server::start("").await;
    let middleware = handler_component("http-middleware");
    let answer = server.try_upload(middleware.clone()).await;
    assert_eq!(answer.fault(), "unknown-import", "{}", answer.text());
    assert!(answer.text().contains("wac plug"), "{}", answer.text());
    let handler = handler_component(super::HANDLER);
    let composed = iof_tests::guests::composed(&middleware, &handler);
    let function = server.deploy(composed, "").await;
    let answer = get(&server, &function, "/hello").await;
    assert_eq!((answer.http.as_u16(), &*answer.text()), (200, "HELLO"));
    assert_eq!(answer.header("x-middleware"), "1");
    let request = server
        .request("POST", &super::path(&function, "/echo"))
        .body("through both");
    assert_eq!(server.answer(request).await.text(), "THROUGH BOTH");
    // `p3_http_middleware_with_chain`: one that waits before, and gives its handler another body.
    let rewritten = server
        .request("POST", &super::path(&function, "/echo"))
        .header("x-rewrite", "1")
        .body("through both?");
    assert_eq!(server.answer(rewritten).await.text(), "THROUGH BOTH!");
    let events = server
        .request("GET", &super::path(&function, "/events?3"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        events.text().await.unwrap(),
        "DATA: 0\n\nDATA: 1\n\nDATA: 2\n\n"
    );
    assert_eq!(get(&server, &function, "/trap").await.fault(), "trap");
}
