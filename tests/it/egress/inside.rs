//! Functions that call functions by the server's public name, with `http_proxy`: inside, by a rule, only to run routes.

use iof_tests::{guests::guest, server::Server};
use serde_json::{Value, json};

const CONFIG: &str = "public_url = \"https://f.example.com\"\n";
const DECLARED: &str =
    "commands = [\"http_proxy\"]\noutbound = [\"POST https://f.example.com/api\"]\n";

async fn post(server: &Server, id: u64, url: &str, stdin: &str) -> Value {
    let request = json!({ "program": "http_proxy", "args": ["post", url], "stdin": stdin });
    let answer = server.run(id, "run_ssvm", request.to_string()).await;
    assert_eq!(answer.fault(), "", "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn a_function_calls_another_by_the_public_name() {
    let server = Server::start(CONFIG).await;
    let asks = server.deploy(guest("command"), DECLARED).await;
    let hello = server.deploy(guest("hello"), "").await;
    let url = format!("https://f.example.com/api/run/{}/say", hello.id);
    let output = post(&server, asks.id, &url, "world").await;
    assert_eq!(
        (&output["status"], &output["stdout"]),
        (&json!(0), &json!("hello world")),
        "{output}"
    );
    let record = server.get("/v1/egress").await.json();
    let request = record["sent"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["method"] == "POST")
        .unwrap();
    assert_eq!(
        (
            &request["host"],
            &request["address"],
            &request["rule"],
            &request["outcome"]
        ),
        (
            &json!("https://f.example.com"),
            &Value::Null,
            &json!("POST https://f.example.com/api"),
            &json!("ok")
        ),
        "no socket, and on record: {record}"
    );
}

#[tokio::test]
async fn nothing_else_of_the_server_is_there() {
    let server = Server::start(format!("{CONFIG}[ceiling]\ncommands = [\"http_proxy\"]\noutbound = [\"* https://*\", \"* http://*:*\"]\n")).await;
    let declared = "commands = [\"http_proxy\"]\noutbound = [\"* https://f.example.com\"]\n";
    let asks = server.deploy(guest("command"), declared).await;
    for path in [
        "/v1/functions",
        "/v1/egress",
        "/api/executables",
        "/api/state/1",
        "/api/log/1",
        "/api/keys/1/usage_key",
        "/api/run/../executables",
        "/api/run/1",
        "/api/run/1/say/bytes/more",
        "/healthz",
        "/",
    ] {
        let output = post(
            &server,
            asks.id,
            &format!("https://f.example.com{path}"),
            "x",
        )
        .await;
        assert_eq!(output["status"], 3, "{path}: {output}");
    }
    // Without a rule not even a run route.
    let bare = server
        .deploy(guest("command"), "commands = [\"http_proxy\"]")
        .await;
    let output = post(
        &server,
        bare.id,
        "https://f.example.com/api/run/1/run_ssvm",
        "x",
    )
    .await;
    assert_eq!(output["status"], 3, "{output}");
}

#[tokio::test]
async fn circles_end() {
    let server = Server::start(format!("{CONFIG}[second_state]\ncallback_depth = 3\n")).await;
    let asks = server.deploy(guest("command"), DECLARED).await;
    let url = format!("https://f.example.com/api/run/{}/run_ssvm", asks.id);
    // Each call asks for the next one, as often as it is written.
    let request = |inner: String| {
        json!({ "program": "http_proxy", "args": ["--include", "post", url], "stdin": inner })
            .to_string()
    };
    let nested = (0..6).fold("{}".to_owned(), |inner, _| request(inner));
    let answer = server.run(asks.id, "run_ssvm", nested).await;
    assert_eq!(answer.fault(), "", "{}", answer.text());
    assert!(
        answer.text().contains("callback-depth"),
        "{}",
        answer.text()
    );
    assert!(answer.text().contains("HTTP/1.1 508"), "{}", answer.text());
}
