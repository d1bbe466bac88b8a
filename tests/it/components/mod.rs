//! Components: typed calls, programs, their limits, and imports that nobody serves.

mod beside_wasmtime;
mod config;
mod docs;
mod imports;
pub(crate) mod limits;
mod reuse;
mod typed;

use iof_tests::{
    call::{Answer, Uploaded},
    guests::wat,
    server::Server,
};
use serde_json::Value;

/// A memory, its allocator, and functions that return what they got.
const CORE: &str = r#"
    (core module $m
        (memory (export "memory") 64)
        (global $top (mut i32) (i32.const 1024))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (local $at i32)
            (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
            (global.set $top (i32.add (local.get $at) (local.get 3)))
            (local.get $at))
        (func (export "echo") (param i32 i32) (result i32)
            (i32.store (i32.const 16) (local.get 0))
            (i32.store (i32.const 20) (local.get 1))
            (i32.const 16))
        (func (export "reject") (param i32 i32) (result i32)
            (i32.store (i32.const 16) (i32.const 1))
            (i32.store (i32.const 20) (local.get 0))
            (i32.store (i32.const 24) (local.get 1))
            (i32.const 16))
        (func (export "same64") (param i64) (result i64) (local.get 0))
        (func (export "half") (param f64) (result f64) (f64.div (local.get 0) (f64.const 2)))
        (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
        (func (export "nothing"))
        (func (export "take") (param i32))
        (func (export "zero") (result i32) (i32.const 0))
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
        ;; All of the memory, as a list.
        (func (export "flood") (result i32)
            (i32.store (i32.const 16) (i32.const 0))
            (i32.store (i32.const 20) (i32.const 4194304))
            (i32.const 16)))
    (core instance $i (instantiate $m))
    (alias core export $i "memory" (core memory $memory))
    (alias core export $i "realloc" (core func $realloc))
"#;

/// A component with this code, and `exports`.
fn component(exports: &str) -> Vec<u8> {
    wat(&format!("(component {CORE} {exports})"))
}

/// An exported function: its name, its type, and the function of the code that it is.
fn export(name: &str, ty: &str, core: &str) -> String {
    format!(
        "(func (export \"{name}\") {ty} (canon lift (core func $i \"{core}\") (memory $memory) (realloc $realloc)))\n"
    )
}

async fn call(server: &Server, function: &Uploaded, export: &str, arguments: &Value) -> Answer {
    let path = format!("/v1/functions/{}/call/{export}", function.id);
    let request = server.request("POST", &path).json(arguments);
    server.answer(request).await
}
