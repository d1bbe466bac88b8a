//! docs/IMPORTS.md, walked: every import with bad pointers, absurd lengths and closed descriptors. What a guest does wrong
//! is its fault and never the server's, and the operator's log is not the guest's to write warnings into.

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

/// Arguments, by their place: of a descriptor, and of all others.
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
async fn no_import_makes_the_host_fail_or_complain() {
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
