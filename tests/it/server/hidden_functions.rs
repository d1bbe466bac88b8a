//! Private functions: to a client that may not call them they look like functions that do not exist.

use iof_tests::call::Answer;
use iof_tests::guests::guest;
use iof_tests::server::Server;
use serde_json::json;

const KEY: &str = "a key of the server's";

/// The content of an answer, without the parts that differ between any two: the date, the ids, and the requested
/// name.
fn comparable(answer: &Answer, name: &str) -> String {
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(header, _)| !["date", "iof-call", "iof-request"].contains(&header.as_str()))
        .map(|(header, value)| format!("{header}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort();
    let text = format!("{} {} {}", answer.http, headers.join(", "), answer.text());
    let text = text.replace(&format!("function {name}"), "function NAME");
    text.replace(&format!("Function {name}"), "Function NAME")
}

#[tokio::test]
async fn a_private_and_a_missing_function_answer_alike_without_a_key() {
    let server = Server::start(format!("[auth]\nkeys = [{KEY:?}]\n")).await;
    let named = |query| server.try_deploy_named(query, KEY, guest("typed"), "");
    let private = named("hidden&private=true").await.json();
    let public = named("public").await.json();
    // One of them cannot be loaded, because a secret is not set.
    let declares = r#"[[secrets]]
value = "{TOKEN}"
header = "x-token"
to = "GET https://api.example.com"
"#;
    let unset = server.try_deploy_named("unsets&private=true", KEY, guest("typed"), declares);
    let unset = unset.await;
    assert_eq!(unset.http, 201, "{}", unset.text());
    let body = json!({"label": "other", "scopes": ["call", "read"], "function": "public"});
    let only = server
        .request("POST", "/v1/keys")
        .bearer_auth(KEY)
        .json(&body);
    let only = server.answer(only).await.json()["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let number = private["function"].to_string();
    for key in ["", "nobody's", &only, public["admin_key"].as_str().unwrap()] {
        for (method, path) in [
            ("POST", "/v1/functions/NAME/call/show"),
            ("POST", "/v1/functions/NAME/call/nowhere"),
            ("GET", "/v1/functions/NAME/call/show"),
            ("OPTIONS", "/v1/functions/NAME/call/show"),
            ("GET", "/v1/functions/NAME/openapi.json"),
            ("GET", "/v1/functions/NAME/try"),
            ("POST", "/fn/NAME/show"),
            ("POST", "/fn/NAME/nowhere/below"),
            ("GET", "/fn/NAME/show"),
            ("OPTIONS", "/fn/NAME/show"),
            // Routes that change a function never reveal it.
            ("GET", "/v1/functions/NAME"),
            ("DELETE", "/v1/functions/NAME"),
            ("GET", "/v1/egress?function=NAME"),
        ] {
            let ask = async |name: &str| {
                let request = server.request(method, &path.replace("NAME", name));
                let request = match key {
                    "" => request,
                    key => request.bearer_auth(key),
                };
                comparable(&server.answer(request).await, name)
            };
            let none = ask("nobody").await;
            for name in ["hidden", "unsets"] {
                assert_eq!(ask(name).await, none, "{key} {method} {path}");
            }
            assert_eq!(ask(&number).await, ask("7").await, "{key} {method} {path}");
        }
    }
    // A key that may call it sees it, and a key for all functions learns that another does not exist.
    let path = "/v1/functions/hidden/call/show";
    for key in [KEY, private["admin_key"].as_str().unwrap()] {
        let answer = server
            .answer(server.request("POST", path).bearer_auth(key))
            .await;
        assert_eq!(answer.http, 200, "{}", answer.text());
    }
    let nobody = server
        .request("POST", "/v1/functions/nobody/call/show")
        .bearer_auth(KEY);
    let nobody = server.answer(nobody).await;
    assert_eq!(
        nobody.text(),
        r#"{"error":"There is no function nobody.","fault":"no-such-function"}"#
    );
    let none = server.answer(server.request("POST", path)).await;
    assert_eq!(none.header("www-authenticate"), "Bearer");
    assert!(
        none.text()
            .contains("send it as `Authorization: Bearer KEY`"),
        "{}",
        none.text()
    );
}
