//! Every import of docs/IMPORTS.md with bad pointers, absurd lengths and closed descriptors. An error of a guest is a
//! fault of the guest and never of the server, and causes no warnings in the operator's log.

use iof_tests::{
    guests::{root, wat},
    server::Server,
};

/// Rows of the table: module, function, parameters, result.
fn imports() -> Vec<(String, String, Vec<String>, Option<String>)> {
    let text = std::fs::read_to_string(root().join("docs/IMPORTS.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let mut cells = line
            .split('|')
            .skip(1)
            .map(|cell| cell.trim().trim_matches('`').to_owned());
        let (module, name, ty) = (
            cells.next().unwrap(),
            cells.next().unwrap(),
            cells.next().unwrap(),
        );
        let (params, result) = match ty.split_once(" -> ") {
            None => (ty.as_str(), None),
            Some((params, result)) => (params, Some(result.to_owned())),
        };
        let params = params.trim_matches(['(', ')']).split_whitespace();
        (module, name, params.map(str::to_owned).collect(), result)
    })
    .collect()
}

/// The values of arguments: those of a descriptor, and those of all others.
const ARGUMENTS: [(i64, i64); 9] = [
    (0, 0),
    (-1, -1),
    (3, -1),
    (3, 65_532),
    (1, 0x7fff_ffff),
    (3, i64::MIN),
    (99, 16),
    (2, 1024),
    (3, 8),
];

/// A module that calls each import with each of these, and the names of its exports.
fn module(memory: &str) -> (Vec<u8>, Vec<String>) {
    let (mut head, mut body, mut exports) = (String::new(), String::new(), vec![]);
    for (at, (module, name, params, result)) in imports().iter().enumerate() {
        let list = params.join(" ");
        let returned = result
            .as_ref()
            .map_or(String::new(), |ty| format!("(result {ty})"));
        head += &format!(r#"(import "{module}" "{name}" (func $f{at} (param {list}) {returned}))"#);
        for (case, (first, rest)) in ARGUMENTS.iter().enumerate() {
            let values = params.iter().enumerate().map(|(place, ty)| {
                let value = if place == 0 { *first } else { *rest };
                match ty.as_str() {
                    "i64" => format!("(i64.const {value})"),
                    _ => format!("(i32.const {})", value as i32),
                }
            });
            let values: String = values.collect();
            let call = format!("(call $f{at} {values})");
            let call = match result {
                Some(_) => format!("(drop {call})"),
                None => call,
            };
            let export = format!("{name}-{case}");
            body += &format!(r#"(func (export "{module}:{export}") {call})"#);
            exports.push(format!("{module}:{export}"));
        }
    }
    (wat(&format!("(module {head} {memory} {body})")), exports)
}

#[tokio::test]
async fn no_import_makes_the_host_fail_or_warn() {
    let server = Server::start("[limits]\nwall_time = \"1s\"\n").await;
    let mut faults = std::collections::BTreeMap::<String, u32>::new();
    for memory in [r#"(memory (export "memory") 1)"#, "(memory 1)"] {
        let (module, exports) = module(memory);
        let function = server.deploy(module, "storage = true\n").await;
        for export in exports {
            let answer = server.run(function.id, &export, "").await;
            let fault = if answer.status() == 200 {
                "none"
            } else {
                answer.fault()
            };
            assert_ne!(fault, "internal", "{export}: {answer:?}\n{}", server.log());
            assert_ne!(fault, "no-such-export", "{export}");
            *faults.entry(fault.to_owned()).or_default() += 1;
        }
    }
    for expected in ["bad-pointer", "no-memory", "exit", "none", "scratch"] {
        assert!(faults.contains_key(expected), "{expected} in {faults:?}");
    }
    let complaints: Vec<_> = server
        .log()
        .lines()
        .filter(|line| line.contains("ERROR") || line.contains("WARN"))
        .map(str::to_owned)
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// A length beyond the memory is a bad pointer, whatever limit its bytes would exceed; a descriptor that is not open is
/// answered as such before any limit.
#[tokio::test]
async fn a_bad_pointer_comes_before_a_limit() {
    let server = Server::start("").await;
    let module = wat(r#"(module
          (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_pwrite" (func $pwrite (param i32 i32 i32 i64 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_filestat_set_size" (func $size (param i32 i64) (result i32)))
          (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
          (import "ssvm_process" "ssvm_process_add_arg" (func $arg (param i32 i32)))
          (import "ssvm_process" "ssvm_process_add_stdin" (func $stdin (param i32 i32)))
          (import "iof" "storage_get" (func $get (param i32 i32) (result i64)))
          (import "iof" "storage_set" (func $set (param i32 i32 i32 i32)))
          (import "iof" "storage_commit" (func $commit (param i32 i32) (result i32)))
          (memory (export "memory") 1)
          ;; A vector of the longest length, and one of a byte.
          (data (i32.const 8) "\00\00\00\00\ff\ff\ff\ff")
          (data (i32.const 24) "\00\00\00\00\01\00\00\00")
          (func (export "write") (result i32) (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))
          (func (export "write file") (result i32) (call $write (i32.const 3) (i32.const 8) (i32.const 1) (i32.const 0)))
          (func (export "pwrite") (result i32)
            (call $pwrite (i32.const 3) (i32.const 8) (i32.const 1) (i64.const 0) (i32.const 0)))
          (func (export "read") (result i32) (call $read (i32.const 0) (i32.const 8) (i32.const 1) (i32.const 0)))
          (func (export "random") (result i32) (call $random (i32.const 0) (i32.const -1)))
          (func (export "arg") (call $arg (i32.const 0) (i32.const -1)))
          (func (export "stdin") (call $stdin (i32.const 0) (i32.const -1)))
          (func (export "get") (result i64) (call $get (i32.const 0) (i32.const -1)))
          (func (export "set") (call $set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const -1)))
          (func (export "commit") (result i32) (call $commit (i32.const 0) (i32.const -1)))
          (func (export "closed size") (result i32) (call $size (i32.const 99) (i64.const 9000000000000000000)))
          (func (export "closed write") (result i32) (local $n i32) (local $errno i32)
            ;; Enough for the limit, if it counted.
            (loop $more
              (local.set $errno (call $write (i32.const 99) (i32.const 32) (i32.const 1) (i32.const 0)))
              (local.set $n (i32.add (local.get $n) (i32.const 1)))
              (br_if $more (i32.lt_u (local.get $n) (i32.const 20000))))
            (local.get $errno))
          (data (i32.const 32) "\00\01\00\00\00\10\00\00"))"#);
    let function = server
        .deploy(
            module,
            "storage = true
",
        )
        .await;
    for (export, fault, text) in [
        ("write", "bad-pointer", ""),
        ("write file", "bad-pointer", ""),
        ("pwrite", "bad-pointer", ""),
        ("read", "bad-pointer", ""),
        ("random", "bad-pointer", ""),
        ("arg", "bad-pointer", ""),
        ("stdin", "bad-pointer", ""),
        ("get", "bad-pointer", ""),
        ("set", "bad-pointer", ""),
        ("commit", "bad-pointer", ""),
        ("closed size", "", "8"),
        ("closed write", "", "8"),
    ] {
        let answer = server.run(function.id, export, "").await;
        assert_eq!(answer.fault(), fault, "{export}: {}", answer.text());
        if fault.is_empty() {
            assert_eq!(answer.text(), text, "{export}");
        }
    }
}

/// Fourteen million empty vectors held a thread for a quarter of a second.
#[tokio::test]
async fn empty_vectors_and_long_polls_cost_nothing() {
    let server = Server::start("").await;
    let id = server
        .upload(wat(
            r#"(module
              (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
              (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
              (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
              (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
              (memory (export "memory") 1900)
              (func (export "write") (result i32) (call $write (i32.const 1) (i32.const 64) (i32.const 14000000) (i32.const 0)))
              (func (export "read") (result i32) (call $read (i32.const 0) (i32.const 64) (i32.const 14000000) (i32.const 0)))
              (func (export "poll") (result i32) (call $poll (i32.const 64) (i32.const 0) (i32.const 1000000) (i32.const 0)))
              (func (export "random") (result i32) (call $random (i32.const 0) (i32.const 100000000))))"#,
        ))
        .await
        .id;
    for (export, errno) in [
        ("write", "0"),
        ("read", "0"),
        ("poll", "28"),
        ("random", "28"),
    ] {
        let mut best = std::time::Duration::MAX;
        for _ in 0..5 {
            let began = std::time::Instant::now();
            let answer = server.run(id, export, "").await;
            best = best.min(began.elapsed());
            assert_eq!(
                (answer.status(), answer.text().as_str()),
                (200, errno),
                "{export}: {answer:?}"
            );
        }
        assert!(best.as_millis() < 50, "{export} took {best:?}");
    }
}
