//! Heads that are too large are refused in the usual form if they can be read at all.

use super::frames;
use super::raw::{Reply, connect, reply};
use iof_tests::server::Server;
use tokio::io::AsyncWriteExt;

async fn answer(server: &Server, head: &str) -> Reply {
    let mut stream = connect(server).await;
    // The server may answer before it has the whole head.
    let _ = stream.write_all(head.as_bytes()).await;
    reply(&mut stream).await.expect("an answer")
}

fn usual(reply: &Reply, status: u16, fault: &str, setting: &str) {
    assert_eq!(reply.status(), status, "{reply:?}");
    assert_eq!(reply.header("iof-fault"), fault);
    assert_eq!(reply.header("iof-status"), status.to_string());
    assert_eq!(reply.header("iof-request").len(), 36);
    let json: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(json["fault"], fault);
    assert!(json["error"].as_str().unwrap().contains(setting), "{json}");
}

#[tokio::test]
async fn a_long_uri_and_large_fields_are_refused() {
    let server = Server::start("").await;
    for path in ["/healthz", "/v1/functions", "/api/executables"] {
        for (name, size) in [("path", 17_000), ("path", 60_000), ("query", 17_000)] {
            let start = if name == "path" { "/" } else { "?" };
            let head = format!(
                "GET {path}{start}{} HTTP/1.1\r\nhost: localhost\r\n\r\n",
                "a".repeat(size)
            );
            usual(
                &answer(&server, &head).await,
                414,
                "uri-size",
                "server.uri_size",
            );
        }
        for (count, size) in [(1, 66_000), (90, 800)] {
            let fields: String = (0..count)
                .map(|n| format!("x-{n}: {}\r\n", "a".repeat(size)))
                .collect();
            let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{fields}\r\n");
            usual(
                &answer(&server, &head).await,
                431,
                "head-size",
                "server.head_size",
            );
        }
    }
    // Exactly the limit.
    let fields: String = (0..90)
        .map(|n| format!("x-{n}: {}\r\n", "a".repeat(600)))
        .collect();
    let head = format!(
        "GET /healthz?{} HTTP/1.1\r\nhost: localhost\r\n{fields}\r\n",
        "a".repeat(16_000)
    );
    assert_eq!(answer(&server, &head).await.status(), 200);
}

/// Requests that the parser itself refuses: the status, and the end of the connection.
#[tokio::test]
async fn heads_beyond_the_parser_are_refused_by_it() {
    let server = Server::start("").await;
    let long = "a".repeat(70_000);
    let many: String = (0..101).map(|n| format!("x-{n}: 1\r\n")).collect();
    let large = "a".repeat(200_000);
    for (head, status) in [
        ("GET /\u{1} HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("nonsense\r\n\r\n".to_owned(), 400),
        (format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n"), 414),
        (format!("GET / HTTP/1.1\r\n{many}\r\n"), 431),
        (format!("GET / HTTP/1.1\r\nx: {large}"), 431),
    ] {
        let reply = answer(&server, &head).await;
        assert_eq!(reply.status(), status);
        assert_eq!(reply.header("connection"), "close");
        assert!(reply.body.is_empty());
    }
}

/// Endless headers in frames of HTTP/2: the table of a connection is limited.
#[tokio::test]
async fn heads_of_http_2_are_limited_too() {
    let server = Server::start("").await;
    let mut stream = connect(&server).await;
    stream.write_all(&frames::opening(&[])).await.unwrap();
    // A HEADERS frame without END_HEADERS, followed by CONTINUATION frames.
    let start = frames::frame(frames::HEADERS, 1, 1, &[0x82, 0x86]);
    stream.write_all(&start).await.unwrap();
    let mut field = vec![0x00, 1, b'x', 0x7f, 0x80, 0x3e];
    field.extend(vec![b'a'; 8063]);
    let more = frames::frame(9, 0, 1, &field);
    let mut sent = 0;
    while sent < 10_000 && stream.write_all(&more).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 10_000, "80 MB of headers were taken");
    assert_eq!(server.get("/healthz").await.text(), "ok\n");
}

/// Lengths that fit a number are refused by their size in the usual form; the parser refuses the others
/// (docs/LIMITS.md).
#[tokio::test]
async fn an_impossible_length_is_refused() {
    let server = Server::start("").await;
    let head = |length: &str| {
        format!(
            "POST /v1/functions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/wasm\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    for length in [
        "1000000000000",
        "9223372036854775808",
        "18446744073709551613",
    ] {
        let reply = answer(&server, &head(length)).await;
        usual(&reply, 413, "module-size", "compile.module_size");
    }
    for (length, status) in [
        ("18446744073709551614", 431),
        ("18446744073709551615", 431),
        ("18446744073709551616", 400),
        ("-1", 400),
        ("+1", 400),
        ("1, 2", 400),
    ] {
        assert_eq!(
            answer(&server, &head(length)).await.status(),
            status,
            "{length}"
        );
    }
}
