//! `/api/ephemeral_storage`: small JSON values for an hour, for every client that knows the key.

use iof_tests::{
    call::Answer,
    joey::{Joey, Manner},
    server::Server,
};
use serde_json::json;
use std::time::{Duration, Instant};

const JSON: &str = "application/json";

async fn write(joey: &Joey, method: &str, key: &str, value: impl AsRef<[u8]>) -> Answer {
    let path = if key.is_empty() {
        "/api/ephemeral_storage".into()
    } else {
        format!("/api/ephemeral_storage/{key}")
    };
    joey.call(method, path)
        .header("Content-Type", JSON)
        .body(value)
        .send()
        .await
}

async fn read(joey: &Joey, key: &str) -> Answer {
    joey.get(format!("/api/ephemeral_storage/{key}")).await
}

async fn post(joey: &Joey, value: impl AsRef<[u8]>) -> String {
    let answer = write(joey, "POST", "", value).await;
    answer.json()["key"]
        .as_str()
        .unwrap_or_else(|| panic!("{}", answer.text()))
        .to_owned()
}

#[tokio::test]
async fn a_value_is_stored_changed_and_deleted() {
    let server = Server::start("").await;
    for manner in [Manner::Curl, Manner::Node] {
        let joey = Joey::http(&server).like(manner);
        let key = post(&joey, "{\"asdf\":25}").await;
        assert_eq!(read(&joey, &key).await.text(), "{\"value\":{\"asdf\":25}}");
        let put = write(&joey, "PUT", &key, "{\"asdf\":88888888}").await;
        assert_eq!(put.json(), json!({ "key": key }));
        assert_eq!(
            read(&joey, &key).await.text(),
            "{\"value\":{\"asdf\":88888888}}"
        );
        let call = joey.call("DELETE", format!("/api/ephemeral_storage/{key}"));
        assert_eq!(call.clone().send().await.json(), json!({ "key": key }));
        let deleted = read(&joey, &key).await;
        assert_eq!(
            (deleted.text().as_str(), deleted.status()),
            ("{\"error\":\"Key not found\"}", 404)
        );
        assert_ne!(deleted.fault(), "");
        // A second deletion does nothing.
        assert_eq!(call.send().await.json(), json!({ "key": key }));
    }
}

/// A value is JSON as JavaScript parses and prints it.
#[tokio::test]
async fn a_value_is_read_as_javascript_reads_it() {
    let server = Server::start("").await;
    let joey = Joey::http(&server);
    for (sent, stored) in [
        ("{ \"b\" : 1.0, \"a\" : [ 1e3 ] }", "{\"b\":1,\"a\":[1000]}"),
        ("[]", "[]"),
        ("{}", "{}"),
        ("{\"text\":\"é 😀 \\u00e9\"}", "{\"text\":\"é 😀 é\"}"),
    ] {
        let key = post(&joey, sent).await;
        assert_eq!(
            read(&joey, &key).await.text(),
            format!("{{\"value\":{stored}}}")
        );
    }
    for sent in ["1", "\"text\"", "{broken"] {
        let answer = write(&joey, "POST", "", sent).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (400, "json"),
            "{sent}"
        );
    }
    // The type may have a charset: it is not compared exactly here.
    let call = joey.call("POST", "/api/ephemeral_storage");
    let call = call.header("Content-Type", "application/json; charset=utf-8");
    assert!(call.body("{}").send().await.json()["key"].is_string());
}

#[tokio::test]
async fn a_put_creates_under_a_chosen_name() {
    let server = Server::start("").await;
    let joey = Joey::http(&server);
    assert_eq!(
        write(&joey, "PUT", "my-own_name.1", "{\"a\":1}")
            .await
            .json(),
        json!({ "key": "my-own_name.1" })
    );
    assert_eq!(
        read(&joey, "my-own_name.1").await.text(),
        "{\"value\":{\"a\":1}}"
    );
}

/// The original stored the names of its compiled files in the same storage.
#[tokio::test]
async fn the_storage_contains_nothing_else() {
    let server = Server::start("").await;
    let joey = Joey::http(&server);
    let id = server
        .upload(crate::second_state::modules::hello())
        .await
        .id;
    for key in [
        id.to_string(),
        "0".into(),
        "%00".into(),
        "'%20OR%20'1'='1".into(),
    ] {
        assert_eq!(
            read(&joey, &key).await.text(),
            "{\"error\":\"Key not found\"}",
            "{key}"
        );
    }
}

#[tokio::test]
async fn a_value_expires_and_a_put_renews_it() {
    let server = Server::start("[second_state]\nephemeral_time = \"2s\"\n").await;
    let joey = Joey::http(&server);
    let (short, long) = (
        post(&joey, "{\"a\":1}").await,
        post(&joey, "{\"a\":1}").await,
    );
    let start = Instant::now();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(write(&joey, "PUT", &long, "{\"a\":2}").await.status(), 200);
    let renewed = Instant::now();
    while read(&joey, &short).await.status() == 200 {
        // A read does not renew the time.
        assert!(start.elapsed() < Duration::from_secs(6), "it still exists");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        start.elapsed() >= Duration::from_millis(1800),
        "{:?}",
        start.elapsed()
    );
    let stored = read(&joey, &long).await;
    if renewed.elapsed() < Duration::from_millis(1800) {
        assert_eq!(stored.text(), "{\"value\":{\"a\":2}}");
    }
}

#[tokio::test]
async fn values_are_limited_in_size() {
    let server = Server::start(
        "[second_state]\nephemeral_time = \"2s\"\nephemeral_value = \"1KiB\"\nephemeral_total = \"3KiB\"\n",
    )
    .await;
    let joey = Joey::http(&server);
    let large = json!({ "a": "x".repeat(1024) }).to_string();
    for (method, key) in [("POST", ""), ("PUT", "name")] {
        let answer = write(&joey, method, key, &large).await;
        assert_eq!(
            (answer.status(), answer.fault()),
            (413, "ephemeral-value"),
            "{answer:?}"
        );
        assert!(
            answer
                .header("iof-message")
                .contains("second_state.ephemeral_value")
        );
    }
    let fits = json!({ "a": "x".repeat(900) }).to_string();
    let mut stored = 0;
    let full = loop {
        let answer = write(&joey, "PUT", &format!("n{stored}"), &fits).await;
        if answer.fault() != "" {
            break answer;
        }
        stored += 1;
        assert!(stored <= 3, "3 KiB hold no more than three of these");
    };
    assert_eq!(
        (full.status(), full.fault()),
        (507, "ephemeral-total"),
        "{full:?}"
    );
    assert!(stored >= 2, "{stored} values in 3 KiB");
    // Existing values stay, can be replaced by others of the same size, and make room when deleted.
    assert_eq!(write(&joey, "PUT", "n0", &fits).await.fault(), "");
    joey.call("DELETE", "/api/ephemeral_storage/n0")
        .send()
        .await;
    assert_eq!(write(&joey, "PUT", "again", &fits).await.fault(), "");
    // Expired values make room, too.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(write(&joey, "PUT", "later", &fits).await.fault(), "");
}

#[tokio::test]
async fn values_outlive_a_restart_for_the_rest_of_their_time() {
    let mut server = Server::start("[second_state]\nephemeral_time = \"6s\"\n").await;
    let joey = Joey::http(&server);
    let key = post(&joey, "{\"a\":1}").await;
    let start = Instant::now();
    server.kill().await;
    let server = server.restart().await;
    let joey = Joey::http(&server);
    let again = read(&joey, &key).await;
    if start.elapsed() < Duration::from_secs(5) {
        assert_eq!(again.text(), "{\"value\":{\"a\":1}}");
    }
    tokio::time::sleep(Duration::from_millis(6500).saturating_sub(start.elapsed())).await;
    assert_eq!(read(&joey, &key).await.status(), 404);
}

/// On a server with keys every operation needs one: a client without a key cannot fill, read, overwrite or delete.
#[tokio::test]
async fn with_keys_every_operation_needs_one() {
    let server = Server::start("[auth]\nkeys = [\"a key of the server's\"]\n").await;
    let joey = Joey::http(&server);
    let with = |method: &str, path: &str, key: &str| {
        let call = joey.call(method, format!("/api/ephemeral_storage{path}"));
        let call = call.header("Content-Type", JSON).header("iof-key", key);
        match method {
            "GET" | "DELETE" => call,
            _ => call.body("{\"a\":1}"),
        }
    };
    let key = "a key of the server's";
    assert_eq!(with("PUT", "/mine", key).send().await.fault(), "");
    for (method, path) in [
        ("POST", ""),
        ("PUT", "/mine"),
        ("GET", "/mine"),
        ("DELETE", "/mine"),
        ("GET", "/none"),
        ("PUT", "/new"),
    ] {
        for wrong in ["", "another key of nobody's"] {
            let refused = with(method, path, wrong).send().await;
            assert_eq!(
                (refused.http.as_u16(), refused.fault()),
                (401, "key"),
                "{method} {path} {refused:?}"
            );
        }
    }
    assert_eq!(
        with("GET", "/mine", key).send().await.text(),
        "{\"value\":{\"a\":1}}"
    );
    assert_eq!(with("GET", "/new", key).send().await.status(), 404);
    assert_eq!(with("DELETE", "/mine", key).send().await.status(), 200);
    assert_eq!(with("POST", "", key).send().await.fault(), "");
}

/// Without keys, one address cannot fill the storage for all.
#[tokio::test]
async fn without_keys_an_address_has_a_share() {
    let server =
        Server::start("[second_state]\nephemeral_total = \"5KiB\"\nephemeral_share = \"2KiB\"\n")
            .await;
    let at = |last: u8| Joey::http(&server).from([127, 0, 0, last].into());
    let (one, other) = (at(1), at(2));
    let value = json!({ "a": "x".repeat(900) }).to_string();
    for key in ["a", "b"] {
        assert_eq!(write(&one, "PUT", key, &value).await.fault(), "");
    }
    for (method, key) in [("PUT", "c"), ("POST", "")] {
        let full = write(&one, method, key, &value).await;
        assert_eq!(
            (full.status(), full.fault()),
            (507, "ephemeral-share"),
            "{full:?}"
        );
        assert!(
            full.header("iof-message")
                .contains("second_state.ephemeral_share"),
            "{full:?}"
        );
    }
    assert_eq!(
        write(&one, "PUT", "b", &value).await.fault(),
        "",
        "a value of the same size fits"
    );
    assert_eq!(write(&other, "PUT", "c", &value).await.fault(), "");
    // A value that another address overwrites belongs to that address from then on.
    assert_eq!(write(&other, "PUT", "a", &value).await.fault(), "");
    assert_eq!(
        write(&other, "PUT", "d", &value).await.fault(),
        "ephemeral-share"
    );
    assert_eq!(write(&one, "PUT", "d", &value).await.fault(), "");
    assert_eq!(write(&at(3), "PUT", "e", &value).await.fault(), "");
    assert_eq!(
        write(&at(4), "PUT", "f", &value).await.fault(),
        "ephemeral-total"
    );
    one.call("DELETE", "/api/ephemeral_storage/b").send().await;
    assert_eq!(write(&one, "PUT", "g", &value).await.fault(), "");
}
