//! A function's JSON Schema is a program of its author: it takes limited time, and only counted memory.

use crate::server::json_bodies::peak;
use iof_tests::server::Server;
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

/// A module whose `f` takes an argument `a` with a schema.
pub(super) fn module(schema: &Json) -> Vec<u8> {
    let description = json!({
        "iof": 1, "name": "f", "result": {"type": "unit"},
        "params": [{"name": "a", "type": "json", "schema": schema}],
    })
    .to_string();
    describing(&description, "")
}

/// A module whose `f` is described by a text, after the code `before` has run.
pub(super) fn describing(description: &str, before: &str) -> Vec<u8> {
    let text = description.replace('\\', "\\\\").replace('"', "\\\"");
    let length = description.len();
    wat::parse_str(format!(
        r#"(module
            (memory (export "memory") 4)
            (data (i32.const 65536) "{text}")
            (func (export "__wbindgen_malloc") (param i32 i32) (result i32) (i32.const 1024))
            (func (export "__iof_describe_f") (param $area i32)
                {before}
                (i32.store (local.get $area) (i32.const 65536))
                (i32.store offset=4 (local.get $area) (i32.const {length})))
            (func (export "f") (param i32 i32)))"#
    ))
    .unwrap()
}

/// A nested list: `[[[…0…]]]`
fn nested(depth: usize) -> Json {
    (0..depth).fold(json!(0), |value, _| json!([value]))
}

async fn call(server: &Server, schema: &Json, value: &Json) -> (u16, String, Duration) {
    let function = server.deploy(module(schema), "").await;
    let path = format!("/v1/functions/{}/call/f", function.id);
    let start = Instant::now();
    let request = server
        .request("POST", &path)
        .header("content-type", "application/json");
    let answer = server
        .answer(request.body(json!({"a": value}).to_string()))
        .await;
    let fault = if answer.http == 204 {
        String::new()
    } else {
        answer.fault().to_owned()
    };
    (answer.http.as_u16(), fault, start.elapsed())
}

#[tokio::test]
async fn a_schema_of_exponential_cost_is_ended_soon() {
    let mut server = Server::start("[server]\nschema_steps = 1000000\n").await;
    let doubling: serde_json::Map<_, _> = (0..60)
        .map(|n| {
            let next = json!({"$ref": format!("#/$defs/{}", n + 1)});
            (n.to_string(), json!({"allOf": [next, next]}))
        })
        .chain([("60".into(), json!(true))])
        .collect();
    let branch = |kind: &str| {
        json!({"type": "object", "required": ["kind", "arg"],
            "properties": {"arg": {"$ref": "#"}, "kind": {"const": kind}}})
    };
    let tree = json!({"oneOf": [branch("not"), branch("neg"), branch("abs"), {"type": "number"}]});
    let expression = |leaf| (0..60).fold(leaf, |arg, _| json!({"kind": "neg", "arg": arg}));
    let array = json!({"type": "array", "items": {"$ref": "#"}});
    let either = json!({"anyOf": [{"type": "string"}, array, array]});
    let tracked = json!({"anyOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}], "unevaluatedItems": false});
    let numbers = Json::Array((0..20_000).map(|n| json!(n)).collect());
    let before = peak(&server);
    for (schema, value, status, fault) in [
        (
            json!({"$ref": "#/$defs/0", "$defs": doubling}),
            json!(1),
            204,
            "",
        ),
        (tree.clone(), expression(json!(1)), 204, ""),
        (tree, expression(json!("x")), 400, "arguments"),
        (either, nested(100), 400, "arguments"),
        (tracked, nested(60), 413, "schema-steps"),
        (
            json!({"items": {"enum": numbers.as_array().unwrap()[10_000..16_000]}}),
            Json::Array(vec![json!(15_999); 2_000]),
            413,
            "schema-steps",
        ),
        (json!({"uniqueItems": true}), numbers, 204, ""),
    ] {
        let (got, code, took) = call(&server, &schema, &value).await;
        let excerpt: String = schema.to_string().chars().take(200).collect();
        assert_eq!((got, code.as_str()), (status, fault), "{excerpt}");
        assert!(took < Duration::from_secs(5), "{excerpt}: {took:?}");
        assert_eq!(server.get("/healthz").await.http, 200);
    }
    let took = peak(&server) - before;
    assert!(took < 200 << 20, "{} MiB", took >> 20);
    let start = Instant::now();
    server.stop().await;
    assert!(start.elapsed() < Duration::from_secs(10));
}

/// A check that cannot be ended would delay all other bodies.
#[tokio::test]
async fn many_such_calls_do_not_block_others() {
    let server = Server::start("").await;
    let tracked = json!({"anyOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}], "unevaluatedItems": false});
    let calls: Vec<_> = (0..8)
        .map(|_| async { call(&server, &tracked, &nested(60)).await })
        .collect();
    let other = async {
        for _ in 0..20 {
            let start = Instant::now();
            assert_eq!(server.get("/healthz").await.http, 200);
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "{:?}",
                start.elapsed()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let (ended, ()) = tokio::join!(futures::future::join_all(calls), other);
    for (status, fault, _) in ended {
        assert_eq!((status, fault.as_str()), (413, "schema-steps"));
    }
}

#[tokio::test]
async fn a_deep_argument_names_its_limit() {
    let server = Server::start("").await;
    let (status, fault, _) = call(&server, &json!(true), &nested(127)).await;
    assert_eq!((status, fault.as_str()), (204, ""));
    let (status, fault, _) = call(&server, &json!(true), &nested(128)).await;
    assert_eq!((status, fault.as_str()), (413, "json-depth"));
}
