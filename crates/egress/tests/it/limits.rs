//! Every wait and every size has a limit, and the error names it.

use std::time::Duration;

use bytes::Bytes;
use bytesize::ByteSize;
use http::{Request, Response};
use http_body_util::Full;
use iof_egress::{Config, Egress, Error, Kind, Outbound};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::support::{Upstream, any_rule, get, outbound, quick, read_request, send, text};

pub(crate) fn pinned(server: &Upstream, config: Config) -> Egress {
    Egress::new(Config {
        pin: vec![server.pin("a.test")],
        ..config
    })
    .unwrap()
}

async fn refused(server: &Upstream, config: Config) -> Error {
    get(
        &pinned(server, config),
        &any_rule(),
        &server.url("a.test", "/"),
    )
    .await
    .unwrap_err()
}

/// Writes `head`, then `again` forever, with pauses.
pub(crate) async fn drip(head: &'static str, again: &'static str, pause: Duration) -> Upstream {
    Upstream::raw(move |mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(head.as_bytes()).await;
        while stream.write_all(again.as_bytes()).await.is_ok() {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    })
    .await
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const MS_100: Duration = Duration::from_millis(100);

#[tokio::test]
async fn an_announced_body_that_is_too_large_is_not_read() {
    let server = drip(
        "HTTP/1.1 200 OK\r\ncontent-length: 1025\r\n\r\n",
        "",
        Duration::from_secs(9),
    )
    .await;
    let error = refused(
        &server,
        Config {
            max_response: ByteSize::kib(1),
            ..quick()
        },
    )
    .await;
    assert_eq!(error.code(), "egress-response-too-large");
    assert!(
        error
            .to_string()
            .ends_with("more than 1024 bytes (limit max_response)"),
        "{error}"
    );
}

#[tokio::test]
async fn an_endless_body_is_cut_off() {
    let chunk = "40\r\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n";
    let server = drip(CHUNKED, chunk, Duration::ZERO).await;
    let error = refused(
        &server,
        Config {
            max_response: ByteSize::kib(20),
            ..quick()
        },
    )
    .await;
    assert_eq!(error.code(), "egress-response-too-large");
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_let_through() {
    let server = Upstream::http(|_, _| text(200, vec![7; 1024])).await;
    let egress = pinned(
        &server,
        Config {
            max_response: ByteSize::kib(1),
            ..quick()
        },
    );
    assert_eq!(
        get(&egress, &any_rule(), &server.url("a.test", "/"))
            .await
            .unwrap()
            .body()
            .len(),
        1024
    );
    let one_less = Config {
        max_response: ByteSize::b(1023),
        ..quick()
    };
    assert_eq!(
        refused(&server, one_less).await.kind(),
        Kind::ResponseTooLarge
    );
}

#[tokio::test]
async fn a_request_is_limited_in_size() {
    let server = Upstream::http(|_, body| text(200, body.len().to_string())).await;
    let egress = pinned(
        &server,
        Config {
            max_request: ByteSize::kib(1),
            ..quick()
        },
    );
    let post = |size| {
        Request::post(server.url("a.test", "/"))
            .header("a", "b")
            .body(Bytes::from(vec![0; size]))
            .unwrap()
    };
    assert_eq!(
        send(&egress, &any_rule(), post(1018)).await.unwrap().body(),
        "1018"
    );
    let error = send(&egress, &any_rule(), post(1019)).await.unwrap_err();
    assert_eq!(error.code(), "egress-request-too-large");
    assert_eq!(
        error.to_string(),
        "the request is larger than 1024 bytes: got 1025 (limit max_request)"
    );
}

#[tokio::test]
async fn response_headers_are_limited_in_number_and_size() {
    let server = Upstream::http(|request, _| {
        let (count, size) = request.uri.path()[1..].split_once('/').unwrap();
        let value = "x".repeat(size.parse().unwrap());
        let mut response = Response::new(Full::<Bytes>::default());
        for i in 0..count.parse().unwrap() {
            let name = http::HeaderName::try_from(format!("x-{i}")).unwrap();
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        response
    })
    .await;
    let egress = pinned(&server, quick());
    // `date` and `content-length` come with every response.
    get(&egress, &any_rule(), &server.url("a.test", "/98/10"))
        .await
        .unwrap();
    get(&egress, &any_rule(), &server.url("a.test", "/60/1000"))
        .await
        .unwrap();
    for path in ["/99/10", "/1000/10", "/70/1000", "/1/70000"] {
        let error = get(&egress, &any_rule(), &server.url("a.test", path))
            .await
            .unwrap_err();
        assert_eq!(
            error.code(),
            "egress-response-too-large",
            "{path}: {error:?}"
        );
        assert!(error.to_string().contains("max_response_header"), "{error}");
    }
}

#[tokio::test]
async fn endless_headers_are_cut_off() {
    let server = drip(
        "HTTP/1.1 200 OK\r\n",
        "x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n",
        Duration::ZERO,
    )
    .await;
    assert_eq!(
        refused(&server, quick()).await.code(),
        "egress-response-too-large"
    );
}

#[tokio::test]
async fn a_connection_that_is_not_established_ends_in_time() {
    // The server accepts, but never starts the TLS handshake.
    let server = Upstream::raw(|stream| async move {
        let _stream = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let egress = pinned(
        &server,
        Config {
            connect_timeout: MS_100,
            ..quick()
        },
    );
    let url = format!("https://a.test:{}/", server.port());
    let error = get(&egress, &any_rule(), &url).await.unwrap_err();
    assert_eq!(error.code(), "egress-timeout-connect");
    assert_eq!(
        error.to_string(),
        "no connection to a.test within 100ms (limit connect_timeout)"
    );
}

#[tokio::test]
async fn a_silent_server_ends_in_time() {
    let server = drip("", "", Duration::from_secs(9)).await;
    let error = refused(
        &server,
        Config {
            first_byte_timeout: MS_100,
            ..quick()
        },
    )
    .await;
    assert_eq!(error.code(), "egress-timeout-first-byte");
    assert!(
        error
            .to_string()
            .ends_with("for 100ms (limit first_byte_timeout)"),
        "{error}"
    );
    // Half a head does not count.
    let server = drip("HTTP/1.1 2", "", Duration::from_secs(9)).await;
    assert_eq!(
        refused(
            &server,
            Config {
                first_byte_timeout: MS_100,
                ..quick()
            }
        )
        .await
        .kind(),
        Kind::TimeoutFirstByte
    );
}

#[tokio::test]
async fn a_body_that_stops_ends_in_time() {
    let server = drip(CHUNKED, "5\r\nabcde\r\n", Duration::from_secs(9)).await;
    let error = refused(
        &server,
        Config {
            idle_timeout: MS_100,
            ..quick()
        },
    )
    .await;
    assert_eq!(error.code(), "egress-timeout-idle");
    assert!(
        error
            .to_string()
            .ends_with("for 100ms (limit idle_timeout)"),
        "{error}"
    );
}

#[tokio::test]
async fn a_slow_body_ends_in_time() {
    let server = drip(CHUNKED, "1\r\na\r\n", Duration::from_millis(20)).await;
    let config = Config {
        idle_timeout: Duration::from_millis(1500),
        total_timeout: Duration::from_secs(2),
        ..quick()
    };
    let error = refused(&server, config).await;
    assert_eq!(error.code(), "egress-timeout-total");
    assert!(
        error
            .to_string()
            .ends_with("after 2s (limit total_timeout)"),
        "{error}"
    );
}

#[tokio::test]
async fn a_request_ends_with_its_call() {
    let server = drip("", "", Duration::from_secs(9)).await;
    let egress = pinned(&server, quick());
    let rules = any_rule();
    let deadline = Instant::now() + MS_100;
    let context = Outbound {
        depth: 0,
        deadline,
        ..outbound(&rules)
    };
    let request = || {
        Request::get(server.url("a.test", "/"))
            .body(Bytes::new())
            .unwrap()
    };
    for _ in 0..2 {
        // The second time, the deadline has passed before the request begins.
        let error = egress.send(&context, request()).await.unwrap_err();
        assert_eq!(error.code(), "egress-timeout-total");
        assert!(
            error.to_string().starts_with("the call's time was over"),
            "{error}"
        );
    }
}
