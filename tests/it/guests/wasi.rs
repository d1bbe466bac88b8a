//! The environment of a guest: that of 2020 where it was safe, and closed where it was not.

use iof_tests::{
    guests::{guest, wat},
    server::Server,
};
use std::time::{SystemTime, UNIX_EPOCH};

#[tokio::test]
async fn arguments_and_environment_match_2020() {
    let server = Server::start("").await;
    let id = server.upload(guest("wasi")).await.id;
    assert_eq!(
        server.run(id, "show_args", "x").await.text(),
        "show_args\n{}"
    );
    let environment = server.run(id, "show_env", "").await.text();
    let lines: Vec<_> = environment.lines().collect();
    assert_eq!(lines.len(), 2, "{environment}");
    let storage_key = lines[0].strip_prefix("storage_key=").unwrap();
    assert!(storage_key.len() == 32 && storage_key.bytes().all(|b| b.is_ascii_hexdigit()));
    assert_eq!(lines[1], format!("wasm_id={id}"));
}

#[tokio::test]
async fn the_root_is_a_scratch_directory_of_one_call() {
    let server = Server::start("").await;
    let id = server.upload(guest("wasi")).await.id;
    assert_eq!(
        server.run(id, "write_file", "/note\nhello").await.text(),
        "written"
    );
    assert_eq!(server.run(id, "list_dir", "/").await.text(), "");
    assert!(
        server
            .run(id, "read_file", "/note")
            .await
            .text()
            .starts_with("error")
    );
    for outside in [
        "/etc/passwd",
        "/../../../../etc/passwd",
        "/../iof.db",
        "../lock",
        "/proc/self/environ",
    ] {
        let answer = server.run(id, "read_file", outside).await.text();
        assert!(answer.starts_with("error"), "{outside}: {answer}");
    }
    // Only the directory of the process, which is empty.
    let scratch = server.data().join("scratch");
    let own: Vec<_> = std::fs::read_dir(scratch).unwrap().flatten().collect();
    assert_eq!(own.len(), 1);
    let entries = std::fs::read_dir(own[0].path()).unwrap().count();
    assert_eq!(entries, 0, "nothing is left on the host");
}

/// A module that imports only one function that takes a path.
#[tokio::test]
async fn the_root_exists_for_every_function_with_a_path() {
    let server = Server::start("").await;
    let module = wat(r#"(module
             (import "wasi_snapshot_preview1" "path_create_directory" (func $make (param i32 i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "path_remove_directory" (func $remove (param i32 i32 i32) (result i32)))
             (memory (export "memory") 1)
             (data (i32.const 0) "folder")
             (func (export "make") (result i32) (call $make (i32.const 3) (i32.const 0) (i32.const 6)))
             (func (export "both") (result i32)
               (i32.or
                 (call $make (i32.const 3) (i32.const 0) (i32.const 6))
                 (call $remove (i32.const 3) (i32.const 0) (i32.const 6)))))"#);
    let id = server.upload(module).await.id;
    // Each call has a new directory.
    for export in ["make", "make", "both"] {
        assert_eq!(server.run(id, export, "").await.text(), "0", "{export}");
    }
}

#[tokio::test]
async fn failures_contain_the_output_of_the_guest() {
    let server = Server::start("").await;
    let id = server.upload(guest("wasi")).await.id;
    let panicked = server.run(id, "panics", "the kettle is cold").await;
    assert_eq!((panicked.fault(), panicked.status()), ("trap", 502));
    assert!(
        panicked
            .header("iof-message")
            .contains("the kettle is cold"),
        "{panicked:?}"
    );
    let exited = server.run(id, "exit_with", "3").await;
    assert_eq!(exited.fault(), "exit");
    assert!(
        exited.header("iof-message").contains("status 3"),
        "{exited:?}"
    );
}

#[tokio::test]
async fn every_call_has_a_fresh_instance_real_time_and_real_randomness() {
    let server = Server::start("").await;
    let id = server.upload(guest("wasi")).await.id;
    for _ in 0..3 {
        assert_eq!(server.run(id, "count_calls", "x").await.text(), "1");
    }
    let now: u64 = server
        .run(id, "tell_clock", "x")
        .await
        .text()
        .parse()
        .unwrap();
    let host = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    assert!(host.abs_diff(now) < 5);
    let (one, two) = (
        server.run(id, "random_bytes", "x").await.text(),
        server.run(id, "random_bytes", "x").await.text(),
    );
    assert!(one.len() == 32 && one != two);
}

#[tokio::test]
async fn randomness_is_written_only_within_the_memory() {
    let server = Server::start("").await;
    let module = wat(r#"(module
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "drawn") (result i64)
            (drop (call $random (i32.const 65528) (i32.const 8)))
            (i64.load (i32.const 65528)))
        (func (export "beyond") (result i32) (call $random (i32.const 65529) (i32.const 8)))
        (func (export "round") (result i32) (call $random (i32.const -4) (i32.const 8)))
        (func (export "all") (result i32) (call $random (i32.const 0) (i32.const -1))))"#);
    let id = server.upload(module).await.id;
    let one = server.run(id, "drawn", "").await.text();
    assert_ne!(one, server.run(id, "drawn", "").await.text());
    for export in ["beyond", "round", "all"] {
        assert_eq!(
            server.run(id, export, "").await.fault(),
            "bad-pointer",
            "{export}"
        );
    }
}

/// A module that imports only the functions of the environment, and passes any address to them.
#[tokio::test]
async fn the_environment_is_written_only_within_the_memory() {
    let server = Server::start("").await;
    let module = wat(r#"(module
        (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_get" (func $get (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "count") (result i32) (drop (call $sizes (i32.const 65528) (i32.const 65532))) (i32.load (i32.const 65528)))
        (func (export "size") (result i32) (drop (call $sizes (i32.const 65528) (i32.const 65532))) (i32.load (i32.const 65532)))
        ;; The texts end where the memory does.
        (func $last (drop (call $sizes (i32.const 0) (i32.const 4)))
            (drop (call $get (i32.const 0) (i32.sub (i32.const 65536) (i32.load (i32.const 4))))))
        (func (export "first") (result i64) (call $last) (i64.load (i32.load (i32.const 0))))
        (func (export "end") (result i32) (call $last) (i32.load8_u (i32.const 65535)))
        (func (export "texts_beyond") (result i32) (drop (call $sizes (i32.const 0) (i32.const 4)))
            (call $get (i32.const 0) (i32.sub (i32.const 65537) (i32.load (i32.const 4)))))
        (func (export "places_beyond") (result i32) (call $get (i32.const 65532) (i32.const 0)))
        (func (export "texts_round") (result i32) (call $get (i32.const 0) (i32.const -4)))
        (func (export "sizes_beyond") (result i32) (call $sizes (i32.const 65533) (i32.const 0)))
        (func (export "sizes_round") (result i32) (call $sizes (i32.const 0) (i32.const -1))))"#);
    let id = server.upload(module).await.id;
    let call = async |export: &str| server.run(id, export, "").await;
    assert_eq!(call("count").await.text(), "2");
    let size = format!("wasm_id={id}\0storage_key=\0").len() + 32;
    assert_eq!(call("size").await.text(), size.to_string());
    let first = i64::from_le_bytes(*b"wasm_id=").to_string();
    assert_eq!(call("first").await.text(), first);
    assert_eq!(call("end").await.text(), "0");
    for export in [
        "texts_beyond",
        "places_beyond",
        "texts_round",
        "sizes_beyond",
        "sizes_round",
    ] {
        assert_eq!(call(export).await.fault(), "bad-pointer", "{export}");
    }
}
