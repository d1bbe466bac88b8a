//! Summaries of modules.

use super::*;

fn of(text: &str) -> Summary {
    Summary::of(&wat::parse_str(text).unwrap()).unwrap()
}

const EXAMPLE: &str = r#"(module
    (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (import "strange" "thing" (func))
    (memory (export "memory") 17 32)
    (func (export "_initialize"))
    (func (export "iof_prime"))
    (func (export "__wbindgen_malloc"))
    (func (export "greet"))
    (func (export "say_af3bca193e7a9d75"))
    (func (export "__wbindgen_describe_say_af3bca193e7a9d75"))
    (func (export "kept_af3bca193e7a9d75"))
    (@custom "note" "abc"))"#;

#[test]
fn it_tells_what_is_called_and_what_is_asked_for() {
    let summary = of(EXAMPLE).judged(
        |name| (name == "say").then(|| "(text: string) -> string".to_owned()),
        |module, name| (module, name) == ("strange", "thing"),
    );
    let names: Vec<_> = summary.exports.iter().map(|export| &*export.name).collect();
    assert_eq!(names, ["greet", "say", "kept_af3bca193e7a9d75"]);
    assert_eq!(
        summary.to_string(),
        "exports   greet\n          say(text: string) -> string\n          kept_af3bca193e7a9d75\n\
         imports   strange: thing\n          a server does not have thing\n          \
         wasi_snapshot_preview1: random_get, fd_write\n\
         memory    1.1 MiB at first, 2 MiB at most\n\
         size      324 B"
    );
}

#[test]
fn programs_and_components_are_told_apart() {
    assert_eq!(
        of("(module (func (export \"_start\")))").kind,
        Kind::WasiCommand
    );
    assert_eq!(of("(component)").kind, Kind::Component);
    assert_eq!(of("(module)").kind, Kind::Bindgen);
}

#[test]
fn an_allocator_is_no_function() {
    let wasmedge = "(module (func (export \"allocate\")) (func (export \"deallocate\")) (func (export \"say\")))";
    assert_eq!(of(wasmedge).exports.len(), 1);
    assert_eq!(of("(module (func (export \"allocate\")))").exports.len(), 1);
}

#[test]
fn what_is_no_module_is_refused() {
    let error = Summary::of(b"\0asm\x01\0\0\0\xff").unwrap_err().to_string();
    assert!(error.contains("not valid WebAssembly"), "{error}");
}

#[test]
fn another_module_is_as_this_one_but_for_names() {
    let base = of("(module (func (export \"f\")))");
    assert!(base.is_as(&of(
        "(module (func (export \"f\")) (@custom \"producers\" \"\"))"
    )));
    assert!(!base.is_as(&of("(module (func (export \"g\")))")));
    assert!(!base.is_as(&of(
        "(module (func (export \"f\")) (@custom \"data\" \"\"))"
    )));
}

#[test]
fn sizes_are_short() {
    let shown = [0, 1023, 1024, 1536, 70_000, 1 << 20, 5 << 30].map(bytes);
    assert_eq!(
        shown,
        [
            "0 B", "1023 B", "1 KiB", "1.5 KiB", "68.4 KiB", "1 MiB", "5 GiB"
        ]
    );
}
