//! Bodies and parameters of wrong types: the errors use the terms of JSON, and name no types of Rust.

use crate::v1::functions::{KEY, create, numbered, operated};
use iof_tests::call::Answer;
use iof_tests::guests::guest;
use iof_tests::server::Server;
use serde_json::{Value, json};

/// Terms of serde and of Rust.
const FOREIGN: [&str; 12] = [
    "invalid type",
    "invalid value",
    "expected struct",
    "expected a",
    "i64",
    "u32",
    "u8",
    "EOF while parsing",
    "line 1 column",
    "unit value",
    "KeyScope",
    "Deserialize",
];

fn speaks_plainly(answer: &Answer, case: &str) {
    let text = answer.text();
    for word in FOREIGN {
        assert!(!text.contains(word), "{case}: {text}");
    }
    assert!(answer.http.as_u16() < 500, "{case}: {text}");
}

/// The names of the properties of a schema in the document.
fn properties(document: &Value, schema: &Value) -> Vec<String> {
    let schema = match schema["$ref"].as_str() {
        Some(place) => document.pointer(place.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    schema["properties"]
        .as_object()
        .map_or(vec![], |all| all.keys().cloned().collect())
}

#[tokio::test]
async fn errors_in_bodies_name_no_types_of_rust() {
    let server = operated().await;
    create(&server, "?name=hello", numbered(1), KEY).await;
    let document = server.get("/v1/openapi.json").await.json();
    let values = [
        json!([]),
        json!({}),
        json!(null),
        json!("x"),
        json!(-1),
        json!(1.5),
        json!(true),
        json!([[]]),
        json!([{"a": [1]}]),
        json!({"a": {"b": null}}),
        json!(9_007_199_254_740_993_u64),
        json!("2020-13-01"),
    ];
    let mut refused = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let content = &operation["requestBody"]["content"];
            if content.is_null() {
                continue;
            }
            let schema = &content["application/json"]["schema"];
            let mut bodies: Vec<String> = values.iter().map(Value::to_string).collect();
            bodies.extend(
                [
                    "",
                    "{",
                    "[1,",
                    "{\"a\":}",
                    "nul",
                    "\u{feff}{}",
                    "{\"a\":1}x",
                ]
                .map(str::to_owned),
            );
            bodies.push("[".repeat(3000) + &"]".repeat(3000));
            for name in properties(&document, schema) {
                for value in &values {
                    bodies.push(json!({ name.as_str(): value }).to_string());
                }
            }
            let path = path
                .replace("{function}", "hello")
                .replace("{export}", "which")
                .replace("{name}", "TOKEN")
                .replace("{call}", "x")
                .replace("{key}", "1");
            for body in bodies {
                for content_type in [
                    "application/json",
                    "application/wasm",
                    "multipart/form-data; boundary=x",
                ] {
                    let request = server
                        .request(&method.to_uppercase(), &path)
                        .bearer_auth(KEY);
                    let request = request
                        .header("content-type", content_type)
                        .body(body.clone());
                    let answer = server.answer(request).await;
                    let excerpt: String = body.chars().take(80).collect();
                    speaks_plainly(
                        &answer,
                        &format!("{method} {path} {content_type} {excerpt}"),
                    );
                    refused += u32::from(answer.http == 400);
                }
            }
        }
    }
    assert!(refused > 200, "{refused}");
}

#[tokio::test]
async fn an_error_names_the_position_and_the_problem() {
    let server = operated().await;
    create(&server, "?name=hello", numbered(1), KEY).await;
    for (method, path, body, expected) in [
        ("POST", "/v1/keys", "[]", "[] is not of type \"object\""),
        (
            "POST",
            "/v1/keys",
            r#"{"label":"a","scopes":["root"]}"#,
            "/scopes/0: \"root\" is not one of",
        ),
        (
            "POST",
            "/v1/keys",
            r#"{"label":"a","scopes":-1}"#,
            "/scopes: -1 is not of type \"array\"",
        ),
        (
            "POST",
            "/v1/keys",
            r#"{"scopes":["read"]}"#,
            "\"label\" is a required property",
        ),
        ("POST", "/v1/keys", "{", "it stops being JSON at line 1"),
        (
            "PUT",
            "/v1/functions/hello/active",
            r#"{"version":"1"}"#,
            "/version: \"1\" is not of type",
        ),
        (
            "PUT",
            "/v1/functions/hello/canary",
            r#"{"version":1,"percent":-1}"#,
            "/percent: -1 is less than",
        ),
        (
            "PUT",
            "/v1/functions/hello/canary",
            r#"{"version":1,"percent":1,"x":1}"#,
            "the property \"x\" is not allowed",
        ),
    ] {
        let request = server.request(method, path).bearer_auth(KEY);
        let answer = server
            .answer(
                request
                    .header("content-type", "application/json")
                    .body(body),
            )
            .await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (400, "json"),
            "{path} {body}"
        );
        assert!(
            answer.text().replace("\\\"", "\"").contains(expected),
            "{body}: {}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn errors_in_declarations_and_parameters_name_no_types_of_rust() {
    let server = Server::start("").await;
    let fields = [
        "commands",
        "outbound",
        "limits",
        "secrets",
        "signing",
        "cors",
        "record",
        "rate",
        "concurrency",
        "storage",
        "jobs",
        "variables",
        "env",
        "test",
        "caller",
    ];
    for field in fields {
        for value in [
            "[]",
            "{}",
            "\"x\"",
            "-1",
            "1.5",
            "true",
            "[[]]",
            "[1]",
            "[{a=1}]",
            "{a=1}",
            "{a={b=1}}",
        ] {
            let toml = format!("{field} = {value}\n");
            let answer = server.try_deploy(guest("hello"), &toml).await;
            speaks_plainly(&answer, &toml);
            let as_json = value.replace("a=", "\"a\":").replace("b=", "\"b\":");
            let as_json = format!("{{\"{field}\":{as_json}}}");
            speaks_plainly(&server.try_deploy(guest("hello"), &as_json).await, &as_json);
        }
    }
    let document = server.get("/v1/openapi.json").await.json();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                if parameter["in"] != "query" {
                    continue;
                }
                let name = parameter["name"].as_str().unwrap();
                let path = path
                    .replace("{function}", "hello")
                    .replace("{export}", "which")
                    .replace("{call}", "x");
                for value in [
                    "",
                    "x",
                    "-1",
                    "1.5",
                    "null",
                    "99999999999999999999",
                    "%00",
                    "true",
                ] {
                    let place = format!("{path}?{name}={value}");
                    let answer = server
                        .answer(server.request(&method.to_uppercase(), &place))
                        .await;
                    speaks_plainly(&answer, &format!("{method} {place}"));
                }
            }
        }
    }
}
