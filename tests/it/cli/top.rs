//! `iof top`: the functions that are called, by their use.

use iof_tests::guests::{guest, wat};
use iof_tests::server::Server;
use iof_tests::user::User;
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

/// Continuous calls of two functions, one of which fails.
async fn load(server: &Server, hello: u64, traps: u64) {
    loop {
        for _ in 0..3 {
            server.run(hello, "say", "x").await;
        }
        server.run(traps, "go", "").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn busy() -> (Server, u64, u64) {
    let server = Server::start("").await;
    let hello = server.upload(guest("hello")).await.id;
    let traps = server
        .upload(wat(r#"(module (func (export "go") unreachable))"#))
        .await
        .id;
    (server, hello, traps)
}

#[tokio::test(flavor = "multi_thread")]
async fn top_shows_the_current_calls_of_functions() {
    let (server, hello, traps) = busy().await;
    // Calls that ended before are not in the table.
    let idle = server.upload(guest("hello")).await.id;
    server.run(idle, "say", "x").await;
    let user = User::new(&server.url);
    let top = tokio::task::spawn_blocking(move || {
        let run = |line: &[&str]| String::from_utf8(user.run(line, "").stdout).unwrap();
        let table = run(&["top", "--interval", "500ms"]);
        (
            table,
            run(&["top", "--interval", "500ms", "--json", "--sort", "failed"]),
        )
    });
    let (table, json) = tokio::select! {
        shown = top => shown.unwrap(),
        () = load(&server, hello, traps) => unreachable!(),
    };
    let lines: Vec<_> = table.lines().collect();
    let row = |function: u64| {
        let row = lines
            .iter()
            .position(|line| line.starts_with(&format!("{function} ")));
        row.unwrap_or_else(|| panic!("{table}"))
    };
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("FUNCTION  VERSION  CALLS/S  FAILED")),
        "{table}"
    );
    assert!(row(hello) < row(traps), "{table}");
    assert!(
        lines[row(hello)].contains(" 0.0%") && lines[row(traps)].contains(" 100.0%"),
        "{table}"
    );
    assert!(
        lines
            .iter()
            .all(|line| !line.starts_with(&format!("{idle} "))),
        "{table}"
    );
    assert!(
        table.contains(", 0 waiting") && table.contains("2 called, "),
        "{table}"
    );

    let json: Value = serde_json::from_str(&json).unwrap_or_else(|_| panic!("{json}"));
    let first = &json["functions"][0];
    assert_eq!(
        (&first["function"], &first["failed"]),
        (&traps.to_string().into(), &1.0.into())
    );
    assert!(first["calls_per_second"].as_f64().unwrap() > 1.0, "{json}");
    assert!(json["server"]["slots"]["limit"].is_u64(), "{json}");
    // The memory of both functions is a few pages of 64 KiB.
    let memory = first["memory_p99"].as_f64().unwrap();
    assert!(memory > 0.0 && memory <= 2_097_152.0, "{json}");
    let heads = lines.iter().find(|line| line.starts_with("FUNCTION"));
    assert!(heads.unwrap().ends_with("  MEM P99"), "{table}");
    for function in [hello, traps] {
        let line = lines[row(function)];
        assert!(line.ends_with(" KiB") || line.ends_with(" MiB"), "{table}");
        let width = heads.unwrap().chars().count();
        assert_eq!(line.chars().count(), width, "{table}");
    }
    let own = idle.to_string();
    let resting = json["functions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["function"] == own);
    assert!(resting.unwrap()["p99"].is_null(), "{json}");
    assert!(resting.unwrap()["memory_p99"].is_null(), "{json}");
}

/// On a terminal the table is redrawn in place, and no name moves the cursor.
#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_redrawn_in_place() {
    let (server, hello, traps) = busy().await;
    let folder = tempfile::tempdir().unwrap();
    let iof = iof_tests::server::program();
    let script = format!(
        "stty rows 9 cols 60; timeout -s INT 3 '{}' top --interval 200ms --server {}",
        iof.display(),
        server.url
    );
    let mut command = Command::new("script");
    command
        .args(["-qec", &script, "/dev/null"])
        .current_dir(folder.path())
        .env("HOME", folder.path());
    let drawn = tokio::task::spawn_blocking(move || command.output().unwrap());
    let drawn = tokio::select! {
        drawn = drawn => drawn.unwrap(),
        () = load(&server, hello, traps) => unreachable!(),
    };
    let text = String::from_utf8_lossy(&drawn.stdout);
    let frames: Vec<_> = text.split("\u{1b}[H").collect();
    assert!(frames.len() > 5, "{text}");
    let last = frames[frames.len() - 2];
    let lines: Vec<_> = last.lines().collect();
    assert!(
        lines.iter().any(|line| line.starts_with("FUNCTION")),
        "{last}"
    );
    for line in &lines {
        assert!(
            line.replace("\u{1b}[K", "")
                .replace("\u{1b}[J", "")
                .chars()
                .count()
                <= 60,
            "{line:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn top_takes_a_key_for_all_functions() {
    let server = Server::start("[auth]\nkeys = [\"0123456789abcdef0123456789abcdef\"]\n").await;
    let user = User::new(&server.url);
    let output = user.types(&["top", "--interval", "100ms"]).await;
    assert!(output.contains("key"), "{output}");
    for (flag, value) in [("--interval", "1ms"), ("--count", "0"), ("--sort", "name")] {
        let output = user.types(&["top", flag, value]).await;
        assert!(output.contains(flag), "{output}");
    }
}
