//! A connection without a request lasts for `server.head_wait`, whichever part of it is missing; and one address has a
//! share of the connections.

use super::frames;
use super::raw::{self, LONG, connect, connect_from, connect_tls, ends_within, reply};
use iof_tests::server::Server;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

const WAIT: Duration = Duration::from_millis(600);
/// The tolerance: the end of a connection takes a second, and this machine may be busy.
const SOON: Duration = Duration::from_millis(600 + 1000 + 2000);

async fn hasty() -> Server {
    Server::builder()
        .config("[server]\nhead_wait = \"600ms\"\n")
        .tls()
        .start()
        .await
}

/// Sends `first`, then `drip` ten times a second, until the connection ends.
async fn lasts<S: AsyncRead + AsyncWrite + Unpin>(
    stream: impl Future<Output = S>,
    name: &str,
    first: &[u8],
    drip: &[u8],
) {
    // Taken before connecting, because the server's clock starts when it accepts.
    let start = Instant::now();
    let (mut reader, mut writer) = tokio::io::split(stream.await);
    writer.write_all(first).await.unwrap();
    writer.flush().await.unwrap();
    let dripping = async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if !drip.is_empty() && writer.write_all(drip).await.is_err() {
                break;
            }
            let _ = writer.flush().await;
        }
    };
    let ending = ends_within(&mut reader, LONG);
    let ended = tokio::select! {
        ended = ending => ended,
        () = dripping => Some(start.elapsed()),
    };
    assert!(ended.is_some(), "{name}: still open");
    let lasted = start.elapsed();
    assert!(
        lasted >= WAIT - Duration::from_millis(50) && lasted < SOON,
        "{name}: {lasted:?}"
    );
}

#[tokio::test]
async fn silent_connections_are_closed() {
    let server = hasty().await;
    let settings = frames::opening(&[]);
    let partly = frames::request(1, "GET", "/healthz", true);
    let partly = [&settings, &partly[..12]].concat();
    let ping = frames::frame(6, 0, 0, &[0; 8]);
    let kinds: [(&str, &[u8], &[u8]); 12] = [
        ("silent", b"", b""),
        ("one byte", b"G", b""),
        ("an empty line", b"\r\n", b"\r\n"),
        ("half a preface", b"PRI * HT", b""),
        ("a dripping line", b"GET /", b"a"),
        ("a dripping value", b"GET / HTTP/1.1\r\nx: ", b"a"),
        ("dripping headers", b"GET / HTTP/1.1\r\n", b"x: y\r\n"),
        ("a preface", frames::PREFACE, b""),
        ("a preface and settings", &settings, b""),
        (
            "settings, over and over",
            &settings,
            &settings[frames::PREFACE.len()..],
        ),
        ("pings", &settings, &ping),
        ("half of a request's frame", &partly, b""),
    ];
    let plain = kinds.map(|(name, first, drip)| {
        let server = &server;
        async move { lasts(connect(server), name, first, drip).await }
    });
    let sealed = kinds.map(|(name, first, drip)| {
        let server = &server;
        async move { lasts(connect_tls(server, &[]), name, first, drip).await }
    });
    // Silence before the TLS handshake, and in the middle of it.
    let handshake = [&b""[..], b"\x16\x03\x01\x02\x00\x01"].map(|first| {
        let address = raw::tls_address(&server);
        async move {
            let stream = async { TcpStream::connect(address).await.unwrap() };
            lasts(stream, "a handshake", first, b"").await;
        }
    });
    tokio::join!(
        futures::future::join_all(plain),
        futures::future::join_all(sealed),
        futures::future::join_all(handshake),
    );
    assert_eq!(server.get("/healthz").await.text(), "ok\n");
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = hasty().await;
    let healthy = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    // A short idle time does not end it.
    let mut stream = connect(&server).await;
    for _ in 0..3 {
        stream.write_all(healthy.as_bytes()).await.unwrap();
        assert_eq!(reply(&mut stream).await.unwrap().text(), "ok\n");
        tokio::time::sleep(WAIT / 3).await;
    }
    let ended = ends_within(&mut stream, LONG).await.unwrap();
    assert!(ended < SOON, "{ended:?}");
    // The head of its next request has the same time.
    let mut stream = connect(&server).await;
    stream.write_all(healthy.as_bytes()).await.unwrap();
    assert_eq!(reply(&mut stream).await.unwrap().text(), "ok\n");
    lasts(
        std::future::ready(stream),
        "a dripping second head",
        b"GET / HTTP/1.1\r\n",
        b"x: y\r\n",
    )
    .await;
}

#[tokio::test]
async fn an_idle_connection_of_http_2_gets_goaway() {
    let server = hasty().await;
    let mut stream = connect(&server).await;
    let request = [
        frames::opening(&[]),
        frames::request(1, "GET", "/healthz", true),
    ]
    .concat();
    stream.write_all(&request).await.unwrap();
    assert!(
        frames::next_of(&mut stream, frames::DATA, LONG)
            .await
            .is_some()
    );
    let start = Instant::now();
    let goaway = frames::next_of(&mut stream, frames::GOAWAY, LONG).await;
    assert!(goaway.is_some(), "GOAWAY");
    assert!(ends_within(&mut stream, LONG).await.is_some());
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

/// Silent clients do not delay a stop.
#[tokio::test]
async fn silent_clients_do_not_delay_a_stop() {
    let mut server = Server::builder().tls().start().await;
    let handshake = TcpStream::connect(raw::tls_address(&server)).await.unwrap();
    let sealed = connect_tls(&server, &[]).await;
    let mut connections = Vec::new();
    for first in [&b""[..], b"G", frames::PREFACE, &frames::opening(&[])] {
        let mut stream = connect(&server).await;
        stream.write_all(first).await.unwrap();
        connections.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let start = Instant::now();
    assert!(server.stop().await.success());
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    drop((handshake, sealed, connections));
}

/// Regression: fifty silent clients kept all others out, for any time.
#[tokio::test]
async fn silent_connections_do_not_block_the_server() {
    let server = Server::start("[server]\nconnections = 50\nhead_wait = \"1s\"\n").await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(connect(&server).await);
    }
    let start = Instant::now();
    assert_eq!(server.get("/healthz").await.text(), "ok\n");
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn an_address_has_a_share_of_the_connections() {
    let server = Server::start(
        "[server]\nconnections = 10\nconnections_per_address = 3\nproxies = [\"127.0.0.9/32\"]\n",
    )
    .await;
    let mut connections = Vec::new();
    for _ in 0..3 {
        connections.push(connect_from(&server, 2, None).await);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    // Each further connection is closed at once.
    for _ in 0..20 {
        let mut more = connect_from(&server, 2, None).await;
        assert!(
            ends_within(&mut more, Duration::from_secs(2))
                .await
                .is_some()
        );
    }
    // Others are served: another address, and a proxy, to which the share does not apply.
    for _ in 0..5 {
        connections.push(connect_from(&server, 9, None).await);
    }
    let healthy = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut other = connect_from(&server, 3, None).await;
    other.write_all(healthy).await.unwrap();
    assert_eq!(reply(&mut other).await.unwrap().text(), "ok\n");
    let mut proxied = connections.pop().unwrap();
    proxied.write_all(healthy).await.unwrap();
    assert_eq!(reply(&mut proxied).await.unwrap().text(), "ok\n");
    // The share is released.
    connections.remove(0);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut again = connect_from(&server, 2, None).await;
    again.write_all(healthy).await.unwrap();
    assert_eq!(reply(&mut again).await.unwrap().text(), "ok\n");
}

/// Streams that are opened and reset again and again (CVE-2023-44487) end their connection.
#[tokio::test]
async fn rapid_resets_end_their_connection() {
    let server = Server::start("").await;
    let mut stream = connect(&server).await;
    stream.write_all(&frames::opening(&[])).await.unwrap();
    let flood: Vec<u8> = (0..2000u32)
        .flat_map(|n| {
            let id = 2 * n + 1;
            let request = frames::request(id, "GET", "/healthz", true);
            [
                request,
                frames::frame(frames::RST_STREAM, 0, id, &[0, 0, 0, 8]),
            ]
            .concat()
        })
        .collect();
    let (mut reader, mut writer) = stream.into_split();
    let writing = tokio::spawn(async move { writer.write_all(&flood).await });
    let goaway = frames::next_of(&mut reader, frames::GOAWAY, LONG).await;
    let (.., payload) = goaway.expect("GOAWAY");
    assert_eq!(
        payload.get(4..8),
        Some(&[0, 0, 0, 11][..]),
        "ENHANCE_YOUR_CALM"
    );
    let _ = writing.await;
    assert_eq!(server.get("/healthz").await.text(), "ok\n");
}

/// Endless settings, by a client that does not read the acknowledgements.
#[tokio::test]
async fn a_flood_of_settings_does_not_fill_memory() {
    let server = Server::start("[server]\nwrite_wait = \"1s\"\nhead_wait = \"1s\"\n").await;
    let mut stream = connect_from(&server, 1, Some(4096)).await;
    stream.write_all(&frames::opening(&[])).await.unwrap();
    let flood = frames::frame(frames::SETTINGS, 0, 0, &[]).repeat(1000);
    let start = Instant::now();
    while start.elapsed() < LONG {
        let sent = tokio::time::timeout(LONG, stream.write_all(&flood)).await;
        if !matches!(sent, Ok(Ok(()))) {
            break;
        }
    }
    assert!(start.elapsed() < LONG, "still open");
    assert_eq!(server.get("/healthz").await.text(), "ok\n");
}
