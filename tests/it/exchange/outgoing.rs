//! Requests of functions by `wasi:http`: the rules, addresses, secrets and records of every request.

use super::{LONG, path, row};
use bytes::Bytes;
use futures::StreamExt;
use iof_tests::{
    call::{Answer, Uploaded},
    guests::handler_component,
    server::Server,
    upstream::Upstream,
};
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

const HOST: &str = "http://up.test";

struct World {
    upstream: Upstream,
    server: Server,
    function: Uploaded,
}

async fn world(declaration: &str, config: &str) -> World {
    let upstream = Upstream::start().await;
    let config = format!("{config}\n{}", upstream.pin("up.test", 80));
    let server = Server::start(config).await;
    let function = server
        .deploy(handler_component(super::HANDLER), declaration)
        .await;
    World {
        upstream,
        server,
        function,
    }
}

impl World {
    async fn fetch(&self, target: &str) -> Answer {
        self.by("GET", "/fetch", target, &[], "").await
    }

    /// Sends a body on.
    async fn post(&self, target: &str, body: impl Into<reqwest::Body>) -> Answer {
        self.by("POST", "/proxy", target, &[("x-method", "POST")], body)
            .await
    }

    async fn by(
        &self,
        method: &str,
        below: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let mut request = self
            .server
            .request(method, &path(&self.function, below))
            .header("x-target", target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.server.answer(request.body(body)).await
    }

    async fn records(&self, count: usize) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let path = format!("/v1/egress?function={}", self.function.id);
            let json = self.server.read_as(&self.function, &path).await;
            let records = json["sent"].as_array().unwrap().clone();
            if records.len() >= count {
                return records;
            }
            assert!(began.elapsed() < LONG, "{json}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// `p2_http_outbound_request_get`, `…_post`, `…_put`.
#[tokio::test]
async fn a_request_that_a_rule_allows_is_sent() {
    let world = world("outbound = [\"* http://up.test\"]\n", "").await;
    let answer = world
        .by(
            "GET",
            "/fetch",
            &format!("{HOST}/echo?a=b"),
            &[("x-own", "1")],
            "",
        )
        .await;
    assert_eq!(answer.header("x-status"), "200", "{}", answer.text());
    let seen = answer.json();
    assert_eq!(
        (&seen["method"], &seen["path"]),
        (&"GET".into(), &"/echo?a=b".into()),
        "{seen}"
    );
    assert_eq!(seen["headers"]["x-own"], "1", "{seen}");
    assert_eq!(seen["headers"]["host"], "up.test", "{seen}");
    let answer = world.post(&format!("{HOST}/echo"), "a body").await;
    let seen = answer.json();
    assert_eq!(
        (&seen["method"], &seen["body"]),
        (&"POST".into(), &"a body".into()),
        "{seen}"
    );
    let answer = world
        .by(
            "GET",
            "/fetch",
            &format!("{HOST}/echo"),
            &[("x-method", "PUT")],
            "",
        )
        .await;
    let seen = answer.json();
    assert_eq!(
        (&seen["method"], &seen["body"]),
        (&"PUT".into(), &"".into()),
        "{seen}"
    );
    let answer = world.fetch(&format!("{HOST}/status/404")).await;
    assert_eq!(
        (answer.header("x-status"), &*answer.text()),
        ("404", "status 404")
    );
    let head = world
        .by(
            "GET",
            "/fetch",
            &format!("{HOST}/size/9"),
            &[("x-method", "HEAD")],
            "",
        )
        .await;
    assert_eq!((head.header("x-status"), head.body.len()), ("200", 0));
}

/// `p2_http_outbound_request_invalid_*`, and the denials of an operator: an error of the guest's, never a trap.
#[tokio::test]
async fn what_is_denied_is_an_error_of_the_guests() {
    let world = world("outbound = [\"GET http://up.test/echo\", \"* http://127.0.0.1\", \"* http://none.test\"]\n", "").await;
    for (target, code) in [
        ("http://up.test/size/1", "HttpRequestDenied"),
        ("https://up.test/echo", "HttpRequestDenied"),
        ("http://up.test:81/echo", "HttpRequestDenied"),
        ("http://127.0.0.1/", "DestinationIpProhibited"),
        ("ftp://up.test/echo", "HttpProtocolError"),
        ("http://none.test/", "DnsError"),
    ] {
        let answer = world.fetch(target).await;
        assert!(answer.text().contains(code), "{target}: {}", answer.text());
    }
    // A method that makes a tunnel, which no client of a function is asked for.
    let tunnel = [("x-method", "CONNECT")];
    let answer = world
        .by("GET", "/fetch", "http://up.test/echo", &tunnel, "")
        .await;
    assert!(
        answer.text().contains("HttpRequestDenied"),
        "{}",
        answer.text()
    );
    // The body of a request that is denied is taken, however long it is.
    let answer = world.post("http://up.test/echo", vec![b'x'; 1 << 20]).await;
    assert!(
        answer.text().contains("HttpRequestDenied") && answer.text().contains("sent true"),
        "{}",
        answer.text()
    );
    assert!(world.upstream.seen().is_empty(), "nothing left");
    let records = world.records(3).await;
    assert!(
        records
            .iter()
            .any(|record| record["outcome"] == "egress-denied"),
        "{records:?}"
    );
    let row = row(&world.server, &world.function, 8).await;
    assert!(row["fault"].is_null(), "{row}");
}

/// `p2_http_outbound_request_invalid_version`: no rule allows `CONNECT`, which would make a tunnel past all of them.
#[tokio::test]
async fn a_tunnel_is_denied_by_every_rule() {
    let world = world("outbound = [\"* http://up.test\"]\n", "").await;
    let tunnel = [("x-method", "CONNECT")];
    let target = format!("{HOST}/echo");
    let answer = world.by("GET", "/fetch", &target, &tunnel, "").await;
    assert!(
        answer.text().contains("HttpRequestDenied"),
        "{}",
        answer.text()
    );
    assert!(world.upstream.seen().is_empty(), "nothing left");
}

/// `p2_http_outbound_request_timeout`: the guest's `connect-timeout` ends what has not connected, also where the server's own
/// is longer. TLS is part of connecting; this upstream never begins it.
#[tokio::test]
async fn a_guest_bounds_the_time_to_connect() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = upstream.local_addr().unwrap();
    let server = Server::start(format!(
        "[egress]\nconnect_timeout = \"20s\"\n[[egress.pin]]\nhost = \"up.test\"\nport = 443\nto = \"{address}\"\n"
    ))
    .await;
    let function = server
        .deploy(
            handler_component(super::HANDLER),
            "outbound = [\"* https://up.test\"]\n",
        )
        .await;
    let began = Instant::now();
    let request = server
        .request("GET", &path(&function, "/fetch"))
        .header("x-target", "https://up.test/")
        .header("x-connect-timeout", "200");
    let answer = server.answer(request).await;
    assert!(
        answer.text().contains("ConnectionTimeout"),
        "{}",
        answer.text()
    );
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn redirects_are_responses() {
    let world = world("outbound = [\"* http://up.test\"]\n", "").await;
    let answer = world
        .fetch(&format!("{HOST}/redirect/302?{HOST}/echo"))
        .await;
    assert_eq!(answer.header("x-status"), "302");
    assert_eq!(answer.header("location"), format!("{HOST}/echo"));
    assert_eq!(world.upstream.seen().len(), 1);
}

/// `p2_http_outbound_request_timeout`, `…_large_post`, `…_content_length`.
#[tokio::test]
async fn bodies_stream_and_are_counted() {
    let config = "[limits]\nwall_time = \"60s\"\nguest_cpu = \"60s\"\n[egress]\nmax_request = \"64MiB\"\nmax_response = \"64MiB\"\n";
    let world = world("outbound = [\"* http://up.test\"]\n", config).await;
    let size = 32 << 20;
    let answer = world.fetch(&format!("{HOST}/size/{size}")).await;
    assert_eq!(answer.body.len(), size);
    let piece = Bytes::from(vec![b'x'; 1 << 20]);
    let pieces = futures::stream::iter(0..32).map(move |_| Ok::<_, std::io::Error>(piece.clone()));
    let body = reqwest::Body::wrap_stream(pieces);
    let answer = world.post(&format!("{HOST}/mirror"), body).await;
    assert_eq!(answer.body.len(), size);
    let records = world.records(2).await;
    assert_eq!(records[0]["bytes_out"], size, "{records:?}");
    assert_eq!(records[0]["bytes_in"], size, "{records:?}");
    assert_eq!(records[1]["bytes_in"], size, "{records:?}");
    // Each byte arrives when it was sent.
    let mut request = world
        .server
        .request("GET", &path(&world.function, "/fetch"))
        .header("x-target", format!("{HOST}/drip/5/200"))
        .send()
        .await
        .unwrap();
    let began = Instant::now();
    request.chunk().await.unwrap().unwrap();
    assert!(
        began.elapsed() < Duration::from_millis(700),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn limits_of_what_leaves_hold() {
    let config =
        "[limits]\ncommands = 3\n[egress]\nmax_request = \"1MiB\"\nmax_response = \"1MiB\"\n";
    let world = world("outbound = [\"* http://up.test\"]\n", config).await;
    let response = world
        .server
        .request("GET", &path(&world.function, "/fetch"))
        .header("x-target", format!("{HOST}/endless"))
        .send()
        .await
        .unwrap();
    assert!(
        response.bytes().await.is_err(),
        "the answer is cut as the response was"
    );
    let answer = world
        .post(&format!("{HOST}/mirror"), vec![b'x'; 3 << 20])
        .await;
    assert!(answer.text().contains("error"), "{}", answer.text());
    let cut = world
        .server
        .request("GET", &path(&world.function, "/fetch"))
        .header("x-target", format!("{HOST}/cut/5"));
    assert!(world.server.send(cut).await.is_err());
    let many = world
        .by("GET", "/fetches?4", &format!("{HOST}/nothing"), &[], "")
        .await;
    assert_eq!(many.text(), "ok,ok,ok,ErrorCode::ConnectionLimitReached");
    let slow = world
        .by("GET", "/fetch?200", &format!("{HOST}/slow/5000"), &[], "")
        .await;
    assert!(
        slow.text().contains("HttpResponseTimeout"),
        "{}",
        slow.text()
    );
}

/// The upstream must not take a part of a request for the whole.
#[tokio::test]
async fn a_request_that_its_caller_does_not_finish_is_cut() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = upstream.local_addr().unwrap();
    let config = format!("[[egress.pin]]\nhost = \"up.test\"\nport = 80\nto = \"{address}\"\n");
    let server = Server::start(config).await;
    let function = server
        .deploy(
            handler_component(super::HANDLER),
            "outbound = [\"* http://up.test\"]\n",
        )
        .await;
    let mut client = tokio::net::TcpStream::connect(server.url.trim_start_matches("http://"))
        .await
        .unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: localhost\r\nx-target: http://up.test/\r\nx-method: POST\r\n\
         transfer-encoding: chunked\r\n\r\n4\r\npart\r\n",
        path(&function, "/proxy")
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut asked, _) = timeout(LONG, upstream.accept()).await.unwrap().unwrap();
    let mut seen = vec![];
    while !seen.ends_with(b"part\r\n") {
        assert!(asked.read_buf(&mut seen).await.unwrap() > 0);
    }
    drop(client);
    timeout(LONG, asked.read_to_end(&mut seen))
        .await
        .unwrap()
        .ok();
    assert!(
        !seen.ends_with(b"0\r\n\r\n"),
        "{}",
        String::from_utf8_lossy(&seen)
    );
}
