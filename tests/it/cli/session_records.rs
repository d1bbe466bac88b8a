//! The commands of an operator: secrets, outbound requests, replays, models, the machine. The expected output is in
//! `tests/it/snapshots`, like that of `session.rs`.

use iof_tests::{
    guests::{guest, path, root},
    server::Server,
    upstream::Upstream,
    user::User,
};
use serde_json::json;
use std::fs;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

#[tokio::test(flavor = "multi_thread")]
async fn secrets() {
    let server = Server::start(format!("[secrets]\nkeys = [{KEY:?}]\n")).await;
    let user = User::new(&server.url);
    fs::copy(path("hello"), user.folder().join("hello.wasm")).unwrap();
    user.types(&["deploy", "hello.wasm"]).await;
    let mut story = String::new();
    for (line, stdin) in [
        (&["secret", "list", "hello"][..], ""),
        (&["secret", "set", "hello", "API_TOKEN"], "s3cret\n"),
        (&["secret", "set", "hello", "OTHER", "--json"], "s3cret\n"),
        (&["secret", "list", "hello"], ""),
        (&["secret", "list", "hello", "--json"], ""),
        (&["secret", "set", "hello", "lower"], "s3cret\n"),
        (&["secret", "set", "hello", "EMPTY"], ""),
        (&["secret", "set", "hello", "LINES"], "s3\ncret"),
        (&["secret", "set", "nobody", "API_TOKEN"], "s3cret\n"),
        (&["secret", "rm", "hello", "API_TOKEN"], ""),
        (&["secret", "rm", "hello", "API_TOKEN"], ""),
    ] {
        story += &user.types_with(line, stdin).await;
    }
    assert!(!story.contains("s3cret"), "{story}");
    insta::assert_snapshot!(story);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_left_and_calls_again() {
    let upstream = Upstream::start().await;
    let server = Server::start(upstream.pin("api.example.com", 80)).await;
    let user = User::new(&server.url);
    let mut module = guest("command");
    fs::write(user.folder().join("judge.wasm"), &module).unwrap();
    let declaration = "commands = [\"http_proxy\"]\noutbound = [\"* http://api.example.com\"]\nstorage = \
                       true\nrecord = \"errors\"\n";
    fs::write(user.folder().join("function.toml"), declaration).unwrap();
    user.types(&["deploy", "judge.wasm"]).await;
    let call = async |url: &str| {
        let request = server.request("POST", "/v1/functions/judge/call/judge");
        let request = request.header("Content-Type", "text/plain");
        let answer = server.answer(request.body(url.to_owned())).await;
        answer.header("iof-call").to_owned()
    };
    let failed = call("http://api.example.com/status/200").await;
    let refused = call("http://elsewhere.example.com/").await;
    // The next version has a corrected text.
    let (was, is) = (b"judge mode:strict", b"judge mode:gentle");
    let at = module.windows(was.len()).position(|window| window == was);
    let at = at.unwrap();
    module[at..at + is.len()].copy_from_slice(is);
    fs::write(user.folder().join("judge.wasm"), &module).unwrap();
    user.types(&["deploy", "judge.wasm"]).await;

    let mut story = String::new();
    for line in [
        &["egress"][..],
        &["egress", "--call", &refused],
        &["egress", "--function", "judge", "-n", "1", "--json"],
        &["egress", "--call", "0190a0a0-0000-7000-8000-000000000000"],
        &["egress", "--call", "yesterday"],
        &["egress", "--function", "nobody"],
        &["replay", &failed],
        &["replay", &failed, "--function", "judge"],
        &["replay", &failed, "--function", "judge", "--version", "2"],
        &["replay", &failed, "--function", "judge", "--version", "9"],
        &["replay", "0190a0a0-0000-7000-8000-000000000000"],
        &["replay", "yesterday"],
    ] {
        story += &user.types(line).await;
    }
    insta::assert_snapshot!(story);
}

#[tokio::test(flavor = "multi_thread")]
async fn models() {
    let user = User::new("");
    let from = root().join("examples/pictures/model");
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), user.folder().join(entry.file_name())).unwrap();
    }
    fs::write(user.folder().join("torn.onnx"), "no model").unwrap();
    let settings = "[infer]\nonnxruntime = \"libonnxruntime.so\"\n";
    fs::write(user.folder().join("onnxruntime.toml"), settings).unwrap();
    let mut story = String::new();
    for line in [
        &["models", "list"][..],
        &[
            "models",
            "add",
            "digits",
            "digits.onnx",
            "--labels",
            "digits.txt",
            "--declaration",
            "model.toml",
        ],
        &["models", "list"],
        &["models", "show", "digits"],
        &["models", "list", "--json"],
        &["models", "add", "torn", "torn.onnx"],
        &["models", "add", "a/b", "digits.onnx"],
        &["models", "add", "digits", "missing.onnx"],
        &["models", "show", "nothing"],
        &["models", "rm", "digits"],
        &["models", "rm", "digits"],
        &["models", "doctor"],
        &["models", "doctor", "--config", "onnxruntime.toml"],
    ] {
        story += &user.types(line).await;
    }
    insta::assert_snapshot!(story);
}

/// The lines about the machine are present; their content depends on the machine.
#[tokio::test(flavor = "multi_thread")]
async fn the_machine() {
    let user = User::new("");
    let machine = |line: &str| {
        let name = line
            .get(7..40)
            .unwrap_or(line)
            .split("  ")
            .next()
            .unwrap_or_default();
        let ours = ["store", "keys of the server", "key of secrets"];
        match ours.contains(&name) || line.starts_with(['$', '[', '!', ' ']) {
            true => format!("{line}\n"),
            false => format!("…      {name}\n"),
        }
    };
    let settings = "listen = \"0.0.0.0:8080\"\n[auth]\nkeys = [\"a key of the operator\"]\n";
    fs::write(user.folder().join("iof.toml"), settings).unwrap();
    fs::write(user.folder().join("wrong.toml"), "[server]\nlisten = 8\n").unwrap();
    let mut story = String::new();
    for line in [
        &["doctor"][..],
        &["doctor", "--config", "iof.toml"],
        &["doctor", "--config", "wrong.toml"],
        &["doctor", "--config", "missing.toml"],
    ] {
        let output = user.types(line).await;
        let kept = output
            .lines()
            // Advice and the verdict depend on the machine as well.
            .filter(|line| !line.starts_with("[exit status 1]") && !line.starts_with("   "));
        story += &kept.map(machine).collect::<String>();
    }
    insta::assert_snapshot!(story);
    let output = user.run(&["doctor", "--json"], "");
    let output: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output != json!({}));
}
