//! The options that the command inside functions has, too.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::Response;
use http_body_util::Full;

use crate::at;
use crate::support::{Upstream, text};

#[tokio::test]
async fn a_failed_request_is_sent_again_on_request() {
    let server = || async {
        let count = AtomicUsize::new(0);
        Upstream::http(move |_, _| match count.fetch_add(1, Ordering::Relaxed) {
            0 => text(503, "not yet"),
            _ => text(200, "good"),
        })
        .await
    };
    let url = "http://127.0.0.1:PORT/";
    for (args, stdout) in [
        (&["get", url][..], "not yet"),
        (&["--retry", "1", "get", url], "good"),
        (&["get", url, "{}", "--retry=999"], "good"),
        (&["--retry", "9", "post", url], "not yet"),
    ] {
        at(&server().await, args, "").await.is(stdout);
    }
}

/// The text "compressed" in the format of gzip.
const GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x4b\xce\xcf\x2d\x28\x4a\x2d\x2e\x4e\x4d\x01\x00\x1e\x4b\x56\x97\x0a\x00\x00\x00";

#[tokio::test]
async fn a_compressed_response_is_decoded_on_request() {
    let server = Upstream::http(|request, _| {
        let requested = request.headers.contains_key("accept-encoding");
        let response = Response::builder().status(if requested { 200 } else { 406 });
        let response = response.header("content-encoding", "gzip");
        response.body(Full::from(GZIP)).unwrap()
    })
    .await;
    let url = "http://127.0.0.1:PORT/";
    at(&server, &["--compressed", "get", url], "")
        .await
        .is("compressed");
    let plain = at(&server, &["get", url], "").await;
    assert_eq!(plain.stdout, String::from_utf8_lossy(GZIP));
}
