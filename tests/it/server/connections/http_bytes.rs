//! A body has the bytes that were sent, in whatever pieces they come (RFC 9112, section 6.3; RFC 9113, section 4.1).

use super::raw::{self, Dice, Reply, reply, rest, write_pieces};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use iof_tests::{guests::guest, server::Server};
use std::convert::Infallible;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// A body that contains a request.
const INNER: &[u8] = b"GET /readyz?smuggled=\"1\" HTTP/1.1\r\nhost: x\r\n\r\n";

async fn echo(tls: bool) -> (Server, String) {
    let server = match tls {
        true => Server::builder().tls().start().await,
        false => Server::start("").await,
    };
    let id = server.upload(guest("raw-bindgen")).await.id;
    (server, format!("/api/run/{id}/keep/bytes"))
}

/// Bodies that look like something else.
fn bodies() -> Vec<Vec<u8>> {
    let quotes = |count| "\"".repeat(count).into_bytes();
    vec![
        b"A\"B\"".to_vec(),
        [b"A", &quotes(INNER.len() / 2)[..], b"\n", INNER].concat(),
        [INNER, INNER].concat(),
        b"\r\n\r\n".to_vec(),
        b"0\r\n\r\n".to_vec(),
        b"POST /?\" HTTP/1.1\r\nContent-Length: 9\r\n\r\n\"".to_vec(),
        b"?\"\"\"".to_vec(),
    ]
}

#[derive(Clone, Copy, Debug)]
struct Manner {
    chunked: bool,
    expect: bool,
    quoted: bool,
}

fn head(path: &str, manner: Manner, length: usize) -> String {
    let framing = match manner.chunked {
        true => "transfer-encoding: chunked".to_owned(),
        false => format!("content-length: {length}"),
    };
    let expect = if manner.expect {
        "expect: 100-continue\r\n"
    } else {
        ""
    };
    let query = if manner.quoted { "?a=\"b\"" } else { "" };
    format!(
        "POST {path}{query} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\n{expect}{framing}\r\n\r\n"
    )
}

/// A framed body, cut at `cuts`.
fn framed(body: &[u8], cuts: &[usize], chunked: bool) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    let mut from = 0;
    for to in cuts.iter().copied().chain([body.len()]) {
        let piece = &body[from..to.max(from)];
        from = to.max(from);
        if piece.is_empty() {
            continue;
        }
        pieces.push(match chunked {
            true => [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat(),
            false => piece.to_vec(),
        });
    }
    if chunked {
        pieces.push(b"0\r\n\r\n".to_vec());
    }
    pieces
}

/// Sends a body in pieces, and reads its echo.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    path: &str,
    manner: Manner,
    body: &[u8],
    cuts: &[usize],
) -> Reply {
    let head = head(path, manner, body.len());
    write_pieces(stream, [&head]).await;
    if manner.expect {
        let go_on = reply(stream).await.expect("100 Continue");
        assert_eq!(go_on.status(), 100, "{manner:?}");
    }
    write_pieces(stream, framed(body, cuts, manner.chunked)).await;
    let answer = reply(stream).await.expect("an answer");
    assert_eq!(answer.status(), 200, "{manner:?} {}", answer.text());
    assert_eq!(answer.body, body, "{manner:?} {cuts:?}");
    answer
}

async fn every_manner<S: AsyncRead + AsyncWrite + Unpin>(path: &str, mut stream: S) {
    for chunked in [false, true] {
        for expect in [false, true] {
            let manner = Manner {
                chunked,
                expect,
                quoted: false,
            };
            for body in bodies() {
                // All at once, byte by byte, and line by line.
                let bytes: Vec<_> = (1..body.len()).collect();
                let lines: Vec<_> = (1..body.len()).filter(|at| body[at - 1] == b'\n').collect();
                for cuts in [&[][..], &bytes, &lines] {
                    exchange(&mut stream, path, manner, &body, cuts).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_body_has_the_sent_bytes_in_every_split() {
    let (server, path) = echo(false).await;
    every_manner(&path, raw::connect(&server).await).await;
}

#[tokio::test]
async fn a_body_has_the_sent_bytes_over_tls() {
    let (server, path) = echo(true).await;
    every_manner(&path, raw::connect_tls(&server, &[b"http/1.1"]).await).await;
}

/// The head itself in pieces, followed at once by the body and the next request.
#[tokio::test]
async fn heads_and_pipelined_requests_work_in_every_split() {
    let (server, path) = echo(false).await;
    let manner = Manner {
        chunked: false,
        expect: false,
        quoted: false,
    };
    let bodies = bodies();
    let sent: Vec<u8> = bodies
        .iter()
        .flat_map(|body| [head(&path, manner, body.len()).as_bytes(), body].concat())
        .collect();
    for size in [1, 2, 7, 64, 150, 1000, sent.len()] {
        let mut stream = raw::connect(&server).await;
        let (mut reader, mut writer) = stream.split();
        let writing = write_pieces(&mut writer, sent.chunks(size));
        let reading = async {
            for body in &bodies {
                let answer = reply(&mut reader).await.expect("an answer");
                assert_eq!(&answer.body, body, "{size}");
            }
        };
        tokio::join!(writing, reading);
        let (more, _) = rest(&mut stream, Duration::from_millis(50)).await;
        assert_eq!(more, "", "one answer for each request");
    }
}

#[tokio::test]
async fn random_bodies_work_in_random_splits() {
    let (server, path) = echo(false).await;
    let mut stream = raw::connect(&server).await;
    for case in 0..300u64 {
        let mut dice = Dice(case);
        let mut body = Vec::new();
        for _ in 0..dice.below(40) {
            match dice.below(6) {
                0 => body.extend(b"\""),
                1 => body.extend(b"\r\n"),
                2 => body.extend(INNER),
                3 => body.push(b'A' + u8::try_from(dice.below(26)).unwrap()),
                4 => body.extend(b"?\" HTTP/1.1\r\n"),
                _ => body.push(u8::try_from(dice.below(256)).unwrap()),
            }
        }
        let mut cuts: Vec<_> = (0..dice.below(6))
            .map(|_| dice.below(body.len() + 1))
            .collect();
        cuts.sort_unstable();
        let manner = Manner {
            chunked: dice.below(2) == 0,
            expect: dice.below(3) == 0 && !body.is_empty(),
            quoted: dice.below(4) == 0,
        };
        if manner.quoted {
            // Only the first request of a connection may have bare quotes.
            stream = raw::connect(&server).await;
        }
        exchange(&mut stream, &path, manner, &body, &cuts).await;
        if manner.quoted {
            stream = raw::connect(&server).await;
        }
    }
}

async fn over_http_2<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(path: &str, stream: S) {
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let large: Vec<u8> = {
        let mut dice = Dice(7);
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ\"\"\"\"?\r\n";
        (0..1_000_000)
            .map(|_| letters[dice.below(letters.len())])
            .collect()
    };
    for body in bodies().into_iter().chain([large]) {
        for size in [1, 7, 1000, body.len()]
            .into_iter()
            .filter(|size| body.len() / size < 2000)
        {
            let pieces: Vec<_> = body
                .chunks(size)
                .map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(piece))))
                .collect();
            let request = Request::post(format!("http://localhost{path}"))
                .version(Version::HTTP_2)
                .header("content-type", "application/octet-stream")
                .body(StreamBody::new(futures::stream::iter(pieces)))
                .unwrap();
            let answer = sender.send_request(request).await.unwrap();
            assert_eq!(answer.status(), 200);
            let echoed = answer.into_body().collect().await.unwrap().to_bytes();
            assert!(echoed == body, "{} bytes in pieces of {size}", body.len());
        }
    }
    drop(sender);
    let _ = connection.await;
}

#[tokio::test]
async fn a_body_has_the_sent_bytes_over_http_2() {
    let (server, path) = echo(true).await;
    over_http_2(&path, raw::connect(&server).await).await;
    over_http_2(&path, raw::connect_tls(&server, &[b"h2"]).await).await;
}

/// A body that begins like a request line, after a `100 Continue`: its tail once ran as a request of its own.
#[tokio::test]
async fn the_tail_of_a_body_is_not_a_request() {
    let (server, path) = echo(false).await;
    for inner in [
        INNER,
        b"GET /v1/functions?limit=1 HTTP/1.1\r\nHost: xx\r\n\r\n",
    ] {
        for line_break in ["\n", "\r\n", ""] {
            let quotes = "\"".repeat(inner.len() / 2);
            let body = [b"A", quotes.as_bytes(), line_break.as_bytes(), inner].concat();
            let manner = Manner {
                chunked: false,
                expect: true,
                quoted: false,
            };
            let mut stream = raw::connect(&server).await;
            exchange(&mut stream, &path, manner, &body, &[]).await;
            let (more, _) = rest(&mut stream, Duration::from_millis(200)).await;
            assert_eq!(more, "", "one answer for one request");
        }
    }
}

/// An early answer is written while the body still comes, whose bytes are not a request line.
#[tokio::test]
async fn a_refused_body_is_not_a_request() {
    let (server, _) = echo(false).await;
    let mut stream = raw::connect(&server).await;
    let head = "POST /nowhere HTTP/1.1\r\nhost: localhost\r\ncontent-length: 90000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(reply(&mut stream).await.unwrap().status(), 404);
    stream.write_all(INNER).await.unwrap();
    let (more, _) = rest(&mut stream, Duration::from_millis(200)).await;
    assert_eq!(more, "");
}

#[tokio::test]
async fn bare_quotes_are_accepted_in_the_first_line_of_a_connection() {
    let (server, _) = echo(false).await;
    let line = "GET /api/executables/1?filterBy=[\"wasm_description\"] HTTP/1.1\r\n";
    let request = format!("{line}host: localhost\r\n\r\n");
    for size in [1, 10, request.len()] {
        let mut stream = raw::connect(&server).await;
        write_pieces(&mut stream, request.as_bytes().chunks(size)).await;
        let answer = reply(&mut stream).await.unwrap();
        assert_eq!(
            answer.text(),
            r#"{"wasm_description":"uploaded by a test"}"#
        );
        // Another such line, at the start of another connection.
        assert_eq!(answer.header("connection"), "close");
        assert_eq!(rest(&mut stream, raw::LONG).await, (String::new(), true));
    }
    // Later lines are left to the parser, which answers 400 (RFC 9112, section 3).
    let mut stream = raw::connect(&server).await;
    let healthy = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for pipelined in [false, true] {
        if pipelined {
            stream = raw::connect(&server).await;
            let both = format!("{healthy}{request}");
            stream.write_all(both.as_bytes()).await.unwrap();
            assert_eq!(reply(&mut stream).await.unwrap().status(), 200);
        } else {
            stream.write_all(healthy.as_bytes()).await.unwrap();
            assert_eq!(reply(&mut stream).await.unwrap().status(), 200);
            stream.write_all(request.as_bytes()).await.unwrap();
        }
        assert_eq!(reply(&mut stream).await.unwrap().status(), 400);
    }
    // Only the query is corrected.
    for line in [
        "G\"T / HTTP/1.1",
        "GET / HTTP/\"1.1",
        "GET /?\" \" HTTP/1.1",
    ] {
        let mut stream = raw::connect(&server).await;
        let request = format!("{line}\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(reply(&mut stream).await.unwrap().status(), 400, "{line}");
    }
}
