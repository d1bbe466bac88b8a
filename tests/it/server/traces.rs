//! Traces of calls that failed: functions, files and lines where the module's debug sections say them, and no harm where those
//! are hostile.

use iof_tests::{
    call::{Answer, Uploaded},
    guests::{program_as_component, wat},
    server::Server,
    user::User,
};
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};

const PROGRAM: &str = r#"
#[inline(always)]
fn half(by: u32) -> u32 {
    if by == 0 {
        eprintln!("about to fail");
        core::arch::wasm32::unreachable();
    }
    100 / by
}

#[inline(never)]
fn share(by: u32) -> u32 {
    half(by) + 1
}

fn main() {
    let by = std::env::args().nth(1).and_then(|by| by.parse().ok());
    println!("{}", share(by.unwrap_or(7)));
}
"#;

/// The same in a library, whose start-up is done at its upload: functions are elsewhere in its snapshot.
pub(super) const LIBRARY: &str = r#"
#[inline(always)]
fn half(by: u32) -> u32 {
    if by == 0 {
        core::arch::wasm32::unreachable();
    }
    100 / by
}

#[inline(never)]
fn share(by: u32) -> u32 {
    half(by) + 1
}

#[unsafe(no_mangle)]
pub extern "C" fn __wbindgen_malloc(size: usize) -> *mut u8 {
    Vec::leak(vec![0; size.max(1)]).as_mut_ptr()
}

#[unsafe(no_mangle)]
pub extern "C" fn go() -> u32 {
    share(std::hint::black_box(0))
}
"#;

/// A module that rustc makes of a text, with debug sections or without.
pub(super) fn compiled(source: &str, target: &str, kind: &str, debug: u8) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("code.rs"), source).unwrap();
    let output = Command::new("rustc")
        .args(["--edition=2024", "--crate-name=sample", "-O", "code.rs"])
        .args(["-o", "code.wasm", "--crate-type", kind, "--target", target])
        .arg(format!("-Cdebuginfo={debug}"))
        .current_dir(folder.path())
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    std::fs::read(folder.path().join("code.wasm")).unwrap()
}

/// The row of a call in the log of its function.
async fn row(server: &Server, function: &Uploaded, answer: &Answer) -> Value {
    let call = answer.header("iof-call");
    let path = format!("/v1/functions/{}/logs", function.id);
    let logs = server.read_as(function, &path).await;
    let rows = logs["logs"].as_array().unwrap();
    let row = rows.iter().find(|row| row["call"] == call);
    row.unwrap_or_else(|| panic!("{call}: {logs}")).clone()
}

fn frames(row: &Value) -> Vec<&str> {
    let trace = row["trace"].as_array();
    let trace = trace.unwrap_or_else(|| panic!("{row}"));
    trace.iter().map(|frame| frame.as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_names_the_lines_of_its_source() {
    let server = Server::start("").await;
    let program = compiled(PROGRAM, "wasm32-wasip1", "bin", 2);
    let component = program_as_component(&program);
    let library = compiled(LIBRARY, "wasm32-unknown-unknown", "cdylib", 2);
    for (module, export, lines) in [
        (program, "main", [6, 13, 18]),
        (component, "main", [6, 13, 18]),
        (library, "go", [4, 12, 22]),
    ] {
        let function = server.upload(module).await;
        let answer = match export {
            "main" => {
                let path = format!("/v1/functions/{}/call/main", function.id);
                let body = json!({ "stdin": "", "args": ["0"] });
                server
                    .answer(server.request("POST", &path).json(&body))
                    .await
            }
            export => server.run(function.id, export, "").await,
        };
        assert_eq!(answer.fault(), "trap", "{}", answer.text());
        let row = row(&server, &function, &answer).await;
        let frames = frames(&row);
        let outer = if export == "main" { "main" } else { "go" };
        // Functions that were inlined are there, in order.
        let mut own = frames.iter().filter(|frame| frame.contains("code.rs:"));
        for (name, line) in ["half", "share", outer].iter().zip(lines) {
            let frame = own.next().unwrap_or_else(|| panic!("{name}: {frames:#?}"));
            assert!(
                frame.contains(&format!("{name} (")) && frame.contains(&format!("code.rs:{line}:")),
                "{name}, line {line}: {frames:#?}"
            );
        }
        // An anonymous caller learns none of it.
        let told = format!("{:?} {}", answer.headers, answer.text());
        assert!(
            !told.contains("code.rs") && !told.contains("half"),
            "{told}"
        );
        // The author reads it with the log.
        let user = User::new(&server.url);
        let id = function.id.to_string();
        let line = ["logs", &id, "--key", &function.admin_key];
        let printed = user.types(&line).await;
        assert!(
            printed.contains("      at ") && printed.contains("half ("),
            "{printed}"
        );
    }
}

/// Lines are found again after the store lost them, and stay known after a restart.
#[tokio::test]
async fn lines_are_made_again_where_there_are_none() {
    let mut server = Server::start("").await;
    let library = compiled(LIBRARY, "wasm32-unknown-unknown", "cdylib", 2);
    let function = server.upload(library).await;
    let tables = server.data().join("objects/artefact/lines-1");
    let find = || {
        let shards = std::fs::read_dir(&tables).unwrap().flatten();
        let files = shards.flat_map(|shard| std::fs::read_dir(shard.path()).unwrap().flatten());
        files.map(|file| file.path()).next()
    };
    let table = find().expect("made at the upload");
    std::fs::remove_file(&table).unwrap();
    // The call that finds none waits for a moment, and those after it have them.
    let first = with_lines(&server, &function).await;
    assert_eq!(find().as_deref(), Some(&*table));
    // A table that another host made is not read: it is made anew.
    std::fs::write(&table, b"forged").unwrap();
    server.stop().await;
    let server = server.restart().await;
    let again = with_lines(&server, &function).await;
    assert_eq!(again["trace"], first["trace"], "{again}");
}

/// The row of a call that fails, once lines are known.
async fn with_lines(server: &Server, function: &Uploaded) -> Value {
    let began = Instant::now();
    loop {
        let trapped = server.run(function.id, "go", "").await;
        let row = row(server, function, &trapped).await;
        if frames(&row)
            .iter()
            .any(|frame| frame.contains("code.rs:4:"))
        {
            return row;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{row}");
    }
}

/// A module with a function that traps and debug sections.
fn with_sections(sections: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut module = wat(r#"(module (func $fails (export "go") unreachable))"#);
    for (name, data) in sections {
        let name = [&[u8::try_from(name.len()).unwrap()], name.as_bytes()].concat();
        module.push(0);
        let mut length = name.len() + data.len();
        while length >= 128 {
            module.push(u8::try_from(length % 128).unwrap() | 128);
            length /= 128;
        }
        module.push(u8::try_from(length).unwrap());
        module.extend(name);
        module.extend(data);
    }
    module
}

/// Abbreviations of DWARF 4: a unit, a function, a nested inlined function, and one with a list of ranges.
const ABBREVIATIONS: &[u8] = &[
    1, 0x11, 1, 0x10, 0x17, 0x11, 0x01, 0x12, 0x06, 0, 0, // unit: lines, low, high
    2, 0x2e, 1, 0x11, 0x01, 0x12, 0x06, 0, 0, // function: low, high
    3, 0x1d, 1, 0, 0, // inlined, with children
    4, 0x1d, 0, 0x55, 0x17, 0, 0, // inlined, with ranges
    0,
];

/// A unit with one function over the addresses 0 to 999, whose entries are these.
fn unit(entries: &[u8]) -> Vec<u8> {
    let span = [&0_u32.to_le_bytes()[..], &1000_u32.to_le_bytes()].concat();
    let mut body = vec![4, 0, 0, 0, 0, 0, 4];
    body.extend([&[1][..], &0_u32.to_le_bytes(), &span, &[2], &span].concat());
    body.extend(entries);
    body.extend([0, 0]);
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    [&length[..], &body].concat()
}

/// A program of lines with one row over the same addresses, and `more` opcodes before its end.
fn lines(more: &[u8]) -> Vec<u8> {
    let mut header = vec![1, 1, 1, 0xfb, 14, 13];
    header.extend([0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1]);
    header.extend(b"\0a.rs\0\0\0\0\0");
    let mut body = vec![4, 0];
    body.extend(u32::try_from(header.len()).unwrap().to_le_bytes());
    body.extend(header);
    body.extend([0, 5, 2, 0, 0, 0, 0, 1]);
    body.extend(more);
    body.extend([2, 0xe8, 7, 0, 1, 1]);
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    [&length[..], &body].concat()
}

/// Debug sections that their parser does not cope with cost their own module its lines, and nobody anything else.
#[tokio::test]
async fn hostile_debug_sections_cost_their_module_its_lines() {
    let server =
        Server::start("[compile]\ncompile_cpu = \"2s\"\ncompile_memory = \"512MiB\"\n").await;
    let nested = 1_000_000;
    let deep = [vec![3; nested], vec![0; nested]].concat();
    let many = 200_000;
    let ranges = [&0_u32.to_le_bytes()[..], &1000_u32.to_le_bytes()].concat();
    let section = |name, data| (name, data);
    let of = |entries: &[u8], more: Vec<(&'static str, Vec<u8>)>| {
        let mut sections = vec![
            section(".debug_abbrev", ABBREVIATIONS.to_vec()),
            section(".debug_info", unit(entries)),
            section(".debug_line", lines(&[])),
        ];
        sections.extend(more);
        with_sections(&sections)
    };
    let garbage: Vec<u8> = (0..100_000_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    // A function that is what it says: its line is named.
    let plain = server.upload(of(&[], vec![])).await;
    let trapped = server.run(plain.id, "go", "").await;
    let trace = row(&server, &plain, &trapped).await;
    assert_eq!(frames(&trace), ["fails (a.rs:1)"], "{trace}");
    for (what, module, is_refused) in [
        ("nested entries", of(&deep, vec![]), true),
        (
            "a list of ranges for each of many",
            of(
                &[4, 0, 0, 0, 0].repeat(many),
                vec![section(".debug_ranges", ranges.repeat(many))],
            ),
            true,
        ),
        (
            "no DWARF at all",
            with_sections(&[
                section(".debug_info", garbage.clone()),
                section(".debug_abbrev", garbage.clone()),
                section(".debug_line", garbage),
            ]),
            false,
        ),
    ] {
        let began = Instant::now();
        let function = server.upload(module).await;
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        let warnings = || server.log().matches("name no lines").count();
        let before = warnings();
        for _ in 0..3 {
            let trapped = server.run(function.id, "go", "").await;
            assert_eq!(trapped.fault(), "trap", "{what}: {}", trapped.text());
            let row = row(&server, &function, &trapped).await;
            // Code has the trap twice: after a tick of the clock it has the offset of the check for it.
            let frames = frames(&row);
            assert_eq!(frames.len(), 1, "{what}: {frames:?}");
            assert!(
                frames[0].starts_with("fails (function 0, offset 0x"),
                "{what}: {frames:?}"
            );
        }
        // It was tried once, at the upload.
        assert_eq!(warnings(), before, "{what}");
        assert!(!is_refused || before > 0, "{what}: {}", server.log());
    }
    let log = server.log();
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
}

#[tokio::test]
async fn a_table_of_lines_is_bounded() {
    let server = Server::start("[compile]\nline_table = \"2KiB\"\n").await;
    let library = compiled(LIBRARY, "wasm32-unknown-unknown", "cdylib", 2);
    let function = server.upload(library).await;
    assert!(
        server.log().contains("compile.line_table"),
        "{}",
        server.log()
    );
    let trapped = server.run(function.id, "go", "").await;
    let row = row(&server, &function, &trapped).await;
    // Names are those of the module.
    let frames = frames(&row);
    assert!(
        frames[0].contains("share (function ") && !frames[0].contains(".rs"),
        "{frames:?}"
    );
}
