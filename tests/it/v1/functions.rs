//! `/v1`: names, versions, canaries, logs and usage, as clients see them.

use iof_tests::{
    call::{Answer, Uploaded},
    guests::{guest, wat},
    server::Server,
};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) const KEY: &str = "a key of the operator";

/// A module whose `which` returns a number.
pub(crate) fn numbered(number: u32) -> Vec<u8> {
    wat(&format!(
        "(module (func (export \"which\") (result i32) (i32.const {number})))"
    ))
}

pub(crate) async fn create(server: &Server, query: &str, module: Vec<u8>, key: &str) -> Answer {
    let request = server.request("POST", &format!("/v1/functions{query}"));
    let request = request
        .header("content-type", "application/wasm")
        .bearer_auth(key)
        .body(module);
    server.answer(request).await
}

async fn add(server: &Server, place: &str, module: Vec<u8>, key: &str) -> Answer {
    let request = server.request("POST", &format!("/v1/functions/{place}"));
    let request = request
        .header("content-type", "application/wasm")
        .bearer_auth(key)
        .body(module);
    server.answer(request).await
}

pub(crate) async fn ask(
    server: &Server,
    method: &str,
    path: &str,
    key: &str,
    body: Option<Value>,
) -> Answer {
    let request = server.request(method, path).bearer_auth(key);
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    server.answer(request).await
}

async fn which(server: &Server, function: &str) -> String {
    let path = format!("/v1/functions/{function}/call/which");
    server.answer(server.request("POST", &path)).await.text()
}

pub(crate) async fn operated() -> Server {
    Server::start(format!("[auth]\nkeys = [\"{KEY}\"]\n")).await
}

#[tokio::test]
async fn a_name_is_a_permanent_address() {
    let server = operated().await;
    let created = create(
        &server,
        "?name=count-er&description=Counts",
        numbered(1),
        KEY,
    )
    .await;
    assert_eq!(created.http, 201, "{}", created.text());
    let id = created.json()["function"].to_string();
    for place in ["count-er", &id] {
        assert_eq!(which(&server, place).await, "1");
        let answer = ask(&server, "GET", &format!("/v1/functions/{place}"), KEY, None)
            .await
            .json();
        assert_eq!(
            (&answer["name"], &answer["description"]),
            (&json!("count-er"), &json!("Counts"))
        );
    }
    let again = create(&server, "?name=count-er", numbered(2), KEY).await;
    assert_eq!((again.http.as_u16(), again.fault()), (409, "name-taken"));
    for wrong in ["Upper", "1st", "a_b", "a-", "%20", &"a".repeat(64)] {
        let refused = create(&server, &format!("?name={wrong}"), numbered(1), KEY).await;
        assert_eq!(
            (refused.http.as_u16(), refused.fault()),
            (400, "name"),
            "{wrong}"
        );
    }
    // A freed name that belongs to another function now refers to that function.
    let deleted = ask(&server, "DELETE", "/v1/functions/count-er", KEY, None).await;
    assert_eq!(deleted.http, 204);
    let path = "/v1/functions/count-er/call/which";
    assert_eq!(server.answer(server.request("POST", path)).await.http, 404);
    assert_eq!(
        create(&server, "?name=count-er", numbered(3), KEY)
            .await
            .http,
        201
    );
    assert_eq!(which(&server, "count-er").await, "3");
    let answer = ask(&server, "GET", "/v1/functions/count-er", KEY, None).await;
    assert_eq!(answer.json()["versions"][0]["version"], 1, "of the new one");
    assert_eq!(
        ask(&server, "DELETE", "/v1/functions/count-er", KEY, None)
            .await
            .http,
        204
    );
    assert_eq!(
        create(&server, "?name=count-er", numbered(3), KEY)
            .await
            .http,
        201
    );
    // It has not been called since, and its name still refers to it.
    let answer = ask(&server, "GET", "/v1/functions/count-er", KEY, None).await;
    assert_eq!(answer.http, 200, "{}", answer.text());
    let mut server = server;
    server.stop().await;
    let server = server.restart().await;
    assert_eq!(which(&server, "count-er").await, "3");
}

#[tokio::test]
async fn versions_are_rolled_out_and_back() {
    let server = operated().await;
    create(&server, "?name=f", numbered(1), KEY).await;
    for version in 2..=3 {
        let added = add(&server, "f/versions", numbered(version), KEY).await;
        assert_eq!(
            (added.http.as_u16(), added.json()["version"].clone()),
            (201, json!(version))
        );
        assert_eq!(which(&server, "f").await, version.to_string());
    }
    let idle = add(&server, "f/versions?idle=true", numbered(4), KEY).await;
    assert_eq!(idle.json()["version"], 4);
    assert_eq!(which(&server, "f").await, "3");
    for version in [1, 4, 2] {
        let moved = ask(
            &server,
            "PUT",
            "/v1/functions/f/active",
            KEY,
            Some(json!({ "version": version })),
        )
        .await;
        assert_eq!(moved.json(), json!({ "version": version }));
        assert_eq!(which(&server, "f").await, version.to_string(), "at once");
    }
    let none = ask(
        &server,
        "PUT",
        "/v1/functions/f/active",
        KEY,
        Some(json!({"version": 9})),
    )
    .await;
    assert_eq!((none.http.as_u16(), none.fault()), (404, "no-such-version"));
    for wrong in [
        json!({}),
        json!({"version": "2"}),
        json!({"version": 2, "more": 1}),
        json!([]),
    ] {
        let refused = ask(&server, "PUT", "/v1/functions/f/active", KEY, Some(wrong)).await;
        assert_eq!((refused.http.as_u16(), refused.fault()), (400, "json"));
    }
    let mut server = server;
    server.stop().await;
    let server = server.restart().await;
    assert_eq!(which(&server, "f").await, "2");
    let versions = ask(&server, "GET", "/v1/functions/f/versions", KEY, None)
        .await
        .json();
    let numbers: Vec<_> = versions["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["version"].clone())
        .collect();
    assert_eq!(numbers, [4, 3, 2, 1]);
}

#[tokio::test]
async fn a_canary_gets_its_share_until_it_is_promoted() {
    let server = operated().await;
    create(&server, "?name=f", numbered(1), KEY).await;
    let added = add(&server, "f/versions?canary=30", numbered(2), KEY).await;
    assert_eq!(added.http, 201, "{}", added.text());
    let share = async |calls: u32| {
        let mut canary = 0;
        for _ in 0..calls {
            canary += u32::from(which(&server, "f").await == "2");
        }
        canary
    };
    // Ten standard deviations around the expected number.
    let canary = share(500).await;
    assert!((50..=250).contains(&canary), "{canary} of 500");
    let answer = ask(&server, "GET", "/v1/functions/f", KEY, None)
        .await
        .json();
    assert_eq!(
        (&answer["version"], &answer["canary"]),
        (&json!(1), &json!({"version": 2, "percent": 30}))
    );
    let set = ask(
        &server,
        "PUT",
        "/v1/functions/f/canary",
        KEY,
        Some(json!({"version": 2, "percent": 99})),
    )
    .await;
    assert_eq!(set.http, 200, "{}", set.text());
    assert!(share(100).await > 70);
    assert_eq!(
        ask(&server, "DELETE", "/v1/functions/f/canary", KEY, None)
            .await
            .http,
        204
    );
    assert_eq!(share(50).await, 0);
    for wrong in [
        "canary=0",
        "canary=100",
        "canary=x",
        "canary=5&idle=true",
        "cannary=5",
    ] {
        let refused = add(&server, &format!("f/versions?{wrong}"), numbered(3), KEY).await;
        assert_eq!(refused.http, 400, "{wrong}");
    }
    let itself = ask(
        &server,
        "PUT",
        "/v1/functions/f/canary",
        KEY,
        Some(json!({"version": 1, "percent": 9})),
    )
    .await;
    assert_eq!((itself.http.as_u16(), itself.fault()), (409, "rollout"));
}

#[tokio::test]
async fn the_log_has_the_output_and_result_of_calls() {
    let server = Server::start("").await;
    let function: Uploaded = server.deploy(guest("typed"), "").await;
    let call = async |export: &str, arguments: Value| {
        let path = format!("/v1/functions/{}/call/{export}", function.id);
        server
            .answer(server.request("POST", &path).json(&arguments))
            .await
    };
    let printed = call("logs", json!({"message": "hello"})).await;
    call("fail_code", json!({"code": "gone", "message": "why"})).await;
    let path = format!("/v1/functions/{}/logs", function.id);
    let logs = server.read_as(&function, &path).await;
    let [first, second] = logs["logs"].as_array().unwrap().as_slice() else {
        panic!("{logs}")
    };
    assert_eq!(first["call"], printed.header("iof-call"));
    assert_eq!(
        (&first["export"], &first["version"]),
        (&json!("logs"), &json!(1))
    );
    assert!(
        first["stderr"]
            .as_str()
            .unwrap()
            .starts_with("error: hello\nwarn: hello\n"),
        "{first}"
    );
    assert!(first["fault"].is_null());
    assert_eq!(
        (&second["fault"], &second["message"]),
        (&json!("function:gone"), &json!("why"))
    );
    // A waiting request gets the next call.
    let waits = format!("{path}?after={}&wait=20", second["id"]);
    let (next, _) = tokio::join!(server.read_as(&function, &waits), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        call("nothing", json!({})).await
    });
    assert_eq!(next["logs"][0]["export"], "nothing");
    let usage = server
        .read_as(&function, &format!("/v1/functions/{}/usage", function.id))
        .await;
    assert_eq!(usage["invocations"], 3);
    assert!(usage["guest_us"].as_u64().unwrap() > 0);
    // The API of 2020 shows its own rows unchanged.
    let request = server.request("GET", &format!("/api/log/{}?last=10", function.id));
    let old = server
        .answer(request.header("SSVM_Admin_Key", &function.admin_key))
        .await;
    assert!(
        !old.text().contains("iof") && !old.text().contains("hello\\n"),
        "{}",
        old.text()
    );
}

#[tokio::test]
async fn lists_have_pages() {
    let server = operated().await;
    for number in 0..5 {
        create(&server, &format!("?name=f{number}"), numbered(number), KEY).await;
    }
    let first = ask(&server, "GET", "/v1/functions?limit=3", KEY, None)
        .await
        .json();
    assert_eq!(
        (first["functions"].as_array().unwrap().len(), &first["more"]),
        (3, &json!(true))
    );
    let last = first["functions"][2]["function"].as_i64().unwrap();
    let rest = ask(
        &server,
        "GET",
        &format!("/v1/functions?after={last}&limit=3"),
        KEY,
        None,
    )
    .await
    .json();
    let names: Vec<_> = rest["functions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["name"].clone())
        .collect();
    assert_eq!(
        (names, &rest["more"]),
        (vec![json!("f3"), json!("f4")], &json!(false))
    );
    for wrong in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "after=x",
        "page=2",
        "limit=1&limit=2",
    ] {
        let refused = ask(&server, "GET", &format!("/v1/functions?{wrong}"), KEY, None).await;
        assert_eq!(
            (refused.http.as_u16(), refused.fault()),
            (400, "query"),
            "{wrong}"
        );
    }
}
