//! The data of a function's owner: keys, state, logs and usage, all of which survive `kill -9`.

use crate::second_state::modules;
use iof_tests::{
    call::{Answer, Uploaded},
    guests::guest,
    joey::Joey,
    server::Server,
};
use serde_json::{Value, json};

pub(super) const TEXT: &str = "text/plain";
pub(super) const NIL: &str = "00000000-0000-0000-0000-000000000000";

pub(super) async fn owned(joey: &Joey, function: &Uploaded, method: &str, path: &str) -> Answer {
    let call = joey.call(method, path.replace("{id}", &function.id.to_string()));
    call.header("SSVM_Admin_Key", &*function.admin_key)
        .send()
        .await
}

pub(super) async fn set_state(joey: &Joey, function: &Uploaded, state: impl AsRef<[u8]>) -> Answer {
    let call = joey
        .call("PUT", format!("/api/state/{}", function.id))
        .header("Content-Type", TEXT)
        .header("SSVM_Admin_Key", &*function.admin_key);
    call.body(state).send().await
}

/// Makes the function private, and returns its key.
pub(super) async fn refresh(joey: &Joey, function: &Uploaded) -> String {
    let answer = owned(joey, function, "PUT", "/api/keys/{id}/usage_key").await;
    answer.json()["SSVM_Usage_Key"].as_str().unwrap().to_owned()
}

/// The four numbers of the usage, as its owner reads them.
pub(super) async fn usage(joey: &Joey, function: &Uploaded) -> Value {
    let names = [
        "total_gas_consumed",
        "total_invocations",
        "full_usage_report",
        "latest_execution_time_in_nanoseconds",
    ];
    let path = format!(
        "/api/executables/{{id}}?filterBy=%5B%22{}%22%5D",
        names.join("%22,%22")
    );
    owned(joey, function, "GET", &path).await.json()
}

pub(super) async fn invocations(joey: &Joey, function: &Uploaded) -> Value {
    let path = "/api/executables/{id}?filterBy=%5B%22total_invocations%22%5D";
    owned(joey, function, "GET", path).await.json()["total_invocations"].clone()
}

pub(super) async fn run(joey: &Joey, id: u64, function: &str, key: Option<&str>) -> Answer {
    let mut call = joey
        .call("POST", format!("/api/run/{id}/{function}"))
        .header("Content-Type", TEXT);
    if let Some(key) = key {
        call = call.header("SSVM_Usage_Key", key);
    }
    call.body("Tim").send().await
}

#[tokio::test]
async fn a_usage_key_is_made_renewed_and_zeroed() {
    let server = Server::start("").await;
    let joey = Joey::http(&server);
    let function = server.upload(modules::hello()).await;
    let id = function.id;
    assert_eq!(run(&joey, id, "say", None).await.text(), "hello Tim");
    // A public function accepts zeros for a key, which some clients always send.
    assert_eq!(run(&joey, id, "say", Some(NIL)).await.text(), "hello Tim");
    let first = refresh(&joey, &function).await;
    let second = refresh(&joey, &function).await;
    assert_ne!(first, second);
    for (key, fault) in [
        (None, "usage-key"),
        (Some(NIL), "usage-key"),
        (Some(&*first), "usage-key"),
        (Some(&*second), ""),
    ] {
        assert_eq!(run(&joey, id, "say", key).await.fault(), fault, "{key:?}");
    }
    let answer = owned(&joey, &function, "DELETE", "/api/keys/{id}/usage_key").await;
    assert_eq!(answer.json(), json!({ "SSVM_Usage_Key": NIL }));
    assert_eq!(run(&joey, id, "say", None).await.text(), "hello Tim");
}

/// The module does not run, so the usage counter does not change.
#[tokio::test]
async fn without_the_key_a_private_module_never_runs() {
    let server = Server::start("").await;
    let joey = Joey::http(&server);
    let function = server.upload(modules::hello()).await;
    let other = server.upload(modules::hello()).await;
    let others = refresh(&joey, &other).await;
    let key = refresh(&joey, &function).await;
    let id = function.id;
    let (kind, body) = modules::form(&[("input_1", None, b"Tim")]);
    let almost = format!(
        "{}{}",
        &key[..35],
        if key.ends_with('0') { '1' } else { '0' }
    );
    let wrong = [
        None,
        Some(""),
        Some(NIL),
        Some(&*others),
        Some(&*function.admin_key),
        Some(&*almost),
        Some(&key[..35]),
    ];
    for wrong in wrong {
        for path in ["run", "multipart/run"] {
            for suffix in ["say", "say/bytes", "trap", "nope"] {
                let multipart = path.starts_with("multipart");
                let mut call = joey
                    .call("POST", format!("/api/{path}/{id}/{suffix}"))
                    .header("Content-Type", if multipart { &*kind } else { TEXT })
                    .body(if multipart { &body[..] } else { b"Tim" });
                if let Some(wrong) = wrong {
                    call = call.header("SSVM_Usage_Key", wrong);
                }
                let answer = call.send().await;
                let text = format!("Wrong usage key ... {id} can not be accessed.");
                assert_eq!(
                    answer.json(),
                    json!({ "error": text }),
                    "{path} {suffix} {wrong:?}"
                );
                assert_eq!((answer.status(), answer.fault()), (403, "usage-key"));
            }
        }
    }
    assert_eq!(invocations(&joey, &function).await, 0);
    assert_eq!(run(&joey, id, "say", Some(&key)).await.text(), "hello Tim");
    assert_eq!(invocations(&joey, &function).await, 1);
}

#[tokio::test]
async fn the_state_is_the_second_argument_of_the_program() {
    let server = Server::start("").await;
    let joey = Joey::http(&server);
    let function = server.upload(modules::state()).await;
    let state = async || run(&joey, function.id, "state", None).await.text();
    assert_eq!(state().await, "{}");
    for text in [
        "a word",
        "{\"not\": 1.0, \"normalised\":  true}",
        "é 漢字 😀\r\n",
        "",
    ] {
        assert_eq!(
            set_state(&joey, &function, text).await.text(),
            function.id.to_string()
        );
        assert_eq!(
            joey.get(format!("/api/state/{}", function.id)).await.text(),
            text
        );
        assert_eq!(state().await, text);
    }
    // Another function has a state of its own.
    let other = server.upload(modules::state()).await;
    assert_eq!(run(&joey, other.id, "state", None).await.text(), "{}");
    let compiled = server.upload(guest("second-state")).await;
    set_state(&joey, &compiled, "compiled").await;
    let call = joey.call("POST", format!("/api/run/{}/state", compiled.id));
    let answer = call.send().await;
    assert!(
        answer.text().contains("compiled"),
        "{answer:?} {}",
        answer.text()
    );
}

#[tokio::test]
async fn a_state_is_limited_in_size() {
    let server = Server::start("").await;
    let joey = Joey::http(&server);
    let function = server.upload(modules::state()).await;
    let largest = "s".repeat(1 << 20);
    assert_eq!(set_state(&joey, &function, &largest).await.status(), 200);
    let answer = set_state(&joey, &function, format!("{largest}s")).await;
    assert_eq!(
        (answer.status(), answer.fault()),
        (413, "state"),
        "{answer:?}"
    );
    assert!(
        answer.header("iof-message").contains("second_state.state"),
        "{answer:?}"
    );
    let state = joey.get(format!("/api/state/{}", function.id)).await;
    assert_eq!(state.body.len(), 1 << 20);
    let small = Server::start("[second_state]\nstate = \"4B\"\n").await;
    let joey = Joey::http(&small);
    let function = small.upload(modules::state()).await;
    assert_eq!(set_state(&joey, &function, "four").await.status(), 200);
    assert_eq!(set_state(&joey, &function, "fifth").await.fault(), "state");
}

#[tokio::test]
async fn everything_outlives_kill_9() {
    let mut server = Server::start("").await;
    let joey = Joey::http(&server);
    let function = server.upload(modules::state()).await;
    let stored = server.upload(guest("cumulative-storage")).await;
    let callback = json!({ "hostname": "hook.example.com", "path": "/", "method": "POST", "port": 443, "headers": {} });
    run(&joey, function.id, "state", None).await;
    set_state(&joey, &function, "kept").await;
    let call = joey
        .call("PUT", format!("/api/callback/{}", function.id))
        .header("Content-Type", "application/json")
        .header("SSVM_Admin_Key", &*function.admin_key);
    assert_eq!(call.body(callback.to_string()).send().await.status(), 200);
    let call = joey
        .call("POST", "/api/ephemeral_storage")
        .header("Content-Type", "application/json");
    let ephemeral = call.body("{\"asdf\":25}").send().await.json()["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let log = owned(&joey, &function, "GET", "/api/log/{id}").await.text();
    // `init` stores a number under the function's own key, `increment` adds one.
    let init = joey.run(stored.id, "init", TEXT, "1000").await;
    assert_eq!(init.body.len(), 32, "{init:?} {}", init.text());
    let increment = async |joey: &Joey| {
        joey.call("POST", format!("/api/run/{}/increment", stored.id))
            .send()
            .await
            .text()
    };
    assert_eq!(increment(&joey).await, "1001");
    let key = refresh(&joey, &function).await;

    // The last call was answered just before the kill.
    server.kill().await;
    let server = server.restart().await;
    let joey = Joey::http(&server);
    assert_eq!(increment(&joey).await, "1002");
    let read = joey
        .get(format!("/api/ephemeral_storage/{ephemeral}"))
        .await;
    assert_eq!(read.text(), "{\"value\":{\"asdf\":25}}");
    assert_eq!(
        owned(&joey, &function, "GET", "/api/log/{id}").await.text(),
        log
    );
    assert_eq!(invocations(&joey, &function).await, 1);
    assert_eq!(
        run(&joey, function.id, "state", None).await.fault(),
        "usage-key"
    );
    let state = owned(
        &joey,
        &function,
        "GET",
        "/api/executables/{id}?filterBy=%5B%22wasm_callback_object%22%5D",
    )
    .await;
    let state: Value =
        serde_json::from_str(state.json()["wasm_callback_object"].as_str().unwrap()).unwrap();
    assert_eq!(state, callback);
    let cancelled = joey
        .call("POST", format!("/api/run/{}/state", function.id))
        .header("SSVM_Usage_Key", &*key)
        .header("SSVM_Callback", "{}");
    assert_eq!(cancelled.send().await.text(), "kept");
}
