//! The options of `http_proxy`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::setup::{ok, setup};
use crate::support::{Upstream, text};

/// Says 503 every other time, and then how often it was asked.
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
async fn retry_asks_again_what_may_be_asked_twice() {
    let url = "http://a.test:PORT/";
    for (args, stdout, asked) in [
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
        assert_eq!(count.load(Ordering::Relaxed), asked, "{args:?}");
    }
}
