//! Functions of the guest crate: every type of arguments and results, in `/v1` and in the API of 2020, their errors,
//! their storage, and their descriptions.

use iof_tests::{
    call::{Answer, Uploaded},
    guests::guest,
    server::Server,
    upstream::Upstream,
};
use serde_json::{Value, json};

pub(super) async fn typed(server: &Server, declaration: &str) -> Uploaded {
    server.deploy(guest("typed"), declaration).await
}

pub(super) async fn call(
    server: &Server,
    function: &Uploaded,
    export: &str,
    arguments: &Value,
) -> Answer {
    let path = format!("/v1/functions/{}/call/{export}", function.id);
    let request = server.request("POST", &path).json(arguments);
    server.answer(request).await
}

#[tokio::test]
async fn every_type_round_trips() {
    let server = Server::start("").await;
    let function = typed(&server, "").await;
    for (export, value) in [
        ("echo_bool", json!(true)),
        ("echo_i8", json!(-128)),
        ("echo_u8", json!(255)),
        ("echo_i16", json!(-32768)),
        ("echo_u16", json!(65535)),
        ("echo_i32", json!(i32::MIN)),
        ("echo_u32", json!(u32::MAX)),
        ("echo_i64", json!(i64::MIN)),
        ("echo_u64", json!(u64::MAX)),
        ("echo_f32", json!(0.5)),
        ("echo_f64", json!(-1.25e300)),
        (
            "echo_point",
            json!({"north": 1.5, "east": 2.0, "label": null}),
        ),
        ("echo_plain", json!({"text": "t", "numbers": [1, 2]})),
        ("echo_option", json!(null)),
        ("echo_option", json!(7)),
        ("echo_list", json!(["a", "[]", "\""])),
        ("echo_tuple", json!([1, false, "x"])),
        (
            "echo_shape",
            json!({"kind": "dot", "north": 1.0, "east": 2.0, "label": null}),
        ),
        ("echo_json", json!({"any": [1, {"thing": null}]})),
    ] {
        let answer = call(&server, &function, export, &json!({ "value": value })).await;
        assert_eq!(answer.http, 200, "{export}: {}", answer.text());
        assert_eq!(
            answer.header("content-type"),
            "application/json; charset=utf-8"
        );
        assert_eq!(answer.json(), value, "{export}");
        let by_place = call(&server, &function, export, &json!([value])).await;
        assert_eq!(by_place.json(), value, "{export}, by its place");
    }
    let text = call(
        &server,
        &function,
        "echo_string",
        &json!({"value": "[1]\u{1f4ac}"}),
    )
    .await;
    assert_eq!(text.text(), "[1]\u{1f4ac}");
    assert_eq!(text.header("content-type"), "text/plain; charset=utf-8");
    // Bytes are base64 in JSON, and raw elsewhere.
    let bytes = call(&server, &function, "echo_bytes", &json!({"value": "AP+A"})).await;
    assert_eq!(
        (bytes.header("content-type"), &*bytes.body),
        ("application/octet-stream", &[0, 255, 128][..])
    );
    let path = format!("/v1/functions/{}/call/echo_bytes", function.id);
    let raw = server
        .request("POST", &path)
        .header("content-type", "application/octet-stream")
        .body(vec![0, 255]);
    assert_eq!(server.answer(raw).await.body, [0, 255]);
    let nothing = call(&server, &function, "nothing", &json!({})).await;
    assert_eq!((nothing.http.as_u16(), nothing.body.len()), (204, 0));
    let many = json!({
        "text": "t", "bytes": "AQI=", "flag": true, "small": -1, "large": 7, "half": 0.5,
        "point": {"north": 1.0, "east": 2.0}, "more": [1],
    });
    let answer = call(&server, &function, "many", &many).await;
    assert_eq!(answer.text(), "t [1, 2] true -1 7 0.5 1 2 None Some([1])");
    // The API of 2020 finds the same functions.
    assert_eq!(server.run(function.id, "shout", "hi").await.text(), "HI");
    assert_eq!(server.run(function.id, "add", "[2, 40]").await.text(), "42");
    assert_eq!(
        server.run(function.id, "parse_flag", "true").await.text(),
        "true"
    );
}

#[tokio::test]
async fn wrong_arguments_are_named() {
    let server = Server::start("").await;
    let function = typed(&server, "").await;
    for (export, arguments, words) in [
        ("echo_u8", json!({"value": 256}), "0 to 255"),
        ("echo_u8", json!({"value": "7"}), "`value` must be a number"),
        ("echo_u8", json!({}), "`value` is missing"),
        ("echo_u8", json!({"valu": 7}), "there is no `valu`"),
        ("echo_u8", json!([1, 2]), "got 2 arguments"),
        ("echo_u8", json!(7), "by name"),
        ("echo_bool", json!({"value": 1}), "true or false"),
        ("echo_string", json!({"value": 1}), "a string"),
        ("echo_bytes", json!({"value": "%"}), "base64"),
        ("echo_point", json!({"value": {"north": 1.0}}), "east"),
        (
            "echo_point",
            json!({"value": {"north": "n", "east": 1.0}}),
            "`value/north`",
        ),
        // Without a schema, the function itself reports the error.
        (
            "echo_plain",
            json!({"value": {"text": 1}}),
            "parameter `value`",
        ),
        ("missing", json!({}), "no export"),
    ] {
        let answer = call(&server, &function, export, &arguments).await;
        assert!(
            answer.http == 400 || answer.http == 404,
            "{export} {arguments}: {}",
            answer.http
        );
        assert!(
            answer.text().contains(words),
            "{export} {arguments}: {}",
            answer.text()
        );
    }
    let path = format!("/v1/functions/{}/call/echo_u8", function.id);
    let torn = server
        .request("POST", &path)
        .header("content-type", "application/json")
        .body("{");
    let torn = server.answer(torn).await;
    assert_eq!((torn.http.as_u16(), torn.fault()), (400, "json"));
    let other = server
        .request("POST", &path)
        .header("content-type", "text/html")
        .body("7");
    assert_eq!(server.answer(other).await.fault(), "content-type");
}

/// An empty text is a value. An empty body of fields has no fields, and none is invented.
#[tokio::test]
async fn an_empty_body_has_no_fields() {
    let server = Server::start("").await;
    let function = typed(&server, "").await;
    for (content_type, status) in [
        ("application/json", 400),
        ("multipart/form-data; boundary=x", 400),
        ("application/x-www-form-urlencoded", 400),
        ("text/plain", 200),
    ] {
        let path = format!("/v1/functions/{}/call/echo_string", function.id);
        let request = server
            .request("POST", &path)
            .header("content-type", content_type);
        let answer = server.answer(request.body("")).await;
        assert_eq!(answer.http, status, "{content_type}: {}", answer.text());
        assert!(
            status == 200 || answer.text().contains("`value` is missing"),
            "{}",
            answer.text()
        );
        let path = format!("/v1/functions/{}/call/constant", function.id);
        let request = server
            .request("POST", &path)
            .header("content-type", content_type);
        let answer = server.answer(request.body("")).await;
        assert_eq!(answer.http, 200, "{content_type}: {}", answer.text());
    }
}

#[tokio::test]
async fn an_error_of_a_function_is_a_fault_with_its_own_code() {
    let server = Server::start("").await;
    let function = typed(&server, "").await;
    for (export, arguments, status, code, words) in [
        (
            "fail_text",
            json!({"message": "why \u{e9}"}),
            502,
            "error",
            "why \u{e9}",
        ),
        (
            "fail_code",
            json!({"code": "no-such-customer", "message": "nobody"}),
            502,
            "function:no-such-customer",
            "nobody",
        ),
        (
            "parse_number",
            json!({"text": "x"}),
            502,
            "error",
            "invalid digit",
        ),
        (
            "succeed_if",
            json!({"flag": false}),
            502,
            "error",
            "the flag is not set",
        ),
        ("unwritable", json!({}), 502, "function:result", ""),
        (
            "panics",
            json!({"message": "at the disco"}),
            502,
            "trap",
            "What it printed is in its log",
        ),
    ] {
        let answer = call(&server, &function, export, &arguments).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (status, code),
            "{export}: {}",
            answer.text()
        );
        assert!(
            answer.json()["error"].as_str().unwrap().contains(words),
            "{export}: {}",
            answer.text()
        );
        assert_eq!(answer.json()["fault"], code);
    }
    let fine = call(&server, &function, "half", &json!({"number": 84})).await;
    assert_eq!(fine.json(), 42);
    // In the API of 2020, the body is that of 2020, and the true status is in the headers.
    let old = server.run(function.id, "fail_text", "why").await;
    assert_eq!(
        (old.http.as_u16(), old.status(), old.fault()),
        (200, 502, "error")
    );
}

#[tokio::test]
async fn requests_are_allowed_or_denied_by_the_declaration() {
    let upstream = Upstream::start().await;
    let server = Server::start(upstream.pin("api.example.com", 80)).await;
    let function = typed(
        &server,
        "commands = [\"http_proxy\"]\noutbound = [\"* http://api.example.com/echo\", \"GET http://api.example.com/status\"]",
    )
    .await;
    let get = async |function: &Uploaded, path: &str| {
        let url = format!("http://api.example.com{path}");
        call(&server, function, "http_get", &json!({ "url": url })).await
    };
    let there = get(&function, "/echo").await;
    assert_eq!(
        (there.http.as_u16(), there.json()["status"].clone()),
        (200, json!(200)),
        "{}",
        there.text()
    );
    let missing = get(&function, "/status/404").await;
    assert_eq!(
        missing.json()["status"],
        404,
        "an HTTP status is not an error by itself"
    );
    let denied = get(&function, "/elsewhere").await;
    assert_eq!(denied.fault(), "function:http-denied", "{}", denied.text());
    let bare = typed(&server, "").await;
    let not_granted = get(&bare, "/echo").await;
    assert_eq!(
        not_granted.fault(),
        "function:http-not-granted",
        "{}",
        not_granted.text()
    );
    // The error has both lines that the function needs.
    let message = not_granted.json()["error"].as_str().unwrap().to_owned();
    assert!(
        message.contains("commands = [\"http_proxy\"] and outbound = [\"GET http"),
        "{message}"
    );
}

#[tokio::test]
async fn a_function_is_described() {
    let server = Server::start("").await;
    let function = typed(&server, "").await;
    let path = format!("/v1/functions/{}/openapi.json", function.id);
    let document = server.get(&path).await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let call = |export: &str| {
        let path = format!("/v1/functions/{}/call/{export}", function.id);
        document["paths"][path]["post"].clone()
    };
    let schema = |operation: &Value| {
        operation["requestBody"]["content"]["application/json"]["schema"].clone()
    };
    // The targets of a schema's references are in this document.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let place = reference.split('"').next().unwrap();
        assert!(document.pointer(place).is_some(), "{place}");
    }
    let point = schema(&call("echo_point"));
    assert_eq!(point["required"], json!(["value"]));
    assert_eq!(
        point["properties"]["value"]["required"],
        json!(["north", "east"])
    );
    assert_eq!(
        schema(&call("echo_u8"))["properties"]["value"],
        json!({"type": "integer", "minimum": 0, "maximum": 255})
    );
    assert_eq!(
        schema(&call("echo_option"))["required"],
        json!([]),
        "what may be null may be left out"
    );
    assert_eq!(
        call("echo_string")["responses"]["200"]["content"],
        json!({"text/plain": {"schema": {"type": "string"}}})
    );
    assert!(call("nothing")["responses"]["204"].is_object());
    // The module is primed once, at upload.
    for (export, value) in [("primed", 1), ("primed_and_called", 2)] {
        let answer = server.run(function.id, export, "").await;
        assert_eq!(answer.text(), value.to_string());
    }
    // Before its secret is set it cannot be called, but its description is available.
    let config = "[[secrets]]\nvalue = \"Bearer {API_TOKEN}\"\nheader = \"authorization\"\nto = \"GET https://api.example.com\"\n";
    let config = format!(
        "commands = [\"http_proxy\"]\noutbound = [\"GET https://api.example.com\"]\n{config}"
    );
    let waits = typed(&server, &config).await;
    let path = format!("/v1/functions/{}/openapi.json", waits.id);
    assert_eq!(server.get(&path).await.http, 200);
    let page = server
        .get(&format!("/v1/functions/{}/try", function.id))
        .await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(
        page.header("content-security-policy")
            .contains("default-src 'none'")
    );
}
