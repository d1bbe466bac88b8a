//! Functions that call functions: a callback or fetch to the server's own `public_url` is not sent out.

use crate::second_state::modules;
use iof_tests::{
    call::{Answer, Uploaded},
    guests::guest,
    joey::Joey,
    server::Server,
};
use serde_json::{Value, json};

/// Names below `.invalid` do not resolve (RFC 6761), and no rule allows this port, so only the server itself can
/// answer.
const PUBLIC: &str = "public_url = \"https://functions.example.invalid:8081\"\n";
const TEXT: &str = "text/plain";

fn to(path: &str, headers: Value) -> Value {
    json!({
        "hostname": "functions.example.invalid", "path": path, "method": "POST", "port": 8081,
        "headers": headers, "maxRedirects": 20,
    })
}

fn run_of(id: u64, function: &str) -> Value {
    to(
        &format!("/api/run/{id}/{function}"),
        json!({ "Content-Type": TEXT }),
    )
}

async fn with_header(joey: &Joey, id: u64, function: &str, callback: &Value) -> Answer {
    joey.call("POST", format!("/api/run/{id}/{function}"))
        .header("Content-Type", TEXT)
        .header("SSVM_Callback", callback.to_string())
        .body("Tim")
        .send()
        .await
}

async fn store(joey: &Joey, function: &Uploaded, callback: &Value) {
    let call = joey
        .call("PUT", format!("/api/callback/{}", function.id))
        .header("Content-Type", "application/json")
        .header("SSVM_Admin_Key", &*function.admin_key);
    let answer = call.body(callback.to_string()).send().await;
    assert_eq!(
        (answer.text(), answer.status()),
        (function.id.to_string(), 200)
    );
}

async fn invocations(joey: &Joey, function: &Uploaded) -> u64 {
    let path = format!(
        "/api/executables/{}?filterBy=%5B%22total_invocations%22%5D",
        function.id
    );
    let call = joey
        .call("GET", path)
        .header("SSVM_Admin_Key", &*function.admin_key);
    call.send().await.json()["total_invocations"]
        .as_u64()
        .unwrap()
}

/// Two tests of the original service.
#[tokio::test]
async fn a_function_greets_its_own_greeting() {
    let server = Server::start(PUBLIC).await;
    let joey = Joey::http(&server);
    let id = server.upload(modules::hello()).await.id;
    let answer = with_header(&joey, id, "say", &run_of(id, "say")).await;
    assert_eq!(
        (answer.text().as_str(), answer.fault()),
        ("hello hello Tim", ""),
        "{answer:?}"
    );
    let body = json!({ "SSVM_Callback": run_of(id, "say") }).to_string();
    let answer = joey.run(id, "say", "application/json", body).await;
    assert_eq!(answer.text(), "hello hello {}");
}

/// The result `25.0` of the first function is `25` for the second, which accepts nothing else: the same rules as from
/// outside.
#[tokio::test]
async fn an_average_becomes_fahrenheit() {
    let server = Server::start(PUBLIC).await;
    let joey = Joey::http(&server);
    let average = server
        .upload(modules::fixed("{\"celsius_temperature\":25.0}"))
        .await;
    let text = server
        .upload(modules::only(
            "{\"celsius_temperature\":25}",
            "{\"result\":77.0}",
        ))
        .await;
    let compiled = server.upload(guest("second-state")).await;
    for (id, function) in [(text.id, "only"), (compiled.id, "c_to_f")] {
        let answer = with_header(&joey, average.id, "fixed", &run_of(id, function)).await;
        assert_eq!(answer.text(), "{\"result\":77.0}", "{function}: {answer:?}");
    }
    // Verbatim, the text is different.
    let verbatim = json!({ "Content-Type": "text/plain; charset=UTF-8" });
    let callback = to(&format!("/api/run/{}/only", text.id), verbatim);
    let answer = with_header(&joey, average.id, "fixed", &callback).await;
    assert!(
        answer.text().contains("Error executing this function"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_chain_has_the_length_that_its_functions_choose() {
    let server = Server::start(PUBLIC).await;
    let joey = Joey::http(&server);
    let mut functions = vec![];
    for _ in 0..4 {
        functions.push(server.upload(modules::hello()).await);
    }
    for pair in functions.windows(2) {
        store(&joey, &pair[0], &run_of(pair[1].id, "say")).await;
    }
    let answer = joey.run(functions[0].id, "say", TEXT, "Tim").await;
    assert_eq!(answer.text(), "hello hello hello hello Tim", "{answer:?}");
    for function in &functions {
        assert_eq!(invocations(&joey, function).await, 1);
    }
}

#[tokio::test]
async fn a_loop_ends_at_the_limit_of_depth() {
    for (config, depth) in [
        (String::new(), 8),
        ("[second_state]\ncallback_depth = 2\n".into(), 2),
    ] {
        let server = Server::start(format!("{PUBLIC}{config}")).await;
        let joey = Joey::http(&server);
        let function = server.upload(modules::hello()).await;
        store(&joey, &function, &run_of(function.id, "say")).await;
        let answer = joey.run(function.id, "say", TEXT, "Tim").await;
        assert_eq!(
            (answer.status(), answer.fault()),
            (508, "callback-depth"),
            "{answer:?}"
        );
        assert!(
            answer
                .header("iof-message")
                .contains("second_state.callback_depth")
        );
        let runs = invocations(&joey, &function).await;
        assert!(
            (depth..=depth + 1).contains(&runs),
            "{runs} runs at depth {depth}"
        );
        // Two functions that call each other are a loop, too.
        let other = server.upload(modules::hello()).await;
        store(&joey, &function, &run_of(other.id, "say")).await;
        store(&joey, &other, &run_of(function.id, "say")).await;
        let answer = joey.run(other.id, "say", TEXT, "Tim").await;
        assert_eq!(answer.fault(), "callback-depth", "{answer:?}");
    }
}

/// A full server must not wait for itself: every call of a chain has a permit, or is refused.
#[tokio::test]
async fn chains_in_a_small_server_end() {
    let small = "[server]\nconcurrency = 2\nqueue = 4\nqueue_wait = \"300ms\"\n";
    let server = Server::start(format!("{PUBLIC}{small}")).await;
    let joey = Joey::http(&server);
    let id = server.upload(modules::hello()).await.id;
    let calls = (0..6).map(|_| {
        let joey = joey.clone();
        async move { with_header(&joey, id, "say", &run_of(id, "say")).await }
    });
    for answer in futures::future::join_all(calls).await {
        let full = answer.http.as_u16() == 503;
        assert!(
            full || answer.text() == "hello hello Tim",
            "{answer:?} {}",
            answer.text()
        );
    }
    let answer = with_header(&joey, id, "say", &run_of(id, "say")).await;
    assert_eq!(answer.text(), "hello hello Tim");
}

#[tokio::test]
async fn the_callee_requires_its_key() {
    let server = Server::start(PUBLIC).await;
    let joey = Joey::http(&server);
    let caller = server.upload(modules::hello()).await;
    let call = joey
        .call("POST", "/api/executables")
        .header("Content-Type", "application/octet-stream")
        .header("SSVM_Create_Usage_Key", "true");
    let private = call.body(modules::hello()).send().await.json();
    let id = private["wasm_id"].as_u64().unwrap();
    let callee = Uploaded {
        id,
        admin_key: private["SSVM_Admin_Key"].as_str().unwrap().into(),
        json: private.clone(),
    };
    let path = format!("/api/run/{id}/say");
    let refusal = json!({ "error": format!("Wrong usage key ... {id} can not be accessed.") });
    for headers in [
        json!({ "Content-Type": TEXT }),
        json!({ "Content-Type": TEXT, "SSVM_Usage_Key": "00000000-0000-0000-0000-000000000000" }),
        // The key of the caller is not that of the callee.
        json!({ "Content-Type": TEXT, "SSVM_Usage_Key": callee.admin_key }),
    ] {
        let answer = with_header(&joey, caller.id, "say", &to(&path, headers)).await;
        assert_eq!(answer.json(), refusal);
    }
    assert_eq!(invocations(&joey, &callee).await, 0);
    let key = private["SSVM_Usage_Key"].as_str().unwrap();
    for header in ["SSVM_Usage_Key", "SSVM-Usage-Key"] {
        let headers = json!({ "Content-Type": TEXT, header: key });
        let answer = with_header(&joey, caller.id, "say", &to(&path, headers)).await;
        assert_eq!(answer.text(), "hello hello Tim", "{answer:?}");
    }
    // The key of the outer request is only for the outer function.
    let call = joey
        .call("POST", format!("/api/run/{}/say", caller.id))
        .header("Content-Type", TEXT)
        .header("SSVM_Usage_Key", key)
        .header("SSVM_Callback", run_of(id, "say").to_string());
    let answer = call.body("Tim").send().await;
    assert!(!answer.text().contains("hello hello"), "{answer:?}");
}

/// No other route of the server is reached that way, whatever the path is.
#[tokio::test]
async fn only_run_routes_are_reached() {
    let server = Server::start(PUBLIC).await;
    let joey = Joey::http(&server);
    let function = server.upload(modules::hello()).await;
    let id = function.id;
    for (method, path) in [
        ("POST", "/api/executables".to_owned()),
        ("GET", "/api/executables".into()),
        ("GET", format!("/api/executables/{id}")),
        ("DELETE", format!("/api/executables/{id}")),
        ("PUT", format!("/api/keys/{id}/usage_key")),
        ("GET", format!("/api/log/{id}")),
        ("GET", "/healthz".into()),
        ("GET", "/".into()),
        ("POST", format!("/api/run/{id}/../../executables")),
        ("POST", format!("/api/run/{id}/%2e%2e/%2e%2e/executables")),
        ("POST", "//api/executables".into()),
    ] {
        let mut callback = to(&path, json!({ "SSVM_Admin_Key": function.admin_key }));
        callback["method"] = method.into();
        let answer = with_header(&joey, id, "say", &callback).await;
        assert!(
            !answer.text().contains("wasm_id"),
            "{method} {path}: {}",
            answer.text()
        );
        assert!(
            !answer.text().contains("SSVM_Usage_Key"),
            "{method} {path}: {}",
            answer.text()
        );
        assert!(
            answer.status() >= 400,
            "{method} {path}: {answer:?} {}",
            answer.text()
        );
    }
    let listed = joey.get("/api/executables").await.json();
    assert_eq!(listed, json!([{ "wasm_id": id }]));
}

/// A URL is the server's own only if scheme, name and port match.
#[tokio::test]
async fn another_port_or_name_is_another_server() {
    let server = Server::start(PUBLIC).await;
    let joey = Joey::http(&server);
    let id = server.upload(modules::hello()).await.id;
    for (host, port) in [
        ("functions.example.invalid", 8082),
        ("functions.example.invalid", 443),
        ("x.functions.example.invalid", 8081),
    ] {
        let mut callback = run_of(id, "say");
        callback["hostname"] = host.into();
        callback["port"] = port.into();
        let answer = with_header(&joey, id, "say", &callback).await;
        assert_eq!(answer.status(), 502, "{host}:{port} {answer:?}");
        assert!(answer.fault().starts_with("egress-"), "{answer:?}");
    }
    for host in ["FUNCTIONS.example.INVALID", "functions.example.invalid."] {
        let mut callback = run_of(id, "say");
        callback["hostname"] = host.into();
        let answer = with_header(&joey, id, "say", &callback).await;
        assert_eq!(answer.text(), "hello hello Tim", "{host} {answer:?}");
    }
}

#[tokio::test]
async fn bytes_pass_through_a_chain() {
    let server = Server::start(PUBLIC).await;
    let joey = Joey::http(&server);
    let id = server.upload(modules::hello()).await.id;
    let bytes = iof_tests::upstream::binary();
    let octets = json!({ "Content-Type": "application/octet-stream" });
    let callback = to(&format!("/api/run/{id}/echo/bytes"), octets);
    let call = joey
        .call("POST", format!("/api/run/{id}/echo/bytes"))
        .header("Content-Type", "application/octet-stream")
        .header("SSVM_Callback", callback.to_string());
    let answer = call.body(&bytes).send().await;
    assert!(answer.body == bytes, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/octet-stream");
}
