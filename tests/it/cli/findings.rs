//! Regression tests of findings of a new user who had only the program and the README.

use crate::v1::functions::{KEY, ask, create, numbered};
use iof_tests::guests::path;
use iof_tests::server::Server;
use iof_tests::user::User;
use serde_json::{Value, json};
use std::fs;

async fn rows(server: &Server, function: &str) -> Vec<Value> {
    let path = format!("/v1/functions/{function}/logs?limit=1000");
    let answer = ask(server, "GET", &path, KEY, None).await;
    assert_eq!(answer.http, 200, "{}", answer.text());
    answer.json()["logs"].as_array().unwrap().clone()
}

fn settings() -> String {
    format!("[auth]\nkeys = [\"{KEY}\"]\n[server]\nlog_rows = 5\n")
}

/// A caller chooses the name of the export and its arguments.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_ran_stay_in_the_log_whatever_is_refused() {
    let server = Server::start(settings()).await;
    let typed = fs::read(path("typed")).unwrap();
    create(&server, "?name=typed", typed, KEY).await;
    let call = async |export: &str, body: &str| {
        let request = server
            .request("POST", &format!("/v1/functions/typed/call/{export}"))
            .header("content-type", "application/json")
            .body(body.to_owned());
        server.answer(request).await
    };
    for _ in 0..3 {
        let ran = call("refuse", "{\"status\": 418}").await;
        assert_eq!(ran.http, 418, "{}", ran.text());
    }
    let long = "g".repeat(5_000);
    for _ in 0..30 {
        assert_eq!(call("nowhere", "{}").await.fault(), "no-such-export");
        assert_eq!(call(&long, "{}").await.fault(), "no-such-export");
        assert_eq!(call("refuse", "{\"statsu\": 1}").await.fault(), "arguments");
    }
    let api = server.run(1, "nowhere", "x").await;
    assert_eq!(api.fault(), "no-such-export");
    let rows = rows(&server, "typed").await;
    let ran: Vec<_> = rows
        .iter()
        .filter(|row| row["fault"] == "function:refused")
        .collect();
    assert_eq!(ran.len(), 3, "{rows:?}");
    let unknown = |row: &&Value| row["fault"] == "no-such-export";
    assert!(rows.iter().filter(unknown).count() >= 2, "{rows:?}");
    assert!(rows.iter().all(|row| row.to_string().len() < 4_000));
    let log = server.log();
    let longest = log.lines().map(str::len).max().unwrap_or(0);
    assert!(longest < 3_000, "a line of {longest} bytes");
}

/// A function that answers 401 has run. It is not called again with each stored key of the user.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_from_the_terminal_runs_once_whatever_its_status() {
    let server = Server::start(settings()).await;
    let user = User::new(&server.url);
    fs::copy(path("typed"), user.folder().join("typed.wasm")).unwrap();
    let key = ["--key", KEY];
    user.types(&["deploy", "typed.wasm", "--name", "typed"])
        .await;
    let line = [&["deploy", "typed.wasm", "--name", "typed"][..], &key].concat();
    user.types(&line).await;
    user.types(&[&["key", "rotate", "typed"][..], &key].concat())
        .await;
    for status in ["401", "403"] {
        let before = rows(&server, "typed").await.len();
        let data = format!("{{\"status\": {status}}}");
        let output = user
            .types(&["call", "typed", "refuse", "--data", &data])
            .await;
        assert!(output.contains("It is refused"), "{output}");
        assert_eq!(rows(&server, "typed").await.len(), before + 1, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_that_change_together_are_all_kept() {
    let server = Server::start("").await;
    let function = server.deploy(numbered(1), "[variables]\nA = \"0\"\n").await;
    let key = function.admin_key.clone();
    let path = format!("/v1/functions/{}/variables", function.id);
    let set = |name: String| {
        let body = json!({"variables": [{"name": name, "value": "1"}]});
        let (server, path, key) = (&server, &path, &key);
        async move { ask(server, "PATCH", path, key, Some(body)).await }
    };
    let all = (0..8).map(|number| set(format!("W{number}")));
    for answer in futures::future::join_all(all).await {
        assert_eq!(answer.http, 201, "{}", answer.text());
    }
    let listed = ask(
        &server,
        "GET",
        &format!("/v1/functions/{}", function.id),
        &key,
        None,
    )
    .await
    .json();
    // Only the variables of the active version; other versions have earlier ones.
    let versions = listed["versions"].as_array().unwrap();
    let runs = versions
        .iter()
        .find(|version| version["version"] == listed["version"])
        .unwrap();
    for number in 0..8 {
        let name = format!("W{number}");
        assert_eq!(runs["declaration"]["variables"][&name], "1", "{runs}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_key_of_secrets_is_not_replaced() {
    let mut server = Server::start(settings()).await;
    let function = create(&server, "?name=holds", numbered(1), KEY).await;
    let id = function.json()["function"].as_i64().unwrap();
    let secret = format!("/v1/functions/{id}/secrets/TOKEN");
    let request = server.request("PUT", &secret).bearer_auth(KEY);
    assert_eq!(server.answer(request.body("s3cret")).await.http, 204);
    assert!(server.stop().await.success());
    let file = server.data().join("secrets.key");
    let stored = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let refused = Server::builder()
        .config(settings())
        .arg("--data")
        .arg(server.data().to_str().unwrap())
        .refused()
        .await;
    assert!(
        refused.log.contains("secrets.key is missing") && refused.log.contains("Restore the file"),
        "{}",
        refused.log
    );
    assert!(!file.exists());
    fs::write(&file, stored).unwrap();
    let server = server.restart().await;
    let answer = ask(
        &server,
        "GET",
        &format!("/v1/functions/{id}/secrets"),
        KEY,
        None,
    )
    .await;
    assert!(answer.text().contains("TOKEN"), "{}", answer.text());
}
