//! Bodies that stream: their limits, their ends, and their masking.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::{Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use iof_egress::{
    BoxError, Config, Egress, Error, Kind, Outbound, RequestStream, ResponseStream, Rules,
    SecretInjections, StreamTimeouts,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::secrets::{TOKEN, header, one};
use crate::support::{Upstream, any_rule, outbound, quick, redirect, rules, text};

/// An exchange in progress: its head, and the client's own end of it.
struct Sent {
    head: oneshot::Receiver<Response<ResponseStream>>,
    end: JoinHandle<Result<(), Error>>,
}

impl Sent {
    async fn head(&mut self) -> Response<ResponseStream> {
        (&mut self.head).await.unwrap()
    }

    /// The error of an exchange that has no response.
    async fn error(self) -> Error {
        assert!(self.head.await.is_err(), "no head");
        self.end.await.unwrap().unwrap_err()
    }
}

fn start(egress: &Egress, request: Request<RequestStream>) -> Sent {
    start_with(egress, any_rule(), SecretInjections::default(), request)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test waits for it, or aborts it"
)]
fn start_with(
    egress: &Egress,
    rules: Rules,
    secrets: SecretInjections,
    request: Request<RequestStream>,
) -> Sent {
    let (sender, head) = oneshot::channel();
    let egress = egress.clone();
    let end = tokio::spawn(async move {
        let context = Outbound {
            secrets: &secrets,
            ..outbound(&rules)
        };
        let timeouts = StreamTimeouts::default();
        egress.exchange(&context, request, timeouts, sender).await
    });
    Sent { head, end }
}

fn client(server: &Upstream) -> Egress {
    with(server, quick())
}

fn with(server: &Upstream, config: Config) -> Egress {
    Egress::new(Config {
        pin: vec![server.pin("up.test")],
        max_request: bytesize::ByteSize::gib(1),
        max_response: bytesize::ByteSize::gib(1),
        ..config
    })
    .unwrap()
}

fn nothing() -> RequestStream {
    Empty::new()
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// A body whose parts come from a channel.
fn channel() -> (mpsc::Sender<Result<&'static [u8], BoxError>>, RequestStream) {
    let (sender, mut receiver) = mpsc::channel(1);
    let frames = futures::stream::poll_fn(move |cx| receiver.poll_recv(cx))
        .map(|piece: Result<&[u8], _>| piece.map(|piece| Frame::data(Bytes::from_static(piece))));
    (sender, StreamBody::new(frames).boxed_unsync())
}

static MEGABYTE: [u8; 1 << 20] = [b'x'; 1 << 20];

/// A body of megabytes, each made when it is polled for.
fn megabytes(count: u64, produced: Arc<AtomicU64>) -> RequestStream {
    let frames = futures::stream::iter(0..count).map(move |_| {
        produced.fetch_add(1, Ordering::Relaxed);
        Ok(Frame::data(Bytes::from_static(&MEGABYTE)))
    });
    StreamBody::new(frames).boxed_unsync()
}

/// An upstream that echoes the body of a request while it arrives.
async fn echo() -> Upstream {
    Upstream::raw(|stream| async move {
        let service = service_fn(|request: Request<Incoming>| async move {
            Ok::<_, Infallible>(Response::new(request.into_body()))
        });
        let _ = Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await;
    })
    .await
}

fn post(server: &Upstream, body: RequestStream) -> Request<RequestStream> {
    Request::post(server.url("up.test", "/"))
        .body(body)
        .unwrap()
}

fn get(server: &Upstream, path: &str) -> Request<RequestStream> {
    Request::get(server.url("up.test", path))
        .body(nothing())
        .unwrap()
}

#[tokio::test]
async fn large_bodies_pass_in_constant_memory() {
    let server = echo().await;
    let egress = client(&server);
    let (count, produced) = (256, Arc::new(AtomicU64::new(0)));
    let mut sent = start(&egress, post(&server, megabytes(count, produced.clone())));
    let mut body = sent.head().await.into_body();
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        read += frame.unwrap().into_data().unwrap().len() as u64;
        let ahead = produced.load(Ordering::Relaxed) - (read >> 20);
        assert!(ahead < 32, "{ahead} MiB were made and not read");
    }
    assert_eq!(read, count << 20);
    sent.end.await.unwrap().unwrap();
}

#[tokio::test]
async fn backpressure_reaches_both_sides() {
    let server = echo().await;
    let egress = client(&server);
    let produced = Arc::new(AtomicU64::new(0));
    let mut sent = start(&egress, post(&server, megabytes(256, produced.clone())));
    let body = sent.head().await.into_body();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let first = produced.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(produced.load(Ordering::Relaxed), first);
    assert!(first < 64, "{first} MiB");
    drop(body);
    timeout(Duration::from_secs(5), sent.end)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn each_piece_arrives_when_it_is_made() {
    let server = echo().await;
    let egress = client(&server);
    let (source, body) = channel();
    let mut sent = start(&egress, post(&server, body));
    source.send(Ok(b"one")).await.unwrap();
    let mut body = sent.head().await.into_body();
    for piece in [&b"two"[..], b"three"] {
        let read = body.frame().await.unwrap().unwrap();
        assert!(read.into_data().is_ok());
        let none = timeout(Duration::from_millis(50), body.frame()).await;
        assert!(none.is_err(), "nothing else was sent");
        source.send(Ok(piece)).await.unwrap();
    }
    let read = body.frame().await.unwrap().unwrap();
    assert_eq!(read.into_data().unwrap(), "three");
    drop(source);
    assert!(body.frame().await.is_none());
    sent.end.await.unwrap().unwrap();
}

/// Chunks are for bodies of unknown length; a missing body has no framing.
#[tokio::test]
async fn framing_follows_the_body() {
    let server = Upstream::http(|request, body| {
        let header = |name| {
            request
                .headers
                .get(name)
                .map(|v| v.to_str().unwrap().to_owned())
        };
        let (length, coding) = (header("content-length"), header("transfer-encoding"));
        text(200, format!("{length:?} {coding:?} {}", body.len()))
    })
    .await;
    let egress = client(&server);
    let read = async |request| {
        let body = start(&egress, request).head().await.into_body();
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    };
    assert_eq!(read(get(&server, "/")).await, "None None 0");
    let (source, body) = channel();
    let chunked = read(post(&server, body));
    let (chunked, ()) = tokio::join!(chunked, async {
        source.send(Ok(b"five.")).await.unwrap();
        drop(source);
    });
    assert_eq!(chunked, "None Some(\"chunked\") 5");
    let whole = Full::new(Bytes::from_static(b"five."));
    let whole = whole.map_err(|never| match never {}).boxed_unsync();
    let mut request = post(&server, whole);
    request.headers_mut().insert("content-length", 5.into());
    assert_eq!(read(request).await, "Some(\"5\") None 5");
}

#[tokio::test]
async fn a_length_that_is_not_the_bodys_is_an_error() {
    let server = Upstream::http(|_, body| text(200, body)).await;
    let egress = client(&server);
    for (declared, kind) in [
        ("4", Kind::Header),
        ("6", Kind::Header),
        ("5, 5", Kind::Header),
        ("+5", Kind::Header),
    ] {
        let (source, body) = channel();
        let mut request = post(&server, body);
        request
            .headers_mut()
            .insert("content-length", declared.parse().unwrap());
        let sent = start(&egress, request);
        let _ = source.send(Ok(b"five.")).await;
        drop(source);
        assert_eq!(sent.error().await.kind(), kind, "{declared}");
    }
    for name in [
        "host",
        "transfer-encoding",
        "connection",
        "expect",
        "upgrade",
    ] {
        let mut request = get(&server, "/");
        request.headers_mut().insert(name, "x".parse().unwrap());
        assert_eq!(
            start(&egress, request).error().await.kind(),
            Kind::Header,
            "{name}"
        );
    }
}

/// The other side must not take a part of the body for the whole.
#[tokio::test]
async fn an_unfinished_request_is_aborted() {
    for failing in [true, false] {
        let (sender, mut receiver) = mpsc::channel(1);
        let server = Upstream::raw(move |mut stream| {
            let sender = sender.clone();
            async move {
                let mut all = Vec::new();
                let _ = stream.read_to_end(&mut all).await;
                let _ = sender
                    .send(String::from_utf8_lossy(&all).into_owned())
                    .await;
            }
        })
        .await;
        let egress = client(&server);
        let (source, body) = channel();
        let sent = start(&egress, post(&server, body));
        source.send(Ok(b"part")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        match failing {
            true => {
                source.send(Err("the guest trapped".into())).await.unwrap();
                let error = sent.error().await;
                assert_eq!(
                    error.to_string(),
                    "the body of the request was not finished"
                );
            }
            false => {
                sent.end.abort();
            }
        }
        let received = timeout(Duration::from_secs(5), receiver.recv())
            .await
            .unwrap()
            .unwrap();
        assert!(received.contains("4\r\npart\r\n"), "{received}");
        assert!(!received.contains("\r\n0\r\n"), "{received}");
    }
}

#[tokio::test]
async fn a_response_that_ends_early_is_an_error() {
    let server = Upstream::raw(|mut stream| async move {
        let mut head = [0; 4096];
        let _ = stream.read(&mut head).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfive.")
            .await;
    })
    .await;
    let egress = client(&server);
    let mut sent = start(&egress, get(&server, "/"));
    let mut body = sent.head().await.into_body();
    assert_eq!(
        body.frame().await.unwrap().unwrap().into_data().unwrap(),
        "five."
    );
    let error = body.frame().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::Protocol);
    assert!(sent.end.await.unwrap().is_err());
    // The request is cancelled by the client.
    let server = echo().await;
    let egress = client(&server);
    let (source, body) = channel();
    let mut sent = start(&egress, post(&server, body));
    source.send(Ok(b"one")).await.unwrap();
    let mut body = sent.head().await.into_body();
    body.frame().await.unwrap().unwrap();
    sent.end.abort();
    let error = body.frame().await.unwrap().unwrap_err();
    assert!(error.to_string().contains("cancelled"), "{error}");
}

#[tokio::test]
async fn limits_hold_while_bodies_stream() {
    let server = echo().await;
    let mut config = Config {
        pin: vec![server.pin("up.test")],
        max_request: bytesize::ByteSize::mib(2),
        max_response: bytesize::ByteSize::mib(1),
        ..quick()
    };
    let egress = Egress::new(config.clone()).unwrap();
    let produced = Arc::new(AtomicU64::new(0));
    let mut sent = start(&egress, post(&server, megabytes(2, produced.clone())));
    let body = sent.head().await.into_body();
    let error = body.collect().await.unwrap_err();
    assert_eq!(error.kind(), Kind::ResponseTooLarge);
    config.max_response = bytesize::ByteSize::gib(1);
    let egress = Egress::new(config).unwrap();
    let mut sent = start(&egress, post(&server, megabytes(9, produced)));
    let error = match (&mut sent.head).await {
        // The answer begins before the request is too large.
        Ok(head) => head.into_body().collect().await.unwrap_err(),
        Err(_) => sent.end.await.unwrap().unwrap_err(),
    };
    assert!(
        [Kind::RequestTooLarge, Kind::Protocol].contains(&error.kind()),
        "{error}"
    );
}

#[tokio::test]
async fn a_slow_source_is_not_a_slow_upstream() {
    let server = echo().await;
    let config = Config {
        first_byte_timeout: Duration::from_millis(200),
        idle_timeout: Duration::from_millis(200),
        ..quick()
    };
    let egress = with(&server, config);
    let (source, body) = channel();
    let mut sent = start(&egress, post(&server, body));
    source.send(Ok(b"a")).await.unwrap();
    let _head = sent.head().await;
    drop(source);
    // An upstream that reads everything and does not answer.
    let server = Upstream::http(|_, body| text(200, body)).await;
    let egress = with(
        &server,
        Config {
            first_byte_timeout: Duration::from_millis(300),
            idle_timeout: Duration::from_millis(300),
            ..quick()
        },
    );
    let (source, body) = channel();
    let mut sent = start(&egress, post(&server, body));
    for _ in 0..4 {
        source.send(Ok(b"a")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    drop(source);
    let read = sent.head().await.into_body().collect().await.unwrap();
    assert_eq!(read.to_bytes(), "aaaa");
}

#[tokio::test]
async fn a_silent_upstream_is_ended_by_its_limits() {
    let server = Upstream::raw(|mut stream| async move {
        let mut read = [0; 4096];
        while stream.read(&mut read).await.is_ok_and(|count| count > 0) {}
    })
    .await;
    let egress = with(
        &server,
        Config {
            first_byte_timeout: Duration::from_millis(200),
            ..quick()
        },
    );
    let (source, body) = channel();
    let sent = start(&egress, post(&server, body));
    source.send(Ok(b"a")).await.unwrap();
    drop(source);
    assert_eq!(sent.error().await.kind(), Kind::TimeoutFirstByte);
    // An upstream that does not even read.
    let server = Upstream::raw(|stream| async move {
        tokio::time::sleep(Duration::from_secs(30)).await;
        drop(stream);
    })
    .await;
    let egress = with(
        &server,
        Config {
            idle_timeout: Duration::from_millis(200),
            ..quick()
        },
    );
    let began = Instant::now();
    let sent = start(&egress, post(&server, megabytes(256, Arc::default())));
    assert_eq!(sent.error().await.kind(), Kind::TimeoutIdle);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn rules_and_redirects() {
    let server = Upstream::http(|_, _| redirect(307, "http://127.0.0.1:1/")).await;
    let egress = client(&server);
    let mut sent = start(&egress, post(&server, megabytes(1, Arc::default())));
    let head = sent.head().await;
    assert_eq!(head.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(head.headers()["location"], "http://127.0.0.1:1/");
    let only = rules(&["GET http://other.test"]);
    let denied = start_with(
        &egress,
        only,
        SecretInjections::default(),
        get(&server, "/"),
    );
    assert_eq!(denied.error().await.kind(), Kind::Denied);
    let mut request = get(&server, "/");
    *request.uri_mut() = "http://127.0.0.1:1/".parse().unwrap();
    assert_eq!(start(&egress, request).error().await.kind(), Kind::Address);
}

#[tokio::test]
async fn a_secret_is_masked_across_pieces() {
    let server = Upstream::raw(|mut stream| async move {
        let mut head = [0; 4096];
        let _ = stream.read(&mut head).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            .await;
        for byte in format!("<{TOKEN}>{TOKEN}{TOKEN},{}", &TOKEN[..4]).bytes() {
            let _ = stream
                .write_all(&[b'1', b'\r', b'\n', byte, b'\r', b'\n'])
                .await;
            let _ = stream.flush().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let _ = stream.write_all(b"0\r\n\r\n").await;
    })
    .await;
    let egress = client(&server);
    let secrets = one("* http://up.test:*", header("authorization"), "Bearer {T}");
    let mut sent = start_with(&egress, any_rule(), secrets, get(&server, "/"));
    let body = sent.head().await.into_body().collect().await.unwrap();
    let expected = format!("<***>***,{}", &TOKEN[..4]);
    assert_eq!(body.to_bytes(), expected);
}

#[tokio::test]
async fn a_response_without_a_body_has_ended() {
    let server = Upstream::http(|_, _| text(204, "")).await;
    let egress = client(&server);
    let mut sent = start(&egress, get(&server, "/"));
    let head = sent.head().await;
    assert!(head.body().is_end_stream());
    drop(head);
    sent.end.await.unwrap().unwrap();
    let server = Upstream::http(|_, _| text(200, "12345")).await;
    let egress = client(&server);
    let mut request = get(&server, "/");
    *request.method_mut() = http::Method::HEAD;
    let head = start(&egress, request).head().await;
    assert_eq!(head.headers()["content-length"], "5");
    assert!(head.body().is_end_stream());
}
