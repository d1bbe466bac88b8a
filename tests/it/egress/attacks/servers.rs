//! Whom the attacks aim at, and who helps them: victims that nobody may reach, and a server that redirects anywhere.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    routing::any,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

const REACHED: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nreached";

/// A service of the machine's own, on the loopback addresses of both families. It ends when it is dropped.
pub(crate) struct Victim {
    /// The port that both have.
    pub(crate) port: u16,
    connections: Arc<AtomicUsize>,
    /// The accept loops.
    _tasks: JoinSet<()>,
}

impl Victim {
    pub(crate) async fn start() -> Self {
        let v4 = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = v4.local_addr().unwrap().port();
        // A machine without IPv6, or one where that port is taken, has half a victim.
        let v6 = TcpListener::bind(format!("[::1]:{port}")).await.ok();
        let connections = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for socket in [Some(v4), v6].into_iter().flatten() {
            let connections = Arc::clone(&connections);
            tasks.spawn(async move {
                let mut open = JoinSet::new();
                while let Ok((mut stream, _)) = socket.accept().await {
                    connections.fetch_add(1, Ordering::SeqCst);
                    open.spawn(async move {
                        let mut request = [0; 4096];
                        let _ = stream.read(&mut request).await;
                        let _ = stream.write_all(REACHED).await;
                    });
                }
            });
        }
        Self {
            port,
            connections,
            _tasks: tasks,
        }
    }

    /// Nobody came, and somebody could have.
    pub(crate) async fn assert_unharmed(&self) {
        let mut ours = 0;
        for host in ["127.0.0.1", "::1"] {
            let Ok(mut stream) = TcpStream::connect((host, self.port)).await else {
                continue;
            };
            ours += 1;
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            let mut said = Vec::new();
            stream.read_to_end(&mut said).await.unwrap();
            assert_eq!(said, REACHED);
        }
        assert!(ours > 0, "the victim does not listen");
        // Connections are accepted in their order: with ours, all before them are counted.
        let count = self.connections.load(Ordering::SeqCst);
        assert_eq!(count - ours, 0, "connections that reached the victim");
    }
}

/// An upstream of an attacker, over HTTP. It ends when it is dropped.
///
/// | path | answer |
/// |---|---|
/// | `/STATUS/LOCATION` | the status, with the location, which comes in hexadecimal |
/// | `/bulk/COUNT/SIZE` | 200 with that many headers, each with a value of that size |
pub(crate) struct Evil {
    pub(crate) address: SocketAddr,
    /// The server.
    _tasks: JoinSet<()>,
}

impl Evil {
    pub(crate) async fn start() -> Self {
        let router = Router::new()
            .route("/{status}/{location}", any(redirect))
            .route("/bulk/{count}/{size}", any(bulk));
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let _ = axum::serve(socket, router).await;
        });
        Self {
            address,
            _tasks: tasks,
        }
    }

    /// The line of `iof.toml` that leads a name to it.
    pub(crate) fn pin(&self, host: &str) -> String {
        pin(host, 80, self.address)
    }
}

/// The URL at which [`Evil`] redirects with this status to this location.
pub(crate) fn redirecting(status: u16, location: &str) -> String {
    let hex: String = location.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("/{status}/{hex}")
}

/// The lines of `iof.toml` that lead requests for a host and port to an address.
pub(crate) fn pin(host: &str, port: u16, to: SocketAddr) -> String {
    format!("[[egress.pin]]\nhost = \"{host}\"\nport = {port}\nto = \"{to}\"\n")
}

async fn redirect(Path((status, hex)): Path<(u16, String)>) -> (StatusCode, HeaderMap) {
    let bytes = hex.as_bytes().chunks(2).map(|pair| {
        let digits = std::str::from_utf8(pair).unwrap();
        u8::from_str_radix(digits, 16).unwrap()
    });
    let location = HeaderValue::from_bytes(&bytes.collect::<Vec<u8>>()).unwrap();
    let headers = HeaderMap::from_iter([(header::LOCATION, location)]);
    (StatusCode::from_u16(status).unwrap(), headers)
}

async fn bulk(Path((count, size)): Path<(usize, usize)>) -> (HeaderMap, &'static str) {
    let value = HeaderValue::try_from("x".repeat(size)).unwrap();
    let headers = (0..count).map(|i| {
        let name = HeaderName::try_from(format!("x-bulk-{i}")).unwrap();
        (name, value.clone())
    });
    (headers.collect(), "whole")
}

/// One port of loopback where HTTP is one server and HTTPS another. It ends when it is dropped.
pub(crate) struct Both {
    pub(crate) address: SocketAddr,
    /// The accept loop.
    _tasks: JoinSet<()>,
}

impl Both {
    pub(crate) async fn start(http: SocketAddr, https: SocketAddr) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((mut stream, _)) = socket.accept().await {
                open.spawn(async move {
                    // The first byte of a handshake (RFC 8446 section 5.1), which no method begins with.
                    let mut first = [0];
                    let _ = stream.peek(&mut first).await;
                    let to = if first == [22] { https } else { http };
                    if let Ok(mut upstream) = TcpStream::connect(to).await {
                        let _ = copy_bidirectional(&mut stream, &mut upstream).await;
                    }
                });
            }
        });
        Self {
            address,
            _tasks: tasks,
        }
    }
}
