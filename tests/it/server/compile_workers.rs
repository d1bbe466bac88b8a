//! Reused compile workers: each module has its own limits, and a worker in an uncertain state ends.

use crate::server::uploads::bomb;
use iof_tests::{
    guests::{guest, wat},
    server::Server,
};
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

/// A limit that memory bombs reach, with one worker at a time.
const LITTLE_MEMORY: &str = "[compile]\nparallel = 1\ncompile_memory = \"128MiB\"\n";

/// A valid module that no server has compiled before.
fn fresh(salt: u32) -> Vec<u8> {
    let salt = salt.to_le_bytes();
    [&guest("hello")[..], b"\0\x09\x04salt", &salt].concat()
}

/// The running compile workers of a server.
fn workers(server: &Server) -> Vec<i32> {
    let alive = |pid: i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = status.rsplit_once(") ")?;
        let mut words = rest.split(' ');
        let (state, parent) = (words.next()?, words.next()?);
        let compiles = std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
            line.split(|byte| *byte == 0)
                .any(|word| word == b"compile-worker")
        });
        (state != "Z" && parent == server.pid().to_string() && compiles).then_some(pid)
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| alive(entry.ok()?.file_name().to_str()?.parse().ok()?))
        .collect()
}

/// A module whose start-up writes too much for a snapshot.
fn memory_bomb() -> Vec<u8> {
    wat(r#"(module (memory (export "memory") 1600)
        (func $fill (memory.fill (i32.const 0) (i32.const 65) (i32.const 104857600)))
        (start $fill) (func (export "f")))"#)
}

/// A module with endless start-up, which costs core time but does not fail the upload.
fn endless() -> Vec<u8> {
    wat(r#"(module (func $spin (loop br 0)) (start $spin) (func (export "f")))"#)
}

#[tokio::test]
async fn a_worker_compiles_several_small_modules() {
    let server = Server::start("[compile]\nparallel = 1\n").await;
    assert_eq!(workers(&server), [0i32; 0], "none before the first upload");
    let first = server.upload(fresh(0)).await.id;
    let worker = workers(&server);
    assert_eq!(worker.len(), 1);
    for salt in 1..4 {
        let id = server.upload(fresh(salt)).await.id;
        assert_eq!(server.run(id, "say", "x").await.text(), "hello x");
        assert_eq!(workers(&server), worker);
    }
    assert_eq!(server.run(first, "say", "x").await.text(), "hello x");

    // A refused or large module ends its worker.
    let refused = server
        .try_upload(wat(r#"(module (import "env" "launch" (func)))"#))
        .await;
    assert_eq!(refused.fault(), "unknown-import");
    server.upload(fresh(4)).await;
    assert_ne!(workers(&server), worker);
}

#[tokio::test]
async fn after_enough_modules_a_worker_is_replaced() {
    let server = Server::start("[compile]\nparallel = 1\n").await;
    let module = |n: u32| {
        wat(&format!(
            "(module (func (export \"f\") (result i32) i32.const {n}))"
        ))
    };
    server.upload(module(0)).await;
    let first = workers(&server);
    assert_eq!(first.len(), 1);
    for n in 1..64 {
        server.upload(module(n)).await;
    }
    server.upload(module(64)).await;
    let second = workers(&server);
    assert_eq!(second.len(), 1);
    assert_ne!(first, second);
}

#[tokio::test]
async fn each_module_has_the_memory_of_its_own_limit() {
    let server = Server::start(LITTLE_MEMORY).await;
    for round in 0..2 {
        // Several valid modules first, whose memory does not count for the bombs.
        for salt in 0..3 {
            server.upload(fresh(10 * round + salt)).await;
        }
        for (salt, bomb) in [(3, memory_bomb()), (4, bomb(16))] {
            let answer = server.try_upload(bomb).await;
            assert_eq!(answer.fault(), "compile-memory", "{}", answer.text());
            let id = server.upload(fresh(10 * round + salt)).await.id;
            assert_eq!(server.run(id, "say", "x").await.text(), "hello x");
        }
    }
}

#[tokio::test]
async fn each_module_has_the_core_time_of_its_own_limit() {
    let server = Server::start("[compile]\nparallel = 1\ncompile_cpu = \"1s\"\n").await;
    // Together they take more than one module may.
    for salt in 0..30 {
        server.upload(fresh(salt)).await;
    }
    let worker = workers(&server);
    assert_eq!(worker.len(), 1);
    let answer = server.try_upload(bomb(16)).await;
    assert_eq!(answer.fault(), "compile-time", "{}", answer.text());
    assert!(workers(&server).is_empty());
    let id = server.upload(fresh(30)).await.id;
    assert_eq!(server.run(id, "say", "x").await.text(), "hello x");
}

#[tokio::test]
async fn modules_beside_bombs_are_compiled() {
    let config = LITTLE_MEMORY.replace("parallel = 1", "parallel = 2");
    let server = Server::start(config).await;
    let bombs = futures::future::join_all((0..2).map(|_| server.try_upload(memory_bomb())));
    let endless = server.try_upload(endless());
    let good = futures::future::join_all((0..12).map(|salt| server.upload(fresh(salt))));
    let (bombs, endless, good) = tokio::join!(bombs, endless, good);
    for answer in bombs {
        assert_eq!(answer.fault(), "compile-memory", "{}", answer.text());
    }
    assert_eq!(endless.http.as_u16(), 200, "{}", endless.text());
    for function in good {
        assert_eq!(server.run(function.id, "say", "x").await.text(), "hello x");
    }
    assert!(workers(&server).len() <= 2);
}

#[tokio::test]
async fn a_killed_worker_fails_no_upload() {
    let server = Server::start("[compile]\nparallel = 1\n").await;
    for salt in 0..3 {
        server.upload(fresh(salt)).await;
        for worker in workers(&server) {
            kill_process(Pid::from_raw(worker).unwrap(), Signal::KILL).unwrap();
        }
    }
    let id = server.upload(fresh(3)).await.id;
    assert_eq!(server.run(id, "say", "x").await.text(), "hello x");
}

#[tokio::test]
async fn the_next_module_sees_nothing_of_the_one_before() {
    let server = Server::start("[compile]\nparallel = 1\n").await;
    let fill = wat(
        r#"(module (memory (export "memory") 4) (global $g (mut i32) (i32.const 0))
        (func $fill (memory.fill (i32.const 0) (i32.const 65) (i32.const 262144)) (global.set $g (i32.const 1)))
        (start $fill) (func (export "f")))"#,
    );
    // The module records at start-up what it finds, which its snapshot keeps, and traps in calls if it found anything.
    let look = wat(
        r#"(module (memory (export "memory") 4) (global $g (mut i32) (i32.const 0)) (global $at (mut i32) (i32.const 0))
        (func $look (loop $next
            (global.set $g (i32.or (global.get $g) (i32.load (global.get $at))))
            (global.set $at (i32.add (global.get $at) (i32.const 4)))
            (br_if $next (i32.lt_u (global.get $at) (i32.const 262144)))))
        (start $look)
        (func (export "f") (if (global.get $g) (then unreachable))))"#,
    );
    server.upload(fill).await;
    let worker = workers(&server);
    assert_eq!(worker.len(), 1);
    let id = server.upload(look).await.id;
    assert_eq!(workers(&server), worker, "the same worker compiled both");
    let answer = server.run(id, "f", "").await;
    assert_eq!(
        (answer.http.as_u16(), answer.fault()),
        (200, ""),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn workers_end_with_their_server() {
    for kill in [true, false] {
        let mut server = Server::start("").await;
        server.upload(fresh(0)).await;
        let worker = workers(&server);
        assert_eq!(worker.len(), 1);
        if kill {
            server.kill().await;
        } else {
            assert!(server.stop().await.success());
        }
        let start = Instant::now();
        let lives = || {
            let status = std::fs::read_to_string(format!("/proc/{}/stat", worker[0]));
            status.is_ok_and(|status| !status.contains(") Z "))
        };
        while lives() {
            assert!(start.elapsed() < Duration::from_secs(5), "killed: {kill}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
