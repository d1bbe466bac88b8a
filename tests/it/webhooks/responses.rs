//! The response that a function chooses, and its bounds.

use super::{addresses, post, typed};
use iof_tests::{call::Answer, guests::wat, server::Server};

#[tokio::test]
async fn a_function_chooses_status_headers_and_body() {
    let (server, function) = typed().await;
    for path in addresses(&function, "answer") {
        for (query, status, header, body) in [
            (
                "status=201&body=made&header=x-hook-secret:s",
                201,
                ("x-hook-secret", "s"),
                "made",
            ),
            ("status=204", 204, ("content-type", ""), ""),
            (
                "status=404&body=no&header=content-type:text/plain",
                404,
                ("content-type", "text/plain"),
                "no",
            ),
            (
                "status=599&body=x",
                599,
                ("content-type", "application/octet-stream"),
                "x",
            ),
            (
                "status=429&header=retry-after:60",
                429,
                ("retry-after", "60"),
                "",
            ),
            (
                "status=202&header=WebHook-Allowed-Rate:120",
                202,
                ("webhook-allowed-rate", "120"),
                "",
            ),
        ] {
            let answer = post(&server, &format!("{path}?{query}"), "", "").await;
            let (name, value) = header;
            assert_eq!(
                (answer.http.as_u16(), answer.header(name), &*answer.text()),
                (status, value, body),
                "{query}"
            );
            assert_eq!(answer.fault(), "", "{query}");
            assert!(!answer.header("iof-call").is_empty(), "{query}");
        }
    }
}

#[tokio::test]
async fn redirects_and_head_requests_are_answered() {
    let (server, function) = typed().await;
    let path = &addresses(&function, "answer")[0];
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap();
    let to = format!(
        "{}{path}?status=302&header=location:https://example.com/",
        server.url
    );
    let moved = client.get(&to).send().await.unwrap();
    assert_eq!(
        (moved.status().as_u16(), &moved.headers()["location"]),
        (302, &"https://example.com/".parse().unwrap())
    );
    let head = server
        .answer(server.request("HEAD", &format!("{path}?body=abc")))
        .await;
    assert_eq!((head.http.as_u16(), head.body.len()), (200, 0));
}

/// The response has the origin of the server's own pages, so it must not get the rights of that origin.
#[tokio::test]
async fn a_page_of_a_function_has_no_rights_of_the_origin() {
    let (server, function) = typed().await;
    let path = &addresses(&function, "answer")[0];
    let page = server
        .get(&format!(
            "{path}?body=%3Cscript%3Ealert(1)%3C/script%3E&header=content-type:text/html"
        ))
        .await;
    assert_eq!(page.header("content-type"), "text/html");
    assert_eq!(
        page.header("content-security-policy"),
        "sandbox; default-src 'none'; frame-ancestors 'none'"
    );
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    for name in [
        "set-cookie",
        "content-security-policy",
        "x-content-type-options",
        "access-control-allow-origin",
        "clear-site-data",
        "strict-transport-security",
        "service-worker-allowed",
        "alt-svc",
        "refresh",
        "transfer-encoding",
        "content-length",
        "connection",
        "x-accel-redirect",
        "iof-call",
    ] {
        for path in addresses(&function, "answer") {
            let answer = post(&server, &format!("{path}?header={name}:1"), "", "").await;
            assert_eq!(
                (answer.http.as_u16(), answer.fault()),
                (502, "response"),
                "{name}"
            );
            assert!(answer.text().contains(name), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_response_that_cannot_be_sent_is_a_fault_of_the_function() {
    let (server, function) = typed().await;
    for path in addresses(&function, "answer") {
        for query in [
            "status=100",
            "status=101",
            "status=600",
            "status=0",
            "status=204&body=x",
            "status=304&body=x",
            "header=x-a:b%0D%0Ax-c:d",
            "header=x%20a:b",
        ] {
            let answer = post(&server, &format!("{path}?{query}"), "", "").await;
            assert_eq!(
                (answer.http.as_u16(), answer.fault()),
                (502, "response"),
                "{query}"
            );
            assert_eq!(answer.header("x-c"), "");
        }
        let long = format!("{path}?header=x-a:{}", "b".repeat(15 << 10));
        assert_eq!(post(&server, &long, "", "").await.http, 200);
    }
    // The log has the fault, too.
    let logs = format!("/v1/functions/{}/logs?wait=5&limit=100", function.id);
    let logs = server.read_as(&function, &logs).await;
    assert!(logs.to_string().contains("\"response\""), "{logs}");
}

/// A module that returns these bytes as a response.
fn answering(bytes: &[u8]) -> Vec<u8> {
    let data = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("\\{byte:02x}"))
            .collect::<String>()
    };
    let output = r#"{"iof":1,"name":"f","params":[],"result":{"type":"response"}}"#;
    wat(&format!(
        r#"(module
          (memory (export "memory") 4)
          (data (i32.const 1024) "{}")
          (data (i32.const 2048) "{}")
          (func (export "__wbindgen_malloc") (param i32 i32) (result i32) (i32.const 512))
          (func (export "__iof_describe_f") (param i32)
            (i32.store (local.get 0) (i32.const 1024))
            (i32.store offset=4 (local.get 0) (i32.const {})))
          (func (export "f") (param i32)
            (i32.store (local.get 0) (i32.const 2048))
            (i32.store offset=4 (local.get 0) (i32.const {}))))"#,
        data(output.as_bytes()),
        data(bytes),
        output.len(),
        bytes.len()
    ))
}

fn sealed(head: &str, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(head.len()).unwrap();
    [&length.to_le_bytes()[..], head.as_bytes(), body].concat()
}

#[tokio::test]
async fn bytes_that_are_not_a_response_are_refused() {
    let server = Server::start("").await;
    let call = async |bytes: &[u8]| -> Answer {
        let function = server.upload(answering(bytes)).await;
        post(&server, &format!("/fn/{}/f", function.id), "", "").await
    };
    let good = call(&sealed(
        "{\"status\":203,\"headers\":[[\"x-a\",\"b\"]]}",
        b"body",
    ))
    .await;
    assert_eq!(
        (good.http.as_u16(), good.header("x-a"), &*good.text()),
        (203, "b", "body")
    );
    let many: Vec<_> = (0..65).map(|at| format!("[\"x-{at}\",\"\"]")).collect();
    let many = format!("{{\"status\":200,\"headers\":[{}]}}", many.join(","));
    for (bytes, status, fault) in [
        (vec![], 502, "response"),
        (vec![1, 0, 0], 502, "response"),
        (vec![255, 255, 255, 255], 502, "response"),
        (sealed("{", b""), 502, "response"),
        (sealed("[]", b""), 502, "response"),
        (sealed("{\"status\":\"200\"}", b""), 502, "response"),
        (
            sealed("{\"status\":200,\"trailers\":[]}", b""),
            502,
            "response",
        ),
        (sealed(&many, b""), 507, "response-head"),
        (
            sealed(
                &format!(
                    "{{\"status\":200,\"headers\":[[\"x-a\",\"{}\"]]}}",
                    "b".repeat(20_000)
                ),
                b"",
            ),
            507,
            "response-head",
        ),
        (sealed(&" ".repeat(120_000), b""), 507, "response-head"),
    ] {
        let answer = call(&bytes).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (status, fault),
            "{}",
            answer.text()
        );
    }
    // In the API of 2020 the answer is the body.
    let function = server
        .upload(answering(&sealed("{\"status\":404}", b"body")))
        .await;
    let old = server.run(function.id, "f", "").await;
    assert_eq!(
        (old.http.as_u16(), old.status(), &*old.text()),
        (200, 200, "body")
    );
}

#[tokio::test]
async fn an_error_has_the_status_of_its_function() {
    let (server, function) = typed().await;
    for path in addresses(&function, "refuse") {
        for status in [400, 401, 404, 409, 422, 429, 500, 503, 599] {
            let answer = post(&server, &path, "application/json", format!("[{status}]")).await;
            assert_eq!(
                (answer.http.as_u16(), answer.fault()),
                (status, "function:refused"),
                "{}",
                answer.text()
            );
            assert_eq!(answer.json()["error"], "It is refused.");
        }
        for status in [0, 100, 200, 204, 302, 399, 600, 65535] {
            let answer = post(&server, &path, "application/json", format!("[{status}]")).await;
            assert_eq!(
                (answer.http.as_u16(), answer.fault()),
                (502, "response"),
                "{status}"
            );
            assert!(answer.text().contains("400 to 599"), "{}", answer.text());
        }
    }
    let old = server.run(function.id, "refuse", "404").await;
    assert_eq!(
        (old.http.as_u16(), old.status(), old.fault()),
        (200, 404, "function:refused")
    );
}
