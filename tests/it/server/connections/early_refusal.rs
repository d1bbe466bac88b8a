//! Early refusals: a client can read the reason, however much of a body it sends (RFC 9112, section 9.6), and gets no
//! `100 Continue` (RFC 9110, section 10.1.1).

use super::frames;
use super::raw::{LONG, connect, reply, rest};
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes};
use hyper_util::rt::{TokioExecutor, TokioIo};
use iof_tests::{guests::guest, server::Server, user::User};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

const KEYED: &str = "[auth]\nkeys = [\"a key of the operator\"]\n[compile]\nmodule_size = \"1MiB\"\n\
                     [server]\nrequest_body = \"100MiB\"\n[second_state]\nstate = \"1KiB\"\n";

/// Requests that are refused before their body is read: method, path, header, status.
fn refused(hello: u64) -> Vec<(&'static str, String, &'static str, u16)> {
    let key = "authorization: Bearer a key of the operator\r\ncontent-type: ";
    let typed =
        |kind: &str| -> &'static str { Box::leak(format!("{key}{kind}\r\n").into_boxed_str()) };
    let wasm = "content-type: application/wasm\r\n";
    vec![
        ("POST", "/v1/functions".into(), wasm, 401),
        ("POST", "/v1/functions/1/versions".into(), wasm, 401),
        ("POST", "/v1/functions".into(), typed("text/html"), 415),
        (
            "POST",
            "/v1/functions".into(),
            typed("application/wasm"),
            413,
        ),
        ("POST", "/v1/functions/none/call/x".into(), "", 404),
        ("POST", "/nowhere".into(), "", 404),
        ("PUT", format!("/api/executables/{hello}"), "", 404),
        ("POST", "/api/executables".into(), typed("text/html"), 0),
        (
            "POST",
            "/api/run/999/say".into(),
            "content-type: text/plain\r\n",
            0,
        ),
        (
            "PUT",
            format!("/api/state/{hello}"),
            "content-type: text/plain\r\n",
            0,
        ),
    ]
}

async fn keyed() -> (Server, u64) {
    let server = Server::start(KEYED).await;
    let request = server
        .request("POST", "/v1/functions")
        .header("content-type", "application/wasm")
        .bearer_auth("a key of the operator")
        .body(guest("hello"));
    let hello = server.answer(request).await.json()["function"].as_u64();
    (server, hello.unwrap())
}

/// Python's http.client and many others send all of the body before they read the answer.
#[tokio::test]
async fn a_client_that_sends_everything_first_reads_its_answer() {
    let (server, hello) = keyed().await;
    for size in [100_000, 5_000_000, 30_000_000] {
        for (method, path, headers, status) in refused(hello) {
            let mut stream = connect(&server).await;
            let head = format!(
                "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {size}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            let body = vec![b'x'; size];
            let sent = stream.write_all(&body).await;
            assert!(sent.is_ok(), "{path} {size}: {sent:?}");
            let answer = reply(&mut stream).await;
            let answer = answer.unwrap_or_else(|| panic!("{path} {size}: no answer"));
            // A small body of the right type is read, but is not a module.
            if status != 0 && (status != 413 || size > 1 << 21) {
                assert_eq!(answer.status(), status, "{path} {size}: {answer:?}");
            }
            if size > 64 << 10 && answer.header("connection") == "close" {
                assert_eq!(rest(&mut stream, LONG).await, (String::new(), true));
            }
        }
    }
}

#[tokio::test]
async fn a_refused_body_is_not_requested_by_100_continue() {
    let (server, hello) = keyed().await;
    for (method, path, headers, status) in refused(hello) {
        let mut stream = connect(&server).await;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{headers}expect: 100-continue\r\ncontent-length: 5000000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = reply(&mut stream).await.unwrap();
        assert_ne!(answer.status(), 100, "{path}");
        if status != 0 {
            assert_eq!(answer.status(), status, "{path}");
        }
        // The next bytes would be taken for the body.
        assert_eq!(answer.header("connection"), "close", "{path}");
        stream.shutdown().await.unwrap();
        assert_eq!(
            rest(&mut stream, LONG).await,
            (String::new(), true),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_rate_limit_refuses_in_the_same_way() {
    let server = Server::start("[second_state]\nrate_limit = 1\n").await;
    server.get("/api/executables").await;
    let mut stream = connect(&server).await;
    let size = 20_000_000;
    let head =
        format!("POST /api/run/1/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: {size}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; size]).await.unwrap();
    assert_eq!(
        reply(&mut stream).await.unwrap().header("iof-fault"),
        "rate-limit"
    );
}

/// `iof deploy` prints the server's error.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_deploy_with_a_wrong_key_is_reported_as_such() {
    let server = Server::start("[auth]\nkeys = [\"a key of the operator\"]\n").await;
    let user = User::new(&server.url);
    let large = [&b"\0asm"[..], &vec![0; 60 << 20]].concat();
    std::fs::write(user.folder().join("large.wasm"), large).unwrap();
    let output = user.run(
        &["deploy", "large.wasm", "--key", "not a key of the operator"],
        "",
    );
    let output = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.contains("auth.keys") && !output.contains("Is the server running"),
        "{output}"
    );
}

/// A small unread body does not cost the connection.
#[tokio::test]
async fn a_small_unread_body_keeps_the_connection() {
    let server = Server::start("").await;
    let mut stream = connect(&server).await;
    for _ in 0..3 {
        let request = "POST /nowhere HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2000\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        stream.write_all(&[b'x'; 2000]).await.unwrap();
        assert_eq!(reply(&mut stream).await.unwrap().status(), 404);
        let request = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(reply(&mut stream).await.unwrap().text(), "ok\n");
    }
}

/// Reading the rest of a body is limited in time and bytes.
#[tokio::test]
async fn a_refused_body_is_not_read_forever() {
    let server = Server::start("[server]\nbody_wait = \"500ms\"\nrequest_body = \"1MiB\"\n").await;
    let head = "POST /nowhere HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000\r\n\r\n";
    // A body that drips.
    let mut stream = connect(&server).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(reply(&mut stream).await.unwrap().status(), 404);
    let start = Instant::now();
    while stream.write_all(b"x").await.is_ok() && start.elapsed() < LONG {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    // A body that pours.
    let mut stream = connect(&server).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let (piece, mut sent) = (vec![b'x'; 1 << 20], 0);
    while sent < 100 && stream.write_all(&piece).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 50, "{sent} MiB were read");
    assert_eq!(server.get("/healthz").await.text(), "ok\n");
}

/// Over HTTP/2 the stream is still read after its answer, and reset if that takes too long; the connection stays.
#[tokio::test]
async fn streams_are_still_read_and_the_connection_stays() {
    let server = Server::start("[server]\nbody_wait = \"1s\"\n").await;
    let mut stream = connect(&server).await;
    let data = |flags: u8| frames::frame(frames::DATA, flags, 1, &[b'x'; 10_000]);
    let request = [
        frames::opening(&[]),
        frames::request(1, "POST", "/nowhere", false),
        data(0),
    ]
    .concat();
    stream.write_all(&request).await.unwrap();
    let (.., block) = frames::next_of(&mut stream, frames::HEADERS, LONG)
        .await
        .unwrap();
    // `:status: 404` of the static table.
    assert_eq!(block.first(), Some(&0x8d));
    let early = frames::next_of(&mut stream, frames::RST_STREAM, Duration::from_millis(300)).await;
    assert!(early.is_none(), "{early:?}");
    stream.write_all(&data(1)).await.unwrap();
    // A stream that does not end.
    let again = [
        frames::request(3, "POST", "/nowhere", false),
        frames::request(5, "GET", "/healthz", true),
    ];
    stream.write_all(&again.concat()).await.unwrap();
    let (.., id, code) = frames::next_of(&mut stream, frames::RST_STREAM, LONG)
        .await
        .unwrap();
    // NO_ERROR (RFC 9113, section 8.1)
    assert_eq!((id, &code[..]), (3, &[0, 0, 0, 0][..]));
    let last = frames::request(7, "GET", "/healthz", true);
    stream.write_all(&last).await.unwrap();
    let (_, _, id, _) = frames::next_of(&mut stream, frames::HEADERS, LONG)
        .await
        .unwrap();
    assert_eq!(id, 7);
}

/// A body larger than the windows of the stream and of the connection.
#[tokio::test]
async fn a_stream_is_still_read_beyond_its_window() {
    let server = Server::start("").await;
    let mut stream = connect(&server).await;
    stream.write_all(&frames::opening(&[])).await.unwrap();
    let settings = frames::next_of(&mut stream, frames::SETTINGS, LONG).await;
    assert!(settings.is_some());
    let request = [
        frames::frame(frames::SETTINGS, 1, 0, &[]),
        frames::request(1, "POST", "/nowhere", false),
    ];
    stream.write_all(&request.concat()).await.unwrap();
    // The windows of the connection, which begins at 65,535 (RFC 9113, section 6.9.2), and of the stream, which
    // settings raise.
    let mut windows = [65_535, 1 << 20];
    let mut left: i64 = 4 << 20;
    loop {
        while left > 0 && windows.iter().all(|window| *window >= 16_000) {
            let data = frames::frame(frames::DATA, 0, 1, &[b'x'; 16_000]);
            stream.write_all(&data).await.unwrap();
            windows = windows.map(|window| window - 16_000);
            left -= 16_000;
        }
        if left <= 0 {
            break;
        }
        let update = frames::next_of(&mut stream, frames::WINDOW_UPDATE, Duration::from_secs(5));
        let (.., id, more) = update
            .await
            .unwrap_or_else(|| panic!("{left} are not read"));
        let more = i64::from(u32::from_be_bytes(more.try_into().unwrap()));
        windows[usize::from(id == 1)] += more;
    }
}

/// A client of HTTP/2 that sends the whole body.
#[tokio::test]
async fn large_bodies_over_http_2_get_their_answer() {
    let server = Server::start("").await;
    let stream = connect(&server).await;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    for _ in 0..3 {
        let body = Full::new(Bytes::from(vec![b'x'; 20_000_000]));
        let request = Request::post("http://localhost/nowhere")
            .body(body)
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), 404);
        assert!(answer.into_body().collect().await.is_ok());
    }
    drop(sender);
    let _ = connection.await;
}
