//! The eleven functions of `ssvm_process` and of `wasmedge_process`, through the crates of their time and directly.

use iof_tests::{
    guests::{guest, wat},
    server::Server,
    upstream::Upstream,
};
use serde_json::{Value, json};

async fn run(server: &Server, id: u64, export: &str, request: Value) -> Value {
    let answer = server.run(id, export, request.to_string()).await;
    assert_eq!(answer.fault(), "", "{answer:?}\n{}", server.log());
    answer.json()
}

#[tokio::test]
async fn both_modules_run_commands() {
    let upstream = Upstream::start().await;
    let server = Server::start(upstream.pin("api.example.com", 80)).await;
    let id = server.upload(guest("command")).await.id;
    for export in ["run_ssvm", "run_wasmedge"] {
        let headers = r#"{"X-A":"b"}"#;
        let output = run(&server, id, export, json!({
            "program": "http_proxy", "args": ["post", "http://api.example.com/echo", headers], "stdin": "body",
        }))
        .await;
        assert_eq!(
            (&output["status"], &output["stderr"]),
            (&json!(0), &json!("")),
            "{output}"
        );
        let echo: Value = serde_json::from_str(output["stdout"].as_str().unwrap()).unwrap();
        assert_eq!(echo["body"], "body");
        assert_eq!(echo["headers"]["x-a"], "b", "{echo}");

        let denied = run(&server, id, export, json!({ "program": "c++" })).await;
        assert_eq!(denied["status"], -1);
        assert_eq!(
            denied["stderr"],
            "Permission denied: Command \"c++\" is not in the white list. Please use --allow-command=c++ or \
             --allow-command-all to add \"c++\" command into the white list.\n"
        );
        let slow = run(&server, id, export, json!({
            "program": "http_proxy", "args": ["get", "http://api.example.com/slow/5000"], "timeout": 200,
        }))
        .await;
        assert_eq!(slow["status"], 110, "ETIMEDOUT, as SSVM said: {slow}");
    }
}

/// Names are appended piece by piece, four megabytes of stdin pass, and the state is reset after every run.
#[tokio::test]
async fn pieces_add_up_and_are_reset_after_a_run() {
    let upstream = Upstream::start().await;
    let server = Server::start(upstream.pin("api.example.com", 80)).await;
    let f = |name: &str| format!("ssvm_process_{name}");
    let import = |name: &str, ty: &str| {
        format!(
            "(import \"ssvm_process\" \"{}\" (func ${name} {ty}))",
            f(name)
        )
    };
    let imports: String = [
        ("set_prog_name", "(param i32 i32)"),
        ("add_arg", "(param i32 i32)"),
        ("add_env", "(param i32 i32 i32 i32)"),
        ("add_stdin", "(param i32 i32)"),
        ("set_timeout", "(param i32)"),
        ("run", "(result i32)"),
        ("get_exit_code", "(result i32)"),
        ("get_stdout_len", "(result i32)"),
        ("get_stderr_len", "(result i32)"),
        ("get_stdout", "(param i32)"),
        ("get_stderr", "(param i32)"),
    ]
    .iter()
    .map(|(name, ty)| import(name, ty))
    .collect();
    let id = server
        .upload(wat(&format!(
            r#"(module {imports}
              (memory (export "memory") 128)
              (data (i32.const 0) "http_proxypost    http://api.example.com/echo")
              (func (export "twice") (result i32)
                (memory.fill (i32.const 65536) (i32.const 97) (i32.const 2000000))
                (call $set_prog_name (i32.const 0) (i32.const 5))
                (call $set_prog_name (i32.const 5) (i32.const 5))
                (call $add_arg (i32.const 10) (i32.const 4))
                (call $add_arg (i32.const 18) (i32.const 27))
                (call $add_env (i32.const 0) (i32.const 1) (i32.const 1) (i32.const 1))
                (call $add_stdin (i32.const 65536) (i32.const 2000000))
                (call $add_stdin (i32.const 65536) (i32.const 2000000))
                (call $set_timeout (i32.const 5000))
                (if (call $run) (then (return (i32.const -100))))
                (if (call $get_exit_code) (then (return (i32.const -101))))
                (call $get_stdout (i32.const 262144))
                (if (i32.lt_u (call $get_stdout_len) (i32.const 100)) (then (return (i32.const -102))))
                (if (call $get_stderr_len) (then (return (i32.const -103))))
                (call $get_stderr (i32.const 0))
                (drop (call $run))
                (call $get_exit_code)))"#
        )))
        .await
        .id;
    let answer = server.run(id, "twice", "").await;
    assert_eq!(
        answer.text(),
        "-1",
        "an empty name is not a command: {answer:?}"
    );
    let seen = upstream.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].headers["content-length"], "4000000");
}

/// More than a pipe holds, in both directions: SSVM wrote all of stdin before it read, so two full pipes waited for
/// each other.
#[tokio::test]
async fn four_megabytes_pass_in_both_directions() {
    let upstream = Upstream::start().await;
    let server = Server::start(upstream.pin("api.example.com", 80)).await;
    let id = server.upload(guest("command")).await.id;
    let body: String = (0..400_000).map(|n| format!("{n:010}")).collect();
    for export in ["run_ssvm", "run_wasmedge"] {
        let output = run(&server, id, export, json!({
            "program": "http_proxy", "args": ["post", "http://api.example.com/mirror"], "stdin": body,
        }))
        .await;
        assert_eq!(output["status"], 0, "{}", output["stderr"]);
        assert!(
            output["stdout"] == body.as_str(),
            "the body was changed on the way"
        );
    }
    // An upstream that answers before it has read everything, and closes the connection: the command fails, and no
    // more.
    let early = run(&server, id, "run_ssvm", json!({
        "program": "http_proxy", "args": ["post", "http://api.example.com/status/413"], "stdin": body,
    }))
    .await;
    assert!(early["status"].is_i64(), "{early}");
    assert_eq!(server.run(id, "run_ssvm", "{}").await.status(), 200);
}
