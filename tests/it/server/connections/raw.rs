//! A client that writes and reads bytes.

use iof_tests::{joey::client_config, server::Server};
use rustls::pki_types::ServerName;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A time longer than any step here takes.
pub(super) const LONG: Duration = Duration::from_secs(20);

pub(super) fn address(server: &Server) -> SocketAddr {
    server.url.trim_start_matches("http://").parse().unwrap()
}

pub(super) fn tls_address(server: &Server) -> SocketAddr {
    let url = server.tls_url.as_deref().unwrap();
    url.trim_start_matches("https://").parse().unwrap()
}

pub(super) async fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(address(server)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Connects from another address of loopback, with small buffers for answers.
pub(super) async fn connect_from(server: &Server, last: u8, room: Option<u32>) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    if let Some(room) = room {
        socket.set_recv_buffer_size(room).unwrap();
    }
    let from = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
    socket.bind(SocketAddr::new(from, 0)).unwrap();
    socket.connect(address(server)).await.unwrap()
}

pub(super) async fn connect_tls(server: &Server, protocols: &[&[u8]]) -> TlsStream<TcpStream> {
    let config = client_config(server.ca_pem().unwrap(), protocols);
    let stream = TcpStream::connect(tls_address(server)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap()
}

/// Reads until the connection ends or `wait` is over; returns the bytes, and `true` if it ended.
pub(super) async fn rest(stream: &mut (impl AsyncRead + Unpin), wait: Duration) -> (String, bool) {
    let (mut all, end) = (Vec::new(), Instant::now() + wait);
    let mut piece = vec![0; 64 << 10];
    let ended = loop {
        let left = end.saturating_duration_since(Instant::now());
        match timeout(left, stream.read(&mut piece)).await {
            Err(_) => break false,
            Ok(Ok(0) | Err(_)) => break true,
            Ok(Ok(count)) => all.extend_from_slice(&piece[..count]),
        }
    };
    (String::from_utf8_lossy(&all).into_owned(), ended)
}

/// The time until the connection ends, if it does within `wait`.
pub(super) async fn ends_within(
    stream: &mut (impl AsyncRead + Unpin),
    wait: Duration,
) -> Option<Duration> {
    let start = Instant::now();
    rest(stream, wait).await.1.then(|| start.elapsed())
}

/// An answer of HTTP/1: head, and body of its `Content-Length`.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn status(&self) -> u16 {
        let status = self.head.get(9..12).unwrap_or_default();
        status
            .parse()
            .unwrap_or_else(|_| panic!("no status: {:?}", self.head))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        });
        line.unwrap_or_default()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Reads one answer; `None` if the connection ends before it does.
pub(super) async fn reply(stream: &mut (impl AsyncRead + Unpin)) -> Option<Reply> {
    timeout(LONG, async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let mut reply = Reply {
            head: String::from_utf8_lossy(&head).into_owned(),
            body: vec![],
        };
        let length = reply.header("content-length").parse().unwrap_or(0);
        reply.body.resize(length, 0);
        stream.read_exact(&mut reply.body).await.ok()?;
        Some(reply)
    })
    .await
    .expect("an answer in time")
}

/// Writes pieces, each in a separate packet.
pub(super) async fn write_pieces(
    stream: &mut (impl AsyncWrite + Unpin),
    pieces: impl IntoIterator<Item = impl AsRef<[u8]>>,
) {
    for piece in pieces {
        stream.write_all(piece.as_ref()).await.unwrap();
        stream.flush().await.unwrap();
        // So that a piece is mostly read before the next one arrives.
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
}

/// Numbers that are the same in every run.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit
    }
}
