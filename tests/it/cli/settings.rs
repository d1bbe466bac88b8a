//! The settings, as an operator writes them for the first time.

use iof_tests::server::{Server, program};
use iof_tests::user::User;
use std::fs;
use std::process::{Command, Output};

fn iof(folder: &std::path::Path, args: &[&str]) -> Output {
    Command::new(program())
        .args(args)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    format!(
        "{}{}[{:?}]",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        output.status.code()
    )
}

#[test]
fn a_check_names_the_wrong_setting_and_starts_nothing() {
    let user = User::new("");
    let folder = user.folder();
    for (file, words) in [
        ("log = \"inof\"\n", "log: not a level: got \"inof\""),
        ("log = \"info,h2\"\n", "log: not a level"),
        (
            "log_format = \"logfmt\"\n",
            "must be one of `auto`, `text`, `json`: got `logfmt`",
        ),
        ("[secrets]\nkey_file = \"nope.key\"\n", "secrets.key_file: "),
        ("listen = \"example.com\"\n", "localhost:8080"),
        ("[limits]\nwall_time = 5\n", "such as \"5s\""),
        (
            "[limits]\nwall_tmie = \"5s\"\n",
            "did you mean `wall_time`?",
        ),
        (
            "[tls]\nlisten = \":8443\"\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n",
            "tls.certificate: ",
        ),
        (
            "listen = \"0.0.0.0:80\"\n",
            "refusing to listen on 0.0.0.0:80",
        ),
    ] {
        fs::write(folder.join("iof.toml"), file).unwrap();
        for line in [
            &["serve", "--config", "iof.toml", "--check"][..],
            &["serve", "--config", "iof.toml"],
        ] {
            let output = text(&iof(folder, line));
            assert!(
                output.contains(words) && output.contains("[Some(2)]"),
                "{file}: {output}"
            );
        }
    }
    // The checks leave nothing behind, and valid settings are confirmed with their paths.
    fs::write(folder.join("iof.toml"), "listen = 9090\ndata = \"kept\"\n").unwrap();
    let output = text(&iof(folder, &["serve", "--config", "iof.toml", "--check"]));
    let data = folder.join("kept");
    assert!(
        output.contains("the settings are fine: listen on http://127.0.0.1:9090")
            && output.contains(&format!("data in {}\n", data.display()))
            && output.contains("[Some(0)]"),
        "{output}"
    );
    assert!(!data.exists() && !folder.join("iof-data").exists());
}

#[test]
fn files_are_relative_to_the_file_that_names_them() {
    let user = User::new("");
    let etc = user.folder().join("etc");
    fs::create_dir_all(&etc).unwrap();
    fs::write(
        etc.join("iof.toml"),
        "data = \"d\"\n[secrets]\nkey_file = \"secrets.key\"\n",
    )
    .unwrap();
    fs::write(etc.join("secrets.key"), "ab".repeat(32)).unwrap();
    let output = text(&iof(
        user.folder(),
        &["serve", "--config", "etc/iof.toml", "--check"],
    ));
    assert!(
        output.contains(&format!("data in {}\n", etc.join("d").display())),
        "{output}"
    );
}

#[test]
fn settings_are_printed_with_their_meaning() {
    let user = User::new("");
    let output = iof(user.folder(), &["serve", "--print-config", "--commented"]);
    let commented = String::from_utf8(output.stdout).unwrap();
    for line in [
        "# The address to listen on.\nlisten = ",
        "# All memories and tables of an instance together, with its heap of objects and exceptions. Fault `memory`.\nmemory = ",
    ] {
        assert!(commented.contains(line), "{line}: {commented}");
    }
    // The output is a valid file of settings.
    fs::write(user.folder().join("iof.toml"), &commented).unwrap();
    let printed = text(&iof(
        user.folder(),
        &["serve", "--config", "iof.toml", "--check"],
    ));
    assert!(printed.contains("the settings are fine"), "{printed}");
}

#[tokio::test]
async fn the_form_of_the_log_is_a_setting() {
    for (format, begins, expected) in [
        ("", "{", "\"message\":\"listening\""),
        ("log_format = \"json\"\n", "{", "\"message\":\"listening\""),
        (
            "log_format = \"text\"\n",
            "2",
            "listening address=127.0.0.1:",
        ),
    ] {
        let server = Server::start(format).await;
        let log = server.log();
        assert!(log.contains(expected), "{format}: {log}");
        assert!(log.lines().all(|line| line.starts_with(begins)), "{log}");
        // Colours are only for terminals.
        assert!(!log.contains('\u{1b}'), "{log}");
    }
    let user = User::new("");
    let output = iof(
        user.folder(),
        &[
            "serve",
            "--print-config",
            "--commented",
            "--set",
            "log_format=text",
        ],
    );
    let commented = text(&output);
    let line = "`auto`, which is text on a terminal and JSON elsewhere.\nlog_format = \"text\"\n";
    assert!(commented.contains(line), "{commented}");
    let refused = text(&iof(user.folder(), &["serve", "--set", "log_format=xml"]));
    assert!(
        refused.contains("--set log_format: must be one of `auto`, `text`, `json`: got `xml`"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_start_logs_the_path_of_its_data() {
    let server = Server::start("").await;
    let data = fs::canonicalize(server.data()).unwrap();
    assert!(
        server.log().contains(&*data.to_string_lossy()),
        "{}",
        server.log()
    );
}

#[tokio::test]
async fn a_stop_logs_what_it_waits_for() {
    let mut server = Server::start("[limits]\nguest_cpu = \"3s\"\n").await;
    let spin = iof_tests::guests::wat("(module (func (export \"spin\") (loop (br 0))))");
    let function = server.upload(spin).await;
    let url = format!("{}/v1/functions/{}/call/spin", server.url, function.id);
    let call = tokio::spawn(reqwest::Client::new().post(url).send());
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert!(server.stop().await.success());
    assert_eq!(call.await.unwrap().unwrap().status(), 504);
    let log = server.log();
    assert!(
        log.contains("stopping: waiting for 1 connections, with 1 calls that run"),
        "{log}"
    );
}
