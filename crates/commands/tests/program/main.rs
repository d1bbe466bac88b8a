//! The program itself, against real servers on loopback. Each test covers one behaviour that was measured with the
//! program of 2020: it is the same where it was good, and a status and a line where it was a panic.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a failed test"
)]

#[path = "../../../egress/tests/it/support.rs"]
#[allow(
    dead_code,
    reason = "the servers of the egress tests; not all are needed here"
)]
mod support;

mod options;
mod own_address;

use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use support::{Authority, Upstream, read_request, redirect, text};

struct Run {
    status: i32,
    stdout: String,
    stderr: String,
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_http_proxy"));
    command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.kill_on_drop(true);
    command
}

async fn finish(mut command: Command, stdin: &[u8]) -> Run {
    let mut child = command.spawn().unwrap();
    // The program may have ended before it read anything.
    let _ = child.stdin.take().unwrap().write_all(stdin).await;
    let output = child.wait_with_output().await.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(!stderr.contains('\u{1b}'), "no colours: {stderr}");
    Run {
        status: output.status.code().unwrap(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr,
    }
}

async fn run(args: &[&str], stdin: &str) -> Run {
    finish(command(args), stdin.as_bytes()).await
}

/// Runs the program with the server's port in place of PORT.
async fn at(server: &Upstream, args: &[&str], stdin: &str) -> Run {
    let port = server.port().to_string();
    let args: Vec<_> = args.iter().map(|arg| arg.replace("PORT", &port)).collect();
    let mut all = vec!["--allow-private"];
    all.extend(args.iter().map(String::as_str));
    run(&all, stdin).await
}

impl Run {
    #[track_caller]
    fn is(self, stdout: &str) {
        assert_eq!((self.status, &*self.stdout, &*self.stderr), (0, stdout, ""));
    }

    #[track_caller]
    fn fails(self, status: i32, says: &str) {
        let Run {
            status: got,
            stdout,
            stderr,
        } = self;
        assert_eq!((got, &*stdout), (status, ""), "{stderr}");
        assert!(
            stderr.starts_with("http_proxy: ") && stderr.ends_with('\n'),
            "{stderr:?}"
        );
        assert_eq!(stderr.matches('\n').count(), 1, "{stderr:?}");
        assert!(stderr.contains(says), "{stderr}");
    }
}

/// Answers with the request as it arrived.
async fn mirror() -> Upstream {
    Upstream::raw(|mut stream| async move {
        let request = read_request(&mut stream).await;
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
            request.len()
        );
        let _ = stream.write_all((head + &request).as_bytes()).await;
    })
    .await
}

#[tokio::test]
async fn the_wire() {
    let server = mirror().await;
    let port = server.port();
    at(&server, &["get", "http://127.0.0.1:PORT/echo"], "\n").await.is(&format!(
        "GET /echo HTTP/1.1\r\ncontent-type: text/plain\r\ncontent-length: 1\r\naccept: */*\r\nhost: 127.0.0.1:{port}\r\n\r\n\n"
    ));
    at(&server, &["post", "http://localhost:PORT/", r#"{"X-My-Custom-Header":"foo"}"#], "123456789\n").await.is(
        &format!("POST / HTTP/1.1\r\nx-my-custom-header: foo\r\ncontent-length: 10\r\naccept: */*\r\nhost: localhost:{port}\r\n\r\n123456789\n"),
    );
    at(&server, &["delete", "http://127.0.0.1:PORT/", "{}"], "").await.is(&format!(
        "DELETE / HTTP/1.1\r\ncontent-length: 0\r\naccept: */*\r\nhost: 127.0.0.1:{port}\r\n\r\n"
    ));
}

#[tokio::test]
async fn statuses_and_bodies() {
    let server = Upstream::http(|request, _| match request.uri.path() {
        "/gzip" => Response::builder()
            .header("content-encoding", "gzip")
            .body(Full::new(Bytes::from_static(b"\x1f compressed")))
            .unwrap(),
        path => match path[1..].parse().unwrap() {
            204 => text(204, ""),
            status => text(status, format!("body of {status}")),
        },
    })
    .await;
    for status in [200, 404, 500] {
        let url = format!("http://127.0.0.1:PORT/{status}");
        at(&server, &["get", &url], "")
            .await
            .is(&format!("body of {status}"));
    }
    at(&server, &["post", "http://127.0.0.1:PORT/204"], "x")
        .await
        .is("");
    at(&server, &["get", "http://127.0.0.1:PORT/gzip"], "")
        .await
        .is("\u{1f} compressed");
    let included = at(
        &server,
        &["--include", "get", "http://127.0.0.1:PORT/404"],
        "",
    )
    .await;
    assert!(
        included.stdout.starts_with("HTTP/1.1 404 Not Found\r\n"),
        "{}",
        included.stdout
    );
    assert!(
        included.stdout.ends_with("\r\n\r\nbody of 404"),
        "{}",
        included.stdout
    );
    // Options may also come after the positional arguments.
    assert!(
        at(&server, &["get", "http://127.0.0.1:PORT/404", "-i"], "")
            .await
            .stdout
            .starts_with("HTTP/1.1 404")
    );
}

#[tokio::test]
async fn redirects() {
    let server = Upstream::http(|request, body| match request.uri.path() {
        "/loop" => redirect(302, "/loop"),
        "/end" => text(
            200,
            format!("{} {}", request.method, String::from_utf8_lossy(&body)),
        ),
        path => redirect(path[1..].parse().unwrap(), "/end"),
    })
    .await;
    for (status, arrives) in [
        (301, "GET "),
        (302, "GET "),
        (303, "GET "),
        (307, "POST b"),
        (308, "POST b"),
    ] {
        at(
            &server,
            &["post", &format!("http://127.0.0.1:PORT/{status}")],
            "b",
        )
        .await
        .is(arrives);
    }
    at(&server, &["get", "http://127.0.0.1:PORT/loop"], "")
        .await
        .fails(6, "more than 10 redirects");
}

#[tokio::test]
async fn no_connection() {
    let server = mirror().await;
    let gone = format!("http://127.0.0.1:{}/", server.port());
    drop(server);
    tokio::time::sleep(Duration::from_millis(20)).await;
    run(&["--allow-private", "get", &gone], "")
        .await
        .fails(4, "connection refused");
    run(&["get", "http://name.invalid/"], "")
        .await
        .fails(4, "no such host: name.invalid");
}

#[tokio::test]
async fn wrong_arguments() {
    for (args, says) in [
        (&[][..], "the METHOD is missing"),
        (&["get"], "the URL is missing"),
        (&["get", "nonsense"], "the URL does not start with http"),
        (
            &["get", "file:///etc/passwd"],
            "the scheme of the URL is not http or https",
        ),
        (
            &["gte", "http://127.0.0.1/"],
            "unknown method: got \"gte\". Use one of get, post",
        ),
        (
            &["get", "http://127.0.0.1/", "{"],
            "HEADERS_JSON is not JSON",
        ),
        (
            &["get", "http://127.0.0.1/", r#"{"X-A":1}"#],
            "the value of \"X-A\" is not a string",
        ),
        (
            &["get", "http://127.0.0.1/", "{}", "x"],
            "unexpected argument",
        ),
        (
            &["--nonsense", "get", "http://127.0.0.1/"],
            "unexpected argument '--nonsense'",
        ),
        (
            &["--connect-to", "a:1", "get", "http://127.0.0.1/"],
            "Write HOST:PORT:ADDR:PORT",
        ),
        (
            &["--retry", "x", "get", "http://127.0.0.1/"],
            "invalid value 'x' for '--retry <N>'",
        ),
        (
            &["--max-time", "0", "get", "http://127.0.0.1/"],
            "not a number of seconds",
        ),
        (
            &["--cacert", "/nonexistent.pem", "get", "http://127.0.0.1/"],
            "--cacert: /nonexistent.pem",
        ),
    ] {
        run(args, "").await.fails(2, says);
    }
}

/// Without the option, the same addresses are out of reach as for a function.
#[tokio::test]
async fn private_addresses_need_the_option() {
    let server = mirror().await;
    let url = format!("http://127.0.0.1:{}/", server.port());
    run(&["get", &url], "")
        .await
        .fails(3, "127.0.0.1 is not an address that functions reach");
    run(
        &["get", &format!("http://localhost:{}/", server.port())],
        "",
    )
    .await
    .fails(4, "no such host");
    assert_eq!(server.connections(), 0);
    let pin = format!("api.test:80:127.0.0.1:{}", server.port());
    let pinned = run(&["--connect-to", &pin, "get", "http://api.test/"], "").await;
    assert!(
        pinned.stdout.contains("host: api.test\r\n"),
        "{}",
        pinned.stderr
    );
}

#[tokio::test]
async fn https() {
    let authority = Authority::new();
    let ca = authority.file().await;
    let server = Upstream::https(
        authority.server("api.test", &["h2", "http/1.1"]),
        |request, _| text(200, format!("{:?}", request.version)),
    )
    .await;
    let pin = format!("api.test:443:127.0.0.1:{}", server.port());
    let url = "https://api.test/";
    run(
        &[
            "--connect-to",
            &pin,
            "--cacert",
            ca.to_str().unwrap(),
            "get",
            url,
        ],
        "",
    )
    .await
    .is("HTTP/2.0");
    run(&["--connect-to", &pin, "get", url], "")
        .await
        .fails(4, "UnknownIssuer");
}

#[tokio::test]
async fn the_time_is_limited() {
    let server = Upstream::raw(|stream| async move {
        let _stream = stream;
        std::future::pending::<()>().await;
    })
    .await;
    at(
        &server,
        &["--max-time", "0.3", "get", "http://127.0.0.1:PORT/"],
        "",
    )
    .await
    .fails(5, "");
}

/// Settings of the environment, which curl and the program of 2020 follow, change nothing.
#[tokio::test]
async fn proxies_of_the_environment_are_ignored() {
    let proxy = Upstream::http(|_, _| text(200, "proxied")).await;
    let server = Upstream::http(|_, _| text(200, "direct")).await;
    let (url, to) = (
        format!("http://127.0.0.1:{}/", server.port()),
        format!("http://{}", proxy.address),
    );
    let mut command = command(&["--allow-private", "get", &url]);
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
        "HTTPS_PROXY",
    ] {
        command.env(name, &to);
    }
    finish(command, b"").await.is("direct");
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
async fn help_and_version_go_to_stdout() {
    let help = run(&["--help"], "").await;
    assert_eq!((help.status, &*help.stderr), (0, ""));
    for part in [
        "METHOD URL [HEADERS_JSON]",
        "--include",
        "--allow-private",
        "--connect-to",
        "--cacert",
        "--max-time",
        "--retry",
        "--compressed",
        "Exit status:",
    ] {
        assert!(help.stdout.contains(part), "{part}: {}", help.stdout);
    }
    run(&["--version"], "")
        .await
        .is(concat!("http_proxy ", env!("CARGO_PKG_VERSION"), "\n"));
}

/// `http_proxy … | head -c1` is not an error.
#[tokio::test]
async fn a_closed_pipe_is_not_an_error() {
    let server = Upstream::http(|_, _| text(200, vec![b'x'; 4 << 20])).await;
    let url = format!("http://127.0.0.1:{}/", server.port());
    let mut child = command(&["--allow-private", "get", &url]).spawn().unwrap();
    drop(child.stdin.take());
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]));
}
