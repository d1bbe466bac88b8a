//! Retries: the requests that are sent again, and those that never are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use iof_egress::{Config, Egress, Error, Kind, Outbound, Pin};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::dns::{Dns, DnsAnswer};
use crate::records::EntryList;
use crate::support::{
    Upstream, any_rule, get, outbound, quick, read_request, redirect, rules, text,
};

/// A client whose `a.test` is `server`, and its records.
fn pinned(server: &Upstream, config: Config) -> (Egress, Arc<EntryList>) {
    with_pin(server.pin("a.test"), config)
}

fn with_pin(pin: Pin, config: Config) -> (Egress, Arc<EntryList>) {
    EntryList::client(Config {
        pin: vec![pin],
        ..config
    })
}

async fn send(
    egress: &Egress,
    retries: u32,
    method: &str,
    url: String,
) -> Result<Response<Bytes>, Error> {
    let rules = any_rule();
    let context = Outbound {
        retries,
        ..outbound(&rules)
    };
    let request = Request::builder().method(method).uri(url);
    let request = request.body(Bytes::from_static(b"in")).unwrap();
    egress.send(&context, request).await
}

/// A server that reads a request and closes the connection, `times` over, and then answers with the method.
async fn breaking(times: usize) -> Upstream {
    let count = Arc::new(AtomicUsize::new(0));
    Upstream::raw(move |mut stream| {
        let count = count.clone();
        async move {
            let request = read_request(&mut stream).await;
            let method = request.split(' ').next().unwrap_or_default();
            let number = count.fetch_add(1, Ordering::Relaxed);
            let length = if method == "HEAD" { 0 } else { method.len() };
            let answer = match (number < times, number % 2) {
                // In the middle of the body, or before any byte.
                (true, 0) => "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nbroken".to_owned(),
                (true, _) => String::new(),
                (false, _) => format!(
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{}",
                    &method[..length]
                ),
            };
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await
}

/// A server that answers with `status` and these headers, `times` over, and then with 200.
async fn answering(
    status: u16,
    header: Option<(&'static str, &'static str)>,
    times: usize,
) -> Upstream {
    let count = AtomicUsize::new(0);
    Upstream::http(move |_, _| {
        if count.fetch_add(1, Ordering::Relaxed) >= times {
            return text(200, "good");
        }
        let mut response = Response::builder().status(status);
        if let Some((name, value)) = header {
            response = response.header(name, value);
        }
        response.body(Full::from("not yet")).unwrap()
    })
    .await
}

const BROKE: (&str, Option<u16>) = ("egress-protocol", None);
const BROKE_LATE: (&str, Option<u16>) = ("egress-protocol", Some(200));
const OK: (&str, Option<u16>) = ("ok", Some(200));

#[tokio::test]
async fn idempotent_requests_are_sent_again_after_a_broken_connection() {
    for method in ["GET", "OPTIONS", "PUT", "DELETE"] {
        let server = breaking(2).await;
        let (egress, kept) = pinned(&server, quick());
        let response = send(&egress, 2, method, server.url("a.test", "/")).await;
        assert_eq!(response.unwrap().body(), method);
        assert_eq!(kept.outcomes(), [BROKE_LATE, BROKE, OK], "{method}");
    }
    // The head is the whole response.
    let server = breaking(1).await;
    let (egress, kept) = pinned(&server, quick());
    send(&egress, 2, "HEAD", server.url("a.test", "/"))
        .await
        .unwrap();
    assert_eq!(kept.outcomes(), [OK]);
}

#[tokio::test]
async fn other_requests_are_never_sent_again() {
    for method in ["POST", "PATCH", "PROPFIND", "X"] {
        let server = breaking(1).await;
        let (egress, kept) = pinned(&server, quick());
        let error = send(&egress, 3, method, server.url("a.test", "/"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Protocol);
        assert_eq!(kept.outcomes(), [BROKE_LATE], "{method}");

        let server = answering(503, None, 1).await;
        let (egress, kept) = pinned(&server, quick());
        let response = send(&egress, 3, method, server.url("a.test", "/")).await;
        assert_eq!(response.unwrap().status(), 503);
        assert_eq!(kept.outcomes(), [("ok", Some(503))], "{method}");
    }
}

#[tokio::test]
async fn nothing_is_sent_again_without_a_request_or_beyond_the_limit() {
    for (requested, config, tries) in [
        (0, quick(), 1),
        (1, quick(), 2),
        (99, quick(), 4),
        (
            99,
            Config {
                max_retries: 0,
                ..quick()
            },
            1,
        ),
        (
            1,
            Config {
                max_retries: 10,
                ..quick()
            },
            2,
        ),
    ] {
        let server = breaking(99).await;
        let (egress, kept) = pinned(&server, config);
        let error = send(&egress, requested, "GET", server.url("a.test", "/"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Protocol);
        assert_eq!((kept.take().len(), server.connections()), (tries, tries));
    }
}

#[tokio::test]
async fn responses_of_gateways_are_retried() {
    for status in [502, 503, 504] {
        let server = answering(status, None, 2).await;
        let (egress, kept) = pinned(&server, quick());
        let response = send(&egress, 2, "GET", server.url("a.test", "/")).await;
        assert_eq!(response.unwrap().body(), "good");
        let retried = ("retried", Some(status));
        assert_eq!(kept.outcomes(), [retried, retried, OK]);

        // The last response is returned like any other.
        let server = answering(status, None, 9).await;
        let (egress, kept) = pinned(&server, quick());
        let response = send(&egress, 1, "GET", server.url("a.test", "/")).await;
        let response = response.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.body()[..]),
            (status, &b"not yet"[..])
        );
        assert_eq!(kept.outcomes(), [retried, ("ok", Some(status))]);
    }
    for status in [200, 408, 425, 429, 500, 501, 505] {
        let server = answering(status, None, 1).await;
        let (egress, kept) = pinned(&server, quick());
        let response = send(&egress, 2, "GET", server.url("a.test", "/")).await;
        assert_eq!(response.unwrap().status(), status);
        assert_eq!(kept.outcomes(), [("ok", Some(status))]);
    }
}

#[tokio::test]
async fn retry_after_is_respected() {
    let ask = async |value, retries| {
        let server = answering(503, Some(("retry-after", value)), 1).await;
        let (egress, _) = pinned(&server, quick());
        let started = Instant::now();
        let response = send(&egress, retries, "GET", server.url("a.test", "/")).await;
        (response.unwrap().status().as_u16(), started.elapsed())
    };
    let (status, took) = ask("1", 1).await;
    assert!(status == 200 && took >= Duration::from_secs(1), "{took:?}");
    let (status, _) = ask("0", 1).await;
    assert_eq!(status, 200);
    for value in [
        "31",
        "99999999999999999999",
        "-1",
        "",
        "Fri, 31 Dec 1999 23:59:59 GMT",
    ] {
        let (status, took) = ask(value, 3).await;
        assert!(
            status == 503 && took < Duration::from_secs(5),
            "{value}: {took:?}"
        );
    }
}

/// Another request runs meanwhile.
#[tokio::test]
async fn a_pause_holds_no_permit() {
    let server = answering(503, Some(("retry-after", "2")), 1).await;
    let config = Config {
        max_concurrent_per_function: 1,
        ..quick()
    };
    let (egress, kept) = pinned(&server, config);
    let (first, second) = tokio::join!(send(&egress, 1, "GET", server.url("a.test", "/")), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let started = Instant::now();
        get(&egress, &any_rule(), &server.url("a.test", "/"))
            .await
            .unwrap();
        started.elapsed()
    });
    assert_eq!(first.unwrap().status(), 200);
    assert!(second < Duration::from_millis(1500), "{second:?}");
    assert_eq!(kept.outcomes(), [("retried", Some(503)), OK, OK]);
}

#[tokio::test]
async fn no_pause_goes_beyond_the_deadline() {
    let server = answering(503, None, 99).await;
    let (egress, _) = pinned(&server, quick());
    let rules = any_rule();
    let context = Outbound {
        retries: 3,
        depth: 0,
        deadline: Instant::now() + Duration::from_millis(40),
        ..outbound(&rules)
    };
    let request = Request::get(server.url("a.test", "/")).body(Bytes::new());
    let response = egress.send(&context, request.unwrap()).await.unwrap();
    assert_eq!((response.status().as_u16(), server.connections()), (503, 1));
}

#[tokio::test]
async fn a_refused_connection_is_tried_again() {
    let server = Upstream::http(|_, _| text(200, "")).await;
    let (pin, url) = (server.pin("a.test"), server.url("a.test", "/"));
    drop(server);
    let (egress, kept) = with_pin(pin, quick());
    let error = send(&egress, 1, "GET", url.clone()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Connect);
    let refused = ("egress-connect", None);
    assert_eq!(kept.outcomes(), [refused, refused]);
    // Not even here, although nothing was sent: only the method decides.
    send(&egress, 1, "POST", url).await.unwrap_err();
    assert_eq!(kept.outcomes(), [refused]);
}

#[tokio::test]
async fn names_are_resolved_again_if_no_server_answered() {
    let dns = Dns::start(|name, _| match name {
        "missing.test" => DnsAnswer::NoSuchName,
        _ => DnsAnswer::Failure,
    })
    .await;
    let config = Config {
        dns_servers: vec![dns.address],
        ..quick()
    };
    let (egress, kept) = EntryList::client(config);
    let failed = ("egress-dns", None);
    for (url, outcomes) in [
        ("http://failing.test/", &[failed, failed][..]),
        ("http://missing.test/", &[failed]),
        ("http://localhost/", &[failed]),
    ] {
        send(&egress, 1, "GET", url.to_owned()).await.unwrap_err();
        assert_eq!(kept.outcomes(), outcomes, "{url}");
    }
}

#[tokio::test]
async fn permanent_failures_are_not_tried_again() {
    let talk = |answer: &'static str| {
        Upstream::raw(move |mut stream| async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            tokio::time::sleep(Duration::from_secs(30)).await;
        })
    };
    for (answer, kind) in [
        ("not HTTP\r\n\r\n", Kind::Protocol),
        ("", Kind::TimeoutFirstByte),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n",
            Kind::TimeoutIdle,
        ),
    ] {
        let server = talk(answer).await;
        let config = Config {
            first_byte_timeout: Duration::from_millis(300),
            idle_timeout: Duration::from_millis(300),
            ..quick()
        };
        let (egress, kept) = pinned(&server, config);
        let error = send(&egress, 3, "GET", server.url("a.test", "/"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert_eq!(
            (kept.take().len(), server.connections()),
            (1, 1),
            "{kind:?}"
        );
    }
    let server = Upstream::http(|_, _| text(200, "")).await;
    let (egress, kept) = pinned(&server, quick());
    let rules = rules(&["GET http://a.test"]);
    let context = Outbound {
        retries: 3,
        ..outbound(&rules)
    };
    for url in ["http://b.test/", "http://user@a.test/"] {
        let request = Request::get(url).body(Bytes::new()).unwrap();
        egress.send(&context, request).await.unwrap_err();
        assert_eq!(kept.take().len(), 1, "{url}");
    }
    send(&egress, 3, "GET", "http://10.0.0.1/".to_owned())
        .await
        .unwrap_err();
    assert_eq!(kept.outcomes(), [("egress-address", None)]);
}

/// Each hop is retried by its own method, and all hops share the tries.
#[tokio::test]
async fn hops_of_a_redirect() {
    let count = AtomicUsize::new(0);
    let server = Upstream::http(move |request, _| match request.uri.path() {
        "/303" => redirect(303, "/end"),
        "/307" => redirect(307, "/end"),
        _ if count.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) => text(503, ""),
        _ => text(200, ""),
    })
    .await;
    let (egress, kept) = pinned(&server, quick());
    let send = async |path| {
        let response = send(&egress, 1, "POST", server.url("a.test", path)).await;
        response.unwrap();
        let entries = kept.take().into_iter();
        let outcomes = entries.map(|entry| (entry.method, entry.outcome));
        outcomes.collect::<Vec<_>>()
    };
    let expected = [("POST", "redirect"), ("GET", "retried"), ("GET", "ok")];
    assert_eq!(send("/303").await, expected);
    let expected = [("POST", "redirect"), ("POST", "ok")];
    assert_eq!(send("/307").await, expected);
}
