//! Requests in progress are limited for the process, for a function and for an upstream; a request without a permit
//! waits, but not longer than its time.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use iof_egress::{Config, Outbound};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::limits::{drip, pinned};
use crate::support::{Upstream, any_rule, get, outbound, quick, read_request};

#[tokio::test]
async fn a_request_without_a_permit_waits_until_its_deadline() {
    let short = Duration::from_millis(200);
    let long = Duration::from_secs(20);
    for (config, function, deadline, limit) in [
        (
            Config {
                max_concurrent_per_function: 1,
                ..quick()
            },
            "test",
            short,
            "max_concurrent_per_function",
        ),
        (
            Config {
                max_concurrent_per_upstream: 1,
                ..quick()
            },
            "second",
            short,
            "max_concurrent_per_upstream",
        ),
        (
            Config {
                max_concurrent: 1,
                ..quick()
            },
            "second",
            short,
            "max_concurrent",
        ),
        (
            Config {
                max_connections: 1,
                connect_timeout: short,
                ..quick()
            },
            "second",
            long,
            "max_connections",
        ),
    ] {
        let server = drip("", "", Duration::from_secs(9)).await;
        let egress = pinned(&server, config);
        let rules = any_rule();
        let url = server.url("a.test", "/");
        let first = get(&egress, &rules, &url);
        let second = async {
            while server.connections() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let deadline = Instant::now() + deadline;
            let request = Request::get(&url).body(Bytes::new()).unwrap();
            let context = Outbound {
                function,
                depth: 0,
                deadline,
                ..outbound(&rules)
            };
            egress.send(&context, request).await
        };
        let error = tokio::select! {
            first = first => panic!("the first request ended: {first:?}"),
            second = second => second.unwrap_err(),
        };
        assert_eq!(error.code(), "egress-busy", "{limit}: {error:?}");
        assert!(
            error.to_string().ends_with(&format!("(limit {limit})")),
            "{error}"
        );
    }
}

/// As many requests as the limit are in progress at once, one more waits for one of them, and another function is not
/// affected.
#[tokio::test]
async fn a_function_has_its_own_permits() {
    let (free, gate) = tokio::sync::watch::channel(false);
    let server = Upstream::raw(move |mut stream| {
        let mut gate = gate.clone();
        async move {
            let request = read_request(&mut stream).await;
            if request.starts_with("GET /slow") {
                let _ = gate.wait_for(|&open| open).await;
            }
            let _ = stream
                .write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
                .await;
        }
    })
    .await;
    let egress = pinned(
        &server,
        Config {
            max_concurrent_per_function: 2,
            ..quick()
        },
    );
    let rules = any_rule();
    let send = |function: &'static str, path: &'static str, ms: u64| {
        let (egress, rules, url) = (&egress, &rules, server.url("a.test", path));
        async move {
            let context = Outbound {
                function,
                depth: 0,
                deadline: Instant::now() + Duration::from_millis(ms),
                ..outbound(rules)
            };
            let request = Request::get(url).body(Bytes::new()).unwrap();
            egress.send(&context, request).await
        }
    };
    let under_way = futures::future::try_join(
        send("f", "/slow", 20_000),
        futures::future::try_join(send("f", "/slow", 20_000), send("f", "/waits", 20_000)),
    );
    let meanwhile = async {
        while server.connections() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let error = send("f", "/", 100).await.unwrap_err();
        assert_eq!(error.code(), "egress-busy");
        assert_eq!(
            error.to_string(),
            "2 outbound requests of this function are in progress (limit \
             max_concurrent_per_function)"
        );
        send("g", "/", 20_000).await.unwrap();
        assert_eq!(server.connections(), 3, "the third of f waits");
        free.send(true).unwrap();
    };
    let (all, ()) = tokio::join!(under_way, meanwhile);
    all.unwrap();
}
