//! The storage of a function, by `wasi:keyvalue`.

use super::call;
use iof_tests::{guests::wat, server::Server};
use serde_json::json;

/// A component that opens the bucket for each of its functions.
const STORE: &str = r#"(component
    (import "wasi:keyvalue/store@0.2.0-draft2" (instance $kv
        (export "bucket" (type $b (sub resource)))
        (type $e (variant (case "no-such-store") (case "access-denied") (case "other" string)))
        (export "error" (type $error (eq $e)))
        (type $k (record (field "keys" (list string)) (field "cursor" (option string))))
        (export "key-response" (type $keys (eq $k)))
        (export "open" (func (param "identifier" string) (result (result (own $b) (error $error)))))
        (export "[method]bucket.get" (func (param "self" (borrow $b)) (param "key" string)
            (result (result (option (list u8)) (error $error)))))
        (export "[method]bucket.set" (func (param "self" (borrow $b)) (param "key" string) (param "value" (list u8))
            (result (result (error $error)))))
        (export "[method]bucket.delete" (func (param "self" (borrow $b)) (param "key" string)
            (result (result (error $error)))))
        (export "[method]bucket.exists" (func (param "self" (borrow $b)) (param "key" string)
            (result (result bool (error $error)))))
        (export "[method]bucket.list-keys" (func (param "self" (borrow $b)) (param "cursor" (option string))
            (result (result $keys (error $error)))))))
    (alias export $kv "error" (type $error))
    (alias export $kv "key-response" (type $keys))
    (core module $memory
        (memory (export "memory") 64)
        (data (i32.const 1000) "default")
        (global $top (mut i32) (i32.const 65536))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (local $at i32)
            (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
            (global.set $top (i32.add (local.get $at) (local.get 3)))
            (local.get $at)))
    (core instance $s (instantiate $memory))
    (alias core export $s "memory" (core memory $memory))
    (alias core export $s "realloc" (core func $realloc))
    (core func $open (canon lower (func $kv "open") (memory $memory) (realloc $realloc)))
    (core func $get (canon lower (func $kv "[method]bucket.get") (memory $memory) (realloc $realloc)))
    (core func $set (canon lower (func $kv "[method]bucket.set") (memory $memory) (realloc $realloc)))
    (core func $delete (canon lower (func $kv "[method]bucket.delete") (memory $memory) (realloc $realloc)))
    (core func $exists (canon lower (func $kv "[method]bucket.exists") (memory $memory) (realloc $realloc)))
    (core func $list (canon lower (func $kv "[method]bucket.list-keys") (memory $memory) (realloc $realloc)))
    (core module $m
        (import "h" "memory" (memory 64))
        (import "h" "open" (func $open (param i32 i32 i32)))
        (import "h" "get" (func $get (param i32 i32 i32 i32)))
        (import "h" "set" (func $set (param i32 i32 i32 i32 i32 i32)))
        (import "h" "delete" (func $delete (param i32 i32 i32 i32)))
        (import "h" "exists" (func $exists (param i32 i32 i32 i32)))
        (import "h" "list" (func $list (param i32 i32 i32 i32 i32)))
        (func $bucket (result i32)
            (call $open (i32.const 1000) (i32.const 7) (i32.const 16))
            (i32.load (i32.const 20)))
        (func (export "open") (param i32 i32) (result i32)
            (call $open (local.get 0) (local.get 1) (i32.const 64)) (i32.const 64))
        (func (export "get") (param i32 i32) (result i32)
            (call $get (call $bucket) (local.get 0) (local.get 1) (i32.const 64)) (i32.const 64))
        (func (export "set") (param i32 i32 i32 i32) (result i32)
            (call $set (call $bucket) (local.get 0) (local.get 1) (local.get 2) (local.get 3) (i32.const 64)) (i32.const 64))
        (func (export "delete") (param i32 i32) (result i32)
            (call $delete (call $bucket) (local.get 0) (local.get 1) (i32.const 64)) (i32.const 64))
        (func (export "exists") (param i32 i32) (result i32)
            (call $exists (call $bucket) (local.get 0) (local.get 1) (i32.const 64)) (i32.const 64))
        (func (export "list") (param i32 i32 i32) (result i32)
            (call $list (call $bucket) (local.get 0) (local.get 1) (local.get 2) (i32.const 64)) (i32.const 64)))
    (core instance $i (instantiate $m (with "h" (instance
        (export "memory" (memory $memory)) (export "open" (func $open)) (export "get" (func $get))
        (export "set" (func $set)) (export "delete" (func $delete)) (export "exists" (func $exists))
        (export "list" (func $list))))))
    (func (export "open") (param "name" string) (result (result (error $error)))
        (canon lift (core func $i "open") (memory $memory) (realloc $realloc)))
    (func (export "get") (param "key" string) (result (result (option (list u8)) (error $error)))
        (canon lift (core func $i "get") (memory $memory) (realloc $realloc)))
    (func (export "set") (param "key" string) (param "value" string) (result (result (error $error)))
        (canon lift (core func $i "set") (memory $memory) (realloc $realloc)))
    (func (export "delete") (param "key" string) (result (result (error $error)))
        (canon lift (core func $i "delete") (memory $memory) (realloc $realloc)))
    (func (export "exists") (param "key" string) (result (result bool (error $error)))
        (canon lift (core func $i "exists") (memory $memory) (realloc $realloc)))
    (func (export "list") (param "cursor" (option string)) (result (result $keys (error $error)))
        (canon lift (core func $i "list") (memory $memory) (realloc $realloc))))"#;

#[tokio::test]
async fn values_outlive_a_call() {
    let server = Server::start("").await;
    let function = server.deploy(wat(STORE), "storage = true\n").await;
    for (name, arguments, answer) in [
        ("get", json!(["a"]), "null"),
        ("set", json!(["a", "one"]), ""),
        ("set", json!(["b", ""]), ""),
        ("get", json!(["a"]), "\"b25l\""),
        ("exists", json!(["b"]), "true"),
        ("list", json!([null]), r#"{"keys":["a","b"],"cursor":null}"#),
        ("list", json!(["a"]), r#"{"keys":["b"],"cursor":null}"#),
        ("delete", json!(["a"]), ""),
        ("exists", json!(["a"]), "false"),
        ("open", json!(["default"]), ""),
    ] {
        let said = call(&server, &function, name, &arguments).await;
        assert_eq!(
            (said.fault(), &*said.text()),
            ("", answer),
            "{name} {arguments}"
        );
    }
    let refused = call(&server, &function, "open", &json!(["other"])).await;
    assert_eq!(
        (refused.fault(), &refused.json()["value"]),
        ("error", &json!("no-such-store"))
    );
}

#[tokio::test]
async fn the_grant_and_the_limits_of_storage_hold() {
    let server =
        Server::start("[limits]\nstorage_value = \"1KiB\"\nstorage_transactions = 3\n").await;
    let function = server.deploy(wat(STORE), "storage = true\n").await;
    for (name, arguments, fault) in [
        ("set", json!(["a", "x".repeat(2000)]), "storage-value"),
        ("set", json!(["", "x"]), "storage-key"),
        ("get", json!(["x".repeat(513)]), "storage-key"),
    ] {
        let said = call(&server, &function, name, &arguments).await;
        assert_eq!(said.fault(), fault, "{name}: {}", said.text());
    }
    let without = server.deploy(wat(STORE), "commands = []\n").await;
    let said = call(&server, &without, "get", &json!(["a"])).await;
    assert_eq!(said.fault(), "storage-not-granted", "{}", said.text());
}
