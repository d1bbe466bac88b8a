//! Crates from the articles of 2020: copied, built by `iof build` without an edit, uploaded, called.

use iof_tests::{
    call::Uploaded,
    guests,
    mail::MailService,
    server::{Server, program},
};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Builds one crate in a separate folder, as an author would.
fn build(name: &str) -> Vec<u8> {
    // Outside of the repository: below a workspace, cargo would require it to be a member.
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(name);
    copy(
        &guests::root().join("tests/guests/era-2020").join(name),
        &folder,
    );
    let manifest = fs::read(folder.join("Cargo.toml")).unwrap();
    // The articles had no lock file; this one makes the build independent of new releases.
    fs::copy(
        guests::root().join("tests/guests/era-2020/Cargo.lock"),
        folder.join("Cargo.lock"),
    )
    .unwrap();
    let lock = fs::read(folder.join("Cargo.lock")).unwrap();
    let mut command = Command::new(program());
    for name in ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS"] {
        command.env_remove(name);
    }
    let output = command
        .args(["build", "--json"])
        .env("CARGO_TARGET_DIR", guests::built("guests/era-2020"))
        .current_dir(&folder)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let built: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        fs::read(folder.join("Cargo.toml")).unwrap(),
        manifest,
        "the crate was edited"
    );
    assert_eq!(
        fs::read(folder.join("Cargo.lock")).unwrap(),
        lock,
        "the crate was edited"
    );
    fs::read(folder.join(built["module"].as_str().unwrap())).unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name());
        match path.is_dir() {
            true if name != "target" && name != "pkg" => copy(&path, &to.join(name)),
            true => {}
            false => drop(fs::copy(&path, to.join(name)).unwrap()),
        }
    }
}

/// The API of 2020 with a text, which is what its clients sent.
async fn run(server: &Server, function: &Uploaded, export: &str, text: &str) -> String {
    let answer = server.run(function.id, export, text).await;
    assert_eq!(
        (answer.http.as_u16(), answer.fault()),
        (200, ""),
        "{export}: {}",
        answer.header("iof-message")
    );
    answer.text()
}

#[tokio::test(flavor = "multi_thread")]
async fn crates_of_2020_build_and_run_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let mail = MailService::start("SG.the-right-one").await;
    let server = Server::start(mail.config(&folder.path().join("ca.pem"))).await;
    let modules =
        tokio::task::block_in_place(|| ["hello", "send_email", "storage", "types"].map(build));
    let [hello, send_email, storage, types] = modules;

    let hello = server.upload(hello).await;
    assert!(run(&server, &hello, "say", "2020").await.contains("2020"));

    let send_email = server.upload(send_email).await;
    let message = json!({
        "from": "ada@example.com", "token": "SG.the-right-one", "to": "grace@example.com",
        "subject": "Lunch", "mime": "text/plain", "body": "Noon?",
    });
    assert_eq!(
        run(&server, &send_email, "send_email", &message.to_string()).await,
        ""
    );
    assert_eq!(mail.mailbox().len(), 1, "{}", server.log());
    assert_eq!(mail.mailbox()[0]["subject"], "Lunch");

    let storage = server.upload(storage).await;
    run(&server, &storage, "init", "41").await;
    assert_eq!(run(&server, &storage, "increment", "").await, "42");
    assert_eq!(run(&server, &storage, "increment", "").await, "43");

    let types = server.upload(types).await;
    for (export, arguments, result) in [
        ("lowest_common_multiple", "[4, 6]", "12"),
        ("same_u8", "255", "255"),
        ("same_i64", "-7", "-7"),
        ("same_f64", "0.5", "0.5"),
        ("same_bool", "true", "true"),
        ("same_char", "x", "x"),
        ("started", "", "1"),
        ("squares", "[1, 2, 3]", "[1,4,9]"),
    ] {
        assert_eq!(
            run(&server, &types, export, arguments).await,
            result,
            "{export}"
        );
    }
    let mirrored: Value =
        serde_json::from_str(&run(&server, &types, "mirror", r#"{"x": 1.0, "y": 2.5}"#).await)
            .unwrap();
    assert_eq!(mirrored, json!({"x": 2.5, "y": 1.0}));
    let wrong = server.run(types.id, "mirror", r#"{"x": "one"}"#).await;
    assert_eq!(
        (wrong.status(), wrong.fault()),
        (502, "error"),
        "{}",
        wrong.header("iof-message")
    );
    // In /v1 they have names and types like any other.
    let path = format!("/v1/functions/{}/call/same_u16", types.id);
    let named = server
        .answer(server.request("POST", &path).json(&json!({"value": 65535})))
        .await;
    assert_eq!(named.json(), 65535, "{}", named.text());
}
