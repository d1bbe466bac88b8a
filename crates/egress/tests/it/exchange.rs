//! Requests as they are sent, and responses as they arrive.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use iof_egress::{Config, Egress, Kind};
use tokio::io::AsyncWriteExt;

use crate::support::{Upstream, any_rule, get, quick, read_request, rules, send, text};

/// Answers with the request as it arrived.
async fn mirror() -> Upstream {
    Upstream::raw(|mut stream| async move {
        loop {
            let request = read_request(&mut stream).await;
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{request}",
                request.len()
            );
            if request.is_empty() || stream.write_all(head.as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await
}

fn pinned(server: &Upstream) -> Egress {
    Egress::new(Config {
        pin: vec![server.pin("a.test")],
        ..quick()
    })
    .unwrap()
}

#[tokio::test]
async fn nothing_is_added_but_host_accept_and_length() {
    let server = mirror().await;
    let egress = pinned(&server);
    let port = server.port();
    let get = get(&egress, &any_rule(), &server.url("a.test", "/x?y#z"))
        .await
        .unwrap();
    assert_eq!(
        get.body(),
        &format!("GET /x?y HTTP/1.1\r\naccept: */*\r\nhost: a.test:{port}\r\n\r\n")
    );

    let post = Request::post(server.url("a.test", "/"))
        .header("X-Given", "käse")
        .header("accept", "text/plain");
    let post = send(
        &egress,
        &any_rule(),
        post.body(Bytes::from_static(b"body")).unwrap(),
    )
    .await
    .unwrap();
    let expected = format!(
        "POST / HTTP/1.1\r\nx-given: käse\r\naccept: text/plain\r\nhost: a.test:{port}\r\ncontent-length: 4\r\n\r\nbody"
    );
    assert_eq!(String::from_utf8_lossy(post.body()), expected);

    // A content-length of 0 is sent only if it was set.
    let empty = Request::get(server.url("a.test", "/"))
        .header("content-length", "0")
        .body(Bytes::new())
        .unwrap();
    let empty = send(&egress, &any_rule(), empty).await.unwrap();
    let expected = format!(
        "GET / HTTP/1.1\r\ncontent-length: 0\r\naccept: */*\r\nhost: a.test:{port}\r\n\r\n"
    );
    assert_eq!(String::from_utf8_lossy(empty.body()), expected);
}

#[tokio::test]
async fn framing_headers_of_a_function_never_leave() {
    let server = mirror().await;
    let egress = pinned(&server);
    for (name, value) in [
        ("Host", "other.test"),
        ("Connection", "close"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "3"),
        ("Upgrade", "h2c"),
        ("Expect", "100-continue"),
        ("TE", "trailers"),
        ("Proxy-Authorization", "Basic s3cret"),
    ] {
        let request = Request::post(server.url("a.test", "/"))
            .header(name, value)
            .body(Bytes::from_static(b"body"));
        let error = send(&egress, &any_rule(), request.unwrap())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Header, "{name}");
        assert!(error.to_string().contains(&name.to_lowercase()), "{error}");
        assert!(!error.to_string().contains(value), "{error}");
    }
    assert_eq!(server.connections(), 0);
}

/// Any status is a response; bodies are unchanged.
#[tokio::test]
async fn every_status_is_a_response() {
    let server = Upstream::http(|request, _| {
        let status: u16 = request.uri.path().trim_start_matches('/').parse().unwrap();
        Response::builder()
            .status(status)
            .header("content-encoding", "gzip")
            .header("x-twice", "1")
            .header("x-twice", "2")
            .body(Full::new(Bytes::from_static(if status == 204 {
                b""
            } else {
                b"\x1f\x8b\x08 not decoded"
            })))
            .unwrap()
    })
    .await;
    let egress = pinned(&server);
    for status in [
        200, 202, 204, 206, 300, 400, 401, 403, 404, 418, 429, 500, 503,
    ] {
        let response = get(
            &egress,
            &any_rule(),
            &server.url("a.test", &format!("/{status}")),
        )
        .await
        .unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(
            response.body().len(),
            if status == 204 { 0 } else { 15 },
            "{status}"
        );
        assert_eq!(response.headers()["content-encoding"], "gzip");
        assert_eq!(response.headers().get_all("x-twice").iter().count(), 2);
    }
    let head = Request::head(server.url("a.test", "/200"))
        .body(Bytes::new())
        .unwrap();
    let head = send(&egress, &any_rule(), head).await.unwrap();
    assert_eq!(
        (
            head.headers()["content-length"].to_str().unwrap(),
            head.body().len()
        ),
        ("15", 0)
    );
}

#[tokio::test]
async fn a_chunked_response_arrives_whole_and_without_its_framing() {
    let server = Upstream::raw(|mut stream| async move {
        read_request(&mut stream).await;
        for part in ["HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n", "connection: keep-alive\r\n\r\n", "3\r\nabc\r\n", "2\r\nde\r\n", "0\r\n\r\n"] {
            stream.write_all(part.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let response = get(&pinned(&server), &any_rule(), &server.url("a.test", "/"))
        .await
        .unwrap();
    assert_eq!(response.body(), "abcde");
    assert!(response.headers().is_empty(), "{response:?}");
}

#[tokio::test]
async fn a_connection_serves_many_requests_to_one_host_and_port() {
    let server = Upstream::http(|_, _| text(200, "ok")).await;
    let pin = vec![server.pin("a.test"), server.pin("b.test")];
    let egress = Egress::new(Config { pin, ..quick() }).unwrap();
    for _ in 0..20 {
        get(&egress, &any_rule(), &server.url("a.test", "/"))
            .await
            .unwrap();
    }
    assert_eq!(server.connections(), 1);
    get(&egress.clone(), &any_rule(), &server.url("b.test", "/"))
        .await
        .unwrap();
    assert_eq!(
        server.connections(),
        2,
        "another name is checked, and connected to, by itself"
    );
}

/// A server may close an idle connection: the request is sent again on a new one, once.
#[tokio::test]
async fn a_closed_idle_connection_is_not_an_error() {
    let served = Arc::new(AtomicUsize::new(0));
    let count = served.clone();
    let server = Upstream::raw(move |mut stream| {
        let count = count.clone();
        async move {
            read_request(&mut stream).await;
            count.fetch_add(1, Ordering::Relaxed);
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await;
        }
    })
    .await;
    let egress = pinned(&server);
    for expected in 1..6 {
        get(&egress, &any_rule(), &server.url("a.test", "/"))
            .await
            .unwrap();
        assert_eq!(served.load(Ordering::Relaxed), expected);
    }
}

#[tokio::test]
async fn a_response_that_is_not_http_is_an_error_at_once() {
    for bytes in [
        "",
        "SSH-2.0-OpenSSH_9\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let server = Upstream::raw(move |mut stream| async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(bytes.as_bytes()).await;
        })
        .await;
        let error = get(&pinned(&server), &any_rule(), &server.url("a.test", "/"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Protocol, "{bytes:?}: {error:?}");
        assert!(error.to_string().starts_with("a.test:"), "{error}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_reported_as_such() {
    let stopped = Upstream::http(|_, _| text(200, "")).await;
    let egress = pinned(&stopped);
    let (url, port) = (stopped.url("a.test", "/"), stopped.port());
    drop(stopped);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let error = get(&egress, &any_rule(), &url).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Connect);
    assert_eq!(
        error.to_string(),
        format!("no connection to a.test:{port}: connection refused")
    );
}

#[tokio::test]
async fn without_a_rule_nothing_is_resolved_or_connected() {
    let server = Upstream::http(|_, _| text(200, "")).await;
    let egress = pinned(&server);
    for none in [
        rules(&[]),
        rules(&["POST http://a.test:*"]),
        rules(&["* https://*:*", "* http://*"]),
    ] {
        let error = get(&egress, &none, &server.url("a.test", "/p?q=s3cret"))
            .await
            .unwrap_err();
        assert_eq!(error.code(), "egress-denied");
        let url = server.url("a.test", "");
        assert_eq!(
            error.to_string(),
            format!("no outbound rule of this function allows GET {url}")
        );
    }
    let elsewhere = rules(&["GET http://a.test:*/q"]);
    let error = get(&egress, &elsewhere, &server.url("a.test", "/s3cret"))
        .await
        .unwrap_err();
    assert!(error.to_string().ends_with(" at this path"), "{error}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
    assert_eq!(server.connections(), 0);
}
