//! Regression tests of findings of a stranger at the command line.

use crate::v1::functions::{KEY, ask, create, numbered};
use iof_tests::guests::path;
use iof_tests::server::Server;
use iof_tests::user::User;
use serde_json::json;
use std::fs;
use std::net::TcpListener;

fn operated() -> String {
    format!("[auth]\nkeys = [\"{KEY}\"]\n")
}

const SIGNING: &str =
    "[[signing]]\nsecret = \"HOOK_SECRET\"\nalgorithm = \"hmac-sha256\"\nuse = [\"sign\"]\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_hint_for_setting_a_secret_names_the_same_server() {
    let server = Server::start("").await;
    // The user has no default server: the command names it.
    let user = User::new("");
    fs::write(user.folder().join("hello.wasm"), numbered(1)).unwrap();
    fs::write(user.folder().join("function.toml"), SIGNING).unwrap();
    let to = ["--server", server.url.as_str()];
    let types = async |line: &[&str]| user.types(&[line, &to].concat()).await;
    types(&["deploy", "hello.wasm"]).await;
    let set = format!("`iof secret set hello HOOK_SECRET --server {}`", server.url);
    for line in [
        &["call", "hello", "which"][..],
        &["call", "hello", "which", "--json"],
        &["logs", "hello"],
    ] {
        let output = types(line).await;
        assert!(output.contains(&set), "{line:?}: {output}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_shows_the_body_of_any_status() {
    let server = Server::start(operated()).await;
    let typed = fs::read(path("typed")).unwrap();
    create(&server, "?name=typed", typed, KEY).await;
    let user = User::new(&server.url);
    let respond = async |data: serde_json::Value, more: &[&str]| {
        let data = data.to_string();
        let line = ["call", "typed", "respond", "-d", &data];
        user.types(&[&line[..], more].concat()).await
    };
    let output = respond(json!({"status": 404, "body": "not there"}), &[]).await;
    assert!(
        output.contains("\nnot there\n")
            && output.contains("! iof: the function answered 404 Not Found [call ID]")
            && output.contains("[exit status 1]"),
        "{output}"
    );
    let moved = json!({"status": 303, "body": "look there", "location": "/fn/other/x"});
    let output = respond(moved.clone(), &[]).await;
    assert!(
        output.contains("look there") && output.contains("303 See Other, to /fn/other/x"),
        "{output}"
    );
    let output = respond(moved, &["--json"]).await;
    assert!(
        output.contains("\"status\":303")
            && output.contains("\"location\":\"/fn/other/x\"")
            && output.contains("look there")
            && output.contains("[exit status 1]"),
        "{output}"
    );
    let output = respond(json!({"status": 201, "body": "made"}), &[]).await;
    assert!(
        output.contains("made") && !output.contains("exit status"),
        "{output}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_settings_tries_the_addresses() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let user = User::new("");
    for (line, words) in [
        (
            &["--listen", &*taken][..],
            &["listen: cannot listen on", "Another program uses it"][..],
        ),
        (
            &[
                "--listen",
                "127.0.0.1:0",
                "--set",
                &format!("metrics.listen={taken}"),
            ],
            &[
                "metrics.listen: cannot listen on",
                "Another program uses it",
            ],
        ),
        (
            &[
                "--listen",
                "192.0.2.1:80",
                "--set",
                &format!("auth.keys=[\"{KEY}\"]"),
            ],
            &[
                "listen: cannot listen on ",
                "not an address of this machine",
            ],
        ),
        (
            &[
                "--listen",
                "127.0.0.1:4711",
                "--set",
                "metrics.listen=localhost:4711",
            ],
            &[
                "metrics.listen: got 127.0.0.1:4711, and listen is 127.0.0.1:4711",
                "another port",
            ],
        ),
        (
            &[
                "--listen",
                "127.0.0.1:4711",
                "--set",
                "metrics.listen=0.0.0.0:4711",
            ],
            &["metrics.listen: got 0.0.0.0:4711, and listen is 127.0.0.1:4711"],
        ),
        (
            &[
                "--set",
                "tls.listen=8443",
                "--set",
                "tls.acme.names=[\"localhost\"]",
            ],
            &["tls.acme.names: got \"localhost\"", "public DNS names only"],
        ),
        (
            &[
                "--set",
                "tls.listen=8443",
                "--set",
                "tls.acme.names=[\"f.example.com\"]",
                "--set",
                "tls.acme.contact=a@b.c\u{7}",
            ],
            &["tls.acme.contact: got \"a@b.c\\u{7}\"", "one mail address"],
        ),
    ] {
        let output = user.types(&[&["serve", "--check"], line].concat()).await;
        for words in words {
            assert!(output.contains(words), "{line:?}: {output}");
        }
        assert!(output.contains("[exit status 2]"), "{output}");
    }
    drop(holder);
    let output = user.types(&["serve", "--check", "--listen", &taken]).await;
    assert!(output.contains("the settings are fine"), "{output}");

    // A running server with this data is the one to be restarted.
    let server = Server::start("").await;
    let address = server.url.trim_start_matches("http://").to_owned();
    let data = server.data();
    let line = [
        "serve",
        "--check",
        "--listen",
        &address,
        "--data",
        data.to_str().unwrap(),
    ];
    let output = user.types(&line).await;
    assert!(
        output.contains("the settings are fine")
            && output.contains(&format!(
                "is in use, as a server has this data now, process {}",
                server.pid()
            )),
        "{output}"
    );
    let output = user
        .types(&["serve", "--check", "--listen", &address])
        .await;
    assert!(output.contains("Another program uses it"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_printed_as_json_on_request() {
    let user = User::new("");
    for line in [&["--version"][..], &["-V"], &["version"]] {
        let output = user.types(line).await;
        assert!(output.contains("\niof 0."), "{output}");
        let output = user.types(&[line, &["--json"]].concat()).await;
        assert!(
            output.contains("\n{\"iof\":\"0.") && !output.contains("exit"),
            "{output}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_wait_for_the_end_of_a_canary() {
    let server = Server::start(operated()).await;
    let user = User::new(&server.url);
    fs::write(
        user.folder().join("function.toml"),
        "[variables]\nA = \"1\"\n",
    )
    .unwrap();
    let types = async |line: &[&str], words: &[&str]| {
        let output = user.types(&[line, &["--key", KEY]].concat()).await;
        for word in words {
            assert!(output.contains(word), "{word:?} is missing in: {output}");
        }
    };
    fs::write(user.folder().join("hello.wasm"), numbered(1)).unwrap();
    types(&["deploy", "hello.wasm"], &["version 1"]).await;
    fs::write(user.folder().join("hello.wasm"), numbered(2)).unwrap();
    types(&["deploy", "hello.wasm", "--canary", "10%"], &["version 2"]).await;
    let set = ["variable", "set", "hello", "A=2"];
    let refusal = [
        "Version 2 is a canary of hello",
        "`iof promote hello`",
        "`iof rollback hello --version 1`",
        "exit status",
    ];
    types(&set, &refusal).await;
    types(&["variable", "rm", "hello", "A"], &refusal).await;
    types(&["show", "hello"], &["canary 10 %", "A = 1"]).await;
    let body = json!({"variables": [{"name": "A", "value": "2"}]});
    let place = "/v1/functions/hello/variables";
    let refused = ask(&server, "PATCH", place, KEY, Some(body)).await;
    assert_eq!(
        (refused.http.as_u16(), refused.fault()),
        (409, "rollout"),
        "{}",
        refused.text()
    );
    // The commands that the error names.
    types(&["rollback", "hello", "--version", "1"], &["version 1 now"]).await;
    types(&set, &["version 3 now"]).await;
}

/// The error of `--dev` without a profile names a key, and the error of the key does not name `--dev` again.
#[tokio::test(flavor = "multi_thread")]
async fn the_errors_of_a_lost_dev_profile_do_not_form_a_circle() {
    let user = User::new("");
    let output = user.types(&["logs", "hello", "--dev"]).await;
    assert!(
        output.contains("`iof dev` starts one")
            && output.contains("--key \"$(cat target/iof-dev/key)\""),
        "{output}"
    );
}
