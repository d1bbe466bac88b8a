//! What a stranger at the command line found.

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
async fn the_way_to_set_a_secret_leads_to_the_same_server() {
    let server = Server::start("").await;
    // Of nowhere: what is typed names the server itself.
    let user = User::new("");
    fs::write(user.folder().join("hello.wasm"), numbered(1)).unwrap();
    fs::write(user.folder().join("function.toml"), SIGNING).unwrap();
    let to = ["--server", server.url.as_str()];
    let types = async |line: &[&str]| user.types(&[line, &to].concat()).await;
    types(&["deploy", "hello.wasm"]).await;
    let set = format!("`iof secret set 1 HOOK_SECRET --server {}`", server.url);
    for line in [
        &["call", "hello", "which"][..],
        &["call", "hello", "which", "--json"],
        &["logs", "hello"],
    ] {
        let said = types(line).await;
        assert!(
            said.contains(&set) || said.contains(&set.replace(" 1 ", " hello ")),
            "{line:?}: {said}"
        );
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
    let said = respond(json!({"status": 404, "body": "not there"}), &[]).await;
    assert!(
        said.contains("\nnot there\n")
            && said.contains("! iof: the function answered 404 Not Found [call ID]")
            && said.contains("[exit status 1]"),
        "{said}"
    );
    let moved = json!({"status": 303, "body": "look there", "location": "/fn/other/x"});
    let said = respond(moved.clone(), &[]).await;
    assert!(
        said.contains("look there") && said.contains("303 See Other, to /fn/other/x"),
        "{said}"
    );
    let said = respond(moved, &["--json"]).await;
    assert!(
        said.contains("\"status\":303")
            && said.contains("\"location\":\"/fn/other/x\"")
            && said.contains("look there")
            && said.contains("[exit status 1]"),
        "{said}"
    );
    let said = respond(json!({"status": 201, "body": "made"}), &[]).await;
    assert!(
        said.contains("made") && !said.contains("exit status"),
        "{said}"
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
            &["listen: cannot listen on", "Another program has it"][..],
        ),
        (
            &[
                "--listen",
                "127.0.0.1:0",
                "--set",
                &format!("metrics.listen={taken}"),
            ],
            &["metrics.listen: cannot listen on", "Another program has it"],
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
        let said = user.types(&[&["serve", "--check"], line].concat()).await;
        for words in words {
            assert!(said.contains(words), "{line:?}: {said}");
        }
        assert!(said.contains("[exit status 2]"), "{said}");
    }
    drop(holder);
    let said = user.types(&["serve", "--check", "--listen", &taken]).await;
    assert!(said.contains("the settings are fine"), "{said}");

    // The server that has the data is the one that starts again.
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
    let said = user.types(&line).await;
    assert!(
        said.contains("the settings are fine")
            && said.contains(&format!(
                "is in use, as a server has this data now, process {}",
                server.pid()
            )),
        "{said}"
    );
    let said = user
        .types(&["serve", "--check", "--listen", &address])
        .await;
    assert!(said.contains("Another program has it"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_json_where_that_is_asked_for() {
    let user = User::new("");
    for line in [&["--version"][..], &["-V"], &["version"]] {
        let said = user.types(line).await;
        assert!(said.contains("\niof 0."), "{said}");
        let said = user.types(&[line, &["--json"]].concat()).await;
        assert!(
            said.contains("\n{\"iof\":\"0.") && !said.contains("exit"),
            "{said}"
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
        let said = user.types(&[line, &["--key", KEY]].concat()).await;
        for word in words {
            assert!(said.contains(word), "{word:?} is missing in: {said}");
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
    // The ways that it names.
    types(&["rollback", "hello", "--version", "1"], &["version 1 now"]).await;
    types(&set, &["version 3 now"]).await;
}

/// `--dev` without a profile leads to a key, and the key's refusal does not lead back to `--dev`.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_profile_of_dev_does_not_lead_in_a_circle() {
    let user = User::new("");
    let said = user.types(&["logs", "hello", "--dev"]).await;
    assert!(
        said.contains("`iof dev` starts one")
            && said.contains("--key \"$(cat target/iof-dev/key)\""),
        "{said}"
    );
}
