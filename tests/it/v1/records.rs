//! The outbound log: every request and every command is a row, through the API and `iof egress`.

use iof_tests::{
    guests::guest,
    server::{Server, program},
    upstream::Upstream,
};
use serde_json::{Value, json};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};

const DECLARED: &str = "commands = [\"http_proxy\"]\noutbound = [\"* http://api.example.com\"]\n";

async fn get(server: &Server, id: u64, program: &str, url: &str) -> String {
    let request = json!({ "program": program, "args": ["get", url] });
    let answer = server.run(id, "run_ssvm", request.to_string()).await;
    answer.header("iof-call").to_owned()
}

fn rows(answer: &Value) -> &Vec<Value> {
    answer["sent"].as_array().unwrap()
}

#[tokio::test]
async fn every_request_and_every_command_is_a_row() {
    let upstream = Upstream::start().await;
    let server = Server::start(upstream.pin("api.example.com", 80)).await;
    let function = server.deploy(guest("command"), DECLARED).await;
    let id = function.id;
    let ok = get(
        &server,
        id,
        "http_proxy",
        "http://api.example.com/status/404?token=s3cret",
    )
    .await;
    let denied = get(&server, id, "http_proxy", "http://other.example.com/s3cret").await;
    let refused = get(&server, id, "sh", "x").await;
    let redirected = get(
        &server,
        id,
        "http_proxy",
        "http://api.example.com/redirect/302?http://127.0.0.1:1/",
    )
    .await;

    let of = async |call: &str| {
        server
            .read_as(&function, &format!("/v1/egress?function={id}&call={call}"))
            .await
    };
    let answer = of(&ok).await;
    let [command, request] = rows(&answer).as_slice() else {
        panic!("{answer}")
    };
    assert_eq!(
        (
            &command["command"],
            &command["status"],
            &command["outcome"],
            &command["version"]
        ),
        (&json!("http_proxy"), &json!(0), &json!("ok"), &json!(1)),
        "{answer}"
    );
    assert_eq!(
        (
            &request["method"],
            &request["host"],
            &request["status"],
            &request["rule"],
            &request["outcome"]
        ),
        (
            &json!("GET"),
            &json!("http://api.example.com"),
            &json!(404),
            &json!("* http://api.example.com"),
            &json!("ok")
        ),
        "{answer}"
    );
    assert_eq!(request["bytes_in"], "status 404".len());
    assert!(
        request["address"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1:"),
        "{answer}"
    );
    assert_eq!(
        (&request["call"], &request["function"]),
        (&json!(ok), &json!(id))
    );

    let answer = of(&denied).await;
    assert_eq!(
        (
            &rows(&answer)[1]["outcome"],
            &rows(&answer)[1]["rule"],
            &rows(&answer)[0]["status"]
        ),
        (&json!("egress-denied"), &Value::Null, &json!(3)),
        "{answer}"
    );
    let answer = of(&refused).await;
    assert_eq!(
        (&rows(&answer)[0]["command"], &rows(&answer)[0]["outcome"]),
        (&json!("sh"), &json!("not-granted"))
    );
    let answer = of(&redirected).await;
    let outcomes: Vec<_> = rows(&answer)
        .iter()
        .map(|row| row["outcome"].as_str().unwrap())
        .collect();
    assert!(
        outcomes.contains(&"redirect") && outcomes.contains(&"egress-denied"),
        "{answer}"
    );

    let all = server
        .read_as(&function, &format!("/v1/egress?function={id}"))
        .await;
    assert!(
        !all.to_string().contains("s3cret"),
        "paths and queries are not recorded: {all}"
    );
    // The records of a deleted function stay.
    let delete = server
        .request("DELETE", &format!("/api/executables/{id}"))
        .header("SSVM_Admin_Key", &function.admin_key);
    server.answer(delete).await;
    let answer = server.get("/v1/egress?limit=1000").await.json();
    assert_eq!(rows(&answer).len(), rows(&all).len());
}

/// A call does not wait for its record, and does not fail without one.
#[tokio::test]
async fn records_without_room_are_dropped_and_reported() {
    let upstream = Upstream::start().await;
    let pin = upstream.pin("api.example.com", 80);
    let mut server = Server::start(format!("{pin}[records]\nmemory = \"0B\"\n")).await;
    let declared = format!("{DECLARED}record = \"always\"\n");
    let function = server.deploy(guest("command"), &declared).await;
    let url = "http://api.example.com/status/200";
    let call = get(&server, function.id, "http_proxy", url).await;
    let sent = server
        .read_as(&function, &format!("/v1/egress?function={}", function.id))
        .await;
    assert_eq!(sent["sent"], json!([]));
    let replay = format!("/v1/calls/{call}/replay");
    let request = server
        .request("POST", &replay)
        .bearer_auth(&function.admin_key);
    assert_eq!(server.answer(request).await.status(), 404);
    assert!(server.stop().await.success());
    let log = server.log();
    let mut logged = log
        .lines()
        .filter(|line| line.contains("WARN") && line.contains("records.memory"));
    assert!(logged.next().is_some(), "{log}");
}

#[tokio::test]
async fn records_of_a_function_are_hidden_from_the_owner_of_another() {
    let server = Server::start("[auth]\nkeys = [\"a key of the server\"]\n").await;
    let post = async || {
        let request = server
            .request("POST", "/v1/functions")
            .bearer_auth("a key of the server");
        let request = request
            .header("Content-Type", "application/wasm")
            .body(guest("hello"));
        server.answer(request).await.json()
    };
    let (one, two) = (post().await, post().await);
    let as_two = |path: &str| {
        server
            .request("GET", path)
            .bearer_auth(two["admin_key"].as_str().unwrap())
    };
    for (path, status) in [
        ("/v1/egress", 401),
        ("/v1/egress?function=1", 401),
        ("/v1/egress?function=2", 200),
    ] {
        assert_eq!(
            server.answer(as_two(path)).await.http.as_u16(),
            status,
            "{path} {one}"
        );
    }
}

/// The rows of one function are public if those of all functions are.
#[tokio::test]
async fn without_keys_the_rows_of_one_function_are_public_like_those_of_all() {
    let server = Server::start("").await;
    let function = server.deploy(guest("hello"), "").await;
    for path in [
        "/v1/egress".to_owned(),
        format!("/v1/egress?function={}", function.id),
    ] {
        assert_eq!(server.get(&path).await.http, 200, "{path}");
    }
    let none = server.get("/v1/egress?function=nobody").await;
    assert_eq!(
        (none.http.as_u16(), none.fault()),
        (404, "no-such-function")
    );
}

#[tokio::test]
async fn rows_survive_a_kill_and_old_ones_are_removed() {
    let upstream = Upstream::start().await;
    let config = |more: &str| format!("{more}\n{}", upstream.pin("api.example.com", 80));
    let mut server = Server::start(config("")).await;
    let function = server.deploy(guest("command"), DECLARED).await;
    for _ in 0..5 {
        get(
            &server,
            function.id,
            "http_proxy",
            "http://api.example.com/status/200",
        )
        .await;
    }
    assert_eq!(rows(&server.get("/v1/egress").await.json()).len(), 10);
    server.kill().await;
    for limit in ["sent_rows = 0", "sent_age = \"0s\""] {
        let mut answer = server.restart_with(config("")).await;
        get(
            &answer,
            function.id,
            "http_proxy",
            "http://api.example.com/status/200",
        )
        .await;
        let found = rows(&answer.get("/v1/egress").await.json()).len();
        assert!(
            found >= 2 && (limit.contains("age") || found == 12),
            "{found}"
        );
        answer.stop().await;
        server = answer
            .restart_with(config(&format!("[records]\n{limit}")))
            .await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert_eq!(rows(&server.get("/v1/egress").await.json()).len(), 0);
        server.stop().await;
    }
}

#[tokio::test]
async fn iof_egress_prints_and_follows() {
    let upstream = Upstream::start().await;
    let server = Server::start(upstream.pin("api.example.com", 80)).await;
    let function = server.deploy(guest("command"), DECLARED).await;
    let call = get(
        &server,
        function.id,
        "http_proxy",
        "http://api.example.com/status/200",
    )
    .await;
    let iof = |args: &[&str]| {
        let mut command = tokio::process::Command::new(program());
        command
            .arg("egress")
            .args(args)
            .env("IOF_SERVER", &server.url)
            .kill_on_drop(true);
        command
    };
    let printed = iof(&[]).output().await.unwrap();
    let text = String::from_utf8(printed.stdout).unwrap();
    assert!(
        printed.status.success() && text.lines().count() == 2,
        "{text}"
    );
    assert!(
        text.contains("GET http://api.example.com  200 ok")
            && text.contains("ran http_proxy  0 ok"),
        "{text}"
    );
    assert!(text.contains(&call), "{text}");

    let mut following = iof(&["--follow", "--json", "-n", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let first: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    assert_eq!(first["call"], json!(call));
    let call = get(
        &server,
        function.id,
        "http_proxy",
        "http://api.example.com/status/500",
    )
    .await;
    for _ in 0..2 {
        let next: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        assert_eq!(next["call"], json!(call));
    }
    following.kill().await.unwrap();

    let wrong = iof(&["--call", "x"]).output().await.unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&wrong.stderr).contains("--call"),
        "{wrong:?}"
    );
    let nowhere = iof(&["--server", "http://127.0.0.1:1"])
        .output()
        .await
        .unwrap();
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&nowhere.stderr).contains("Is the server running"),
        "{nowhere:?}"
    );
}
