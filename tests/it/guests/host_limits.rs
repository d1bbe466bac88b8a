//! The host's resources that a guest may use: the depth of its tree, open files, a slot in the pool; and its exits.

use iof_tests::{guests::wat, server::Server};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

const OPEN: &str = r#"(import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))"#;

/// A module whose `chain` makes so many directories, each in the previous one.
pub(crate) fn chain() -> Vec<u8> {
    wat(&format!(
        r#"(module {OPEN}
          (import "wasi_snapshot_preview1" "path_create_directory" (func $make (param i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
          (memory (export "memory") 1) (data (i32.const 0) "d")
          (func (export "chain") (param $n i32) (result i32) (local $fd i32) (local $made i32)
            (local.set $fd (i32.const 3))
            (block $done (loop $next
              (br_if $done (i32.ge_u (local.get $made) (local.get $n)))
              (br_if $done (call $make (local.get $fd) (i32.const 0) (i32.const 1)))
              (br_if $done (call $open (local.get $fd) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 2)
                (i64.const 8704) (i64.const 8704) (i32.const 0) (i32.const 8)))
              (if (i32.ne (local.get $fd) (i32.const 3)) (then (drop (call $close (local.get $fd)))))
              (local.set $fd (i32.load (i32.const 8)))
              (local.set $made (i32.add (local.get $made) (i32.const 1)))
              (br $next)))
            (local.get $made)))"#
    ))
}

/// Waits until the directories of processes are empty.
fn is_empty(scratch: &Path) -> bool {
    let mut below = std::fs::read_dir(scratch).unwrap().flatten();
    below.all(|of| std::fs::read_dir(of.path()).is_ok_and(|mut all| all.next().is_none()))
}

async fn emptied(server: &Server) {
    for _ in 0..600 {
        if is_empty(&server.data().join("scratch")) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the scratch directory is not emptied: {}", server.log());
}

const DEEP: &str =
    "[limits]\nscratch_directories = 100000\nscratch = \"1GiB\"\nwall_time = \"60s\"\n";

#[tokio::test]
async fn scratch_tree_deep_is_removed_and_the_server_lives() {
    let server = Server::start(DEEP).await;
    let id = server.upload(chain()).await.id;
    let answer = server.run(id, "chain", "16300").await;
    assert_eq!(answer.text(), "16300", "{answer:?}");
    emptied(&server).await;
    assert_eq!(server.run(id, "chain", "1").await.text(), "1");
    assert!(!server.log().contains("WARN"), "{}", server.log());
}

#[tokio::test]
async fn scratch_tree_deep_is_limited() {
    let server = Server::start("").await;
    let id = server.upload(chain()).await.id;
    let answer = server.run(id, "chain", "1000").await;
    assert_eq!(answer.text(), "1000", "{answer:?}");
    let answer = server.run(id, "chain", "1001").await;
    assert_eq!(
        (answer.fault(), answer.status()),
        ("scratch-directories", 507)
    );
    assert!(
        answer
            .header("iof-message")
            .contains("limits.scratch_directories = 1000")
    );
    emptied(&server).await;
}

/// Leftovers of any kind: a tree, a directory without permissions, a file, a link to elsewhere.
#[tokio::test]
async fn scratch_left_by_an_earlier_process_does_not_prevent_a_start() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let mut server = Server::start("").await;
    let id = server.upload(chain()).await.id;
    server.kill().await;
    let scratch = server.data().join("scratch");
    let outside = server.data().join("kept");
    std::fs::create_dir_all(outside.join("inside")).unwrap();
    let mut deep = scratch.join("left");
    for _ in 0..300 {
        deep.push("a-directory");
    }
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(deep.join("file"), "x").unwrap();
    symlink(&outside, deep.join("link")).unwrap();
    symlink(&outside, scratch.join("link")).unwrap();
    std::fs::write(scratch.join("file"), "x").unwrap();
    let closed = scratch.join("closed");
    std::fs::create_dir_all(closed.join("a/b")).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o0)).unwrap();
    let server = server.restart().await;
    assert_eq!(server.run(id, "chain", "2").await.text(), "2");
    for _ in 0..600 {
        if std::fs::read_dir(&scratch).unwrap().count() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 1);
    assert!(outside.join("inside").exists(), "a link was followed");
}

/// A module whose `open` opens one file so many times and returns how often it succeeded; `again` closes it each time.
pub(crate) fn opener() -> Vec<u8> {
    let body = |name: &str, close: &str| {
        format!(
            r#"(func (export "{name}") (param $n i32) (result i32) (local $made i32)
                (block $done (loop $next
                  (br_if $done (i32.ge_u (local.get $made) (local.get $n)))
                  (br_if $done (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 1)
                    (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8)))
                  {close}
                  (local.set $made (i32.add (local.get $made) (i32.const 1)))
                  (br $next)))
                (local.get $made))"#
        )
    };
    wat(&format!(
        r#"(module {OPEN}
          (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
          (memory (export "memory") 1) (data (i32.const 0) "f") {} {})"#,
        body("open", ""),
        body("again", "(drop (call $close (i32.load (i32.const 8))))"),
    ))
}

#[tokio::test]
async fn descriptors_of_a_call_are_limited() {
    let server = Server::start("").await;
    let id = server.upload(opener()).await.id;
    assert_eq!(server.run(id, "open", "100").await.text(), "100");
    let answer = server.run(id, "open", "101").await;
    assert_eq!((answer.fault(), answer.status()), ("files", 507));
    assert!(answer.header("iof-message").contains("limits.files = 100"));
    // A call that closes its files may open any number.
    assert_eq!(server.run(id, "again", "5000").await.text(), "5000");
    assert!(server.log().contains("descriptors"), "{}", server.log());
}

#[tokio::test]
async fn descriptors_of_all_calls_are_limited_and_released() {
    let server = Server::start("[server]\nopen_files = 50\n").await;
    let id = server.upload(opener()).await.id;
    for _ in 0..3 {
        assert_eq!(server.run(id, "open", "50").await.text(), "50");
        let answer = server.run(id, "open", "51").await;
        assert_eq!((answer.fault(), answer.http.as_u16()), ("open-files", 503));
        assert!(
            answer
                .header("iof-message")
                .contains("server.open_files = 50")
        );
    }
}

#[tokio::test]
async fn pool_limits_are_checked_at_upload() {
    let server = Server::start("").await;
    let f = r#"(func (export "f") (result i32) i32.const 1)"#;
    let globals = "(global (mut i64) (i64.const 0))".repeat(70_000);
    let long = "n".repeat(1025);
    for (code, module) in [
        ("module-memories", format!("(memory 1) (memory 1) {f}")),
        ("memory", format!(r#"(memory (export "memory") 2049) {f}"#)),
        ("memory", format!("(memory 65536) {f}")),
        (
            "module-tables",
            format!("{} {f}", "(table 1 funcref)".repeat(5)),
        ),
        (
            "module-table-elements",
            format!("(table 100001 funcref) {f}"),
        ),
        ("module-instance", format!("{globals} {f}")),
        ("module-names", format!(r#"(func (export "{long}")) {f}"#)),
        (
            "module-names",
            format!(r#"(import "{long}" "f" (func)) {f}"#),
        ),
    ] {
        let module = wat(&format!("(module {module})"));
        let good = server.deploy(wat(&format!("(module {f})")), "").await;
        let answer = server.try_deploy(module.clone(), "").await;
        assert_eq!(
            (answer.fault(), answer.http.as_u16()),
            (code, 422),
            "{answer:?}"
        );
        if code == "memory" {
            assert!(answer.text().contains("limits.memory = 128"), "{answer:?}");
        }
        // An update that cannot be called does not replace the module.
        let answer = server.try_deploy_version(&good, module.clone(), "").await;
        assert_eq!(answer.fault(), code, "{answer:?}");
        assert_eq!(server.run(good.id, "f", "").await.text(), "1");
        // The API of 2020 refuses it as well.
        let answer = server.try_upload(module).await;
        assert_eq!(answer.fault(), code, "{answer:?}");
    }
    // The limits that a version declares count as well.
    let module = wat(&format!("(module (memory 4) {f})"));
    let answer = server
        .try_deploy(module.clone(), "[limits]\nmemory = \"100KiB\"\n")
        .await;
    assert_eq!(
        (answer.fault(), answer.http.as_u16()),
        ("memory", 422),
        "{answer:?}"
    );
    server
        .deploy(module, "[limits]\nmemory = \"300KiB\"\n")
        .await;
}

#[tokio::test]
async fn current_pool_limits_apply_to_earlier_uploads() {
    let mut server = Server::start("").await;
    let f = r#"(func (export "f") (result i32) i32.const 1)"#;
    let large = server
        .deploy(wat(&format!("(module (memory 100) {f})")), "")
        .await;
    server.stop().await;
    let server = server.restart_with("[limits]\nmemory = \"1MiB\"\n").await;
    for _ in 0..3 {
        let answer = server.run(large.id, "f", "").await;
        assert_eq!(answer.fault(), "memory", "{answer:?}");
        assert!(answer.header("iof-message").contains("limits.memory"));
    }
    assert!(!server.log().contains("ERROR"), "{}", server.log());
    let compiles = server.log().matches("compiling again").count();
    assert!(compiles <= 1, "{compiles} compiles");
}

#[tokio::test]
async fn exit_status_is_the_guests_and_machine_readable() {
    let server = Server::start("").await;
    let exits = server
        .deploy(
            wat(
                r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $e (param i32)))
                  (func (export "f") (param i32) (call $e (local.get 0))))"#,
            ),
            "",
        )
        .await;
    for status in [0, 1, 125, 126, 127, 128, 255, 256, -1, i32::MAX, i32::MIN] {
        let answer = server.run(exits.id, "f", status.to_string()).await;
        assert_eq!(
            (answer.fault(), answer.status()),
            ("exit", 502),
            "{status}: {answer:?}"
        );
        assert_eq!(answer.header("iof-exit-status"), status.to_string());
        let path = format!("/v1/functions/{}/call/f", exits.id);
        let request = server.request("POST", &path).body(status.to_string());
        let answer = server
            .answer(request.header("content-type", "text/plain"))
            .await;
        let body: Value = answer.json();
        assert_eq!(
            (&body["fault"], &body["exit_status"]),
            (&json!("exit"), &json!(status))
        );
        assert_eq!(answer.header("iof-exit-status"), status.to_string());
    }
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}

/// The output of a program before its failure is not lost.
#[tokio::test]
async fn exit_status_of_a_program_comes_with_its_output() {
    let server = Server::start("").await;
    let program = |end: &str| {
        wat(&format!(
            r#"(module
              (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
              (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
              (memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\08\00\00\00")
              (data (i32.const 16) "so far.\n")
              (func (export "_start")
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) {end}))"#
        ))
    };
    for (end, fault, status) in [
        ("(call $exit (i32.const 255))", "exit", json!(255)),
        ("unreachable", "trap", Value::Null),
    ] {
        let program = server.deploy(program(end), "jobs = true\n").await;
        let path = format!("/v1/functions/{}/call/main", program.id);
        let answer = server.answer(server.request("POST", &path)).await;
        let body: Value = answer.json();
        assert_eq!(body["fault"], fault, "{answer:?}");
        assert_eq!(body["exit_status"], status);
        assert_eq!(body["stdout"], "so far.\n");
        // The same for a job.
        let request = server
            .request("POST", &path)
            .header("prefer", "respond-async");
        let job = server.answer(request).await.json();
        let path = format!("/v1/jobs/{}", job["job"].as_str().unwrap());
        let mut done = Value::Null;
        for _ in 0..200 {
            done = server.read_as(&program, &path).await;
            if done["state"] == "done" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(done["exit_status"], status, "{done}");
        assert_eq!(done["stdout"], "so far.\n");
    }
}
