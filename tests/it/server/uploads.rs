//! Invalid modules are refused with the reason, and use no resources beyond their limit.

use iof_tests::{
    guests::{guest, wat},
    server::Server,
};
use std::time::{Duration, Instant};

#[tokio::test]
async fn garbage_is_refused_with_the_reason() {
    let server = Server::start("").await;
    let mut cut = guest("hello");
    cut.truncate(cut.len() / 2);
    let mut flipped = guest("hello");
    let at = flipped.len() / 2;
    flipped[at..at + 64].fill(0xff);
    let component = wat(
        "(component (instance $i) (export \"wasi:http/handler@0.3.0-rc-2026-03-15\" (instance $i)))",
    );
    let handler = wat("(component
        (core module $m (func (export \"handle\")))
        (core instance $i (instantiate $m))
        (func $handle (canon lift (core func $i \"handle\")))
        (instance $handler (export \"handle\" (func $handle)))
        (export \"wasi:http/incoming-handler@0.2.0\" (instance $handler)))");
    for (module, status, fault, words) in [
        (b"hello, world".to_vec(), 400, "not-wasm", "--data-binary"),
        (b"(module)".to_vec(), 400, "not-wasm", "wat2wasm"),
        (b"\0asm".to_vec(), 400, "not-wasm", "version"),
        (component, 415, "unsupported-kind", "component"),
        (handler, 400, "invalid-module", "handle"),
        (cut, 400, "invalid-module", "not valid"),
        (flipped, 400, "invalid-module", "not valid"),
        (
            wat("(module (import \"env\" \"launch\" (func)))"),
            422,
            "unknown-import",
            "env launch",
        ),
        (
            wat("(module (import \"a\" \"b\" (func)) (import \"c\" \"d\" (memory 1)))"),
            422,
            "unknown-import",
            "a b, c d",
        ),
    ] {
        let answer = server.try_upload(module).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (status, fault),
            "{}",
            answer.text()
        );
        let json = answer.json();
        assert!(json["error"].as_str().unwrap().contains(words), "{json}");
        assert_eq!(json["fault"], fault);
    }
    // An empty body was answered in 2020, with this text.
    let empty = server.try_upload(vec![]).await;
    assert_eq!((empty.http.as_u16(), empty.status()), (200, 400));
    assert!(
        empty.json()["error"]
            .as_str()
            .unwrap()
            .starts_with("Wasm executable is blank")
    );
    // A body of another type hung in 2020.
    let request = server
        .request("POST", "/api/executables")
        .header("Content-Type", "text/plain")
        .body("x");
    assert_eq!(server.answer(request).await.http.as_u16(), 415);
    assert_eq!(
        server.get("/api/executables").await.text(),
        "[]",
        "nothing was stored"
    );
}

#[tokio::test]
async fn shapes_of_modules_are_limited() {
    let server = Server::start(
        "[compile]\nmodule_size = \"200KB\"\nmodule_functions = 2000\nmodule_exports = 20\n",
    )
    .await;
    let functions = |n: usize, exports: usize| {
        let exports: String = (0..exports)
            .map(|n| format!("(export \"f{n}\" (func 0))"))
            .collect();
        wat(&format!("(module {} {exports})", "(func)".repeat(n)))
    };
    let large = [guest("hello"), vec![0; 300_000]].concat();
    for (module, status, fault) in [
        (large, 413, "module-size"),
        (functions(2001, 1), 422, "module-functions"),
        (functions(1, 21), 422, "module-exports"),
    ] {
        let answer = server.try_upload(module).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (status, fault),
            "{}",
            answer.text()
        );
        let setting = format!("compile.{}", fault.replace('-', "_"));
        assert!(answer.text().contains(&setting), "{}", answer.text());
    }
    assert_eq!(
        server.try_upload(functions(2000, 20)).await.http.as_u16(),
        200
    );
}

/// A small, valid module whose functions have so many blocks that optimising them takes long.
pub(crate) fn bomb(functions: usize) -> Vec<u8> {
    // local 0 = local 0 * 3 + local 1; local 1 = local 0 ? local 1 : local 0
    const BLOCK: [u8; 21] = [
        0x20, 0, 0x41, 3, 0x6c, 0x20, 1, 0x6a, 0x22, 0, 0x04, 0x7f, 0x20, 1, 0x05, 0x20, 0, 0x0b,
        0x21, 1, 0x01,
    ];
    let body = [&[0][..], &BLOCK.repeat(3000), &[0x0b]].concat();
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    let mut section = |id: u8, content: Vec<u8>| {
        module.push(id);
        module.extend(leb(content.len()));
        module.extend(content);
    };
    section(1, vec![1, 0x60, 2, 0x7f, 0x7f, 0]);
    section(3, [leb(functions), vec![0; functions]].concat());
    section(
        10,
        [
            leb(functions),
            [leb(body.len()), body].concat().repeat(functions),
        ]
        .concat(),
    );
    module
}

fn leb(mut n: usize) -> Vec<u8> {
    let mut bytes = vec![];
    while n > 0x7f {
        bytes.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

#[tokio::test]
async fn a_compile_bomb_uses_a_core_no_longer_than_its_limit() {
    let server = Server::start("[compile]\ncompile_time = \"30s\"\ncompile_cpu = \"1s\"\n").await;
    let hello = server.upload(guest("hello")).await.id;
    let bomb = bomb(400);
    let (_, before) = server.processor_time();
    let (answer, neighbour) = tokio::join!(server.try_upload(bomb), server.run(hello, "say", "x"));
    assert_eq!(
        (answer.http.as_u16(), answer.fault()),
        (422, "compile-time"),
        "{}",
        answer.text()
    );
    assert_eq!(neighbour.text(), "hello x");
    // Processor time, because the clock says how busy the machine is.
    let mut used = Duration::ZERO;
    for _ in 0..500 {
        if !used.is_zero() {
            break; // its process has ended
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        used = server.processor_time().1 - before;
    }
    assert!(
        (500..2500).contains(&used.as_millis()),
        "the compiler used {used:?}"
    );
}

#[tokio::test]
async fn a_compile_ends_at_its_limit_of_time() {
    let server = Server::start("[compile]\ncompile_time = \"1s\"\ncompile_cpu = \"60s\"\n").await;
    let bomb = bomb(400);
    let start = Instant::now();
    let answer = server.try_upload(bomb).await;
    assert_eq!(
        (answer.http.as_u16(), answer.fault()),
        (422, "compile-time"),
        "{}",
        answer.text()
    );
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_compile_that_takes_too_much_memory_is_ended() {
    let server = Server::start("[compile]\ncompile_memory = \"128MiB\"\n").await;
    let answer = server.try_upload(bomb(400)).await;
    assert_eq!(
        (answer.http.as_u16(), answer.fault()),
        (422, "compile-memory"),
        "{}\n{}",
        answer.text(),
        server.log()
    );
    assert_eq!(server.upload(guest("hello")).await.id, 1);
}

#[tokio::test]
async fn endless_start_up_code_is_ended() {
    let server = Server::start("[limits]\nguest_cpu = \"200ms\"\n").await;
    let module = wat("(module (func $spin (loop br 0)) (start $spin) (func (export \"f\")))");
    let start = Instant::now();
    let id = server.upload(module).await.id;
    assert!(
        start.elapsed() < Duration::from_secs(12),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(server.run(id, "f", "").await.fault(), "guest-cpu");
}

#[tokio::test]
async fn too_many_concurrent_uploads_get_retry_after() {
    let server = Server::start(
        "[compile]\nparallel = 1\ncompile_queue = 1\ncompile_time = \"2s\"\ncompile_cpu = \"2s\"\n",
    )
    .await;
    let answers = futures::future::join_all((0..5).map(|_| server.try_upload(bomb(400)))).await;
    let queued: Vec<_> = answers
        .iter()
        .filter(|answer| answer.fault() == "compile-queue")
        .collect();
    assert_eq!(queued.len(), 3, "{answers:?}");
    assert!(
        queued
            .iter()
            .all(|a| a.http.as_u16() == 503 && a.header("retry-after") == "1")
    );
}
