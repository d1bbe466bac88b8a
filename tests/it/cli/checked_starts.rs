//! `iof serve --check` refuses the settings that a start refuses, with the same errors, and changes nothing.

use crate::v1::functions::{KEY, ask, create, numbered};
use iof_tests::guests::wat;
use iof_tests::server::Server;
use iof_tests::user::User;
use serde_json::json;
use std::fs;

/// The output of `--check` and of a start, which ends by itself or after a second.
async fn both(user: &User, options: &[&str]) -> (String, String) {
    let check = user.types(&[&["serve", "--check"], options].concat()).await;
    let start = user
        .types(&[&["serve", "--listen", "127.0.0.1:0"], options].concat())
        .await;
    (check, start)
}

/// The error in the output of a command.
fn error(output: &str) -> &str {
    let error = output.lines().find(|line| line.contains("iof: "));
    error.unwrap_or_else(|| panic!("{output}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_finds_the_problems_of_a_start() {
    let user = User::new("");
    let place = user.folder().join("place");
    fs::write(&place, "a file").unwrap();
    let command = |text: &str| format!("[commands.foo]\n{text}\n");
    for (settings, names) in [
        ("[egress]\nproxy = \"foo\"\n".to_owned(), "egress.proxy"),
        ("[egress]\nca_files = [\"/nope\"]\n".to_owned(), "/nope"),
        (
            "[egress]\ntotal_timeout = \"0s\"\n".to_owned(),
            "total_timeout",
        ),
        (command("program = \"/nope\""), "commands.foo"),
        (
            command("program = \"/bin/true\"\nargs = [\"{[}\"]"),
            "commands.foo",
        ),
        (
            "[server]\nhead_wait = \"0s\"\n".to_owned(),
            "server.head_wait must be between 10ms and 1day: got 0s",
        ),
        (
            "[limits]\nwall_time = \"0s\"\n".to_owned(),
            "limits.wall_time must be between 1ms and 1day: got 0s",
        ),
        (
            "[server]\nconnections = 0\n".to_owned(),
            "server.connections must be between 1 and",
        ),
        (
            "[tls]\ncertificate = \"/nope\"\n".to_owned(),
            "tls.listen is not",
        ),
    ] {
        fs::write(user.folder().join("iof.toml"), &settings).unwrap();
        let (check, start) = both(&user, &["--config", "iof.toml"]).await;
        assert!(error(&check).contains(names), "{settings}: {check}");
        assert_eq!(error(&check), error(&start), "{settings}");
    }
    let within = place.join("data").display().to_string();
    for (data, expected) in [
        (&*within, "Not a directory"),
        ("/proc/x", "/proc/x cannot be created in /proc: "),
    ] {
        let check = user.types(&["serve", "--check", "--data", data]).await;
        assert!(error(&check).contains(expected), "{check}");
    }
    // A check creates nothing.
    let created: Vec<_> = fs::read_dir(user.folder())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert!(
        !created
            .iter()
            .any(|name| name == "data" || name.to_string_lossy().starts_with(".iof-check")),
        "{created:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn parse_errors_name_the_valid_form() {
    let user = User::new("");
    for (set, expected) in [
        ("limits.memory=banana", "a size, such as \"64MiB\""),
        (
            "egress.deny=banana",
            "an address or a network, such as 10.0.0.0/8",
        ),
        ("egress.dns_servers=[\"foo\"]", "an address with its port"),
        ("=x", "--set has no name before its `=`"),
    ] {
        let output = user.types(&["serve", "--check", "--set", set]).await;
        assert!(output.contains(expected), "{set}: {output}");
    }
}

/// Secrets whose key is missing are found before the start, and a call that needs one names the problem.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_without_their_key_are_found_before_the_start() {
    let mut server = Server::start(format!("[auth]\nkeys = [\"{KEY}\"]\n")).await;
    let toml = "[[secrets]]\nvalue = \"Bearer {TOKEN}\"\nheader = \"authorization\"\nto = \"GET https://example.com/\"\n";
    let user = User::new(&server.url);
    fs::write(user.folder().join("which.wasm"), numbered(1)).unwrap();
    fs::write(user.folder().join("function.toml"), toml).unwrap();
    user.types(&["deploy", "which.wasm", "--key", KEY]).await;
    let set = ask(
        &server,
        "PUT",
        "/v1/functions/which/secrets/TOKEN",
        KEY,
        Some(json!("t")),
    )
    .await;
    assert!(set.http.is_success(), "{}", set.text());
    create(&server, "?name=plain", numbered(2), KEY).await;
    server.stop().await;

    let data = server.data().to_str().unwrap().to_owned();
    let key = server.data().join("secrets.key");
    let stored = fs::read(&key).unwrap();
    for (text, expected) in [
        (
            None,
            "secrets.key is missing, and secrets are encrypted under it",
        ),
        (Some("00".repeat(32)), "secrets are encrypted under key "),
    ] {
        match &text {
            None => fs::remove_file(&key).unwrap(),
            Some(text) => fs::write(&key, text).unwrap(),
        }
        let check = user.types(&["serve", "--check", "--data", &data]).await;
        assert!(error(&check).contains(expected), "{check}");
        let doctor = user.types(&["doctor", "--data", &data]).await;
        assert!(doctor.contains(expected), "{doctor}");
    }
    // If it is started nevertheless, only calls of the function with the secret fail, and name the problem.
    let server = server.restart().await;
    let call = async |name: &str| {
        ask(
            &server,
            "POST",
            &format!("/v1/functions/{name}/call/which"),
            "",
            Some(json!([])),
        )
        .await
    };
    let failed = call("which").await;
    assert_eq!(
        (failed.http.as_u16(), failed.fault()),
        (500, "secret-unreadable"),
        "{}",
        failed.text()
    );
    assert!(
        failed.text().contains("iof secret set"),
        "{}",
        failed.text()
    );
    assert_eq!(call("plain").await.text(), "2");
    fs::write(&key, stored).unwrap();
}

#[tokio::test]
async fn wrong_numbers_are_faults_of_the_caller() {
    let server = Server::start("").await;
    let module = r#"(module
        (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
        (func (export "vector") (result v128) (v128.const i64x2 0 0)))"#;
    let id = server.upload(wat(module)).await.id;
    for (body, count) in [("", 0), ("[1]", 1), ("[1, 2, 3]", 3), ("7", 1)] {
        let answer = server.run(id, "add", body).await;
        assert_eq!(answer.fault(), "arguments", "{body}: {}", answer.text());
        let expected = format!("takes 2 numbers (i32, i32): got {count}.");
        assert!(
            answer.header("iof-message").contains(&expected),
            "{body}: {}",
            answer.header("iof-message")
        );
    }
    let vector = server.run(id, "vector", "").await;
    assert_eq!(vector.fault(), "unsupported-type", "{}", vector.text());
    let below = server.get(&format!("/fn/{id}/add/a/b")).await;
    let below = below.text();
    assert!(
        below.contains("Method") || below.contains("takes no path below its own: got /a/b"),
        "{below}"
    );
}
