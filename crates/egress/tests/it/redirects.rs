//! Redirects: each hop is a request of its own, which needs its own rule.

use bytes::Bytes;
use http::Request;
use iof_egress::{Config, Egress, Kind};

use crate::support::{Upstream, any_rule, get, quick, redirect, rules, send, text};

/// A server that redirects /STATUS to /end, and answers at /end with the request.
async fn echo() -> Upstream {
    Upstream::http(
        |request, body| match request.uri.path().trim_start_matches('/').parse() {
            Ok(status) => redirect(status, "/end"),
            Err(_) => {
                let kind = request
                    .headers
                    .get("content-type")
                    .map_or("-", |v| v.to_str().unwrap());
                text(
                    200,
                    format!(
                        "{} {} {}",
                        request.method,
                        kind,
                        String::from_utf8_lossy(&body)
                    ),
                )
            }
        },
    )
    .await
}

#[tokio::test]
async fn methods_and_bodies_arrive_as_documented() {
    let server = echo().await;
    let egress = Egress::new(Config {
        pin: vec![server.pin("a.test")],
        ..quick()
    })
    .unwrap();
    for (method, status, arrives) in [
        ("POST", 301, "GET - "),
        ("POST", 302, "GET - "),
        ("POST", 303, "GET - "),
        ("POST", 307, "POST text/plain body"),
        ("POST", 308, "POST text/plain body"),
        ("PUT", 301, "PUT text/plain body"),
        ("PUT", 303, "GET - "),
        ("GET", 302, "GET - "),
        ("GET", 307, "GET text/plain body"),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(server.url("a.test", &format!("/{status}")));
        let request = request
            .header("content-type", "text/plain")
            .header("content-length", "4");
        let response = send(
            &egress,
            &any_rule(),
            request.body(Bytes::from_static(b"body")).unwrap(),
        )
        .await;
        assert_eq!(response.unwrap().body(), arrives, "{method} {status}");
    }
    assert_eq!(server.connections(), 1, "a redirect keeps the connection");
}

#[tokio::test]
async fn each_hop_needs_a_rule() {
    let server = echo().await;
    let evil = Upstream::http(|_, _| text(200, "evil")).await;
    let to_evil = evil.url("evil.test", "/x?secret=1");
    let start = Upstream::http(move |_, _| redirect(302, &to_evil)).await;
    let pin = vec![
        server.pin("a.test"),
        evil.pin("evil.test"),
        start.pin("start.test"),
    ];
    let egress = Egress::new(Config { pin, ..quick() }).unwrap();

    let error = get(
        &egress,
        &rules(&["* http://start.test:*"]),
        &start.url("start.test", "/"),
    )
    .await
    .unwrap_err();
    assert_eq!(error.code(), "egress-denied");
    let origin = evil.url("evil.test", "");
    assert_eq!(
        error.to_string(),
        format!("after a redirect: no outbound rule of this function allows GET {origin}")
    );
    assert_eq!(evil.connections(), 0);
    let both = rules(&["* http://start.test:*", "GET http://evil.test:*/x"]);
    assert_eq!(
        get(&egress, &both, &start.url("start.test", "/"))
            .await
            .unwrap()
            .body(),
        "evil"
    );

    // The method counts, too: POST is allowed, but not the GET that 302 makes of it.
    let post = Request::post(server.url("a.test", "/302"))
        .body(Bytes::new())
        .unwrap();
    let error = send(&egress, &rules(&["POST http://a.test:*"]), post)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
}

#[tokio::test]
async fn credentials_stay_with_their_origin() {
    let seen = |request: &http::request::Parts| {
        let has = |name| {
            if request.headers.contains_key(name) {
                "yes"
            } else {
                "no"
            }
        };
        format!(
            "{} {} {}",
            has("authorization"),
            has("cookie"),
            has("x-other")
        )
    };
    let other = Upstream::http(move |request, _| text(200, seen(request))).await;
    let to_other = other.url("other.test", "/");
    let same = Upstream::http(move |request, _| match request.uri.path() {
        "/away" => redirect(307, &to_other),
        "/stay" => redirect(307, "/end"),
        _ => text(200, seen(request)),
    })
    .await;
    let pin = vec![same.pin("same.test"), other.pin("other.test")];
    let egress = Egress::new(Config { pin, ..quick() }).unwrap();
    for (path, arrives) in [("/stay", "yes yes yes"), ("/away", "no no yes")] {
        let request = Request::get(same.url("same.test", path));
        let request = request
            .header("Authorization", "Bearer s3cret")
            .header("Cookie", "a=b")
            .header("X-Other", "x");
        let response = send(&egress, &any_rule(), request.body(Bytes::new()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.body(), arrives, "{path}");
    }
}

#[tokio::test]
async fn ten_redirects_are_followed_and_no_more() {
    let server = Upstream::http(|request, _| {
        let left: u32 = request.uri.path().trim_start_matches('/').parse().unwrap();
        if left == 0 {
            text(200, "end")
        } else {
            redirect(302, &format!("/{}", left - 1))
        }
    })
    .await;
    let egress = Egress::new(Config {
        pin: vec![server.pin("a.test")],
        ..quick()
    })
    .unwrap();
    assert_eq!(
        get(&egress, &any_rule(), &server.url("a.test", "/10"))
            .await
            .unwrap()
            .body(),
        "end"
    );
    let error = get(&egress, &any_rule(), &server.url("a.test", "/11"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "egress-too-many-redirects");
    assert_eq!(
        error.to_string(),
        "more than 10 redirects (limit max_redirects)"
    );

    let none = Egress::new(Config {
        pin: vec![server.pin("a.test")],
        max_redirects: 0,
        ..quick()
    })
    .unwrap();
    assert_eq!(
        get(&none, &any_rule(), &server.url("a.test", "/1"))
            .await
            .unwrap_err()
            .kind(),
        Kind::TooManyRedirects
    );
}
