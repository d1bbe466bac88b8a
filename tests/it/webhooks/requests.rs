//! The request that a function sees.

use super::{addresses, post, typed};
use iof_tests::{call::Answer, guests::guest, server::Server};
use serde_json::{Value, json};

/// A header in the answer of `show`.
fn header(seen: &Value, name: &str) -> Value {
    let headers = seen[3].as_array().unwrap();
    let found = headers.iter().find(|header| header[0] == name);
    found.map_or(Value::Null, |header| header[1].clone())
}

#[tokio::test]
async fn a_function_sees_the_request_unchanged() {
    let (server, function) = typed().await;
    let id = function.id;
    for (method, address, path) in [
        ("POST", format!("/fn/{id}/show"), ""),
        ("GET", format!("/fn/{id}/show"), ""),
        ("PUT", format!("/fn/{id}/show/below/a%2Fb"), "/below/a%2Fb"),
        ("DELETE", format!("/fn/{id}/show/"), "/"),
        ("POST", format!("/fn/{id}/show//x"), "//x"),
        ("POST", format!("/v1/functions/{id}/call/show"), ""),
    ] {
        let request = server
            .request(method, &format!("{address}?a=1&b=%20&a=2"))
            .header("X-Hub-Signature-256", "sha256=00ff")
            .header("X-Twice", "1")
            .header("X-Twice", "2")
            .header("Authorization", "Basic dTpw")
            .header("Content-Type", "application/x-thing; v=1")
            .body(vec![0xe4, b'a']);
        let answer = server.answer(request).await;
        assert_eq!(answer.http, 200, "{method} {address}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/json");
        let seen = answer.json();
        assert_eq!(
            (&seen[0], &seen[1], &seen[2], &seen[4]),
            (
                &json!(method),
                &json!(path),
                &json!("a=1&b=%20&a=2"),
                &json!("\u{fffd}a")
            ),
            "{seen}"
        );
        for (name, value) in [
            ("x-hub-signature-256", "sha256=00ff"),
            ("authorization", "Basic dTpw"),
            ("content-type", "application/x-thing; v=1"),
            ("x-twice", "1"),
        ] {
            assert_eq!(header(&seen, name), value, "{seen}");
        }
        assert!(
            header(&seen, "host")
                .as_str()
                .unwrap()
                .starts_with("127.0.0.1")
        );
        let twice = seen[3].as_array().unwrap().iter();
        assert_eq!(twice.filter(|header| header[0] == "x-twice").count(), 2);
    }
}

/// A function never sees a key of the server, whichever header it came in.
#[tokio::test]
async fn a_function_sees_no_key_of_the_server() {
    const KEY: &str = "a key of the server's";
    let server = Server::start(format!("[auth]\nkeys = [{KEY:?}]\n")).await;
    let deploy = |name| server.try_deploy_named(name, KEY, guest("typed"), "");
    let public = deploy("public").await.json();
    let private = deploy("hooks&private=true").await.json();
    let created = server
        .request("POST", "/v1/keys")
        .bearer_auth(KEY)
        .json(&json!({"label": "ci", "scopes": ["call"]}));
    let created = server.answer(created).await.json()["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let key = |function: &Value, name: &str| function[name].as_str().unwrap().to_owned();
    for path in ["/fn/hooks/show", "/v1/functions/hooks/call/show"] {
        let refused = server.answer(server.request("POST", path)).await;
        assert_eq!(
            (refused.http.as_u16(), refused.fault()),
            (404, "no-such-function"),
            "{path}"
        );
        for key in [KEY.to_owned(), created.clone(), key(&private, "admin_key")] {
            let answer = server
                .answer(server.request("POST", path).bearer_auth(&key))
                .await;
            assert_eq!(answer.http, 200, "{}", answer.text());
            assert!(!answer.text().contains(&key), "{}", answer.text());
            let other = server.request("POST", path).header("iof-key", &key);
            let answer = server
                .answer(other.header("authorization", "Basic dTpw"))
                .await;
            assert!(!answer.text().contains(&key), "{}", answer.text());
            assert_eq!(header(&answer.json(), "authorization"), "Basic dTpw");
        }
    }
    for key in [KEY.to_owned(), created, key(&public, "admin_key")] {
        let request = server.request("POST", "/fn/public/show").bearer_auth(&key);
        let request = request
            .header("SSVM_Usage_Key", &key)
            .header("SSVM-Admin-Key", &key)
            .header("Cookie", format!("session={key}"));
        let answer = server.answer(request).await;
        assert!(!answer.text().contains(&key), "{}", answer.text());
    }
    // A token of the sender's own is passed to the function.
    let own = server
        .request("POST", "/fn/public/show")
        .bearer_auth("the sender's");
    let answer = server.answer(own).await;
    assert_eq!(
        header(&answer.json(), "authorization"),
        "Bearer the sender's"
    );
}

#[tokio::test]
async fn a_function_chooses_the_methods_that_call_it() {
    let (server, function) = typed().await;
    let ask = async |method: &str, export: &str| -> Answer {
        let path = format!("/fn/{}/{export}", function.id);
        server.answer(server.request(method, &path)).await
    };
    for (export, methods, allowed) in [
        (
            "show",
            &["GET", "HEAD", "POST", "PUT", "DELETE"][..],
            "HEAD, GET, POST, PUT, DELETE",
        ),
        ("raw_text", &["POST"], "POST"),
        ("answer", &["GET", "HEAD", "POST"], "HEAD, GET, POST"),
    ] {
        for method in [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND",
        ] {
            let answer = ask(method, export).await;
            if methods.contains(&method) {
                assert_ne!(answer.http, 405, "{method} {export}");
                assert_eq!(
                    method == "HEAD",
                    answer.body.is_empty() && export == "show" || method == "HEAD"
                );
            } else {
                assert_eq!(
                    (answer.http.as_u16(), answer.fault(), answer.header("allow")),
                    (405, "method", allowed),
                    "{method} {export}"
                );
            }
        }
    }
    // Its document says so, too.
    let document = format!("/v1/functions/{}/openapi.json", function.id);
    let document = server.get(&document).await.json();
    for (export, methods) in [
        ("show", &["get", "post", "put", "delete"][..]),
        ("raw_text", &["post"]),
        ("answer", &["get", "post"]),
        ("add", &[]),
    ] {
        let operations = &document["paths"][format!("/fn/{}/{export}", function.id)];
        let operations = operations.as_object();
        let found: Vec<_> = operations.into_iter().flat_map(|all| all.keys()).collect();
        assert_eq!(found, methods, "{export}");
    }
    // In /v1 a call is always a POST.
    let get = server.get(&addresses(&function, "show")[1]).await;
    assert_eq!((get.http.as_u16(), get.fault()), (405, "method"));
}

#[tokio::test]
async fn unknown_paths_are_not_found() {
    let (server, function) = typed().await;
    let id = function.id;
    for (path, fault) in [
        ("/fn".to_owned(), "no-such-route"),
        ("/fn/".to_owned(), "no-such-route"),
        (format!("/fn/{id}"), "no-such-route"),
        (format!("/fn/{id}/"), "no-such-route"),
        ("/fn//show".to_owned(), "no-such-route"),
        ("/fn/nobody/show".to_owned(), "no-such-function"),
        ("/fn/999999999/show".to_owned(), "no-such-function"),
        (format!("/fn/{id}/missing"), "no-such-export"),
        (format!("/fn/{id}/raw_text/below"), "no-such-route"),
        (format!("/fn/{id}/echo_string/"), "no-such-route"),
    ] {
        let answer = post(&server, &path, "text/plain", "x").await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (404, fault),
            "{path}"
        );
    }
    let broken = post(&server, &format!("/fn/{id}/show/%ff"), "", "").await;
    assert_eq!((broken.http.as_u16(), broken.fault()), (400, "path"));
}

/// A caller of the API of 2020 sends arguments, not a request.
#[tokio::test]
async fn the_api_of_2020_passes_arguments_and_no_request() {
    let (server, function) = typed().await;
    let refused = server.run(function.id, "show", "{}").await;
    assert_eq!((refused.status(), refused.fault()), (400, "arguments"));
    assert!(
        refused.header("iof-message").contains("/fn"),
        "{:?}",
        refused.headers
    );
    let raw = server
        .run_bytes(function.id, "show", vec![2, 0, 0, 0, b'{', b'}'])
        .await;
    assert_eq!((raw.status(), raw.fault()), (400, "arguments"));
}

#[tokio::test]
async fn a_request_is_logged_recorded_and_replayed() {
    let server = Server::start("").await;
    let function = server.deploy(guest("typed"), "record = \"always\"\n").await;
    let path = format!("/fn/{}/show/below?token=t0ken", function.id);
    let answer = post(
        &server,
        &path,
        "application/json",
        "{\"action\":\"opened\"}",
    )
    .await;
    let call = answer.header("iof-call").to_owned();
    // The log contains only the body, because queries and headers may contain keys of the sender.
    let logs = server
        .read_as(
            &function,
            &format!("/v1/functions/{}/logs?wait=5", function.id),
        )
        .await;
    assert_eq!(logs["logs"][0]["call"], call, "{logs}");
    assert!(!logs.to_string().contains("t0ken"), "{logs}");
    let recorded = loop {
        let request = server.request("POST", &format!("/v1/calls/{call}/replay"));
        let again = server
            .answer(request.bearer_auth(&function.admin_key))
            .await;
        if again.http == 200 {
            break again.json();
        }
        assert_eq!(again.fault(), "no-such-call", "{}", again.text());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(recorded["same"], true, "{recorded}");
}

#[tokio::test]
async fn a_request_can_run_as_a_job() {
    let (server, function) = typed().await;
    let request = server
        .request("POST", &addresses(&function, "show")[1])
        .header("prefer", "respond-async")
        .bearer_auth(&function.admin_key)
        .body("later");
    let accepted = server.answer(request).await;
    assert_eq!(accepted.http, 202, "{}", accepted.text());
    let job = format!("/v1/jobs/{}", accepted.json()["job"].as_str().unwrap());
    let done = loop {
        let job = server.read_as(&function, &job).await;
        if job["state"] == "done" {
            break job;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!(done["content_type"], "application/json", "{done}");
    assert_eq!(done["result"][4], "later", "{done}");
    assert!(!done.to_string().contains(&function.admin_key), "{done}");
}
