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
