//! Fetches that are refused: without a rule, to an internal address, malformed, and without the key.

use super::fetches::{JSON, Story, assert_broken, call, options, url};
use crate::second_state::modules;
use iof_tests::{joey::Joey, server::Server};
use serde_json::json;

#[tokio::test]
async fn a_url_without_a_rule_is_not_fetched() {
    let story = Story::begin().await;
    for fetch in [
        "https://other.example.com/",
        "https://data.example.com:444/",
        "http://data.example.com/",
    ] {
        assert_broken(&story.header("say", fetch).await, "egress-denied");
        let body = json!({ "SSVM_Fetch": fetch }).to_string();
        let answer = story.joey().run(story.function.id, "say", JSON, body).await;
        assert_broken(&answer, "egress-denied");
    }
    // A redirect does not bypass the rule.
    let detour = url("/redirect/302?https%3A%2F%2Fother.example.com%2Fstatus%2F200");
    assert_broken(&story.header("say", detour).await, "egress-denied");
    story.assert_never_ran().await;
    assert!(
        story
            .paths()
            .iter()
            .all(|path| path.starts_with("/redirect")),
        "{:?}",
        story.paths()
    );
}

#[tokio::test]
async fn internal_addresses_are_not_fetched_by_default() {
    let server = Server::start("").await;
    let joey = Joey::http(&server);
    let id = server.upload(modules::hello()).await.id;
    for host in [
        "127.0.0.1",
        "[::1]",
        "169.254.169.254",
        "10.0.0.1",
        "0x7f000001",
    ] {
        for scheme in ["http", "https"] {
            let fetch = format!("{scheme}://{host}/latest/meta-data/");
            let answer = call(&joey, id, "say", &fetch).send().await;
            assert_broken(&answer, "egress-address");
        }
    }
    // The server's own listener is not an upstream.
    let own = format!("{}/api/executables", server.url);
    let answer = call(&joey, id, "say", &own).send().await;
    assert!(answer.fault().starts_with("egress-"), "{answer:?}");
    assert!(!answer.text().contains("wasm_id"), "{}", answer.text());
}

#[tokio::test]
async fn an_invalid_fetch_is_refused() {
    let story = Story::begin().await;
    let joey = story.joey();
    let mut nameless = options("/echo", json!({}));
    nameless.as_object_mut().unwrap().remove("hostname");
    let mut numbered = options("/echo", json!({}));
    numbered["hostname"] = 7.into();
    for fetch in [
        "nonsense",
        "{",
        "ftp://data.example.com/",
        "7",
        &nameless.to_string(),
        &numbered.to_string(),
    ] {
        let answer = story.header("say", fetch).await;
        let truth = (answer.http.as_u16(), answer.status(), answer.fault());
        assert_eq!(truth, (400, 400, "fetch"), "{fetch} {}", answer.text());
        assert_eq!(answer.json()["fault"], "fetch");
    }
    for fetch in [
        json!(7),
        json!(null),
        json!([]),
        json!("nonsense"),
        nameless,
    ] {
        let body = json!({ "SSVM_Fetch": fetch }).to_string();
        let answer = joey.run(story.function.id, "say", JSON, body).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (400, "fetch"),
            "{fetch}"
        );
    }
    story.assert_never_ran().await;
    assert_eq!(story.paths(), Vec::<String>::new());
}

/// The usage key is checked before any request is sent.
#[tokio::test]
async fn without_the_key_nothing_is_fetched() {
    let story = Story::begin().await;
    let joey = story.joey();
    let id = story.function.id;
    let refresh = joey
        .call("PUT", format!("/api/keys/{id}/usage_key"))
        .header("SSVM_Admin_Key", &*story.function.admin_key);
    let key = refresh.send().await.json()["SSVM_Usage_Key"]
        .as_str()
        .unwrap()
        .to_owned();
    let wrong = call(&joey, id, "say", &url("/status/200"));
    assert_eq!(wrong.clone().send().await.fault(), "usage-key");
    assert_eq!(story.paths(), Vec::<String>::new());
    let right = wrong.header("SSVM_Usage_Key", key);
    assert_eq!(right.send().await.text(), "hello status 200");
}
