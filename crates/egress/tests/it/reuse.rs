//! Requests on reused connections, which the other side closes at that moment, or on which it states that it did not
//! process a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use iof_egress::{Config, Egress, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::records::EntryList;
use crate::support::{Authority, Upstream, any_rule, quick, read_request, send};

const IDEMPOTENT: [&str; 5] = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"];
const OK: (&str, Option<u16>) = ("ok", Some(200));
const RESENT: (&str, Option<u16>) = ("resent", None);
const BROKE: (&str, Option<u16>) = ("egress-protocol", None);

fn pinned(server: &Upstream) -> (Egress, Arc<EntryList>) {
    let pin = vec![server.pin("a.test")];
    EntryList::client(Config { pin, ..quick() })
}

async fn ask(egress: &Egress, method: &str, url: &str) -> Result<Response<Bytes>, Error> {
    let request = Request::builder().method(method).uri(url);
    let request = request.body(Bytes::from_static(b"in")).unwrap();
    send(egress, &any_rule(), request).await
}

/// Answers the first `good` requests of each connection with `answer`, reads another, writes `last`
/// and closes. The count is of all requests.
async fn closing(
    good: usize,
    answer: &'static str,
    last: &'static str,
) -> (Upstream, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    let server = Upstream::raw(move |mut stream| {
        let count = count.clone();
        async move {
            for number in 0.. {
                if read_request(&mut stream).await.is_empty() {
                    return;
                }
                count.fetch_add(1, Ordering::Relaxed);
                let text = if number < good { answer } else { last };
                let _ = stream.write_all(text.as_bytes()).await;
                if number >= good {
                    return;
                }
            }
        }
    })
    .await;
    (server, requests)
}

const EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// RFC 9112 section 9.3.1, RFC 9110 section 9.2.2.
#[tokio::test]
async fn an_idempotent_request_on_a_connection_that_closes_is_sent_again() {
    for method in IDEMPOTENT {
        let (server, requests) = closing(1, EMPTY, "").await;
        let (egress, kept) = pinned(&server);
        let url = server.url("a.test", "/");
        for _ in 0..3 {
            ask(&egress, method, &url).await.unwrap();
        }
        assert_eq!(kept.outcomes(), [OK, RESENT, OK, RESENT, OK], "{method}");
        assert_eq!(server.connections(), 3, "{method}");
        assert_eq!(requests.load(Ordering::Relaxed), 5, "{method}");
    }
}

#[tokio::test]
async fn other_requests_arrive_at_most_once() {
    for method in ["POST", "PATCH"] {
        let (server, requests) = closing(1, EMPTY, "").await;
        let (egress, kept) = pinned(&server);
        let url = server.url("a.test", "/");
        ask(&egress, method, &url).await.unwrap();
        let error = ask(&egress, method, &url).await.unwrap_err();
        assert_eq!(error.code(), "egress-protocol", "{method}");
        assert_eq!(kept.outcomes(), [OK, BROKE], "{method}");
        assert_eq!(requests.load(Ordering::Relaxed), 2, "{method}");
    }
}

/// A request is not sent again once a byte of an answer has arrived.
#[tokio::test]
async fn an_answer_that_has_begun_is_final() {
    for begun in ["H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let (server, requests) = closing(1, EMPTY, begun).await;
        let (egress, _) = pinned(&server);
        let url = server.url("a.test", "/");
        ask(&egress, "GET", &url).await.unwrap();
        ask(&egress, "GET", &url).await.unwrap_err();
        assert_eq!(requests.load(Ordering::Relaxed), 2, "{begun:?}");
    }
}

/// On a new connection, also on one that replaced another, an end is the other side's answer.
#[tokio::test]
async fn a_request_is_sent_again_once_and_not_from_a_new_connection() {
    let (server, requests) = closing(0, EMPTY, "").await;
    let (egress, _) = pinned(&server);
    ask(&egress, "GET", &server.url("a.test", "/"))
        .await
        .unwrap_err();
    assert_eq!(requests.load(Ordering::Relaxed), 1);

    let connections = AtomicUsize::new(0);
    let server = Upstream::raw(move |mut stream| {
        let first = connections.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            read_request(&mut stream).await;
            if first {
                stream.write_all(EMPTY.as_bytes()).await.unwrap();
                read_request(&mut stream).await;
            }
        }
    })
    .await;
    let (egress, kept) = pinned(&server);
    let url = server.url("a.test", "/");
    ask(&egress, "GET", &url).await.unwrap();
    ask(&egress, "GET", &url).await.unwrap_err();
    assert_eq!(kept.outcomes(), [OK, RESENT, BROKE]);
    assert_eq!(server.connections(), 2);
}

/// Other idle connections of the same age are as likely to be closed.
#[tokio::test]
async fn a_request_is_sent_again_on_a_new_connection_even_if_others_are_idle() {
    let (server, _) = closing(1, EMPTY, "").await;
    let (egress, kept) = pinned(&server);
    let url = server.url("a.test", "/");
    let first = (0..8).map(|_| ask(&egress, "GET", &url));
    futures::future::try_join_all(first).await.unwrap();
    kept.take();
    ask(&egress, "GET", &url).await.unwrap();
    assert_eq!(kept.outcomes(), [RESENT, OK]);
}

#[tokio::test]
async fn a_connection_is_given_up_before_the_other_side_closes_it() {
    const LINES: [(&str, usize); 4] = [
        (
            "HTTP/1.1 200 OK\r\nkeep-alive: timeout=0\r\ncontent-length: 0\r\n\r\n",
            2,
        ),
        (
            "HTTP/1.1 200 OK\r\nkeep-alive: max=9, timeout=1\r\ncontent-length: 0\r\n\r\n",
            2,
        ),
        (
            "HTTP/1.1 200 OK\r\nkeep-alive: timeout=4\r\ncontent-length: 0\r\n\r\n",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\nkeep-alive: timeout=soon\r\ncontent-length: 0\r\n\r\n",
            1,
        ),
    ];
    for (answer, connections) in LINES {
        let (server, _) = closing(9, answer, "").await;
        let (egress, _) = pinned(&server);
        let url = server.url("a.test", "/");
        ask(&egress, "POST", &url).await.unwrap();
        tokio::time::sleep(Duration::from_millis(600)).await;
        ask(&egress, "POST", &url).await.unwrap();
        assert_eq!(server.connections(), connections, "{answer:?}");
    }
}

/// The runtime does not know of the end, because this thread has been busy since.
#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "the test blocks the runtime on purpose"
)]
async fn a_connection_that_closed_meanwhile_is_not_used() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut read = Vec::new();
            while !read.ends_with(b"\r\n\r\nin") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                read.push(byte[0]);
            }
            stream.write_all(EMPTY.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let pin = vec![iof_egress::Pin {
        host: "a.test".to_owned(),
        port: 80,
        to: address,
    }];
    let egress = Egress::new(Config { pin, ..quick() }).unwrap();
    ask(&egress, "POST", "http://a.test/").await.unwrap();
    std::thread::sleep(Duration::from_millis(60));
    ask(&egress, "POST", "http://a.test/").await.unwrap();
    server.join().unwrap();
}

/// RFC 9112 section 5.2.
#[tokio::test]
async fn folded_headers_are_one_line() {
    const FOLDED: &str = "HTTP/1.1 200 OK\r\nx-long: one\r\n two\r\n\tthree\r\nx-empty:\r\n \r\n\
                          content-length: 2\r\n\r\nok";
    let (server, _) = closing(9, FOLDED, "").await;
    let (egress, _) = pinned(&server);
    let response = ask(&egress, "GET", &server.url("a.test", "/"))
        .await
        .unwrap();
    assert_eq!(response.headers()["x-long"], "one two three");
    assert_eq!(response.headers()["x-empty"], "");
    assert_eq!(response.body(), "ok");
}

/// The action of an HTTP/2 server on a request.
#[derive(Clone, Copy, Debug)]
enum Act {
    Answer,
    /// Sends interim responses before its answer.
    Hint,
    /// Refuses its stream.
    Refuse,
    /// Resets its stream for another reason.
    Reset,
    /// Sends GOAWAY with the previous stream as the last one, and closes.
    GoAway,
    /// Sends GOAWAY with this stream as the last one, and closes.
    GoAwayAfter,
    Close,
}

/// An HTTP/2 server written in frames: it takes `acts` on its requests, in order, and answers further ones.
async fn scripted(authority: &Authority, acts: &'static [Act]) -> (Upstream, Arc<AtomicUsize>) {
    let acceptor = TlsAcceptor::from(Arc::new(authority.server("a.test", &["h2"])));
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    let server = Upstream::raw(move |stream| {
        let (acceptor, count) = (acceptor.clone(), count.clone());
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                let _ = frames(stream, acts, &count).await;
            }
        }
    })
    .await;
    (server, requests)
}

async fn frames(
    mut stream: TlsStream<TcpStream>,
    acts: &[Act],
    count: &AtomicUsize,
) -> std::io::Result<()> {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await?;
    write_frame(&mut stream, 4, 0, 0, &[]).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let [a, b, c, kind, flags, id @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).await?;
        let id = u32::from_be_bytes(id);
        match kind {
            4 if flags & 1 == 0 => write_frame(&mut stream, 4, 1, 0, &[]).await?,
            1 => {
                let number = count.fetch_add(1, Ordering::Relaxed);
                let go_away = |last: u32| [last.to_be_bytes(), [0; 4]].concat();
                match acts.get(number).unwrap_or(&Act::Answer) {
                    Act::Answer => write_frame(&mut stream, 1, 5, id, &[0x88]).await?,
                    Act::Hint => {
                        // `:status: 103`, twice.
                        for _ in 0..2 {
                            write_frame(&mut stream, 1, 4, id, b"\x08\x03103").await?;
                        }
                        write_frame(&mut stream, 1, 5, id, &[0x88]).await?;
                    }
                    Act::Refuse => write_frame(&mut stream, 3, 0, id, &[0, 0, 0, 7]).await?,
                    Act::Reset => write_frame(&mut stream, 3, 0, id, &[0, 0, 0, 2]).await?,
                    Act::GoAway => {
                        let last = go_away(id.saturating_sub(2));
                        return write_frame(&mut stream, 7, 0, 0, &last).await;
                    }
                    Act::GoAwayAfter => {
                        return write_frame(&mut stream, 7, 0, 0, &go_away(id)).await;
                    }
                    Act::Close => return Ok(()),
                }
            }
            _ => {}
        }
    }
}

async fn write_frame(
    stream: &mut TlsStream<TcpStream>,
    kind: u8,
    flags: u8,
    id: u32,
    payload: &[u8],
) -> std::io::Result<()> {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![a, b, c, kind, flags];
    frame.extend(id.to_be_bytes());
    frame.extend(payload);
    stream.write_all(&frame).await?;
    stream.flush().await
}

/// RFC 9113 sections 6.8 and 8.7.
#[tokio::test]
async fn http2_requests_that_were_not_processed_are_sent_again() {
    use Act::*;
    const FAILED: &[(&str, Option<u16>)] = &[BROKE];
    type Case = (
        &'static str,
        &'static [Act],
        usize,
        &'static [(&'static str, Option<u16>)],
    );
    let cases: &[Case] = &[
        ("POST", &[Refuse], 2, &[RESENT, OK]),
        ("POST", &[GoAway], 2, &[RESENT, OK]),
        ("GET", &[GoAway, Refuse], 3, &[RESENT, RESENT, OK]),
        ("POST", &[Refuse; 9], 4, &[RESENT, RESENT, RESENT, BROKE]),
        ("POST", &[Reset], 1, FAILED),
        ("GET", &[Reset], 1, FAILED),
        // The server does not state that the request was not processed.
        ("POST", &[GoAwayAfter], 1, FAILED),
        ("POST", &[Close], 1, FAILED),
        ("GET", &[Close], 1, FAILED),
        // RFC 9110, section 15.2: what comes before the response is skipped.
        ("POST", &[Hint], 1, &[OK]),
        // On a reused connection.
        ("POST", &[Answer, GoAway], 3, &[OK, RESENT, OK]),
        ("POST", &[Answer, GoAwayAfter], 2, &[OK, BROKE]),
        ("POST", &[Answer, Close], 2, &[OK, BROKE]),
        ("GET", &[Answer, GoAwayAfter], 3, &[OK, RESENT, OK]),
        ("GET", &[Answer, Close], 3, &[OK, RESENT, OK]),
        ("PUT", &[Answer, Close, Close], 3, &[OK, RESENT, BROKE]),
    ];
    let authority = Authority::new();
    for (method, acts, arrived, outcomes) in cases {
        let (server, requests) = scripted(&authority, acts).await;
        let (egress, kept) = EntryList::client(Config {
            pin: vec![server.pin("a.test")],
            ca_files: vec![authority.file().await],
            ..quick()
        });
        let url = format!("https://a.test:{}/", server.port());
        if matches!(acts[0], Answer) {
            ask(&egress, method, &url).await.unwrap();
        }
        let response = ask(&egress, method, &url).await;
        let name = format!("{method} {acts:?}: {response:?}");
        assert_eq!(kept.outcomes(), *outcomes, "{name}");
        assert_eq!(requests.load(Ordering::Relaxed), *arrived, "{name}");
    }
}
