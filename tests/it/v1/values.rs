//! Values that a function stores, for people who manage it.

use crate::v1::functions::{KEY, ask, operated};
use iof_tests::guests::guest;
use serde_json::{Value, json};

#[tokio::test]
async fn values_are_listed_read_and_deleted_by_those_who_manage_the_function() {
    let server = operated().await;
    for name in ["keeps", "other"] {
        let made = server.try_deploy_named(name, KEY, guest("typed"), "storage = true\n");
        assert_eq!(made.await.http, 201);
    }
    let call = async |function: &str, export: &str, body: Value| {
        let path = format!("/v1/functions/{function}/call/{export}");
        let answer = ask(&server, "POST", &path, KEY, Some(body)).await;
        assert!(answer.http.is_success(), "{}", answer.text());
        answer
    };
    for key in ["users/1", "users/2", "users/é & ?", "..", "zz"] {
        call("keeps", "store", json!({"key": key, "value": {"of": key}})).await;
    }
    call(
        "keeps",
        "store_bytes",
        json!({"key": "bytes", "value": "AP8="}),
    )
    .await;
    call(
        "other",
        "store",
        json!({"key": "users/1", "value": "another's"}),
    )
    .await;

    let list = async |query: &str| {
        let path = format!("/v1/functions/keeps/values{query}");
        let answer = ask(&server, "GET", &path, KEY, None).await;
        assert_eq!(answer.http, 200, "{}", answer.text());
        let list = answer.json();
        let keys: Vec<_> = list["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(|value| value["key"].as_str().unwrap().to_owned())
            .collect();
        (keys, list["more"].as_bool().unwrap(), list)
    };
    let (all, more, json) = list("").await;
    let expected = ["..", "bytes", "users/1", "users/2", "users/é & ?", "zz"];
    assert_eq!((all, more), (expected.map(str::to_owned).to_vec(), false));
    assert_eq!(json["values"][1]["size"], 2);
    let (page, more, _) = list("?prefix=users%2F&limit=2").await;
    assert_eq!(
        (page, more),
        (
            expected[2..4].iter().map(|key| (*key).to_owned()).collect(),
            true
        )
    );
    let (page, more, _) = list("?prefix=users%2F&after=users%2F2").await;
    assert_eq!((page, more), (vec![expected[4].to_owned()], false));
    assert_eq!(list("?after_base64=dXNlcnM=&limit=1").await.0, ["users/1"]);

    let path = |key: &str| format!("/v1/functions/keeps/value?{key}");
    for (query, bytes) in [
        ("key=users%2F1", &br#"{"of":"users/1"}"#[..]),
        ("key=..", br#"{"of":".."}"#),
        (
            "key=users%2F%C3%A9+%26+%3F",
            "{\"of\":\"users/é & ?\"}".as_bytes(),
        ),
        ("key=bytes", b"\0\xff"),
        ("key_base64=Ynl0ZXM=", b"\0\xff"),
    ] {
        let value = ask(&server, "GET", &path(query), KEY, None).await;
        assert_eq!((value.http.as_u16(), &*value.body), (200, bytes), "{query}");
        assert_eq!(value.header("content-type"), "application/octet-stream");
        assert_eq!(value.header("content-disposition"), "attachment");
        assert_eq!(value.header("cache-control"), "no-store");
        assert!(value.header("content-security-policy").contains("sandbox"));
    }
    for (query, status, fault) in [
        ("key=none", 404, "no-such-value"),
        ("key=", 404, "no-such-value"),
        ("", 400, "query"),
        ("key=a&key_base64=YQ==", 400, "query"),
        ("key_base64=*", 400, "query"),
        ("name=a", 400, "query"),
    ] {
        for method in ["GET", "DELETE"] {
            let answer = ask(&server, method, &path(query), KEY, None).await;
            assert_eq!(
                (answer.http.as_u16(), answer.fault()),
                (status, fault),
                "{query}"
            );
        }
    }
    let delete = ask(&server, "DELETE", &path("key=users%2F1"), KEY, None).await;
    assert_eq!(delete.http, 204);
    let again = ask(&server, "DELETE", &path("key=users%2F1"), KEY, None).await;
    assert_eq!(again.fault(), "no-such-value");
    let stored = call("keeps", "stored", json!({"key": "users/1"})).await;
    assert_eq!(stored.text(), "null");
    let theirs = call("other", "stored", json!({"key": "users/1"})).await;
    assert_eq!(theirs.json(), "another's");
    let audit = ask(
        &server,
        "GET",
        "/v1/audit?function=keeps&limit=1",
        KEY,
        None,
    )
    .await;
    let change = &audit.json()["changes"][0];
    assert_eq!(change["action"], "value.delete");
    assert_eq!(change["details"], json!({"name": "users/1"}));

    // Whoever reads, deploys or calls the function does not see what its users entrusted to it.
    for (scopes, function) in [
        (["read", "deploy"], Some("keeps")),
        (["read", "call"], None),
        (["admin", "read"], Some("other")),
    ] {
        let wish = json!({"label": "k", "scopes": scopes, "function": function});
        let made = ask(&server, "POST", "/v1/keys", KEY, Some(wish))
            .await
            .json();
        let key = made["key"].as_str().unwrap();
        for (method, place) in [
            ("GET", "values"),
            ("GET", "value?key=zz"),
            ("DELETE", "value?key=zz"),
        ] {
            let place = format!("/v1/functions/keeps/{place}");
            let answer = ask(&server, method, &place, key, None).await;
            assert_eq!(
                (answer.http.as_u16(), answer.fault()),
                (403, "scope"),
                "{scopes:?}"
            );
        }
    }
}
