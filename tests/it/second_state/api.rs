//! The API of 2020: paths, bodies and types that its clients parse.

use iof_tests::{
    guests::{guest, wat},
    server::Server,
};
use serde_json::{Value, json};

/// A declaration that lets a function call functions of its own server.
const DECLARED: &str =
    "commands = [\"http_proxy\"]\noutbound = [\"POST https://f.example.com/api\"]\n";

/// A module in the shape of 2020 whose only function returns its argument.
const ECHO: &str = r#"(module
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 1024))
  (func (export "__wbindgen_malloc") (param i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $top))
    (global.set $top (i32.add (local.get $at) (i32.and (i32.add (local.get 0) (i32.const 15)) (i32.const -8))))
    (local.get $at))
  (func (export "echo") (param i32 i32 i32)
    (i32.store (local.get 0) (local.get 1))
    (i32.store offset=4 (local.get 0) (local.get 2))))"#;

#[tokio::test]
async fn an_upload_returns_the_answer_that_clients_parse() {
    let server = Server::start("").await;
    let module = wat(ECHO);
    let answer = server.try_upload(module.clone()).await;
    assert_eq!(answer.http.as_u16(), 200);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let body = answer.json();
    assert_eq!(body["wasm_id"], 1);
    let decimal: Vec<String> = module.iter().map(u8::to_string).collect();
    assert_eq!(
        body["wasm_sha256"],
        format!("0x{}", sha256(decimal.join(",").as_bytes()))
    );
    assert_eq!(body["iof_sha256"], sha256(&module));
    assert_eq!(
        body["SSVM_Usage_Key"],
        "00000000-0000-0000-0000-000000000000"
    );
    let key = body["SSVM_Admin_Key"].as_str().unwrap();
    assert_eq!(
        (key.len(), key.as_bytes()[14]),
        (36, b'4'),
        "a UUID of version 4"
    );
}

#[tokio::test]
async fn switched_off_its_paths_do_not_exist() {
    let config =
        "public_url = \"https://f.example.com\"\n[second_state]\nenabled = false\nrate_limit = 1\n";
    let server = Server::start(config).await;
    let function = server.deploy(guest("command"), DECLARED).await.id;
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/api/executables"),
        ("GET", "/api/executables/"),
        ("POST", "/api/executables"),
        ("POST", "/api/run/1/run_ssvm"),
        ("POST", "/api/multipart/run/1/run_ssvm"),
        ("GET", "/api/ephemeral_storage/a"),
        ("OPTIONS", "/api/run/1/run_ssvm"),
        ("GET", "/nothing"),
    ] {
        let request = server
            .request(method, path)
            .header("Origin", "https://pages.example");
        let answer = server.answer(request).await;
        let outcome = (answer.http.as_u16(), answer.fault());
        assert_eq!(outcome, (404, "no-such-route"), "{method} {path}");
        assert_eq!(
            answer.json()["error"],
            format!("There is nothing at {path}.")
        );
        for name in ["access-control-allow-origin", "x-ratelimit-limit"] {
            assert_eq!(answer.header(name), "", "{method} {path} {name}");
        }
    }
    let inside = json!({ "program": "http_proxy", "args": ["post", "https://f.example.com/api/run/1/run_ssvm"] });
    let call = server
        .request("POST", &format!("/v1/functions/{function}/call/run_ssvm"))
        .header("Content-Type", "text/plain")
        .body(inside.to_string());
    let output = server.answer(call).await.json();
    assert_ne!(output["status"], 0, "{output}");
    assert_eq!(server.get("/healthz").await.http, 200);
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[tokio::test]
async fn a_body_becomes_the_argument_as_in_2020() {
    let server = Server::start("").await;
    let id = server.upload(wat(ECHO)).await.id;
    for (content_type, sent, passed) in [
        ("text/plain", "Tim", "Tim"),
        (
            "text/plain",
            "{\"celsius_temperature\":25.0}",
            "{\"celsius_temperature\":25}",
        ),
        ("text/plain", " [ 1, 1e3 ] ", "[1,1000]"),
        ("text/plain; charset=UTF-8", "25.0", "25.0"),
        (
            "application/json",
            "{\"b\": 1, \"a\": 12345678901234567890}",
            "{\"b\":1,\"a\":12345678901234567000}",
        ),
        ("application/octet-stream", "\u{1}raw", "\u{1}raw"),
        (
            "application/x-www-form-urlencoded",
            "text=hi+there&x=1",
            "{\"text\":\"hi there\",\"x\":\"1\"}",
        ),
        ("image/png", "ignored", ""),
        ("text/plain", "", ""),
    ] {
        for suffix in ["", "/bytes"] {
            let run = server
                .request("POST", &format!("/api/run/{id}/echo{suffix}"))
                .header("Content-Type", content_type)
                .body(sent);
            let answer = server.answer(run).await;
            assert_eq!(
                (answer.http.as_u16(), answer.text().as_str()),
                (200, passed),
                "{content_type} {sent} {answer:?}"
            );
            let expected = if suffix.is_empty() {
                "text/html; charset=utf-8"
            } else {
                "application/octet-stream"
            };
            assert_eq!(answer.header("content-type"), expected);
        }
    }
    let scalar = server
        .request("POST", &format!("/api/run/{id}/echo"))
        .header("Content-Type", "application/json")
        .body("1");
    assert_eq!(server.answer(scalar).await.http.as_u16(), 400);
    // Bodies of four megabytes are common.
    let large = "x".repeat(4 << 20);
    let grows = server.upload(guest("hello")).await.id;
    assert_eq!(
        server.run(grows, "say", large.as_str()).await.body.len(),
        large.len() + 6
    );
}

#[tokio::test]
async fn failures_have_the_bodies_of_2020_and_true_statuses_in_headers() {
    let server = Server::start("").await;
    let uploaded = server.upload(wat(ECHO)).await;
    let failed = "{\"return_value\":\"Error executing this function, please check function name, input parameters, return parameter for correctness\"}";
    let id = uploaded.id;
    for (path, body, status, fault) in [
        (
            format!("/api/run/{id}/nope"),
            failed.to_owned(),
            404,
            "no-such-export",
        ),
        (
            "/api/run/999/echo".into(),
            "999 does not exist".into(),
            404,
            "no-such-function",
        ),
        (
            "/api/run/x/echo".into(),
            "x does not exist".into(),
            404,
            "no-such-function",
        ),
        (
            format!("/api/run/+{id}/echo"),
            format!("+{id} does not exist"),
            404,
            "no-such-function",
        ),
    ] {
        let answer = server.answer(server.request("POST", &path)).await;
        assert_eq!((answer.http.as_u16(), answer.text()), (200, body), "{path}");
        assert_eq!((answer.status(), answer.fault()), (status, fault), "{path}");
    }
    let unknown = server
        .answer(server.request("POST", &format!("/api/run/{id}/nope")))
        .await;
    assert!(
        unknown.header("iof-message").contains("it exports echo"),
        "{unknown:?}"
    );
    let put = server
        .answer(server.request("PUT", "/api/executables"))
        .await;
    assert_eq!(
        (
            put.http.as_u16(),
            put.text().contains("Cannot PUT /api/executables")
        ),
        (404, true)
    );
    let nowhere = server.get("/api/nope?<script>").await;
    assert_eq!(nowhere.http.as_u16(), 404);
    assert!(
        nowhere.text().contains("<pre>Cannot GET /api/nope</pre>"),
        "{}",
        nowhere.text()
    );
}

#[tokio::test]
async fn functions_are_read_listed_and_deleted() {
    let server = Server::start("").await;
    let module = wat("(module)");
    let request = server
        .request("POST", "/api/executables")
        .header("Content-Type", "application/octet-stream")
        .header("SSVM_Description", "empty")
        .body(module.clone());
    let uploaded = server.answer(request).await.json();
    let second = server.upload(wat(ECHO)).await;
    assert_eq!(
        server.get("/api/executables").await.json(),
        json!([{ "wasm_id": 1 }, { "wasm_id": 2 }])
    );
    let decimal: Vec<String> = module.iter().map(u8::to_string).collect();
    assert_eq!(
        server.get("/api/executables/1").await.json(),
        json!({
            "wasm_id": 1, "wasm_sha256": uploaded["wasm_sha256"], "wasm_description": "empty",
            "wasm_as_buffer": { "type": "Buffer", "data": decimal.join(",").as_bytes() },
            "wasm_state": "{}", "wasm_callback_object": "{}",
        })
    );
    let filtered = server
        .get("/api/executables/1?filterBy=[\"wasm_description\"]")
        .await;
    assert_eq!(filtered.json(), json!({ "wasm_description": "empty" }));
    assert!(
        server
            .get("/api/executables/1?filterBy=[\"nope\"]")
            .await
            .json()[0]["error_invalid_filter"]
            .is_string()
    );
    let broken = server.get("/api/executables/1?filterBy=nope").await;
    assert_eq!(
        broken.json()["error"],
        "Please check your filterBy parameters. Not valid string array!"
    );
    assert_eq!(
        server.get("/api/executables/999").await.json()["error"],
        "wasm_id of 999 does not exist"
    );

    let delete = |key: &str| {
        server
            .request("DELETE", "/api/executables/1")
            .header("SSVM_Admin_Key", key.to_owned())
    };
    let wrong = server.answer(delete(&second.admin_key)).await;
    assert_eq!(
        wrong.json()["error"],
        "Wrong admin key ... 1 can not be deleted."
    );
    assert_eq!(wrong.status(), 403);
    let deleted = server
        .answer(delete(uploaded["SSVM_Admin_Key"].as_str().unwrap()))
        .await;
    assert_eq!(deleted.json(), json!({ "wasm_id": "1" }));
    assert_eq!(server.get("/api/executables/1").await.status(), 404);
    assert_eq!(server.run(1, "echo", "x").await.text(), "1 does not exist");
    assert_eq!(
        server.get("/api/executables").await.json(),
        json!([{ "wasm_id": 2 }])
    );
    assert_eq!(
        server.upload(wat(ECHO)).await.id,
        3,
        "a number is never used twice"
    );
}

#[tokio::test]
async fn browsers_of_any_origin_may_call() {
    let server = Server::start("").await;
    let preflight = server
        .request("OPTIONS", "/api/run/1/say")
        .header("Origin", "https://example.com")
        .header("Access-Control-Request-Method", "POST")
        .header(
            "Access-Control-Request-Headers",
            "ssvm_usage_key,content-type",
        );
    let answer = server.answer(preflight).await;
    assert_eq!(answer.http.as_u16(), 204);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(
        answer.header("access-control-allow-headers"),
        "ssvm_usage_key,content-type"
    );
    assert!(
        answer
            .header("access-control-allow-methods")
            .contains("POST")
    );
    let run = server.run(1, "say", "x").await;
    assert_eq!(run.header("access-control-allow-origin"), "*");
    assert!(
        run.header("access-control-expose-headers")
            .contains("iof-fault")
    );
}

#[tokio::test]
async fn with_keys_configured_uploads_need_one() {
    let key = "a key of enough characters";
    let server = Server::start(format!("[auth]\nkeys = [\"{key}\"]\n")).await;
    let refused = server.try_upload(wat(ECHO)).await;
    assert_eq!((refused.http.as_u16(), refused.fault()), (401, "key"));
    for path in ["/api/executables", "/api/executables/1"] {
        assert_eq!(server.get(path).await.http.as_u16(), 401, "{path}");
    }
    let upload = |name: &str, value: String| {
        server
            .request("POST", "/api/executables")
            .header("Content-Type", "application/octet-stream")
            .header(name, value)
            .body(wat(ECHO))
    };
    let uploaded = server
        .answer(upload("Authorization", format!("Bearer {key}")))
        .await;
    assert_eq!(uploaded.http.as_u16(), 200);
    assert_eq!(
        server
            .answer(upload("iof-key", format!("{key}x")))
            .await
            .http
            .as_u16(),
        401
    );
    let id = uploaded.json()["wasm_id"].as_u64().unwrap();
    assert_eq!(
        server.run(id, "echo", "calls stay open").await.text(),
        "calls stay open"
    );
    let read: Value = server
        .answer(
            server
                .request("GET", &format!("/api/executables/{id}"))
                .header("iof-key", key),
        )
        .await
        .json();
    assert_eq!(read["wasm_id"], 1);
}

#[tokio::test]
async fn health_is_reported() {
    let server = Server::start("").await;
    assert_eq!(server.get("/healthz").await.text(), "ok\n");
    assert_eq!(server.get("/readyz").await.text(), "ready\n");
}
