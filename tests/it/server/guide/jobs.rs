//! docs/guide/jobs.md: its declaration is deployed, and each of its commands is run.

use iof_tests::{
    guests::{root, wat},
    server::Server,
    user::User,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

fn page() -> String {
    std::fs::read_to_string(root().join("docs/guide/jobs.md")).unwrap()
}

fn fields(text: &str) -> BTreeSet<String> {
    let json: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}"));
    json.as_object().unwrap().keys().cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_on_the_page_of_jobs_work() {
    let server = Server::start("[server]\njobs_running = 8\n[jobs]\nbackoff = \"20ms\"\n").await;
    let user = User::new(&server.url);
    let page = page();
    let (_, declaration) = page.split_once("```toml\n").unwrap();
    let (declaration, _) = declaration.split_once("```").unwrap();
    let module = wat("(module (func (export \"render\")) (func (export \"fail\") unreachable))");
    std::fs::write(user.folder().join("report.wasm"), module).unwrap();
    std::fs::write(user.folder().join("function.toml"), declaration).unwrap();
    let run = |line: &[&str], stdin: &str| {
        let output = tokio::task::block_in_place(|| user.run(line, stdin));
        let text = String::from_utf8(output.stdout).unwrap();
        (
            output.status.code(),
            text,
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    assert_eq!(run(&["deploy", "report.wasm"], "").0, Some(0));
    let set = run(&["secret", "set", "report", "CALLBACK_SECRET"], "shared\n");
    assert_eq!(set.0, Some(0), "{set:?}");
    let mut job = String::new();
    let mut lines = page.lines().peekable();
    let mut commands = 0;
    while let Some(line) = lines.next() {
        let Some(command) = line.strip_prefix("$ ") else {
            continue;
        };
        commands += 1;
        let command = command.replace("JOB", &job);
        let said = if let Some(words) = command.strip_prefix("iof ") {
            let words: Vec<_> = words.split(' ').collect();
            let (status, text, errors) = run(&words, "");
            assert_eq!(status, Some(0), "{command}: {text}{errors}");
            if words.contains(&"--detach") {
                text.trim().clone_into(&mut job);
                // The next commands are about one that is done.
                for _ in 0..400 {
                    let (_, shown, _) = run(&["jobs", "show", &job], "");
                    if shown.contains("state: done\n") {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            if words.contains(&"--outcome") {
                assert!(text.contains(&job) && text.contains("failed"), "{text}");
            }
            text
        } else {
            let command = command.replace("http://127.0.0.1:8080", &server.url);
            let output = Command::new("bash")
                .args(["-c", &command])
                .output()
                .unwrap();
            assert!(output.status.success(), "{command}");
            String::from_utf8(output.stdout).unwrap()
        };
        if let Some(shown) = lines.next_if(|line| line.starts_with('{')) {
            assert_eq!(fields(&said), fields(shown), "{command}");
        }
    }
    assert_eq!(commands, 8);
}
