//! The audit log: who changed what, when, and through which surface; by the API, `iof audit` and the pages that show it.
//!
//! More than 400 lines: each surface and each reader of the log, on one table of routes.

use crate::v1::functions::{KEY, ask, create, numbered, operated};
use iof_tests::guests::wat;
use iof_tests::server::Server;
use iof_tests::user::User;
use serde_json::{Value, json};
use std::collections::BTreeMap;

async fn changes(server: &Server, query: &str, key: &str) -> Vec<Value> {
    let answer = ask(server, "GET", &format!("/v1/audit{query}"), key, None).await;
    assert_eq!(answer.http, 200, "{}", answer.text());
    answer.json()["changes"].as_array().unwrap().clone()
}

/// Each route that changes something, with the action that the log has of it; `None` for those that change nothing of what
/// a server keeps for people. A new route is not in this table, and fails the test.
fn routes() -> BTreeMap<&'static str, Option<&'static str>> {
    BTreeMap::from([
        ("POST /v1/functions", Some("function.create")),
        ("DELETE /v1/functions/{function}", Some("function.delete")),
        (
            "POST /v1/functions/{function}/versions",
            Some("version.deploy"),
        ),
        (
            "PUT /v1/functions/{function}/active",
            Some("version.roll-back"),
        ),
        (
            "PATCH /v1/functions/{function}/variables",
            Some("version.deploy"),
        ),
        ("PUT /v1/functions/{function}/canary", Some("canary.set")),
        ("DELETE /v1/functions/{function}/canary", Some("canary.end")),
        (
            "PUT /v1/functions/{function}/secrets/{name}",
            Some("secret.set"),
        ),
        (
            "DELETE /v1/functions/{function}/secrets/{name}",
            Some("secret.delete"),
        ),
        (
            "DELETE /v1/functions/{function}/value",
            Some("value.delete"),
        ),
        (
            "POST /v1/functions/{function}/admin-key",
            Some("admin-key.set"),
        ),
        (
            "PUT /v1/functions/{function}/usage-key",
            Some("usage-key.set"),
        ),
        (
            "DELETE /v1/functions/{function}/usage-key",
            Some("usage-key.remove"),
        ),
        (
            "POST /v1/functions/{function}/jobs/{job}/cancel",
            Some("job.cancel"),
        ),
        (
            "POST /v1/functions/{function}/jobs/{job}/retry",
            Some("job.retry"),
        ),
        (
            "POST /v1/functions/{function}/schedules/{schedule}/pause",
            Some("schedule.pause"),
        ),
        (
            "POST /v1/functions/{function}/schedules/{schedule}/resume",
            Some("schedule.resume"),
        ),
        ("POST /v1/keys", Some("key.create")),
        ("DELETE /v1/keys/{key}", Some("key.delete")),
        ("POST /v1/functions/{function}/call/{export}", None),
        ("POST /v1/calls/{call}/replay", None),
    ])
}

#[tokio::test]
async fn each_route_that_changes_something_is_known_to_the_audit_log() {
    let server = Server::start("").await;
    let document = server.get("/v1/openapi.json").await.json();
    let known = routes();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let route = format!("{} {path}", method.to_uppercase());
            if ["put", "post", "delete", "patch"].contains(&method.as_str()) {
                assert!(known.contains_key(&*route), "{route} is not in the table");
            }
        }
    }
}

#[tokio::test]
async fn each_change_through_v1_is_on_record_with_its_key() {
    let server = operated().await;
    let wish = json!({"label": "ci of \"us\"", "scopes": ["admin"]});
    let key = ask(&server, "POST", "/v1/keys", KEY, Some(wish))
        .await
        .json();
    let (number, key) = (key["id"].as_i64().unwrap(), key["key"].as_str().unwrap());
    let declared = "[variables]\nLEVEL = \"1\"\n";
    let function = server.try_deploy_named("hello", key, numbered(1), declared);
    let function = function.await.json();
    let own = function["admin_key"].as_str().unwrap();
    let by = async |method: &str, path: &str, key: &str, body: Option<Value>| {
        let path = format!("/v1/functions/hello{path}");
        let answer = ask(&server, method, &path, key, body).await;
        assert!(answer.http.is_success(), "{path}: {}", answer.text());
        answer
    };
    let variables = json!({"variables": [{"name": "LEVEL", "value": "a value of it"}]});
    by("PATCH", "/variables", own, Some(variables)).await;
    by(
        "PUT",
        "/canary",
        key,
        Some(json!({"version": 1, "percent": 10})),
    )
    .await;
    by("DELETE", "/canary", key, None).await;
    by("PUT", "/active", KEY, Some(json!({"version": 1}))).await;
    let secret = server
        .request("PUT", "/v1/functions/hello/secrets/TOKEN")
        .bearer_auth(own)
        .body("the value of the secret");
    assert_eq!(server.answer(secret).await.http, 204);
    by("DELETE", "/secrets/TOKEN", own, None).await;
    let usage = by("PUT", "/usage-key", own, None).await.json();
    let usage = usage["usage_key"].as_str().unwrap();
    by("DELETE", "/usage-key", own, None).await;
    let rotated = by("POST", "/admin-key", own, None).await.json();
    let rotated = rotated["admin_key"].as_str().unwrap();
    by("DELETE", "", rotated, None).await;
    let gone = ask(&server, "DELETE", &format!("/v1/keys/{number}"), KEY, None).await;
    assert_eq!(gone.http, 204);

    let all = changes(&server, "", KEY).await;
    let told: Vec<_> = all
        .iter()
        .rev()
        .map(|change| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (
                text(&change["action"]),
                text(&change["key"]["kind"]),
                change["key"]["id"].as_i64().unwrap(),
                text(&change["name"]),
            )
        })
        .collect();
    let (made, server_key) = (("made", number), ("server", 1));
    let (own_key, id) = (("function", 1), "hello");
    let expected = [
        ("key.create", server_key, ""),
        ("function.create", made, id),
        ("version.deploy", own_key, id),
        ("canary.set", made, id),
        ("canary.end", made, id),
        ("version.roll-back", server_key, id),
        ("secret.set", own_key, id),
        ("secret.delete", own_key, id),
        ("usage-key.set", own_key, id),
        ("usage-key.remove", own_key, id),
        ("admin-key.set", own_key, id),
        ("function.delete", own_key, id),
        ("key.delete", server_key, ""),
    ];
    let expected: Vec<_> = expected
        .map(|(action, (kind, id), name)| (action.into(), kind.into(), id, name.into()))
        .into();
    assert_eq!(told, expected);
    // Those of jobs, schedules and values are in the tests of these.
    for action in routes().into_values().flatten() {
        let mut tested = ["job.", "schedule.", "value."].into_iter();
        let elsewhere = tested.any(|part| action.starts_with(part));
        assert!(
            elsewhere || told.iter().any(|(told, ..)| told == action),
            "{action}"
        );
    }
    assert!(all.iter().all(|change| change["surface"] == "v1"));
    assert_eq!(all[11]["key"]["label"], "ci of \"us\"");
    assert_eq!(all[10]["details"]["declares"], json!(["variables"]));
    let text = json!(all).to_string();
    for secret in [
        key,
        own,
        rotated,
        usage,
        KEY,
        "the value of the secret",
        "a value of it",
    ] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    // Operators see what was done to a function that is gone; nobody else asks for it.
    assert_eq!(changes(&server, "?function=1", KEY).await.len(), 11);
    let refused = ask(&server, "GET", "/v1/audit?function=1", own, None).await;
    assert_eq!(refused.fault(), "key");
    // The log is on the disk.
    let mut server = server;
    server.kill().await;
    let server = server.restart().await;
    assert_eq!(json!(changes(&server, "", KEY).await).to_string(), text);
}

#[tokio::test]
async fn a_key_of_one_function_sees_the_changes_of_that_function_only() {
    let server = operated().await;
    let mut owners = vec![];
    for name in ["one", "two"] {
        let made = create(&server, &format!("?name={name}"), numbered(1), KEY).await;
        owners.push(made.json()["admin_key"].as_str().unwrap().to_owned());
    }
    let mut keys = vec![];
    for (scope, function) in [
        ("admin", Some("one")),
        ("read", Some("one")),
        ("read", None),
        ("deploy", None),
        ("admin", None),
    ] {
        let wish = json!({"label": "k", "scopes": [scope], "function": function});
        let made = ask(&server, "POST", "/v1/keys", KEY, Some(wish))
            .await
            .json();
        keys.push(made["key"].as_str().unwrap().to_owned());
    }
    let fault = async |query: &str, key: &str| {
        let path = format!("/v1/audit{query}");
        ask(&server, "GET", &path, key, None)
            .await
            .fault()
            .to_owned()
    };
    for key in [&owners[0], &keys[0], &keys[4]] {
        let own = changes(&server, "?function=one", key).await;
        assert!(own.iter().all(|change| change["function"] == 1));
        // Its own creation, and the keys that are for it.
        assert_eq!(own.len(), 3, "{own:?}");
    }
    assert_eq!(changes(&server, "", &keys[4]).await.len(), 7);
    for (key, refusal) in [
        (&owners[0], "key"),
        (&keys[0], "scope"),
        (&keys[1], "scope"),
        (&keys[2], "scope"),
        (&keys[3], "scope"),
    ] {
        for query in ["", "?function=two", "?function=nobody", "?function=99"] {
            assert_eq!(fault(query, key).await, refusal, "{query}");
        }
    }
    assert_eq!(fault("?function=one", &keys[1]).await, "scope");
    assert_eq!(fault("", "").await, "key");
    for (query, expected) in [
        ("?limit=1", 1),
        ("?before=3", 2),
        ("?since=2020-01-01T00:00:00Z", 7),
        ("?since=2100-01-01T00:00:00Z", 0),
        ("?limit=1000", 7),
    ] {
        assert_eq!(
            changes(&server, query, KEY).await.len(),
            expected,
            "{query}"
        );
    }
    for query in [
        "?since=yesterday",
        "?since=",
        "?limit=0",
        "?limit=1001",
        "?x=1",
    ] {
        assert_eq!(fault(query, KEY).await, "query", "{query}");
    }
    assert_eq!(fault("?function=nobody", KEY).await, "no-such-function");
}

#[tokio::test]
async fn each_change_through_the_api_of_2020_is_on_record() {
    let mut server = Server::start("").await;
    let module = || wat("(module (func (export \"f\")))");
    let function = server.upload(module()).await;
    let id = function.id;
    for (method, path, kind, body) in [
        (
            "PUT",
            "update_wasm_binary",
            "application/octet-stream",
            module(),
        ),
        ("PUT", "state", "text/plain", b"the state".to_vec()),
        ("PUT", "callback", "application/json", b"{}".to_vec()),
        ("PUT", "keys", "", vec![]),
        ("DELETE", "keys", "", vec![]),
        ("DELETE", "executables", "", vec![]),
    ] {
        let path = match path {
            "keys" => format!("/api/keys/{id}/usage_key"),
            path => format!("/api/{path}/{id}"),
        };
        let request = server
            .request(method, &path)
            .header("SSVM_Admin_Key", &function.admin_key);
        let answer = server
            .answer(request.header("content-type", kind).body(body))
            .await;
        assert_eq!(answer.fault(), "", "{method} {path}: {}", answer.text());
    }
    // Nobody is the operator of a server without keys, so the log of all is on its disk only.
    let refused = server.get("/v1/audit").await;
    assert_eq!(refused.fault(), "key");
    assert!(server.stop().await.success());
    let server = server
        .restart_with(format!("[auth]\nkeys = [\"{KEY}\"]\n"))
        .await;
    let all = changes(&server, "", KEY).await;
    let told: Vec<_> = all
        .iter()
        .rev()
        .map(|change| {
            let key = change["key"]["kind"].as_str().unwrap();
            (change["action"].as_str().unwrap(), key)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("function.create", "none"),
            ("version.deploy", "function"),
            ("state.set", "function"),
            ("callback.set", "function"),
            ("usage-key.set", "function"),
            ("usage-key.remove", "function"),
            ("function.delete", "function"),
        ]
    );
    assert!(all.iter().all(|change| change["surface"] == "api"));
    assert!(!json!(all).to_string().contains("the state"));
}

#[tokio::test]
async fn the_log_of_changes_is_bounded_by_settings() {
    let server = Server::start(format!(
        "[auth]\nkeys = [\"{KEY}\"]\n[records]\nchanges = 4\nchanges_function = 2\n"
    ))
    .await;
    for name in ["one", "two", "three"] {
        create(&server, &format!("?name={name}"), numbered(1), KEY).await;
    }
    for _ in 0..6 {
        let path = "/v1/functions/one/admin-key";
        assert_eq!(ask(&server, "POST", path, KEY, None).await.http, 201);
    }
    let left: Vec<_> = changes(&server, "", KEY)
        .await
        .iter()
        .map(|change| {
            (
                change["action"].to_string(),
                change["function"].as_i64().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("admin-key.set", 1),
        ("admin-key.set", 1),
        ("function.create", 3),
        ("function.create", 2),
    ];
    let expected: Vec<_> = expected
        .map(|(action, id)| (format!("\"{action}\""), id))
        .into();
    assert_eq!(left, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn iof_audit_shows_who_changed_what() {
    let server = operated().await;
    let user = User::new(&server.url);
    let run = |line: &[&str]| {
        let line: Vec<_> = line.iter().copied().chain(["--key", KEY]).collect();
        let output = tokio::task::block_in_place(|| user.run(&line, ""));
        assert!(output.status.success(), "{line:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run(&["audit"]), "no changes\n");
    assert_eq!(run(&["audit", "--json"]), "");
    create(&server, "?name=hello", numbered(1), KEY).await;
    create(&server, "?name=other", numbered(1), KEY).await;
    let label = "a\nforged line \u{1b}[2J";
    let wish = json!({"label": label, "scopes": ["read"], "function": "hello"});
    ask(&server, "POST", "/v1/keys", KEY, Some(wish)).await;
    let all = run(&["audit"]);
    let lines: Vec<_> = all.lines().collect();
    assert_eq!(lines.len(), 3, "{all}");
    assert!(!all.contains('\u{1b}'), "{all:?}");
    let [first, _, last] = lines[..] else {
        panic!("{all}")
    };
    assert!(
        first.contains("  v1  server key 1  function.create  hello  "),
        "{all}"
    );
    assert!(last.contains("key.create  hello  "), "{all}");
    let own = run(&["audit", "--function", "hello", "--since", "1h"]);
    assert!(own.lines().count() == 2 && !own.contains("other"), "{own}");
    assert_eq!(run(&["audit", "--since", "0s"]), "no changes\n");
    assert_eq!(run(&["audit", "-n", "1"]).lines().count(), 1);
    let json: Vec<Value> = run(&["audit", "--json"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(json[2]["details"]["label"], label);
}
