//! Resident workers: those of the documentation, and those that misbehave in every way.

use std::path::Path;
use std::time::{Duration, Instant};

use iof_tests::call::Uploaded;
use iof_tests::guests::{guest, root};
use iof_tests::server::Server;
use serde_json::{Value, json};

/// A server whose command `work` is a worker script in `folder`.
async fn server(folder: &Path, script: &str, more: &str, resident: &str) -> (Server, Uploaded) {
    let path = folder.join("worker.sh");
    tokio::fs::write(&path, script).await.unwrap();
    let path = path.display();
    let config = format!(
        "[defaults]\ncommands = [\"work\"]\n[commands.work]\nprogram = \"/bin/bash\"\nargs = [\"{{(?s:.*)}}...\"]\n\
         read = [\"{path}\"]\n{more}\n[commands.work.resident]\nargs = [\"{path}\"]\n{resident}\n"
    );
    let server = Server::start(config).await;
    let function = server.upload(guest("command")).await;
    (server, function)
}

/// A folder that is not below /tmp, because every program has its own /tmp.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/var/tmp").unwrap()
}

async fn work(server: &Server, function: &Uploaded, args: &[&str], stdin: &str) -> Value {
    let request = json!({ "program": "work", "args": args, "stdin": stdin });
    let answer = server
        .run(function.id, "run_ssvm", request.to_string())
        .await;
    assert_eq!(answer.fault(), "", "{answer:?}\n{}", server.log());
    answer.json()
}

/// The code block of `docs/commands.md` that begins with this line.
async fn documented(first: &str) -> String {
    let text = tokio::fs::read_to_string(root().join("docs/commands.md"))
        .await
        .unwrap();
    let from = text
        .find(first)
        .unwrap_or_else(|| panic!("{first} is not in the docs"));
    let end = text[from..].find("```").unwrap();
    text[from..from + end].to_owned()
}

#[tokio::test]
async fn the_shell_worker_of_the_documentation_works() {
    let folder = folder();
    let script = documented("#!/bin/bash\n").await;
    let (server, function) = server(folder.path(), &script, "", "").await;
    for round in 0..3 {
        let stdin = format!("one\ntwo {round}\n");
        let output = work(&server, &function, &["a", "b c"], &stdin).await;
        let expected = format!("a b c: {} bytes\n", stdin.len());
        assert_eq!(
            output,
            json!({ "status": 0, "stdout": expected, "stderr": "" })
        );
    }
}

#[tokio::test]
async fn the_python_worker_of_the_documentation_works() {
    let folder = folder();
    let path = folder.path().join("worker.py");
    tokio::fs::write(&path, documented("import sys\n").await)
        .await
        .unwrap();
    let path = path.display();
    let server = Server::start(format!(
        "[defaults]\ncommands = [\"work\"]\n[commands.work]\nprogram = \"/usr/bin/python3\"\nargs = [\"{{.*}}...\"]\n\
         read = [\"{path}\"]\n[commands.work.resident]\nargs = [\"{path}\"]\n"
    ))
    .await;
    let function = server.upload(guest("command")).await;
    for round in 0..3 {
        let stdin = format!("{round} ä\n\n");
        let output = work(&server, &function, &["x"], &stdin).await;
        assert_eq!(output["status"], 0, "{output}");
        assert_eq!(output["stdout"], json!(stdin.to_uppercase()), "{output}");
    }
}

/// A worker that answers with the number of its runs.
const COUNTING: &str = r#"echo ready
n=0; while read -r args size; do
  for ((i = 0; i < args; i++)); do read -r arg; done; head -c "$size" > /dev/null
  n=$((n + 1)); echo "0 ${#n} 0"; printf %s "$n"
done"#;

#[tokio::test]
async fn a_worker_serves_several_runs_of_one_function() {
    let folder = folder();
    let (server, function) = server(folder.path(), COUNTING, "", "runs = 3").await;
    let other = server.upload(guest("command")).await;
    for expected in ["1", "2", "3", "1", "2"] {
        let output = work(&server, &function, &[], "").await;
        assert_eq!(output["stdout"], expected, "{output}");
    }
    let output = work(&server, &other, &[], "").await;
    assert_eq!(
        output["stdout"], "1",
        "another function gets another worker"
    );
    let output = work(&server, &function, &[], "").await;
    assert_eq!(output["stdout"], "3");
}

#[tokio::test]
async fn functions_share_workers_by_a_setting() {
    let folder = folder();
    let (server, function) = server(folder.path(), COUNTING, "", "shared = true").await;
    let other = server.upload(guest("command")).await;
    for (function, expected) in [(&function, "1"), (&other, "2"), (&function, "3")] {
        let output = work(&server, function, &[], "").await;
        assert_eq!(output["stdout"], expected, "{output}");
    }
}

/// With more functions than permits, the worker that was idle for longest makes room.
#[tokio::test]
async fn an_idle_worker_makes_room_for_that_of_another_function() {
    let folder = folder();
    let (server, first) = server(folder.path(), COUNTING, "concurrency = 1", "").await;
    let second = server.upload(guest("command")).await;
    for (function, expected) in [(&first, "1"), (&first, "2"), (&second, "1"), (&first, "1")] {
        let output = work(&server, function, &[], "").await;
        assert_eq!(output["stdout"], expected, "{output}");
    }
}

#[tokio::test]
async fn a_worker_that_misbehaves_is_replaced_and_named() {
    // The behaviour of the worker for each argument.
    let script = r#"echo ready
n=0; while read -r args size; do
  arg=; for ((i = 0; i < args; i++)); do read -r arg; done; head -c "$size" > /dev/null; n=$((n + 1))
  case $arg in
    exit) echo "last words" >&2; exit 7 ;;
    half) echo "0 10 0"; printf half; exit 0 ;;
    nonsense) echo "hello there" ;;
    endless) yes | tr -d '\n' ;;
    more) printf '0 1 0\nxy' ;;
    large) echo "0 99999999999 0" ;;
    negative) echo "-1 0 0" ;;
    hang) sleep 60 ;;
    grow) a=$(head -c 30000000 /dev/zero | tr '\0' x); echo "0 0 0" ;;
    *) echo "0 ${#n} 0"; printf %s "$n" ;;
  esac
done"#;
    let folder = folder();
    let (server, function) = server(
        folder.path(),
        script,
        "time = \"1500ms\"\nmemory = \"200MiB\"",
        "memory = \"20MiB\"",
    )
    .await;
    for (arg, status, expected) in [
        ("exit", 125, "its worker ended, with status 7"),
        ("half", 125, "in the middle of an answer"),
        (
            "nonsense",
            125,
            "a status and two sizes: got \"hello there\"",
        ),
        ("endless", 125, "not a line"),
        ("more", 125, "more than it announced"),
        ("large", -119, "(limit commands.work.stdout)"),
        ("negative", 125, "did not write a status and two sizes"),
        ("hang", 110, "(limit commands.work.time)"),
        ("a\nb", 2, "argument 1 contains a line break"),
    ] {
        let began = Instant::now();
        let output = work(&server, &function, &[arg], "in").await;
        assert_eq!(output["status"], status, "{arg}: {output}");
        let stderr = output["stderr"].as_str().unwrap();
        assert!(stderr.contains(expected), "{arg}: {output}");
        assert!(began.elapsed() < Duration::from_secs(6), "{arg}");
        if arg == "exit" {
            assert!(stderr.starts_with("last words\n"), "{output}");
        }
        // The next run gets a new worker, or the same one if that did nothing wrong.
        let next = work(&server, &function, &[], "").await;
        assert_eq!(next["stdout"], "1", "after {arg}: {next}");
        if arg != "a\nb" {
            let next = work(&server, &function, &["exit"], "").await;
            assert_eq!(next["status"], 125);
        }
    }
    // Memory is checked once a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(work(&server, &function, &["grow"], "").await["status"], 0);
    let next = work(&server, &function, &[], "").await;
    assert_eq!(next["stdout"], "1", "it had grown too large: {next}");
}

/// A start that takes longer than a call continues without it.
#[tokio::test]
async fn a_start_outlives_its_call() {
    let folder = folder();
    let script = format!("sleep 1.2; {COUNTING}");
    let (server, function) = server(
        folder.path(),
        &script,
        "time = \"500ms\"",
        "start = \"10s\"",
    )
    .await;
    let output = work(&server, &function, &[], "").await;
    assert_eq!(output["status"], 110, "{output}");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let output = work(&server, &function, &[], "").await;
    assert_eq!(output["stdout"], "1", "{output}");
}

#[tokio::test]
async fn a_worker_that_does_not_start_is_reported_with_the_reason() {
    let folder = folder();
    for (script, expected) in [
        (
            "echo no model >&2; exit 3",
            "its worker ended, with status 3",
        ),
        ("echo hello; sleep 60", "was not \"ready\": got \"hello\""),
        ("sleep 60", "(limit resident.start)"),
    ] {
        let (server, function) = server(folder.path(), script, "", "start = \"1s\"").await;
        let output = work(&server, &function, &[], "").await;
        assert_eq!(output["status"], 125, "{output}");
        assert!(
            output["stderr"].as_str().unwrap().contains(expected),
            "{script}: {output}"
        );
    }
}
