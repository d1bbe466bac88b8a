//! Measurements of a function that answers HTTP requests. Tests take their short forms, `cargo xtask soak components` the
//! long ones.

use crate::{call::Uploaded, guests::handler_component, joey::client_config, server::Server};
use bytes::Bytes;
use futures::StreamExt;
use rustls::pki_types::ServerName;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::oneshot,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Longer than any step of a measurement takes.
const LONG: Duration = Duration::from_secs(60);
/// The domain below which functions have hosts of their own.
const DOMAIN: &str = "fn.example.com";
/// The server for which a function waits.
const TARGET: &str = "http://up.test/";
/// The time between two looks at the memory of a server.
const LOOK: Duration = Duration::from_millis(20);

/// A public function whose paths choose what it does, on a server of its own.
pub struct Handler {
    /// The server.
    pub server: Server,
    /// The function.
    pub function: Uploaded,
}

impl Handler {
    /// Deploys a guest without outbound rules on a server with this configuration.
    pub async fn start(guest: &str, config: &str) -> Self {
        Self::declared(guest, config, "outbound = []\n").await
    }

    /// Deploys a guest with a declaration.
    ///
    /// # Panics
    /// If the server does not start, or refuses it.
    pub async fn declared(guest: &str, config: &str, declaration: &str) -> Self {
        Self::on(Server::start(config).await, guest, declaration).await
    }

    async fn on(server: Server, guest: &str, declaration: &str) -> Self {
        let component = handler_component(guest);
        let function = server.deploy(component, declaration).await;
        Self { server, function }
    }

    /// The path at which it is served, with more below it.
    pub fn path(&self, below: &str) -> String {
        format!("/fn/{}{below}", self.function.id)
    }

    /// Begins a request, and leaves its answer to be read.
    ///
    /// # Panics
    /// If the server does not take it.
    pub async fn begin(&self, below: &str, headers: &str) -> TcpStream {
        let path = self.path(below);
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        self.write(&head).await
    }

    /// Writes bytes to a connection of their own.
    ///
    /// # Panics
    /// If the server does not take them.
    pub async fn write(&self, bytes: &str) -> TcpStream {
        let address = self.server.url.trim_start_matches("http://");
        let socket = TcpSocket::new_v4().expect("a socket");
        // A client that reads nothing has little room.
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        let address = address.parse().expect("an address");
        let mut stream = socket.connect(address).await.expect("a connection");
        stream.write_all(bytes.as_bytes()).await.expect("it reads");
        stream
    }

    /// The most bytes of memory above idle that the server takes while bodies of so many megabytes go in, come out, and do
    /// both at once.
    ///
    /// # Panics
    /// If a body does not pass whole.
    pub async fn memory_of_bodies(&self, megabytes: usize) -> u64 {
        let size = megabytes << 20;
        let post = |below| self.server.request("POST", &self.path(below));
        let idle = resident(&self.server);
        let (stop, mut stopped) = oneshot::channel::<()>();
        let watch = async {
            let mut most = idle;
            while stopped.try_recv().is_err() {
                most = most.max(resident(&self.server));
                sleep(LOOK).await;
            }
            most
        };
        let bodies = async {
            let counted = post("/count").body(body(megabytes));
            assert_eq!(self.server.answer(counted).await.text(), size.to_string());
            let big = self.path(&format!("/big?{megabytes}"));
            let big = self.server.request("GET", &big).send().await;
            assert_eq!(length(big.expect("an answer")).await, size);
            let both = post("/echo").body(body(megabytes)).send().await;
            assert_eq!(length(both.expect("an answer")).await, size);
            stop.send(()).expect("it is watched");
        };
        let (most, ()) = tokio::join!(watch, bodies);
        most - idle
    }

    /// The times of requests of a quick client, in their order of length, beside clients that read nothing.
    ///
    /// # Panics
    /// If one of them gets no answer.
    pub async fn times_beside_slow_clients(&self, slow: usize, quick: usize) -> Vec<Duration> {
        let mut clients = vec![];
        for _ in 0..slow {
            clients.push(self.begin("/big?64", "").await);
        }
        // All of them have begun.
        for client in &mut clients {
            first_byte(client).await;
        }
        let mut times = vec![];
        for _ in 0..quick {
            let began = Instant::now();
            let answer = self.server.get(&self.path("/hello")).await;
            assert_eq!(answer.text(), "hello");
            times.push(began.elapsed());
        }
        times.sort_unstable();
        times
    }
}

/// A function that waits for another server, and that server.
pub struct WaitingHandler {
    handler: Handler,
    upstream: TcpListener,
}

/// The moment at which a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// Its request is whole, and its answer has not begun.
    BeforeTheHead,
    /// In the body of its answer.
    InTheBody,
    /// In the middle of its own body, which the guest reads, and whose error it ignores.
    WhileItSends,
    /// The same, in chunks.
    WhileItSendsChunks,
    /// In the middle of its own body, which the guest does not read.
    Unread,
    /// Behind its own body, which is whole, and which the guest does not read.
    UnreadWhole,
    /// Behind a body in chunks that are none.
    BehindNonsense,
}

impl Leaving {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::BeforeTheHead,
        Self::InTheBody,
        Self::WhileItSends,
        Self::WhileItSendsChunks,
        Self::Unread,
        Self::UnreadWhole,
        Self::BehindNonsense,
    ];

    /// The path of the guest, and the end of the request's head with what is sent of its body.
    fn request(self) -> (&'static str, &'static str) {
        match self {
            Self::BeforeTheHead | Self::InTheBody => ("/fetch", "\r\n"),
            Self::WhileItSends => ("/ignore", "content-length: 9\r\n\r\npart"),
            Self::WhileItSendsChunks => ("/ignore", "transfer-encoding: chunked\r\n\r\n9\r\npart"),
            Self::Unread => ("/fetch", "content-length: 9\r\n\r\npart"),
            Self::UnreadWhole => ("/fetch", "content-length: 4\r\n\r\npart"),
            Self::BehindNonsense => ("/ignore", "transfer-encoding: chunked\r\n\r\nnonsense\r\n"),
        }
    }
}

/// A client that waits for its answer until it is dropped.
enum Client {
    Http1(TcpStream),
    Https(Box<TlsStream<TcpStream>>),
    Http2(JoinSet<()>),
}

impl WaitingHandler {
    /// Starts both, the function from a guest.
    ///
    /// # Panics
    /// If there is no free port on loopback.
    pub async fn start(guest: &str) -> Self {
        let upstream = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = upstream.local_addr().expect("the address");
        // The next call has to wait for the end of the one before.
        let config = format!(
            "[server]\nconcurrency = 1\ndomain = \"{DOMAIN}\"\n[[egress.pin]]\nhost = \"up.test\"\nport = 80\nto = \"{address}\"\n"
        );
        let server = Server::builder().config(config).tls().start().await;
        let handler = Handler::on(server, guest, "outbound = [\"GET http://up.test\"]\n").await;
        Self { handler, upstream }
    }

    /// The times from a client's leaving to the end of what its call asked of the other server, and to the end of the call:
    /// the answer of the next one, which waits for its permit.
    ///
    /// # Panics
    /// If either does not end.
    pub async fn times_to_end(&self, leaving: Leaving) -> (Duration, Duration) {
        let (below, rest) = leaving.request();
        let path = self.handler.path(below);
        self.times_of(leaving, &path, "localhost", rest).await
    }

    /// The same at the host of the function.
    pub async fn times_to_end_at_own_host(&self, leaving: Leaving) -> (Duration, Duration) {
        let (below, rest) = leaving.request();
        let host = format!("{}.{DOMAIN}", self.handler.function.id);
        self.times_of(leaving, below, &host, rest).await
    }

    async fn times_of(
        &self,
        leaving: Leaving,
        path: &str,
        host: &str,
        rest: &str,
    ) -> (Duration, Duration) {
        let head = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\nx-target: {TARGET}\r\n{rest}");
        let client = self.handler.write(&head).await;
        self.times(Client::Http1(client), leaving == Leaving::InTheBody)
            .await
    }

    /// The same over TLS. The client is gone without a word of that protocol, as one whose process was killed.
    ///
    /// # Panics
    /// If either does not end, or there is no connection.
    pub async fn times_to_end_over_tls(&self, leaving: Leaving) -> (Duration, Duration) {
        let (below, rest) = leaving.request();
        let (server, path) = (&self.handler.server, self.handler.path(below));
        let url = server.tls_url.as_deref().expect("a server with TLS");
        let stream = TcpStream::connect(url.trim_start_matches("https://")).await;
        let config = client_config(server.ca_pem().expect("a server with TLS"), &[]);
        let name = ServerName::try_from("localhost").expect("a name");
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream.expect("a connection")).await;
        let mut stream = stream.expect("a handshake");
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nx-target: {TARGET}\r\n{rest}");
        let written = stream.write_all(head.as_bytes()).await;
        written.expect("it reads");
        stream.flush().await.expect("it reads");
        self.times(
            Client::Https(Box::new(stream)),
            leaving == Leaving::InTheBody,
        )
        .await
    }

    /// The same over HTTP/2, whose client resets its stream. A body in its middle has sent a part.
    pub async fn times_to_end_over_http_2(&self, leaving: Leaving) -> (Duration, Duration) {
        let (below, rest) = leaving.request();
        let url = format!("{}{}", self.handler.server.url, self.handler.path(below));
        let client = reqwest::Client::builder()
            .no_proxy()
            .http2_prior_knowledge();
        let client = client.build().expect("a client");
        let mut request = client.post(url).header("x-target", TARGET);
        let part = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from("part"))]);
        request = match leaving {
            _ if rest == "\r\n" => request,
            Leaving::UnreadWhole => request.body("part"),
            _ => request.body(reqwest::Body::wrap_stream(
                part.chain(futures::stream::pending()),
            )),
        };
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut response = request.send().await.expect("an answer");
            while response.chunk().await.expect("a body").is_some() {}
        });
        self.times(Client::Http2(task), leaving == Leaving::InTheBody)
            .await
    }

    async fn times(&self, mut client: Client, in_the_body: bool) -> (Duration, Duration) {
        let asked = timeout(LONG, self.upstream.accept()).await;
        let (mut asked, _) = asked.expect("in time").expect("a connection");
        let mut head = [0; 4096];
        assert!(asked.read(&mut head).await.expect("a request") > 0);
        if in_the_body {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart";
            asked.write_all(answer).await.expect("it reads");
            match &mut client {
                Client::Http1(client) => first_byte(client).await,
                Client::Https(client) => first_byte(client).await,
                Client::Http2(_) => {}
            }
        }
        // The call is at rest.
        sleep(Duration::from_millis(50)).await;
        let server = &self.handler.server;
        let next = server.request("GET", &self.handler.path("/hello"));
        match client {
            Client::Http1(stream) => drop(stream),
            Client::Https(stream) => drop(stream),
            Client::Http2(mut task) => task.abort_all(),
        }
        let began = Instant::now();
        let others = async {
            let ended = timeout(LONG, asked.read(&mut head)).await;
            assert!(matches!(ended.expect("in time"), Ok(0) | Err(_)));
            began.elapsed()
        };
        let call = async {
            assert_eq!(server.answer(next).await.text(), "hello");
            began.elapsed()
        };
        tokio::join!(others, call)
    }
}

async fn first_byte(client: &mut (impl AsyncRead + Unpin)) {
    let read = timeout(LONG, client.read_exact(&mut [0; 1])).await;
    read.expect("in time").expect("an answer");
}

/// A body of so many megabytes, made as it is sent.
pub fn body(megabytes: usize) -> reqwest::Body {
    let piece = Bytes::from(vec![b'x'; 1 << 20]);
    let pieces = futures::stream::iter(0..megabytes);
    reqwest::Body::wrap_stream(pieces.map(move |_| Ok::<_, std::io::Error>(piece.clone())))
}

/// The length of a body, which is read to its end.
///
/// # Panics
/// If it is cut.
pub async fn length(mut response: reqwest::Response) -> usize {
    let mut count = 0;
    while let Some(piece) = response.chunk().await.expect("a whole body") {
        count += piece.len();
    }
    count
}

/// Bytes of memory that a server has now.
///
/// # Panics
/// If it does not run.
pub fn resident(server: &Server) -> u64 {
    let path = format!("/proc/{}/status", server.pid());
    let mut status = String::new();
    std::fs::File::open(path)
        .and_then(|mut file| std::io::Read::read_to_string(&mut file, &mut status))
        .expect("a running server");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.expect("a size in kB") << 10
}
