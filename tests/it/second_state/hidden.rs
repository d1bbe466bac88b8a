//! Data of a function's owner is not shown to others: its state and its callback's headers contain tokens.

use crate::second_state::modules;
use iof_tests::call::Uploaded;
use iof_tests::server::Server;
use serde_json::Value;

const CALLBACK: &str = r#"{"hostname":"hook.example.com","path":"/","method":"POST","port":443,"headers":{"Content-Type":"application/json","authorization":"Bearer SG.secret"}}"#;

async fn put(server: &Server, function: &Uploaded, resource: &str, kind: &str, body: &str) {
    let request = server
        .request("PUT", &format!("/api/{resource}/{}", function.id))
        .header("SSVM_Admin_Key", &function.admin_key)
        .header("Content-Type", kind)
        .body(body.to_owned());
    assert_eq!(server.answer(request).await.status(), 200);
}

async fn read(server: &Server, id: u64, key: (&str, &str)) -> Value {
    let request = server
        .request("GET", &format!("/api/executables/{id}"))
        .header(key.0, key.1);
    server.answer(request).await.json()
}

#[tokio::test]
async fn a_stored_callback_shows_its_headers_to_its_owner() {
    let server = Server::start("").await;
    let function = server.upload(modules::hello()).await;
    put(&server, &function, "callback", "application/json", CALLBACK).await;
    let mine = read(
        &server,
        function.id,
        ("SSVM_Admin_Key", &function.admin_key),
    )
    .await;
    assert_eq!(mine["wasm_callback_object"], CALLBACK);
    for key in [("SSVM_Admin_Key", "wrong"), ("x", "y")] {
        let answer = read(&server, function.id, key).await;
        let answer = answer["wasm_callback_object"].as_str().unwrap();
        assert_eq!(
            answer,
            CALLBACK
                .replace("application/json", "(hidden)")
                .replace("Bearer SG.secret", "(hidden)")
        );
    }
}

#[tokio::test]
async fn the_state_of_a_private_function_is_for_its_callers() {
    let server = Server::start("").await;
    let request = server
        .request("POST", "/api/executables")
        .header("Content-Type", "application/octet-stream")
        .header("SSVM_Create_Usage_Key", "true")
        .body(modules::state());
    let uploaded = server.answer(request).await.json();
    let key = |name: &str| uploaded[name].as_str().unwrap().to_owned();
    let function = Uploaded {
        id: uploaded["wasm_id"].as_u64().unwrap(),
        admin_key: key("SSVM_Admin_Key"),
        json: uploaded.clone(),
    };
    put(&server, &function, "state", "text/plain", "a token").await;
    let usage_key = key("SSVM_Usage_Key");
    for (name, value, answer) in [
        (
            "SSVM_Admin_Key",
            function.admin_key.as_str(),
            "a token".into(),
        ),
        ("SSVM_Usage_Key", usage_key.as_str(), "a token".into()),
        ("SSVM_Usage_Key", "wrong", Value::Null),
        ("x", "y", Value::Null),
    ] {
        let read = read(&server, function.id, (name, value)).await;
        assert_eq!(read["wasm_state"], answer, "{name}: {value}");
    }
    // The server's own log does not contain it either.
    assert!(!server.log().contains("a token"));
}

/// A callback of a caller is recorded, but the values of its headers are not.
#[tokio::test]
async fn the_log_has_no_headers_of_callbacks() {
    let server = Server::start("").await;
    let function = server.upload(modules::hello()).await;
    let request = server
        .request("POST", &format!("/api/run/{}/say", function.id))
        .header("Content-Type", "text/plain")
        .header(
            "SSVM_Callback",
            CALLBACK.replace("hook.example.com", "127.0.0.1"),
        )
        .body("Tim");
    let refused = server.answer(request).await;
    assert!(refused.fault().starts_with("egress-"), "{refused:?}");
    let request = server
        .request("GET", &format!("/api/log/{}?last=5", function.id))
        .header("SSVM_Admin_Key", &function.admin_key);
    let log = server.answer(request).await.text();
    assert!(
        log.contains("callback_request_options") && log.contains("127.0.0.1"),
        "{log}"
    );
    for text in [log, server.log(), refused.text()] {
        assert!(!text.contains("SG.secret"), "{text}");
    }
}
