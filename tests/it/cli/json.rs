//! `--json` always prints JSON: results, errors, and errors in arguments.

use super::module;
use iof_tests::server::Server;
use iof_tests::user::User;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_json_and_statuses_are_as_documented() {
    let server = Server::start("").await;
    let mut user = User::new(&server.url);
    module(&user, 1);
    let json = |user: &User, line: &[&str], status: i32| -> Value {
        let line = [line, &["--json"]].concat();
        let output = tokio::task::block_in_place(|| user.run(&line, ""));
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{line:?}: {out}{err}");
        assert_eq!(err, "", "{line:?}");
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{line:?}: {error}: {out}"))
    };
    let deployed = json(&user, &["deploy", "hello.wasm"], 0);
    assert!(deployed["admin_key"].is_string(), "{deployed}");
    let called = json(&user, &["call", "hello", "which"], 0);
    assert_eq!(called["result"], 1, "{called}");
    assert!(called["call"].is_string(), "{called}");
    let failed = json(&user, &["call", "hello", "nobody", "x"], 1);
    assert_eq!(failed["fault"], "no-such-export", "{failed}");
    for line in [
        &["show", "nobody"][..],
        &["logs", "nobody"],
        &["deploy", "missing.wasm"],
        &["call", "hello", "which", "-d", "{"],
        &["job", "nothing"],
        &["lits"],
        &["logs", "hello", "--limit", "many"],
        &["list", "--profile", "nobody"],
        &["replay", "nothing"],
    ] {
        let wrong = json(&user, line, 2);
        assert!(wrong["error"].is_string(), "{line:?}: {wrong}");
    }
    // The status for a job: 3 while it runs, 1 if it failed, 0 if it succeeded.
    let slow = iof_tests::guests::wat(
        "(module (func (export \"spin\") (loop (br 0))) (func (export \"fine\") (result i32) (i32.const 7)))",
    );
    std::fs::write(user.folder().join("slow.wasm"), slow).unwrap();
    std::fs::write(
        user.folder().join("function.toml"),
        "[limits]\nguest_cpu = \"1s\"\n",
    )
    .unwrap();
    json(&user, &["deploy", "slow.wasm"], 0);
    for (export, end) in [("spin", 1), ("fine", 0)] {
        let job = json(&user, &["call", "slow", export, "--detach"], 0);
        let job = job["job"].as_str().unwrap().to_owned();
        let mut statuses = vec![];
        loop {
            let output = tokio::task::block_in_place(|| user.run(&["job", &job, "--json"], ""));
            let status = output.status.code().unwrap();
            let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(status == 3, printed["state"] != "done", "{printed}");
            statuses.push(status);
            if status != 3 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        assert_eq!(statuses.last(), Some(&end), "{export}: {statuses:?}");
    }
    user.server = "http://127.0.0.1:9".into();
    let none = json(&user, &["list"], 2);
    assert!(
        none["error"]
            .as_str()
            .unwrap()
            .contains("Is the server running there?"),
        "{none}"
    );
    // Options after `--` belong to the function.
    let output = user.run(&["call", "hello", "main", "--", "--json"], "");
    assert!(!output.stderr.is_empty() && output.stdout.is_empty());
}

/// The arguments with which each command fails at a server that is not there, or at a missing file. `None` for a command that does not fail.
const FAILING: &[(&str, Option<&[&str]>)] = &[
    ("new", Some(&["Not a name"])),
    ("build", Some(&["missing"])),
    ("test", Some(&["missing"])),
    ("deploy", Some(&["missing.wasm"])),
    ("call", Some(&["hello", "which"])),
    ("logs", Some(&["hello"])),
    ("list", Some(&[])),
    ("show", Some(&["hello"])),
    ("rollback", Some(&["hello", "--version", "1"])),
    ("promote", Some(&["hello"])),
    ("private", Some(&["hello"])),
    ("public", Some(&["hello"])),
    ("rm", Some(&["hello", "--yes"])),
    ("job", Some(&["01900000-0000-7000-8000-000000000000"])),
    ("jobs list", Some(&[])),
    ("jobs show", Some(&["01900000-0000-7000-8000-000000000000"])),
    (
        "jobs cancel",
        Some(&["01900000-0000-7000-8000-000000000000"]),
    ),
    (
        "jobs retry",
        Some(&["01900000-0000-7000-8000-000000000000"]),
    ),
    ("schedules", Some(&["hello"])),
    ("key create", Some(&["ci", "--scope", "call"])),
    ("key rotate", Some(&["hello"])),
    ("key list", Some(&[])),
    ("key rm", Some(&["1"])),
    ("login", Some(&["http://127.0.0.1:9"])),
    ("logout", Some(&["http://127.0.0.1:9"])),
    ("profile list", None),
    ("whoami", Some(&[])),
    ("secret set", Some(&["hello", "TOKEN"])),
    ("secret list", Some(&["hello"])),
    ("secret rm", Some(&["hello", "TOKEN"])),
    ("variable set", Some(&["hello", "A=1"])),
    ("variable list", Some(&["hello"])),
    ("variable rm", Some(&["hello", "A"])),
    ("audit", Some(&[])),
    ("egress", Some(&[])),
    ("top", Some(&[])),
    ("calls", Some(&["hello"])),
    ("replay", Some(&["01900000-0000-7000-8000-000000000000"])),
    ("models list", Some(&["--models", "missing"])),
    ("models show", Some(&["nothing", "--models", "missing"])),
    ("models add", Some(&["missing.onnx", "--models", "missing"])),
    ("models doctor", None),
    ("models rm", Some(&["nothing", "--models", "missing"])),
    ("upgrade", Some(&["--check", "--data", "missing"])),
    ("store import", Some(&["--data", "missing"])),
    ("store export", Some(&["--data", "missing"])),
    ("store check", Some(&["--data", "missing"])),
    ("store migrate", Some(&["--data", "missing"])),
    // The status is that of a server that is not ready.
    ("ready", None),
    ("doctor", None),
    ("version", None),
];

/// The names of the subcommands in a help text.
fn subcommands(help: &str) -> Vec<String> {
    let list = help.split("Commands:\n").nth(1).unwrap_or_default();
    let list = list.split("\n\n").next().unwrap_or_default();
    let names = list.lines().filter_map(|line| {
        let name = line.strip_prefix("  ")?.split(' ').next()?;
        (!name.is_empty() && name != "help").then(|| name.to_owned())
    });
    names.collect()
}

#[test]
fn every_command_with_json_prints_its_errors_as_json() {
    let user = User::new("http://127.0.0.1:9");
    let help = |line: &[&str]| {
        let output = user.run(&[line, &["--help"]].concat(), "");
        String::from_utf8(output.stdout).unwrap()
    };
    let mut commands: Vec<String> = vec![];
    for name in subcommands(&help(&[])) {
        let inner = subcommands(&help(&[&name]));
        match inner.is_empty() {
            true => commands.push(name),
            false => commands.extend(inner.iter().map(|inner| format!("{name} {inner}"))),
        }
    }
    let mut count = 0;
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        if !help(&words).contains("--json") {
            continue;
        }
        count += 1;
        let (_, failing) = FAILING
            .iter()
            .find(|(name, _)| *name == command)
            .unwrap_or_else(|| panic!("{command} has no line in this test"));
        let mut lines = vec![vec!["--no-such-option"]];
        lines.extend(failing.map(<[&str]>::to_vec));
        for arguments in lines {
            let line = [&words[..], &arguments, &["--json"]].concat();
            let output = user.run(&line, "a value\n");
            let (out, err) = (
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr),
            );
            assert!(!output.status.success(), "{line:?}: {out}{err}");
            assert_eq!(err, "", "{line:?}: {out}");
            let error: Value = serde_json::from_str(&out)
                .unwrap_or_else(|problem| panic!("{line:?}: {problem}: {out}"));
            let error = error["error"].as_str().unwrap_or_default();
            assert!(
                !error.is_empty() && !error.contains('\u{1b}'),
                "{line:?}: {out}"
            );
        }
    }
    assert!(count >= 35, "{count} commands");
}
