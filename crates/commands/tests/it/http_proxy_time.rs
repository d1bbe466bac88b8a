//! The time limits of `http_proxy`: its own timeout, and the deadline of each wait.

use crate::setup::{setup, with_config};
use crate::support::{Upstream, quick, read_request};
use iof_command::Refusal;
use iof_commands::http_proxy::status;
use iof_egress::Config;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::UdpSocket;
use tokio::time::Instant;

/// The command's own timeout is a refusal (2020 modules read it as status 110); a limit of the
/// server is a failure with a cause.
#[tokio::test]
async fn time() {
    let silent = || {
        Upstream::raw(|stream| async move {
            let _stream = stream;
            std::future::pending::<()>().await;
        })
    };
    let args = ["get", "http://a.test:PORT/"];
    let setup1 = setup(silent().await).await;
    let started = Instant::now();
    let refused = setup1.try_run(&args, "", Duration::from_millis(100)).await;
    assert_eq!(refused, Err(Refusal::TimedOut));
    assert!(started.elapsed() < Duration::from_secs(5));

    let short = Config {
        first_byte_timeout: Duration::from_millis(100),
        ..quick()
    };
    let setup2 = with_config(silent().await, short);
    let (status, line) = setup2.fails(&args).await;
    assert_eq!(status, status::TIMEOUT);
    assert!(
        line.ends_with("for 100ms (limit first_byte_timeout)"),
        "{line}"
    );
}

/// The command keeps its own time, so each of its waits needs a deadline: for a permit, a name, a handshake, the head,
/// each part of the body, and the next try.
#[tokio::test]
async fn every_wait_ends_at_the_deadline() {
    let slow = |head: &'static str, part: &'static str| {
        Upstream::raw(move |mut stream| async move {
            read_request(&mut stream).await;
            let mut sent = stream.write_all(head.as_bytes()).await;
            while sent.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
                sent = stream.write_all(part.as_bytes()).await;
            }
        })
    };
    let silent = || slow("", "");
    let one = Config {
        max_concurrent: 1,
        ..quick()
    };
    let deaf = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let nameless = Config {
        dns_servers: vec![deaf.local_addr().unwrap()],
        ..quick()
    };
    let http = "http://a.test:PORT/";
    let cases = [
        ("place", silent().await, one, vec!["get", http]),
        (
            "name",
            silent().await,
            nameless,
            vec!["get", "http://b.test/"],
        ),
        (
            "handshake",
            silent().await,
            quick(),
            vec!["get", "https://a.test:PORT/"],
        ),
        ("head", silent().await, quick(), vec!["get", http]),
        (
            "lines",
            slow("HTTP/1.1 200 OK\r\n", "a: b\r\n").await,
            quick(),
            vec!["get", http],
        ),
        (
            "body",
            slow("HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n", "x").await,
            quick(),
            vec!["get", http],
        ),
        (
            "try",
            slow(
                "HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
                "",
            )
            .await,
            quick(),
            vec!["--retry", "9", "get", http],
        ),
    ];
    for (wait, server, config, args) in cases {
        let setup = with_config(server, config);
        let ask = |ms| setup.try_run(&args, "", Duration::from_millis(ms));
        let started = Instant::now();
        match wait {
            // The second of two waits until the first has ended.
            "place" => {
                let (first, second) = tokio::join!(ask(400), ask(200));
                assert_eq!(first, Err(Refusal::TimedOut));
                // The status of a timeout, and the setting that it waited for.
                let second = second.unwrap();
                let stderr = String::from_utf8_lossy(&second.stderr).into_owned();
                assert_eq!((second.status, &second.stdout[..]), (110, &b""[..]));
                assert!(stderr.contains("(limit max_concurrent)"), "{stderr}");
            }
            // With no time for another pause the last answer counts, which is a response.
            "try" => assert_eq!(ask(400).await.unwrap().status, status::OK),
            _ => assert_eq!(ask(200).await, Err(Refusal::TimedOut), "{wait}"),
        }
        let took = started.elapsed();
        assert!(took < Duration::from_secs(2), "{wait} took {took:?}");
    }
}
