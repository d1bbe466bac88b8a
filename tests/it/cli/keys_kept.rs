//! Keys are never lost: `iof dev`, servers that take turns at one address, missing profiles. Each scenario ends with
//! the remedy that the error names.

use super::module;
use crate::v1::functions::{KEY, ask, create, numbered};
use iof_tests::server::Server;
use iof_tests::user::User;
use serde_json::{Value, json};
use std::fs;

pub(super) async fn about(server: &Server, key: &str) -> Value {
    let request = server.request("GET", "/v1/server");
    let request = match key {
        "" => request,
        key => request.bearer_auth(key),
    };
    server.answer(request).await.json()
}

pub(super) fn operated() -> String {
    format!("[auth]\nkeys = [\"{KEY}\"]\n")
}

/// Waits for a line of the log: a task of the test reads it, perhaps only after the answer.
pub(super) async fn is_logged(server: &Server, words: &str) {
    for _ in 0..100 {
        if server.log().contains(words) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{words}: {}", server.log());
}

/// Runs a command whose output must contain these words.
pub(super) async fn types(user: &User, line: &[&str], words: &[&str]) -> String {
    let output = user.types(line).await;
    for word in words {
        assert!(output.contains(word), "{word:?} is missing in: {output}");
    }
    output
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_has_an_identity_wherever_it_listens() {
    let mut server = Server::start(operated()).await;
    let first = about(&server, "").await;
    let id = first["id"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 32, "{first}");
    assert_eq!(first, json!({"id": id, "dev": false, "takes_keys": true}));
    let full = about(&server, KEY).await;
    assert_eq!(full["key"], json!({"kind": "server"}));
    assert!(
        full["version"].is_string() && full["calls"].is_object(),
        "{full}"
    );
    let wrong = about(&server, "not the key of anybody").await;
    assert_eq!(wrong["key"], json!({"kind": "unknown"}));
    assert!(
        wrong["calls"].is_null() && wrong["version"].is_null(),
        "{wrong}"
    );
    assert!(server.stop().await.success());
    let server = server.restart().await;
    assert_eq!(about(&server, "").await["id"], id);
    let other = Server::start("").await;
    let open = about(&other, "").await;
    assert_ne!(open["id"], id);
    assert_eq!(open["takes_keys"], false);
    assert!(open["calls"].is_object(), "every client may deploy: {open}");
}

/// Two servers of different folders that take turns at one address, with a function of the same name.
#[tokio::test(flavor = "multi_thread")]
async fn each_of_two_servers_at_one_address_has_its_own_key() {
    let mut first = Server::start("").await;
    let port = first.url.rsplit(':').next().unwrap().to_owned();
    let address = format!("127.0.0.1:{port}");
    let user = User::new(&first.url);
    module(&user, 1);
    types(
        &user,
        &["deploy", "hello.wasm"],
        &["hello version 1", "admin key, shown once"],
    )
    .await;
    // A first deploy makes no request that is refused.
    assert!(!first.log().contains("refused"), "{}", first.log());
    assert!(first.stop().await.success());

    let second = Server::builder()
        .arg("--listen")
        .arg(&address)
        .start()
        .await;
    assert_eq!(second.url, first.url);
    types(&user, &["deploy", "hello.wasm"], &["hello version 1"]).await;
    types(&user, &["deploy", "hello.wasm"], &["hello version 2"]).await;
    let mut second = second;
    assert!(second.stop().await.success());

    // The first server again, at its address and at another address of this machine.
    let mut first = first.restart().await;
    types(&user, &["logs", "hello", "--server", &first.url], &[]).await;
    types(
        &user,
        &["deploy", "hello.wasm", "--server", &first.url],
        &["hello version 2"],
    )
    .await;
    assert!(first.stop().await.success());
    let second = second.restart().await;
    types(&user, &["show", "hello", "--server", &second.url], &["2  "]).await;
    types(
        &user,
        &["secret", "list", "hello", "--server", &second.url],
        &["no secrets"],
    )
    .await;
}

/// Without the file of profiles, the function belongs to another user, and the error names the remedy.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_profile_is_not_a_lost_function() {
    // On a server without keys, the owner of its data sets one.
    let mut server = Server::start("").await;
    let mut user = User::new(&server.url);
    module(&user, 1);
    types(&user, &["deploy", "hello.wasm"], &["hello version 1"]).await;
    let profiles = user.folder().join(".config/iof/profiles.toml");
    fs::remove_file(&profiles).unwrap();
    let output = types(
        &user,
        &["deploy", "hello.wasm"],
        &[
            "IOF_AUTH_KEYS=KEY iof serve",
            "iof key rotate hello --key KEY",
            "--name",
            "exit status 2",
        ],
    )
    .await;
    assert!(!output.contains("version"), "{output}");
    types(
        &user,
        &["logs", "hello"],
        &["IOF_AUTH_KEYS=KEY", "iof key rotate"],
    )
    .await;
    types(&user, &["key", "rotate", "hello"], &["IOF_AUTH_KEYS=KEY"]).await;
    types(
        &user,
        &["key", "create", "ci", "--scope", "read"],
        &["auth.keys (IOF_AUTH_KEYS=KEY)"],
    )
    .await;

    // The remedy of the error.
    assert!(server.stop().await.success());
    let server = server.restart_with(operated()).await;
    user.server = server.url.clone();
    let rotated = types(&user, &["key", "rotate", "hello", "--key", KEY], &["ID"]).await;
    assert!(!rotated.contains("exit status"), "{rotated}");
    // The key is stored, so no option is needed any more.
    types(&user, &["deploy", "hello.wasm"], &["hello version 2"]).await;
    types(&user, &["logs", "hello"], &[]).await;
    types(&user, &["secret", "list", "hello"], &["no secrets"]).await;

    // On a server with keys, for a user who has none of them.
    fs::remove_file(&profiles).unwrap();
    types(
        &user,
        &["deploy", "hello.wasm"],
        &[
            "This takes",
            "`deploy`",
            "Authorization: Bearer KEY",
            "--key, IOF_KEY",
        ],
    )
    .await;
    // A deleted function of the same name does not interfere.
    types(&user, &["rm", "hello", "--yes", "--key", KEY], &["deleted"]).await;
    types(
        &user,
        &["deploy", "hello.wasm", "--key", KEY],
        &["hello version 1"],
    )
    .await;
    types(&user, &["deploy", "hello.wasm"], &["hello version 2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_replaces_the_one_before() {
    let server = Server::start(operated()).await;
    let created = create(&server, "?name=hello", numbered(1), KEY)
        .await
        .json();
    let before = created["admin_key"].as_str().unwrap();
    let logs = "/v1/functions/hello/logs";
    let rotate = "/v1/functions/hello/admin-key";
    assert_eq!(ask(&server, "GET", logs, before, None).await.http, 200);
    assert_eq!(ask(&server, "POST", rotate, "", None).await.http, 401);
    // Rotated with the key itself, and with a key of the server.
    let mut keys = vec![before.to_owned()];
    for key in [before, KEY] {
        let created = ask(&server, "POST", rotate, key, None).await;
        assert_eq!(created.http, 201, "{}", created.text());
        keys.push(created.json()["admin_key"].as_str().unwrap().to_owned());
    }
    let last = keys.pop().unwrap();
    for key in &keys {
        assert_eq!(ask(&server, "GET", logs, key, None).await.http, 401);
    }
    assert_eq!(ask(&server, "GET", logs, &last, None).await.http, 200);
    assert!(keys.iter().all(|key| !server.log().contains(key.as_str())));
    let none = ask(&server, "POST", "/v1/functions/nobody/admin-key", KEY, None).await;
    assert_eq!(
        (none.http.as_u16(), none.fault()),
        (404, "no-such-function")
    );
}

/// A file of an earlier release still works.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_an_earlier_release_is_read() {
    let server = Server::start("").await;
    let user = User::new(&server.url);
    module(&user, 1);
    let created = create(&server, "?name=hello", numbered(1), "").await.json();
    let key = created["admin_key"].as_str().unwrap();
    let folder = user.folder().join(".config/iof");
    fs::create_dir_all(&folder).unwrap();
    let file = format!(
        "current = \"mine\"\n\n[profiles.mine]\nserver = {url:?}\n\n[admin_keys.{url:?}]\nhello = {key:?}\n1 = {key:?}\n",
        url = server.url
    );
    fs::write(folder.join("profiles.toml"), file).unwrap();
    types(&user, &["deploy", "hello.wasm"], &["hello version 2"]).await;
    types(&user, &["secret", "list", "1"], &["no secrets"]).await;
    // New keys are added, and none is removed.
    module(&user, 2);
    types(
        &user,
        &["deploy", "hello.wasm", "--name", "other"],
        &["other version 1"],
    )
    .await;
    types(&user, &["deploy", "hello.wasm"], &["hello version 3"]).await;
    let text = fs::read_to_string(folder.join("profiles.toml")).unwrap();
    assert!(text.contains(key) && text.contains("[servers."), "{text}");
}

/// A server that claims another identity does not get the keys of that server.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_sent_only_to_the_address_of_its_server() {
    let server = Server::start("").await;
    let user = User::new(&server.url);
    module(&user, 1);
    types(&user, &["deploy", "hello.wasm"], &["hello version 1"]).await;
    let file = user.folder().join(".config/iof/profiles.toml");
    let text = fs::read_to_string(&file).unwrap();
    // As if the profile had been made at another address.
    fs::write(&file, text.replace(&server.url, "https://f.example.com")).unwrap();
    types(
        &user,
        &["logs", "hello"],
        &[
            "with this identity at https://f.example.com, but not at this address",
            "exit status 2",
        ],
    )
    .await;
}
