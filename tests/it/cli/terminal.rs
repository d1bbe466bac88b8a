//! Text of callers, functions and upstreams, on its way to the operator's terminal.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use iof_tests::{
    guests::{guest, wat},
    server::{Server, program},
    user::User,
};
use serde_json::json;

/// Clears the screen, sets its title, turns the direction of text, begins a line of its own; in C0 and in C1.
pub(crate) const ATTACK: &str =
    "\x1b[2J\x1b]0;PWNED\x07evil\u{9b}31m\u{202e}\r\n2026-01-01 00:00:00  main v1  ok forged\x7f";

/// Asserts that a text contains no control sequences.
pub(crate) fn assert_harmless(case: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for c in text.chars() {
        let hostile = c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}');
        assert!(!hostile, "{case}: {c:?} in {text:?}");
    }
    assert!(text.contains("evil"), "{case}: {text}");
}

/// A module with an export of that name.
fn export(name: &str) -> Vec<u8> {
    let name: String = name.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    wat(&format!("(module (func (export \"{name}\")))"))
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_escape_the_texts_of_others() {
    let server = Server::start("").await;
    let user = User::new(&server.url);
    let exporting = server.deploy(export(ATTACK), "").await;
    let key = exporting.admin_key.clone();
    let id = exporting.id.to_string();
    let name: String = ATTACK.bytes().map(|byte| format!("%{byte:02x}")).collect();
    // A call of it and a call of a missing export: both are in the log.
    for of in [name.clone(), format!("{name}x")] {
        let request = server.request("POST", &format!("/api/run/{id}/{of}"));
        let request = request.header("Content-Type", "text/plain").body("x");
        server.answer(request).await;
    }
    let command = server.upload(guest("command")).await;
    let request = json!({ "program": format!("{ATTACK}"), "args": [] }).to_string();
    server.run(command.id, "run_ssvm", request).await;
    let described = server
        .request("POST", "/api/executables")
        .header("Content-Type", "application/octet-stream")
        .header("SSVM-Description", "evil\u{9b}31m\u{202e}\t")
        .body(guest("hello"));
    let described = server.answer(described).await.json();
    let described_key = described["SSVM_Admin_Key"].as_str().unwrap().to_owned();
    let described = described["wasm_id"].to_string();

    for line in [
        &["logs", &id, "--key", &key][..],
        &["logs", &id, "--key", &key, "--json"],
        &["show", &id, "--key", &key],
        &["show", &id, "--key", &key, "--json"],
        &["show", &described, "--key", &described_key],
        &["egress"],
        &["egress", "--json"],
        &["call", &id, ATTACK, "x"],
        &["call", &id, &format!("{ATTACK}x"), "x"],
    ] {
        // Rows are written a few milliseconds after the call.
        let mut output = user.run(line, "");
        for _ in 0..40 {
            if String::from_utf8_lossy(&output.stdout).contains("evil") {
                break;
            }
            if !output.stderr.is_empty() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
            output = user.run(line, "");
        }
        let printed = [output.stdout, output.stderr].concat();
        if line[0] == "call" && printed.is_empty() {
            continue; // The function returned nothing.
        }
        assert_harmless(&line.join(" "), &printed);
        for line in String::from_utf8_lossy(&printed).lines() {
            assert!(!line.starts_with("2026-01-01 00:00:00"), "{line}");
        }
        if line.contains(&"--json") {
            let text = String::from_utf8(printed).unwrap();
            let json = text.lines().map(serde_json::from_str::<serde_json::Value>);
            let json: Vec<_> = json.map(Result::unwrap).collect();
            let inside = format!("{json:?}");
            assert!(inside.contains("\\u{9b}"), "{inside}");
        }
    }
}

/// A file or a pipe gets the bytes of a result; a terminal gets an escaped form.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_escaped_only_for_a_terminal() {
    let server = Server::start("").await;
    let user = User::new(&server.url);
    let echo = server.upload(guest("hello")).await.id.to_string();
    let piped = user.run(&["call", &echo, "say", ATTACK], "");
    let text = String::from_utf8(piped.stdout).unwrap();
    assert!(text.ends_with(ATTACK), "{text:?}");

    let typed = user.folder().join("typed");
    let line = format!(
        "exec '{}' call {echo} say \"$(cat text)\" --server {}",
        program().display(),
        server.url
    );
    std::fs::write(user.folder().join("text"), ATTACK).unwrap();
    let recorded = Command::new("script")
        .args(["-qec", &line])
        .arg(&typed)
        .current_dir(user.folder())
        .env("HOME", user.folder())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let screen = String::from_utf8_lossy(&recorded.stdout).replace("\r\n", "\n");
    assert_harmless("a result", screen.as_bytes());
}

/// The log for people: each event is one line, whatever is in its fields.
#[tokio::test]
async fn the_log_of_a_server_is_escaped_on_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let (wrapper, typed) = (folder.path().join("iof"), folder.path().join("typed"));
    let text = format!(
        "#!/bin/sh\nexec script -qefc \"stty -opost; exec '{}' $*\" '{}' </dev/null\n",
        program().display(),
        typed.display()
    );
    std::fs::write(&wrapper, text).unwrap();
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let server = Server::builder().program(&wrapper).start().await;
    let command = server.upload(guest("command")).await;
    let request = json!({ "program": ATTACK, "args": [] }).to_string();
    server.run(command.id, "run_ssvm", request).await;
    // The message of the fault contains the name.
    let name: String = ATTACK.bytes().map(|byte| format!("%{byte:02x}")).collect();
    server.run(command.id, &name, "x").await;
    let mut log = String::new();
    for _ in 0..200 {
        log = std::fs::read_to_string(&typed).unwrap_or_default();
        if log.matches("evil").count() > 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    // Only the server's own colours are left.
    assert!(log.matches("evil").count() > 1, "{log:?}");
    assert!(log.contains("\x1b["), "{log:?}");
    for line in log.lines() {
        assert!(!line.starts_with("2026-01-01"), "{log}");
    }
    for hostile in ["\x1b[2J", "\x07", "\u{9b}", "\u{202e}", "\x7f"] {
        assert!(!log.contains(hostile), "{hostile:?} in {log:?}");
    }
}
