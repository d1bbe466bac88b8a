//! Functions with types: JSON in and out, by name and by place, and what clients see of their types.

use super::{call, component, export};
use iof_tests::{server::Server, user::User};
use serde_json::{Value, json};
use std::fs;

/// Functions of most types, and one of an interface.
fn functions() -> Vec<u8> {
    let point = "(type $p (record (field \"north\" f64) (field \"label\" (option string))))
        (export $point \"point\" (type $p))
        (type $c (enum \"red\" \"light-green\"))
        (export $colour \"colour\" (type $c))
        (type $r (resource (rep i32)))
        (export $file \"file\" (type $r))\n";
    let exports = [
        export(
            "add",
            "(param \"first\" u32) (param \"second-one\" u32) (result u32)",
            "add",
        ),
        export("say", "(param \"text\" string) (result string)", "echo"),
        export(
            "bytes",
            "(param \"data\" (list u8)) (result (list u8))",
            "echo",
        ),
        export(
            "points",
            "(param \"points\" (list $point)) (result (list $point))",
            "echo",
        ),
        export(
            "maybe",
            "(param \"number\" (option u32)) (result (option u32))",
            "echo",
        ),
        export("signed", "(param \"number\" s64) (result s64)", "same64"),
        export("unsigned", "(param \"number\" u64) (result u64)", "same64"),
        export("half", "(param \"number\" f64) (result f64)", "half"),
        export("nothing", "", "nothing"),
        export(
            "counts",
            "(param \"counts\" (map string u32)) (result (map string u32))",
            "echo",
        ),
        export(
            "by-weight",
            "(param \"names\" (map f64 string)) (result s32)",
            "add",
        ),
        export("favourite", "(result $colour)", "zero"),
        export(
            "judge",
            "(param \"text\" string) (result (result (error string)))",
            "reject",
        ),
        export(
            "weigh",
            "(param \"all\" (list $point)) (result (result (error (list $point))))",
            "reject",
        ),
        export("open", "(param \"file\" (own $file))", "take"),
    ];
    let api = "(func $add (param \"a\" s32) (param \"b\" s32) (result s32) (canon lift (core func $i \"add\")))
        (instance $api (export \"add\" (func $add)))
        (export \"demo:math/api@1.0.0\" (instance $api))";
    component(&format!("{point}{}{api}", exports.concat()))
}

#[tokio::test]
async fn every_shape_goes_in_and_comes_out() {
    let server = Server::start("").await;
    let function = server.deploy(functions(), "").await;
    for (export, arguments, result) in [
        ("add", json!({"first": 2, "second-one": 40}), json!(42)),
        ("add", json!([2, 40]), json!(42)),
        (
            "points",
            json!({"points": [{"north": 1.5, "label": "a"}, {"north": "NaN"}]}),
            json!([{"north": 1.5, "label": "a"}, {"north": "NaN", "label": null}]),
        ),
        ("maybe", json!({"number": 7}), json!(7)),
        ("maybe", json!({"number": null}), json!(null)),
        ("maybe", json!({}), json!(null)),
        ("signed", json!({"number": i64::MIN}), json!(i64::MIN)),
        ("unsigned", json!({"number": u64::MAX}), json!(u64::MAX)),
        (
            "unsigned",
            json!({"number": "18446744073709551615"}),
            json!(u64::MAX),
        ),
        ("half", json!({"number": 3}), json!(1.5)),
        ("half", json!({"number": "-Infinity"}), json!("-Infinity")),
        ("favourite", json!({}), json!("red")),
        (
            "counts",
            json!({"counts": {"": 1, "apple \"red\"": 2}}),
            json!({"": 1, "apple \"red\"": 2}),
        ),
        ("counts", json!([{}]), json!({})),
        ("api/add", json!({"a": -2, "b": 1}), json!(-1)),
        ("api%2Fadd", json!([-2, 1]), json!(-1)),
    ] {
        let answer = call(&server, &function, export, &arguments).await;
        assert_eq!(answer.http, 200, "{export} {arguments}: {}", answer.text());
        assert_eq!(
            answer.header("content-type"),
            "application/json; charset=utf-8"
        );
        assert_eq!(answer.json(), result, "{export} {arguments}");
    }
    // Texts and bytes are what they are, as those of every function.
    let answer = call(&server, &function, "say", &json!({"text": "[1]ü"})).await;
    assert_eq!(
        (&*answer.text(), answer.header("content-type")),
        ("[1]ü", "text/plain; charset=utf-8")
    );
    let answer = call(&server, &function, "bytes", &json!({"data": "AP+A"})).await;
    assert_eq!(answer.body, [0, 255, 128]);
    let answer = call(&server, &function, "nothing", &json!({})).await;
    assert_eq!((answer.http.as_u16(), answer.body.len()), (204, 0));
    let path = format!("/v1/functions/{}/call/bytes", function.id);
    let raw = server
        .request("POST", &path)
        .header("content-type", "application/octet-stream");
    assert_eq!(server.answer(raw.body(vec![0, 255])).await.body, [0, 255]);
    // The API of 2020 takes the simple shapes.
    assert_eq!(server.run(function.id, "say", "hi").await.text(), "hi");
    assert_eq!(server.run(function.id, "add", "[2, 40]").await.text(), "42");
    assert_eq!(
        server.run(function.id, "api%2Fadd", "[2, 40]").await.text(),
        "42"
    );
    assert_eq!(server.run(function.id, "maybe", "3").await.text(), "3");
}

/// A value that crosses costs its own bytes of the host, and no more for each part: this is more than half of `limits.memory`.
#[tokio::test]
async fn bytes_take_no_more_of_the_host_than_they_are() {
    let server = Server::start("[limits]\nmemory = \"8MiB\"\n").await;
    let exports = [
        export(
            "same",
            "(param \"data\" (list u8)) (result (list u8))",
            "echo",
        ),
        export("text", "(param \"data\" (list u8)) (result string)", "echo"),
        export(
            "refuse",
            "(param \"data\" (list u8)) (result (result (list u8) (error string)))",
            "reject",
        ),
    ];
    let function = server.deploy(component(&exports.concat()), "").await;
    let send = async |export: &str, body: Vec<u8>| {
        let path = format!("/v1/functions/{}/call/{export}", function.id);
        let request = server.request("POST", &path);
        let request = request.header("content-type", "application/octet-stream");
        server.answer(request.body(body)).await
    };
    let large = vec![b'x'; 3 << 20];
    assert_eq!(send("same", large.clone()).await.body, large);
    assert_eq!(send("text", large.clone()).await.body, large);
    let not_text = send("text", vec![255; 10]).await;
    assert_eq!(not_text.fault(), "trap", "{}", not_text.text());
    let refused = send("refuse", b"too dark".to_vec()).await;
    assert_eq!(
        (refused.fault(), &refused.json()["value"]),
        ("error", &json!("too dark"))
    );
    let too_large = send("same", vec![b'x'; (8 << 20) + 1]).await;
    assert_eq!(too_large.fault(), "arguments", "{}", too_large.text());
}

#[tokio::test]
async fn an_error_is_a_fault_of_the_function_with_its_json() {
    let server = Server::start("").await;
    let function = server.deploy(functions(), "").await;
    let answer = call(
        &server,
        &function,
        "judge",
        &json!({"text": "no such customer"}),
    )
    .await;
    assert_eq!((answer.http.as_u16(), answer.fault()), (502, "error"));
    let error = answer.json();
    assert_eq!(error["error"], "no such customer");
    assert_eq!(error["value"], "no such customer");
    let points = json!([{"north": 1.5, "label": null}]);
    let answer = call(&server, &function, "weigh", &json!({ "all": points })).await;
    assert_eq!(
        (answer.json()["fault"].as_str(), &answer.json()["value"]),
        (Some("error"), &points)
    );
}

#[tokio::test]
async fn what_does_not_fit_is_named() {
    let server = Server::start("").await;
    let function = server.deploy(functions(), "").await;
    for (export, arguments, words) in [
        ("add", json!({"first": -1, "second-one": 0}), "first"),
        (
            "add",
            json!({"first": 1, "second": 0}),
            "there is no `second`",
        ),
        ("add", json!([1]), "`second-one` is missing"),
        ("add", json!([1, 2, 3]), "got 3 arguments"),
        ("points", json!({"points": [{"north": "north"}]}), "points"),
        ("points", json!({"points": [{"label": "a"}]}), "points"),
        ("counts", json!({"counts": {"a": "b"}}), "counts"),
        ("counts", json!({"counts": [["a", 1]]}), "counts"),
        (
            "points",
            json!({"points": [{"north": 1, "south": 1}]}),
            "points",
        ),
        ("unsigned", json!({"number": -1}), "number"),
        ("unsigned", json!({"number": "x"}), "number"),
        (
            "signed",
            json!({"number": 9_223_372_036_854_775_808_u64}),
            "number",
        ),
    ] {
        let answer = call(&server, &function, export, &arguments).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (400, "arguments"),
            "{arguments}: {}",
            answer.text()
        );
        let error = answer.json()["error"].to_string();
        assert!(error.contains(words), "{export} {arguments}: {error}");
    }
    let answer = call(&server, &function, "open", &json!({"file": 1})).await;
    assert_eq!(answer.fault(), "no-such-export");
    let stated = server
        .request("POST", &format!("/v1/functions/{}/call/add", function.id))
        .header("iof-signature", "(i32, i32) -> i32");
    let answer = server.answer(stated.json(&json!([1, 2]))).await;
    assert_eq!(answer.http, 400, "{}", answer.text());
}

#[tokio::test]
async fn its_types_are_its_document() {
    let server = Server::start("").await;
    let function = server.deploy(functions(), "").await;
    let path = format!("/v1/functions/{}/openapi.json", function.id);
    let document = server.get(&path).await.json();
    let paths = document["paths"].as_object().unwrap();
    let operation = |export: &str| {
        let operations = paths.values().map(|path| &path["post"]);
        let mut found = operations.filter(|operation| operation["operationId"] == export);
        found
            .next()
            .unwrap_or_else(|| panic!("{export} is not in {document}"))
            .clone()
    };
    let body = |export: &str| {
        operation(export)["requestBody"]["content"]["application/json"]["schema"].clone()
    };
    assert_eq!(body("add")["required"], json!(["first", "second-one"]));
    assert_eq!(body("maybe")["required"], json!([]));
    let resolved = |schema: &Value| match schema["$ref"].as_str() {
        Some(place) => document.pointer(&place[1..]).unwrap().clone(),
        None => schema.clone(),
    };
    let points = resolved(&body("points")["properties"]["points"]);
    assert_eq!(points["items"]["required"], json!(["north"]), "{document}");
    assert!(
        paths.keys().any(|path| path.ends_with("/call/api%2Fadd")),
        "{paths:?}"
    );
    assert!(!paths.keys().any(|path| path.ends_with("/open")));
    // What cannot be called is listed, and why.
    let shown = server
        .read_as(&function, &format!("/v1/functions/{}", function.id))
        .await;
    let world = &shown["versions"][0]["world"];
    let exports = world["exports"].as_array().unwrap();
    let open = exports
        .iter()
        .find(|export| export["name"] == "open")
        .unwrap();
    assert_eq!(
        open["refused"],
        "its types have a resource, which JSON cannot carry"
    );
    let by_weight = exports
        .iter()
        .find(|export| export["name"] == "by-weight")
        .unwrap();
    let refused = by_weight["refused"].as_str().unwrap();
    assert!(refused.contains("a map whose keys are"), "{refused}");
    let counts = resolved(&body("counts")["properties"]["counts"]);
    assert_eq!(counts["type"], "object", "{document}");
    assert_eq!(counts["additionalProperties"]["maximum"], u32::MAX);
    let add = exports
        .iter()
        .find(|export| export["name"] == "api/add")
        .unwrap();
    assert_eq!(add["types"], "func(a: s32, b: s32) -> s32");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_deploys_shows_and_calls_it() {
    let server = Server::start("").await;
    let user = User::new(&server.url);
    fs::write(user.folder().join("maths.wasm"), functions()).unwrap();
    let says = async |line: &[&str]| user.types(line).await;
    let deployed = says(&["deploy", "maths.wasm"]).await;
    assert!(deployed.contains("maths version 1"), "{deployed}");
    let shown = says(&["show", "maths"]).await;
    for words in [
        "exports points: func(points: list<record { north: f64, label: option<string> }>)",
        "exports open: func(file: own<resource>) (cannot be called: its types have a resource",
        "exports api/add: func(a: s32, b: s32) -> s32",
    ] {
        assert!(shown.contains(words), "{words} is missing in {shown}");
    }
    let calls = async |line: &[&str], answer: &str| {
        let said = says(line).await;
        assert_eq!(said.lines().nth(1), Some(answer), "{said}");
    };
    calls(&["call", "maths", "add", "--", "2", "40"], "42").await;
    calls(&["call", "maths", "api/add", "--", "2", "-40"], "-38").await;
    calls(&["call", "maths", "unsigned", "--", "12"], "12").await;
    calls(&["call", "maths", "say", "hi"], "hi").await;
}
