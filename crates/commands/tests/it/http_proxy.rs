//! `http_proxy` as a function runs it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use iof_command::{Grants, Refusal};
use iof_commands::http_proxy::status;
use iof_egress::Config;
use tokio::io::AsyncWriteExt;

use crate::setup::{ok, setup, with_config};
use crate::support::{Authority, Upstream, quick, read_request, redirect, text};

/// The request of send_email of 2020, byte for byte.
#[tokio::test]
async fn the_request_of_send_email() {
    let server = Upstream::raw(|mut stream| async move {
        let request = read_request(&mut stream).await;
        let head = format!(
            "HTTP/1.1 202 Accepted\r\ncontent-length: {}\r\n\r\n",
            request.len()
        );
        let _ = stream.write_all((head + &request).as_bytes()).await;
    })
    .await;
    let setup = setup(server).await;
    let headers = r#"{"Content-Type": "application/json","authorization": "Bearer TKN"}"#;
    let output = setup
        .run(
            &["post", "http://a.test:PORT/v3/mail/send", headers],
            "{\"é\":1}",
        )
        .await;
    let expected = format!(
        "POST /v3/mail/send HTTP/1.1\r\ncontent-type: application/json\r\nauthorization: Bearer TKN\r\n\
         content-length: 8\r\naccept: */*\r\nhost: a.test:{}\r\n\r\n{{\"é\":1}}",
        setup.server.port()
    );
    assert_eq!(output, ok(expected));

    let output = setup.run(&["get", "http://a.test:PORT/"], "").await;
    let expected = format!(
        "GET / HTTP/1.1\r\ncontent-type: text/plain\r\ncontent-length: 0\r\naccept: */*\r\nhost: a.test:{}\r\n\r\n",
        setup.server.port()
    );
    assert_eq!(
        output,
        ok(expected),
        "the default header, and an empty body that says so"
    );
}

#[tokio::test]
async fn every_method_in_any_case() {
    let server = Upstream::http(|request, body| {
        text(
            200,
            format!("{} {}", request.method, String::from_utf8_lossy(&body)),
        )
    })
    .await;
    let setup = setup(server).await;
    for method in ["get", "GET", "Post", "put", "PATCH", "delete", "options"] {
        let output = setup.run(&[method, "http://a.test:PORT/"], "in").await;
        assert_eq!(output, ok(format!("{} in", method.to_uppercase())));
    }
    assert_eq!(
        setup.run(&["head", "http://a.test:PORT/"], "").await,
        ok("")
    );
}

#[tokio::test]
async fn any_http_status_is_success() {
    let server = Upstream::http(|request, _| {
        let status: u16 = request.uri.path()[1..].parse().unwrap();
        text(
            status,
            if status == 204 {
                String::new()
            } else {
                format!("body of {status}")
            },
        )
    })
    .await;
    let setup = setup(server).await;
    for status in [200, 202, 400, 401, 404, 500, 503] {
        let output = setup
            .run(&["get", &format!("http://a.test:PORT/{status}")], "")
            .await;
        assert_eq!(output, ok(format!("body of {status}")));
    }
    assert_eq!(
        setup.run(&["get", "http://a.test:PORT/204"], "").await,
        ok("")
    );
}

#[tokio::test]
async fn include_writes_the_head_as_curl_does() {
    let answer = |_: &_, _| {
        let body = Full::new(Bytes::from_static(b"not\x00found"));
        Response::builder()
            .status(404)
            .header("date", "now")
            .header("X-A", "b")
            .body(body)
            .unwrap()
    };
    let authority = Authority::new();
    let head = "404 Not Found\r\ndate: now\r\nx-a: b\r\ncontent-length: 9\r\n\r\nnot\0found";
    let setup1 = setup(Upstream::http(answer).await).await;
    for option in ["--include", "-i"] {
        let output = setup1
            .run(&[option, "get", "http://a.test:PORT/"], "")
            .await;
        assert_eq!(output, ok(format!("HTTP/1.1 {head}")));
    }
    let server = Upstream::https(authority.server("a.test", &["h2"]), answer).await;
    let setup2 = with_config(
        server,
        Config {
            ca_files: vec![authority.file().await],
            ..quick()
        },
    );
    let output = setup2
        .run(&["-i", "--", "get", "https://a.test:PORT/"], "")
        .await;
    let head = "404 Not Found\r\ndate: now\r\nx-a: b\r\ncontent-length: 9\r\n\r\nnot\0found";
    assert_eq!(output, ok(format!("HTTP/2 {head}")));
}

#[tokio::test]
async fn wrong_arguments_are_named() {
    let setup = setup(Upstream::http(|_, _| text(200, "")).await).await;
    let url = "http://a.test:PORT/";
    for (args, says) in [
        (
            &[][..],
            "the METHOD is missing; usage: http_proxy [--include] [--compressed] [--retry N] METHOD URL [HEADERS_JSON]",
        ),
        (&["get"], "the URL is missing; usage:"),
        (&["-i"], "the METHOD is missing"),
        (
            &["--retry"],
            "the option --retry has no number. Write one, such as --retry 3",
        ),
        (
            &["--retry", "-1", "get", url],
            "the option --retry has no number",
        ),
        (
            &["--retry=", "get", url],
            "the option --retry has no number",
        ),
        (
            &["--include=1", "get", url],
            "unknown option: got \"--include=1\"",
        ),
        (
            &["--verbose", "get", url],
            "unknown option: got \"--verbose\"",
        ),
        (
            &["get", url, "{}", "more"],
            "unexpected argument: got \"more\"",
        ),
        (
            &["gte", url],
            "unknown method: got \"gte\". Use one of get, post, put, patch, delete, head, options",
        ),
        (&["connect", url], "unknown method"),
        (&["", url], "unknown method"),
        (
            &["get", "a.test"],
            "the URL does not start with http:// or https://",
        ),
        (
            &["get", "file:///etc/passwd"],
            "the scheme of the URL is not http or https: got file",
        ),
        (
            &["get", "http://u:p@a.test/"],
            "contains a user name or password",
        ),
        (
            &["get", "http://a.test/\nHost: b"],
            "contains a control character",
        ),
        (&["get", url, ""], "HEADERS_JSON is not JSON"),
        (&["get", url, "{\"a\": }"], "HEADERS_JSON is not JSON"),
        (&["get", url, "[]"], "HEADERS_JSON is not an object"),
        (
            &["get", url, r#"{"a":"b","X-Num":1}"#],
            "the value of \"X-Num\" is not a string",
        ),
        (
            &["get", url, r#"{"X-Null":null}"#],
            "the value of \"X-Null\" is not a string",
        ),
        (
            &["get", url, r#"{"a b":"c"}"#],
            "the name of the header is not valid: got \"a b\"",
        ),
        (
            &["get", url, r#"{"X-A":"s3cret\r\nX-B: c"}"#],
            "the header x-a contains a line break",
        ),
        (
            &["get", url, r#"{"Host":"b.test"}"#],
            "header host is set by the host",
        ),
        (
            &["get", url, r#"{"Content-Length":"7"}"#],
            "content-length is not the length of the body, 0",
        ),
        (
            &["get", url, r#"{"Transfer-Encoding":"chunked"}"#],
            "header transfer-encoding",
        ),
    ] {
        let (status, line) = setup.fails(args).await;
        assert_eq!(status, status::USAGE, "{args:?}: {line}");
        assert!(line.contains(says), "{args:?}: {line}");
        assert!(!line.contains("s3cret"), "{line}");
    }
    assert_eq!(setup.server.connections(), 0);
}

#[tokio::test]
async fn failures_have_a_status_and_a_cause() {
    let server = Upstream::http(|request, _| match request.uri.path() {
        "/loop" => redirect(302, "/loop"),
        "/denied" => redirect(302, "http://denied.test:8080/"),
        "/private" => redirect(302, "http://169.254.169.254/"),
        _ => text(200, vec![0; 2048]),
    })
    .await;
    let setup = with_config(
        server,
        Config {
            max_response: bytesize(1024),
            ..quick()
        },
    );
    for (url, status, says) in [
        (
            "http://denied.test:PORT/",
            status::DENIED,
            "no outbound rule of this function allows GET",
        ),
        (
            "http://a.test:PORT/denied",
            status::DENIED,
            "after a redirect: no outbound rule",
        ),
        (
            "http://10.0.0.1/",
            status::DENIED,
            "10.0.0.1 is not an address that functions reach",
        ),
        (
            "http://a.test:PORT/private",
            status::DENIED,
            "after a redirect: 169.254.169.254 is not",
        ),
        (
            "http://missing.invalid/",
            status::UNREACHABLE,
            "no such host: missing.invalid",
        ),
        (
            "http://localhost/",
            status::UNREACHABLE,
            "no such host: localhost",
        ),
        (
            "http://a.test:9/",
            status::UNREACHABLE,
            "a.test: the name servers gave no answer",
        ),
        (
            "https://a.test:PORT/",
            status::UNREACHABLE,
            "TLS with a.test failed",
        ),
        (
            "http://a.test:PORT/large",
            status::PROTOCOL,
            "more than 1024 bytes (limit max_response)",
        ),
        (
            "http://a.test:PORT/loop",
            status::PROTOCOL,
            "more than 10 redirects (limit max_redirects)",
        ),
    ] {
        let (got, line) = setup.fails(&["get", url]).await;
        assert_eq!(got, status, "{url}: {line}");
        assert!(line.contains(says), "{url}: {line}");
    }
}

fn bytesize(bytes: u64) -> bytesize::ByteSize {
    bytesize::ByteSize::b(bytes)
}

#[tokio::test]
async fn without_the_grant_the_command_is_refused() {
    let mut setup = setup(Upstream::http(|_, _| text(200, "")).await).await;
    setup.call.grants = Arc::new(Grants {
        commands: Default::default(),
        ..Grants::as_shipped()
    });
    let refused = setup
        .try_run(&["get", "http://a.test:PORT/"], "", Duration::from_secs(1))
        .await;
    assert_eq!(refused, Err(Refusal::NotGranted));
    assert_eq!(setup.server.connections(), 0);
}
