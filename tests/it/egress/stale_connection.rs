//! An upstream that closes a kept connection at the moment in which it is used again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use iof_tests::{guests::guest, server::Server};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// An upstream of one byte stream a connection, and the methods of the requests that arrived.
struct Upstream {
    address: std::net::SocketAddr,
    arrived: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Upstream {
    /// Answers the first `good` requests of a connection and closes it at the next; or, with `idle`, after that time
    /// without one.
    async fn start(good: usize, idle: Option<Duration>) -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (arrived, connections) = (Arc::default(), Arc::<AtomicUsize>::default());
        let (log, count) = (Arc::clone(&arrived), connections.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                open.spawn(talk(stream, good, idle, Arc::clone(&log)));
            }
        });
        Upstream {
            address,
            arrived,
            connections,
            _tasks: tasks,
        }
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.arrived.lock().unwrap())
    }
}

async fn talk(
    mut stream: TcpStream,
    good: usize,
    idle: Option<Duration>,
    log: Arc<Mutex<Vec<String>>>,
) {
    let mut read = Vec::new();
    let wait = idle.unwrap_or(Duration::from_secs(60));
    for number in 0.. {
        // The requests of these tests end with their head, or with the body `in`.
        while !(read.ends_with(b"\r\n\r\n") && !read.starts_with(b"P")
            || read.ends_with(b"\r\n\r\nin"))
        {
            match tokio::time::timeout(wait, stream.read_buf(&mut read)).await {
                Ok(Ok(1..)) => {}
                _ => return,
            }
        }
        let method = read.split(|byte| *byte == b' ').next().unwrap();
        log.lock()
            .unwrap()
            .push(String::from_utf8_lossy(method).into_owned());
        read.clear();
        if number == good {
            return;
        }
        let answer = b"HTTP/1.1 200 OK\r\nx-folded: one\r\n  two\r\ncontent-length: 2\r\n\r\nok";
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}

async fn server(upstream: &Upstream) -> (Server, u64) {
    let address = upstream.address;
    let server = Server::start(format!(
        "[defaults]\noutbound = [\"* http://api.example.com\"]\n\
         [[egress.pin]]\nhost = \"api.example.com\"\nport = 80\nto = \"{address}\"\n"
    ))
    .await;
    let id = server.upload(guest("command")).await.id;
    (server, id)
}

async fn send(server: &Server, id: u64, args: &[&str]) -> Value {
    let stdin = if args.contains(&"get") { "" } else { "in" };
    let args = [args, &["http://api.example.com/"]].concat();
    let request = json!({ "program": "http_proxy", "args": args, "stdin": stdin });
    let answer = server.run(id, "run_ssvm", request.to_string()).await;
    assert_eq!(answer.fault(), "", "{answer:?}\n{}", server.log());
    answer.json()
}

/// RFC 9112 section 9.3.1, RFC 9110 section 9.2.2. Each time that it left is a row.
#[tokio::test]
async fn an_idempotent_request_is_sent_again_and_a_post_is_not() {
    for (method, arrived) in [
        ("get", &["GET", "GET", "GET"][..]),
        ("put", &["PUT", "PUT", "PUT"]),
        ("post", &["POST", "POST"]),
    ] {
        let upstream = Upstream::start(1, None).await;
        let (server, id) = server(&upstream).await;
        let first = send(&server, id, &[method]).await;
        assert_eq!(first["stdout"], "ok", "{method} {first}");
        let second = send(&server, id, &[method]).await;
        let good = method != "post";
        assert_eq!(second["status"] == 0, good, "{method} {second}");
        assert_eq!(upstream.take(), arrived, "{method}");
        let rows = server.get("/v1/egress?limit=9").await.json();
        let outcome = |row: &Value| row["outcome"].as_str().map(str::to_owned);
        let rows = rows["sent"].as_array().unwrap().iter();
        let mut outcomes: Vec<_> = rows.filter_map(outcome).filter(|of| of != "ran").collect();
        outcomes.retain(|of| of != "ok");
        let expected = if good { "resent" } else { "egress-protocol" };
        assert_eq!(outcomes, [expected], "{method}");
    }
}

/// Node closes after so long; requests that come about then have to come through.
#[tokio::test]
async fn requests_around_the_limit_of_an_upstream_come_through() {
    let idle = Duration::from_millis(60);
    let upstream = Upstream::start(usize::MAX, Some(idle)).await;
    let (server, id) = server(&upstream).await;
    for number in 0..40_u64 {
        tokio::time::sleep(Duration::from_millis(48 + number % 6 * 4)).await;
        let output = send(&server, id, &["get"]).await;
        assert_eq!(output["stdout"], "ok", "{number} {output}");
    }
    assert!(upstream.connections.load(Ordering::Relaxed) > 1);
}

/// RFC 9112 section 5.2.
#[tokio::test]
async fn folded_response_headers_are_one_line() {
    let upstream = Upstream::start(9, None).await;
    let (server, id) = server(&upstream).await;
    let output = send(&server, id, &["--include", "get"]).await;
    let stdout = output["stdout"].as_str().unwrap();
    assert!(stdout.contains("x-folded: one two\r\n"), "{stdout:?}");
}
