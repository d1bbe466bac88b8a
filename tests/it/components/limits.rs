//! Limits of components: what an upload may have, and what a call may make the host hold.

use super::{call, component, export};
use iof_tests::{guests::wat, server::Server};
use serde_json::json;

#[tokio::test]
async fn hostile_components_are_refused() {
    let server = Server::start("[compile]\nmodule_size = \"1MB\"\nmodule_functions = 2000\nmodule_exports = 20\ncompile_cpu = \"2s\"\ncompile_time = \"10s\"\n").await;
    let nested = |depth: usize| {
        wat(&format!(
            "{}{}",
            "(component ".repeat(depth),
            ")".repeat(depth)
        ))
    };
    let functions = |modules: usize| {
        let module = format!("(core module {})", "(func)".repeat(1000));
        wat(&format!("(component {})", module.repeat(modules)))
    };
    let instances = |count: usize, body: &str| {
        wat(&format!(
            "(component (core module $m {body}) {})",
            "(core instance (instantiate $m))".repeat(count)
        ))
    };
    let exports: String = (0..21)
        .map(|n| export(&format!("f{n}"), "", "nothing"))
        .collect();
    // Each level instantiates the one below it twice.
    let bomb: String = (1..40)
        .map(|level| {
            format!(
                "(component $c{level} (alias outer 1 $c{} (component $c)) (instance (instantiate $c)) (instance (instantiate $c)))\n",
                level - 1
            )
        })
        .collect();
    let bomb = wat(&format!(
        "(component (component $c0 (core module $m) (core instance (instantiate $m)) ) {bomb} (instance (instantiate $c39)))"
    ));
    let mut cut = component(&export("nothing", "", "nothing"));
    cut.truncate(cut.len() / 2);
    for (source, faults, what) in [
        (nested(17), &[""][..], "17 levels"),
        (nested(19), &["module-nesting"], "19 levels"),
        (functions(2), &[""], "2000 functions"),
        (functions(3), &["module-functions"], "3000 functions"),
        (component(&exports), &["module-exports"], "21 exports"),
        (instances(4, "(memory 1)"), &[""], "four memories"),
        (
            instances(5, "(memory 1)"),
            &["module-memories"],
            "five memories",
        ),
        (
            instances(9, "(table 1 funcref)"),
            &["module-tables"],
            "nine tables",
        ),
        (
            instances(1, "(table 200000 funcref)"),
            &["module-table-elements"],
            "a large table",
        ),
        (instances(1, "(memory 4000)"), &["memory"], "a large memory"),
        (instances(65, ""), &["module-instance"], "65 instances"),
        (
            bomb,
            &["compile-time", "compile-memory", "invalid-module"],
            "2^39 instances",
        ),
        (cut, &["invalid-module"], "half of one"),
        (
            wat("(component (core module (memory 1 1 shared)))"),
            &["unsupported-feature"],
            "threads",
        ),
    ] {
        let answer = server.try_upload(source).await;
        assert!(
            faults.contains(&answer.fault()),
            "{what}: {}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn values_that_cross_are_bounded() {
    let server = Server::start("[limits]\noutput = \"1MiB\"\nmemory = \"16MiB\"\n").await;
    let exports = [
        export("grow", "(param \"pages\" u32) (result s32)", "grow"),
        export("flags", "(result (list bool))", "flood"),
        export("text", "(result string)", "flood"),
        export(
            "count",
            "(param \"all\" (list (list u8))) (result (list (list u8)))",
            "echo",
        ),
    ];
    let function = server.deploy(component(&exports.concat()), "").await;
    for (name, arguments, fault, words) in [
        ("grow", json!([1]), "", "64"),
        ("grow", json!([4000]), "", "-1"),
        // Four million values of the host, for four million bytes of the guest.
        ("flags", json!({}), "memory", "limits.memory"),
        ("text", json!({}), "output", "limits.output"),
        ("count", json!([vec![""; 10]]), "", "["),
        ("count", json!([vec!["A".repeat(40_000); 10]]), "", ""),
        (
            "count",
            json!([vec!["A".repeat(40_000); 20]]),
            "arguments",
            "limits.memory",
        ),
    ] {
        let answer = call(&server, &function, name, &arguments).await;
        assert_eq!(answer.fault(), fault, "{name}: {}", answer.text());
        assert!(answer.text().contains(words), "{name}: {}", answer.text());
    }
    // The server is as before.
    let answer = call(&server, &function, "grow", &json!([0])).await;
    assert_eq!(answer.text(), "64");
}

/// Pollables of the clock, and random bytes.
pub(crate) const HOLDER: &str = r#"(component
    (import "wasi:io/poll@0.2.0" (instance $poll
        (export "pollable" (type $p (sub resource)))
        (export "poll" (func (param "in" (list (borrow $p))) (result (list u32))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
        (alias outer 1 $pollable (type $p))
        (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
    (import "wasi:random/random@0.2.0" (instance $random
        (export "get-random-bytes" (func (param "len" u64) (result (list u8))))
        (export "get-random-u64" (func (result u64)))))
    (core module $memory
        (memory (export "memory") 16)
        (global $top (mut i32) (i32.const 65536))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (local $at i32)
            (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
            (global.set $top (i32.add (local.get $at) (local.get 3)))
            (local.get $at)))
    (core instance $s (instantiate $memory))
    (alias core export $s "memory" (core memory $memory))
    (alias core export $s "realloc" (core func $realloc))
    (core func $subscribe (canon lower (func $clock "subscribe-duration")))
    (core func $bytes (canon lower (func $random "get-random-bytes") (memory $memory) (realloc $realloc)))
    (core func $number (canon lower (func $random "get-random-u64")))
    (core func $wait (canon lower (func $poll "poll") (memory $memory) (realloc $realloc)))
    (core module $m
        (import "h" "memory" (memory 16))
        (import "h" "subscribe" (func $subscribe (param i64) (result i32)))
        (import "h" "bytes" (func $bytes (param i64 i32)))
        (import "h" "number" (func $number (result i64)))
        (import "h" "wait" (func $wait (param i32 i32 i32)))
        (func (export "hold") (param $n i32)
            (loop
                (drop (call $subscribe (i64.const 1)))
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br_if 0 (local.get $n))))
        (func (export "bytes") (param i64) (result i32)
            (call $bytes (local.get 0) (i32.const 16))
            (i32.load (i32.const 20)))
        (func (export "number") (result i64) (call $number))
        ;; One pollable, so many times.
        (func (export "wait") (param $n i32)
            (local $p i32) (local $at i32)
            (local.set $p (call $subscribe (i64.const 1)))
            (loop
                (i32.store (local.get $at) (local.get $p))
                (local.set $at (i32.add (local.get $at) (i32.const 4)))
                (br_if 0 (i32.lt_u (local.get $at) (i32.mul (local.get $n) (i32.const 4)))))
            (call $wait (i32.const 0) (local.get $n) (i32.const 60000))))
    (core instance $i (instantiate $m (with "h" (instance
        (export "memory" (memory $memory))
        (export "subscribe" (func $subscribe))
        (export "bytes" (func $bytes))
        (export "number" (func $number))
        (export "wait" (func $wait))))))
    (func (export "hold") (param "count" u32) (canon lift (core func $i "hold")))
    (func (export "bytes") (param "count" u64) (result u32) (canon lift (core func $i "bytes")))
    (func (export "number") (result u64) (canon lift (core func $i "number")))
    (func (export "wait") (param "count" u32) (canon lift (core func $i "wait"))))"#;

#[tokio::test]
async fn what_the_host_holds_for_a_guest_is_bounded() {
    let server = Server::start("[limits]\nhandles = 50\n").await;
    let function = server.deploy(wat(HOLDER), "").await;
    for (name, arguments, fault, words) in [
        ("hold", json!([40]), "", ""),
        ("hold", json!([60]), "handles", "limits.handles = 50"),
        ("wait", json!([40]), "", ""),
        ("wait", json!([60]), "handles", "limits.handles"),
        ("bytes", json!([100_000]), "", "100000"),
        ("bytes", json!([2_000_000]), "trap", "random bytes"),
        ("bytes", json!([u64::MAX]), "trap", "random bytes"),
    ] {
        let answer = call(&server, &function, name, &arguments).await;
        assert_eq!(
            answer.fault(),
            fault,
            "{name} {arguments}: {}",
            answer.text()
        );
        assert!(answer.text().contains(words), "{name}: {}", answer.text());
    }
    let number = call(&server, &function, "number", &json!({})).await.text();
    assert_ne!(
        number,
        call(&server, &function, "number", &json!({})).await.text()
    );
}

/// A component that makes `count` resources of its own, and keeps them.
const OWNER: &str = r#"(component
    (type $r (resource (rep i32)))
    (core func $new (canon resource.new $r))
    (core module $m
        (import "" "new" (func $new (param i32) (result i32)))
        (func (export "own") (param $count i32)
            (loop $more
                (drop (call $new (i32.const 7)))
                (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                (br_if $more (local.get $count)))))
    (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
    (func (export "own") (param "count" u32) (canon lift (core func $i "own"))))"#;

#[tokio::test]
async fn resources_of_its_own_are_bounded() {
    let server = Server::start("[limits]\nhandles = 50\n").await;
    let function = server.deploy(wat(OWNER), "").await;
    for (count, fault) in [(40, ""), (60, "handles"), (100_000_000, "handles")] {
        let answer = call(&server, &function, "own", &json!([count])).await;
        assert_eq!(answer.fault(), fault, "{count}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_declaration_lowers_the_limits_of_a_component() {
    let server = Server::start("").await;
    let function = server.deploy(wat(HOLDER), "[limits]\nhandles = 5\n").await;
    let answer = call(&server, &function, "hold", &json!([6])).await;
    assert_eq!(answer.fault(), "handles", "{}", answer.text());
}
