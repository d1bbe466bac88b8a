//! Modules with objects and exceptions, whose heap counts toward the memory of a call.

use super::v1;
use iof_tests::guests::wat;
use iof_tests::server::Server;

/// A list of objects, of which as many live as the call says; and objects that die at once.
const OBJECTS: &str = r#"(module
    (type $node (struct (field $next (ref null $node)) (field $value i64)))
    (type $bytes (array (mut i8)))
    (func (export "live") (param $count i32) (result i64)
        (local $list (ref null $node)) (local $sum i64)
        (loop $make
            (local.set $list (struct.new $node (local.get $list) (i64.extend_i32_u (local.get $count))))
            (br_if $make (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
        (loop $add
            (local.set $sum (i64.add (local.get $sum) (struct.get $node $value (local.get $list))))
            (br_if $add (i32.eqz (ref.is_null (local.tee $list (struct.get $node $next (local.get $list)))))))
        (local.get $sum))
    (func (export "dead") (param $count i32) (result i32)
        (local $made i32)
        (loop $make
            (drop (array.new $bytes (i32.const 7) (i32.const 1000)))
            (local.set $made (i32.add (local.get $made) (i32.const 1)))
            (br_if $make (i32.lt_u (local.get $made) (local.get $count))))
        (local.get $made))
    (func (export "array") (param $length i32) (result i32)
        (array.len (array.new $bytes (i32.const 7) (local.get $length))))
    (func (export "cycle") (param $count i32) (result i32)
        (loop $make
            (drop (struct.new $node (struct.new $node (ref.null $node) (i64.const 1)) (i64.const 2)))
            (br_if $make (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
        (i32.const 0)))"#;

#[tokio::test]
async fn objects_count_toward_the_memory_of_a_call() {
    let server = Server::start("[limits]\nmemory = \"16MiB\"\n").await;
    let function = server.upload(wat(OBJECTS)).await;
    let call = async |export: &str, argument: &str| v1(&server, &function, export, argument).await;
    assert_eq!(call("live", "1000").await.text(), "500500");
    // 200 MB of objects that die are no more than one.
    assert_eq!(call("dead", "200000").await.text(), "200000");
    assert_eq!(call("cycle", "1000000").await.text(), "0");
    for (export, argument) in [
        ("live", "3000000"),
        ("live", "0"),
        ("array", "17000000"),
        ("array", "2147483647"),
    ] {
        let answer = call(export, argument).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (507, "memory"),
            "{export} {argument}: {}",
            answer.text()
        );
        assert!(answer.text().contains("limits.memory"), "{}", answer.text());
    }
    // No heap is as large as this one would have to be.
    assert_eq!(call("array", "-1").await.fault(), "trap");
    // A heap is the call's own, and the next one begins with none.
    assert_eq!(call("live", "1000").await.text(), "500500");
    for word in ["ERROR", "WARN"] {
        assert!(!server.log().contains(word), "{}", server.log());
    }
}

const EXCEPTIONS: &str = r#"(module
    (tag $number (param i32))
    (tag $nothing)
    (func $throw (param i32) (throw $number (local.get 0)))
    (func (export "caught") (param i32) (result i32)
        (block $handler (result i32)
            (try_table (catch $number $handler) (call $throw (local.get 0)))
            (i32.const -1)))
    (func (export "many") (param $count i32) (result i32)
        (loop $again
            (block $handler (result i32)
                (try_table (catch $number $handler) (call $throw (local.get $count)))
                (i32.const 0))
            (drop)
            (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
        (i32.const 1))
    (func (export "uncaught") (param i32) (result i32) (call $throw (local.get 0)) (i32.const 0))
    (func (export "other") (result i32)
        (block $handler (result i32)
            (try_table (catch $number $handler) (throw $nothing))
            (i32.const 0))))"#;

#[tokio::test]
async fn exceptions_are_caught_by_the_guest_or_fail_its_call() {
    let server = Server::start("").await;
    let function = server.upload(wat(EXCEPTIONS)).await;
    let call = async |export: &str, argument: &str| v1(&server, &function, export, argument).await;
    assert_eq!(call("caught", "42").await.text(), "42");
    assert_eq!(call("many", "100000").await.text(), "1");
    for (export, argument) in [("uncaught", "7"), ("other", "")] {
        let answer = call(export, argument).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (502, "trap"),
            "{}",
            answer.text()
        );
        assert!(
            answer
                .text()
                .contains("threw an exception that it did not catch"),
            "{}",
            answer.text()
        );
    }
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}

/// The state after the start has objects, which no snapshot holds.
#[tokio::test]
async fn a_start_that_makes_objects_runs_in_every_call() {
    let server = Server::start("").await;
    let function = server
        .upload(wat(r#"(module
            (type $box (struct (field (mut i32))))
            (global $box (mut (ref null $box)) (ref.null $box))
            (memory (export "memory") 1)
            (func $start (global.set $box (struct.new $box (i32.const 40))))
            (start $start)
            (func (export "_initialize") (i32.store (i32.const 0) (i32.const 2)))
            (func (export "f") (result i32)
                (struct.set $box 0 (global.get $box)
                    (i32.add (struct.get $box 0 (global.get $box)) (i32.load (i32.const 0))))
                (struct.get $box 0 (global.get $box))))"#))
        .await;
    for _ in 0..3 {
        assert_eq!(v1(&server, &function, "f", "").await.text(), "42");
    }
}

/// An object has no form outside of the guest.
#[tokio::test]
async fn a_function_of_objects_is_not_called() {
    let server = Server::start("").await;
    let text = r#"(module
        (type $box (struct (field i32)))
        (func (export "takes") (param (ref null $box)) (result i32) (i32.const 1))
        (func (export "makes") (result (ref $box)) (struct.new $box (i32.const 1)))
        (func (export "f") (result i32) (i32.const 5)))"#;
    let function = server.upload(wat(text)).await;
    assert_eq!(v1(&server, &function, "f", "").await.text(), "5");
    for export in ["takes", "makes"] {
        let answer = v1(&server, &function, export, "1").await;
        assert!(
            answer.http.is_client_error(),
            "{export}: {} {}",
            answer.http,
            answer.text()
        );
    }
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}
