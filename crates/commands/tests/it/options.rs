//! The options of `http_proxy`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Response;
use http_body_util::Full;

use crate::setup::{ok, setup};
use crate::support::{Upstream, text};

/// Answers every other request with 503, and the others with the number of requests so far.
async fn flaky() -> (Upstream, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let server = Upstream::http(move |_, _| {
        let number = counter.fetch_add(1, Ordering::Relaxed) + 1;
        let status = if number % 2 == 1 { 503 } else { 200 };
        text(status, format!("{status} {number}"))
    })
    .await;
    (server, count)
}

#[tokio::test]
async fn retry_sends_again_only_what_may_be_sent_twice() {
    let url = "http://a.test:PORT/";
    for (args, stdout, requested) in [
        (&["get", url][..], "503 1", 1),
        (&["--retry", "0", "get", url], "503 1", 1),
        (&["--retry", "2", "get", url], "200 2", 2),
        (&["--retry=1", "put", url], "200 2", 2),
        (&["--retry", "1", "--", "delete", url], "200 2", 2),
        (&["--retry", "9", "post", url], "503 1", 1),
        (&["--retry", "9", "patch", url], "503 1", 1),
    ] {
        let (server, count) = flaky().await;
        let setup = setup(server).await;
        assert_eq!(
            setup.run(args, "in").await,
            ok(stdout.to_owned()),
            "{args:?}"
        );
        assert_eq!(count.load(Ordering::Relaxed), requested, "{args:?}");
    }
}

/// The text "compressed" in the format of gzip.
const GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x4b\xce\xcf\x2d\x28\x4a\x2d\x2e\x4e\x4d\x01\x00\x1e\x4b\x56\x97\x0a\x00\x00\x00";

#[tokio::test]
async fn compressed_requests_and_decodes_compression() {
    let answer = |request: &http::request::Parts, _| {
        let requested = request.headers.contains_key("accept-encoding");
        let response = Response::builder().header("content-encoding", "gzip");
        let response = response.header("x-accepted", requested.to_string());
        response.body(Full::from(GZIP)).unwrap()
    };
    let setup = setup(Upstream::http(answer).await).await;
    let url = "http://a.test:PORT/";
    assert_eq!(setup.run(&["get", url], "").await, ok(GZIP));
    let decoded = setup.run(&["--compressed", "get", url], "").await;
    assert_eq!(decoded, ok("compressed"));
    let head = setup.run(&["--compressed", "-i", "get", url], "").await;
    let head = String::from_utf8(head.stdout.to_vec()).unwrap();
    assert!(head.contains("x-accepted: true\r\n"), "{head}");
    assert!(!head.contains("content-encoding"), "{head}");
}
