//! Keys with scopes: the routes that each may use, and those that it may not.

use crate::v1::functions::{KEY, ask, create, numbered, operated};
use iof_tests::server::Server;
use serde_json::{Value, json};

#[tokio::test]
async fn a_key_works_only_for_its_scopes() {
    let server = operated().await;
    let private = create(&server, "?name=private&private=true", numbered(1), KEY)
        .await
        .json();
    create(&server, "?name=other&private=true", numbered(2), KEY).await;
    let make = async |request: Value| {
        let created = ask(&server, "POST", "/v1/keys", KEY, Some(request)).await;
        assert_eq!(created.http, 201, "{}", created.text());
        let created = created.json();
        (
            created["id"].as_i64().unwrap(),
            created["key"].as_str().unwrap().to_owned(),
        )
    };
    let (_, deploy) = make(json!({"label": "ci", "scopes": ["deploy"]})).await;
    let (_, read) = make(json!({"label": "eyes", "scopes": ["read"]})).await;
    let (_, call) = make(json!({"label": "shop", "scopes": ["call"], "function": "private"})).await;
    let (admin_id, admin) = make(json!({"label": "root", "scopes": ["admin"]})).await;
    assert!(deploy.starts_with("iof_"));
    let own = private["admin_key"].as_str().unwrap();
    let version = json!({"version": 1});
    for (case, method, path, body, may) in [
        ("list", "GET", "/v1/functions", None, vec![&*read, &admin]),
        (
            "show",
            "GET",
            "/v1/functions/private",
            None,
            vec![&*read, &deploy, &admin, own],
        ),
        (
            "logs",
            "GET",
            "/v1/functions/private/logs",
            None,
            vec![&*read, &admin, own],
        ),
        ("egress", "GET", "/v1/egress", None, vec![&*read, &admin]),
        (
            "activate",
            "PUT",
            "/v1/functions/private/active",
            Some(version),
            vec![&*deploy, &admin, own],
        ),
        (
            "secrets",
            "GET",
            "/v1/functions/private/secrets",
            None,
            vec![&*admin, own],
        ),
        ("keys", "GET", "/v1/keys", None, vec![&*admin]),
        (
            "call",
            "POST",
            "/v1/functions/private/call/which",
            None,
            vec![&*call, &admin, own],
        ),
        (
            "another call",
            "POST",
            "/v1/functions/other/call/which",
            None,
            vec![&*admin],
        ),
    ] {
        for key in [&*deploy, &read, &call, &admin, own, "iof_nobody", ""] {
            let answer = ask(&server, method, path, key, body.clone()).await;
            let open = answer.http.is_success();
            assert_eq!(
                open,
                may.contains(&key),
                "{case} with {key}: {}",
                answer.text()
            );
            assert!(
                open || [401, 403, 404].contains(&answer.http.as_u16()),
                "{case}: {}",
                answer.http
            );
        }
        assert!(
            ask(&server, method, path, KEY, body.clone())
                .await
                .http
                .is_success(),
            "{case}"
        );
    }
    assert_eq!(create(&server, "", numbered(1), &deploy).await.http, 201);
    assert_eq!(create(&server, "", numbered(1), &read).await.http, 403);
    // No route shows a key again, and a deleted key does not work.
    let list = ask(&server, "GET", "/v1/keys", KEY, None).await.text();
    for key in [&deploy, &read, &call, &admin] {
        assert!(!list.contains(key.as_str()) && !server.log().contains(key.as_str()));
    }
    assert_eq!(
        ask(
            &server,
            "DELETE",
            &format!("/v1/keys/{admin_id}"),
            KEY,
            None
        )
        .await
        .http,
        204
    );
    assert_eq!(
        ask(&server, "GET", "/v1/keys", &admin, None).await.http,
        401
    );
    for wrong in [
        json!({"label": "x", "scopes": []}),
        json!({"label": "x", "scopes": ["root"]}),
        json!({"scopes": ["read"]}),
        json!({"label": "x", "scopes": ["read"], "expires_at": "2001-01-01T00:00:00Z"}),
        json!({"label": "x", "scopes": ["read"], "expires_at": "soon"}),
    ] {
        let refused = ask(&server, "POST", "/v1/keys", KEY, Some(wrong.clone())).await;
        assert_eq!(refused.http, 400, "{wrong}: {}", refused.text());
    }
    // On a server without keys, no client is authorised to make any.
    let open = Server::start("").await;
    let none = ask(
        &open,
        "POST",
        "/v1/keys",
        "",
        Some(json!({"label": "x", "scopes": ["admin"]})),
    )
    .await;
    assert_eq!(none.http, 401);
}
