//! Values of functions of the guest crate: they outlive a call, within their limits.

use super::typed::{call, typed};
use iof_tests::server::Server;
use serde_json::{Value, json};

#[tokio::test]
async fn values_outlive_a_call_with_the_grant() {
    let server = Server::start("[ceiling]\nstorage = true\n").await;
    let function = typed(&server, "storage = true").await;
    let key = "visits/ada \u{1f44b}";
    let stored = async |server: &Server| {
        let answer = call(server, &function, "stored", &json!({ "key": key })).await;
        assert_eq!(answer.http, 200, "{}", answer.text());
        answer.json()
    };
    assert_eq!(stored(&server).await, Value::Null);
    let value = json!({"deep": [1, 2, {"three": null}]});
    let answer = call(
        &server,
        &function,
        "store",
        &json!({ "key": key, "value": value }),
    )
    .await;
    assert_eq!(answer.http, 204, "{}", answer.text());
    assert_eq!(stored(&server).await, value);
    let mut server = server;
    server.stop().await;
    let server = server.restart().await;
    assert_eq!(stored(&server).await, value, "it is on the disk");
    for there in [true, false] {
        let removed = call(&server, &function, "forget", &json!({ "key": key })).await;
        assert_eq!(removed.json(), there);
    }
    assert_eq!(stored(&server).await, Value::Null);
    for at in 1..=3 {
        let count = call(&server, &function, "count", &json!({"key": "n"})).await;
        assert_eq!(count.json(), at);
    }
    // Keys are listed by prefix, in pages of a thousand.
    let keys = async |prefix: &str| {
        let answer = call(
            &server,
            &function,
            "stored_keys",
            &json!({ "prefix": prefix }),
        )
        .await;
        assert_eq!(answer.http, 200, "{}", answer.text());
        answer.json()
    };
    for key in ["visits/b", "visits/\u{e9}", "visit", "visits/a"] {
        let value = json!({ "key": key, "value": 1 });
        assert_eq!(call(&server, &function, "store", &value).await.http, 204);
    }
    assert_eq!(
        keys("visits/").await,
        json!(["visits/a", "visits/b", "visits/\u{e9}"])
    );
    assert_eq!(
        keys("").await,
        json!(["n", "visit", "visits/a", "visits/b", "visits/\u{e9}"])
    );
    assert_eq!(keys("x").await, json!([]));
    call(&server, &function, "forget", &json!({ "key": "visits/b" })).await;
    assert_eq!(keys("visits/").await, json!(["visits/a", "visits/\u{e9}"]));
    // Empty bytes are a value.
    let empty = json!({"key": "b", "value": ""});
    assert_eq!(
        call(&server, &function, "store_bytes", &empty).await.http,
        204
    );
    let bytes = call(&server, &function, "stored_bytes", &json!({"key": "b"})).await;
    assert_eq!(
        (bytes.http.as_u16(), bytes.body.len()),
        (200, 0),
        "{}",
        bytes.text()
    );
    // Another function has separate keys; a function without the grant has none.
    let other = typed(&server, "storage = true").await;
    let theirs = call(&server, &other, "stored", &json!({"key": "n"})).await;
    assert_eq!(theirs.json(), Value::Null);
    let bare = typed(&server, "").await;
    let denied = call(&server, &bare, "stored", &json!({"key": "n"})).await;
    assert_eq!(denied.fault(), "storage-not-granted");
}

/// A function may set and remove keys forever within `limits.storage`.
#[tokio::test]
async fn a_removed_value_takes_no_storage() {
    let config = "[ceiling]\nstorage = true\n[limits]\nstorage = \"4KiB\"\n";
    let server = Server::start(config).await;
    let function = typed(&server, "storage = true\nrecord = \"always\"").await;
    for round in 0..100 {
        let key = format!("{round}");
        let value = json!({ "key": key, "value": "x".repeat(2_000) });
        let stored = call(&server, &function, "store", &value).await;
        assert_eq!(stored.http, 204, "{round}: {}", stored.text());
        let removed = call(&server, &function, "forget", &json!({ "key": key })).await;
        assert_eq!(removed.json(), true, "{round}");
        assert_eq!(
            call(&server, &function, "forget", &json!({ "key": key }))
                .await
                .json(),
            false
        );
        assert_eq!(
            call(&server, &function, "stored", &json!({ "key": key }))
                .await
                .json(),
            Value::Null
        );
    }
    let keys = call(&server, &function, "stored_keys", &json!({ "prefix": "" })).await;
    assert_eq!(keys.json(), json!([]));
    // A replay gets the values of the recorded call.
    let value = json!({ "key": "a", "value": 1 });
    call(&server, &function, "store", &value).await;
    for (export, argument, result) in [
        ("stored_keys", json!({ "prefix": "" }), json!(["a"])),
        ("forget", json!({ "key": "a" }), json!(true)),
    ] {
        let answer = call(&server, &function, export, &argument).await;
        assert_eq!(answer.json(), result);
        let path = format!("/v1/calls/{}/replay", answer.header("iof-call"));
        let replayed = server
            .request("POST", &path)
            .bearer_auth(&function.admin_key);
        let replayed = server.answer(replayed).await;
        assert_eq!(
            replayed.json()["same"],
            true,
            "{export}: {}",
            replayed.text()
        );
    }
}

#[tokio::test]
async fn values_have_the_limits_of_storage() {
    let config = "[ceiling]\nstorage = true\n[limits]\nstorage = \"4KiB\"\nstorage_value = \"1KiB\"\nstorage_transactions = 3\n";
    let server = Server::start(config).await;
    let function = typed(&server, "storage = true").await;
    let store = async |key: &str, bytes: usize| {
        let value = json!("x".repeat(bytes));
        let answer = call(
            &server,
            &function,
            "store",
            &json!({ "key": key, "value": value }),
        )
        .await;
        answer.fault().to_owned()
    };
    assert_eq!(store("a", 2000).await, "storage-value");
    for (key, fault) in [("a", ""), ("b", ""), ("c", ""), ("d", "storage")] {
        assert_eq!(store(key, 1000).await, fault, "{key}");
    }
    assert_eq!(
        store("a", 900).await,
        "",
        "a value in place of an existing one"
    );
}
