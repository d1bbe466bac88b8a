//! Interim responses (RFC 9110, section 15.2): `100 Continue` for a client that waits for it, those of other servers, and those
//! that a function would send.

use super::{LONG, get, handler, path};
use iof_tests::exchange::Handler;
use iof_tests::guests::handler_component;
use iof_tests::server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// A request whose client waits before it sends its body.
async fn waiting(handler: &Handler, below: &str) -> TcpStream {
    let path = handler.path(below);
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n"
    );
    handler.write(&head).await
}

/// Reads to the end of a head.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        let byte = timeout(LONG, stream.read_u8()).await;
        head.push(byte.unwrap().unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut rest = vec![];
    let read = timeout(LONG, stream.read_to_end(&mut rest)).await;
    read.unwrap().unwrap();
    String::from_utf8(rest).unwrap()
}

/// Reads until these words have come.
async fn until(stream: &mut TcpStream, words: &str) -> String {
    let (mut all, mut piece) = (String::new(), [0; 64]);
    while !all.contains(words) {
        let count = timeout(LONG, stream.read(&mut piece)).await.unwrap();
        let count = count.unwrap();
        assert!(count > 0, "{words}: {all}");
        all.push_str(&String::from_utf8_lossy(&piece[..count]));
    }
    all
}

/// A body is asked for when the function reads it.
#[tokio::test]
async fn a_client_that_waits_is_told_to_send_what_is_read() {
    let handler = Handler::start(super::HANDLER, "").await;
    for (below, answer) in [("/count", "5"), ("/heedless", "heedless")] {
        let mut stream = waiting(&handler, below).await;
        let told = head(&mut stream).await;
        assert_eq!(told, "HTTP/1.1 100 Continue\r\n\r\n", "{below}");
        stream.write_all(b"alpha").await.unwrap();
        let told = head(&mut stream).await;
        assert!(told.starts_with("HTTP/1.1 200 "), "{below}: {told}");
        assert!(!told.contains("connection: close"), "{below}: {told}");
        until(&mut stream, answer).await;
    }
}

/// One that is refused never sends its body, so the connection ends: the next bytes would be taken for it.
#[tokio::test]
async fn a_body_that_nobody_reads_is_not_asked_for() {
    let handler = Handler::start(super::HANDLER, "").await;
    for below in ["/unread", "/trap"] {
        let mut stream = waiting(&handler, below).await;
        let told = head(&mut stream).await;
        assert!(!told.starts_with("HTTP/1.1 100"), "{below}: {told}");
        assert!(told.contains("connection: close\r\n"), "{below}: {told}");
    }
}

/// A function that answers before it reads has the body of a client that sends it all the same, and no other request comes
/// over its connection.
#[tokio::test]
async fn an_answer_that_begins_before_the_body_is_the_last() {
    let handler = Handler::start(super::HANDLER, "").await;
    for (below, answer) in [("/early", "early "), ("/echo", "alpha")] {
        let mut stream = waiting(&handler, below).await;
        let mut told = head(&mut stream).await;
        if told.starts_with("HTTP/1.1 100") {
            // The guest read before its answer was on its way.
            told = head(&mut stream).await;
        }
        assert!(told.starts_with("HTTP/1.1 200 "), "{below}: {told}");
        assert!(told.contains("connection: close\r\n"), "{below}: {told}");
        stream.write_all(b"alpha").await.unwrap();
        let all = rest(&mut stream).await;
        assert!(
            all.contains(answer) && all.ends_with("0\r\n\r\n"),
            "{below}: {all}"
        );
    }
}

/// The expectation is the server's affair.
#[tokio::test]
async fn a_function_sees_no_expectation() {
    let handler = Handler::start(super::HANDLER, "").await;
    let mut stream = waiting(&handler, "/request").await;
    let told = head(&mut stream).await;
    assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
    // The names are in their order.
    let seen = until(&mut stream, "x-forwarded-prefix").await;
    assert!(seen.contains("content-length: 5"), "{seen}");
    assert!(!seen.contains("expect"), "{seen}");
}

/// `wasmtime serve` has none either: its guests' final responses have a status of their own.
#[tokio::test]
async fn a_function_sends_no_interim_response() {
    let (server, function) = handler("").await;
    for status in [100, 101, 102, 103] {
        let answer = get(&server, &function, &format!("/status?{status}")).await;
        let found = (answer.http.as_u16(), answer.fault());
        assert_eq!(found, (502, "response"), "{status}: {}", answer.text());
        let words = answer.text();
        assert!(words.contains("Use one from 200 to 599"), "{words}");
    }
}

/// A server of raw responses, and a handler that asks it.
async fn asking(response: &'static [u8], endless: bool, config: &str) -> (Server, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                while stream.write_all(response).await.is_ok() && endless {}
                // Until the other side has read it.
                let _ = stream.read(&mut [0; 4096]).await;
            });
        }
    });
    let pin = format!("[[egress.pin]]\nhost = \"up.test\"\nport = 80\nto = \"{to}\"\n{config}");
    let server = Server::start(pin).await;
    let component = handler_component(super::HANDLER);
    let function = server.deploy(component, "outbound = [\"* http://up.test\"]\n");
    let path = path(&function.await, "/fetch");
    (server, path)
}

#[tokio::test]
async fn interim_responses_of_others_are_skipped() {
    let response = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\nx-early: 1\r\n\r\n\
        HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nx-late: 1\r\ncontent-length: 2\r\n\r\nok";
    let (server, path) = asking(response, false, "").await;
    let request = server
        .request("GET", &path)
        .header("x-target", "http://up.test/");
    let answer = server.answer(request).await;
    assert_eq!(answer.text(), "ok");
    assert_eq!(
        (answer.header("x-status"), answer.header("x-late")),
        ("200", "1")
    );
    assert_eq!(answer.header("x-early"), "");
    // A change of protocol that nobody asked for is not skipped.
    let response = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno";
    let (server, path) = asking(response, false, "").await;
    let request = server
        .request("GET", &path)
        .header("x-target", "http://up.test/");
    let answer = server.answer(request).await;
    assert!(answer.text().starts_with("error: "), "{answer:?}");
}

/// They do not put off the time for the first byte of the response, and are held nowhere.
#[tokio::test]
async fn interim_responses_without_end_are_none() {
    let config = "[egress]\nfirst_byte_timeout = \"1s\"\n";
    let response = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    let (server, path) = asking(response, true, config).await;
    let before = iof_tests::exchange::resident(&server);
    let request = server
        .request("GET", &path)
        .header("x-target", "http://up.test/");
    let answer = server.answer(request).await;
    assert!(answer.text().contains("HttpResponseTimeout"), "{answer:?}");
    let after = iof_tests::exchange::resident(&server);
    assert!(after.saturating_sub(before) < 64 << 20, "{before} {after}");
}
