//! Hints: the next step of an error.

use super::{module, types};
use crate::v1::functions::{KEY, create, numbered};
use iof_tests::guests::path;
use iof_tests::server::Server;
use iof_tests::user::User;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_name_suggests_the_nearest_that_the_caller_may_see() {
    let server = Server::start(format!("[auth]\nkeys = [\"{KEY}\"]\n")).await;
    for name in ["send-mail&private=false", "pay-invoice&private=true"] {
        let created = create(&server, &format!("?name={name}"), numbered(1), KEY).await;
        assert_eq!(created.http, 201, "{}", created.text());
    }
    let user = User::new(&server.url);
    let hint = "There is no function send-mial. Did you mean send-mail?";
    types(
        &user,
        &["call", "send-mial", "which", "x", "--key", KEY],
        &[hint, "[no-such-function, call "],
    )
    .await;
    types(
        &user,
        &["call", "send-mial", "which", "--key", KEY, "--json"],
        &["Did you mean send-mail?"],
    )
    .await;
    for command in ["show", "logs", "rollback"] {
        types(
            &user,
            &[command, "send_mial", "--key", KEY],
            &["Did you mean send-mail?"],
        )
        .await;
    }
    let other = "`iof list` shows those that you may see.";
    types(&user, &["call", "weather", "which", "--key", KEY], &[other]).await;
    // With a key, a private function is suggested; without one, its name is not revealed.
    types(
        &user,
        &["call", "pay-invoce", "which", "--key", KEY],
        &["Did you mean pay-invoice?"],
    )
    .await;
    let output = types(
        &user,
        &["call", "pay-invoce", "which"],
        &["There is no function pay-invoce, or it is private."],
    )
    .await;
    assert!(!output.contains("pay-invoice"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_warns_of_likely_mistakes() {
    let server = Server::start("").await;
    let user = User::new(&server.url);
    module(&user, 1);
    let declare = |text: &str| fs::write(user.folder().join("function.toml"), text).unwrap();
    declare(
        "commands = [\"http_proxy\"]\noutbound = [\"GTE https://a.test\", \"GET http://127.0.0.1\"]\n",
    );
    let notes = [
        "! note: function.toml: outbound `GTE https://a.test`: GTE is not a method that servers know. Did you mean GET?",
        "! note: function.toml: outbound `GET http://127.0.0.1`",
        "--allow 127.0.0.1:80`",
        "hello version 1",
    ];
    types(&user, &["deploy", "hello.wasm"], &notes).await;
    declare("outbound = [\"GET https://a.test\"]\n");
    types(
        &user,
        &["deploy", "hello.wasm"],
        &["Add commands = [\"http_proxy\"]", "hello version 2"],
    )
    .await;
    declare("commands = [\"http_proxy\"]\noutbound = [\"GET https://a.test\"]\n");
    let output = types(&user, &["deploy", "hello.wasm"], &["hello version 3"]).await;
    assert!(!output.contains("note:"), "{output}");
    declare("comands = [\"http_proxy\"]\n");
    let hint = "line 1, comands: unknown field `comands`; did you mean `commands`?";
    types(&user, &["deploy", "hello.wasm"], &[hint, "[exit status 2]"]).await;
}

#[tokio::test]
async fn an_error_in_json_names_the_position_and_the_alternative() {
    let server = Server::start(format!("[auth]\nkeys = [\"{KEY}\"]\n")).await;
    create(
        &server,
        "?name=typed",
        fs::read(path("typed")).unwrap(),
        KEY,
    )
    .await;
    let request = server
        .request("POST", "/v1/functions/typed/call/add")
        .header("content-type", "application/json")
        .body("{\"a\": 1, b: 2}");
    let answer = server.answer(request).await;
    assert_eq!(answer.fault(), "json");
    let message = answer.text();
    assert!(
        message.contains("The body is not JSON from byte 9 on. Correct it there, or send a text as `content-type: text/plain`."),
        "{message}"
    );
}
