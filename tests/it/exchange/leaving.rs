//! Clients that leave: the call ends, and so does what it asked of others.

use super::{LONG, handler, path, row};
use iof_tests::{call::Uploaded, guests::handler_component, server::Server};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

async fn send(server: &Server, function: &Uploaded, below: &str, more: &str) -> TcpStream {
    let address = server.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "GET {} HTTP/1.1\r\nhost: localhost\r\n{more}\r\n",
        path(function, below)
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// The function would go on for twenty seconds, before its head or after it.
#[tokio::test]
async fn a_client_that_leaves_ends_the_call() {
    let (server, function) = handler("").await;
    let mut rows = 0;
    for below in ["/sleep?20000", "/pause?20000", "/events?200"] {
        let mut stream = send(&server, &function, below, "").await;
        if below != "/sleep?20000" {
            let mut first = [0; 1];
            timeout(LONG, stream.read_exact(&mut first))
                .await
                .unwrap()
                .unwrap();
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(stream);
        let began = Instant::now();
        rows += 1;
        let row = row(&server, &function, rows).await;
        // What is measured includes the log, which is written behind.
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "{below} {:?}",
            began.elapsed()
        );
        assert_eq!(row["fault"], "client-gone", "{below} {row}");
    }
}

#[tokio::test]
async fn what_it_asked_of_others_ends_too() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = upstream.local_addr().unwrap();
    let config = format!("[[egress.pin]]\nhost = \"up.test\"\nport = 80\nto = \"{address}\"\n");
    let server = Server::start(config).await;
    let function = server
        .deploy(
            handler_component(super::HANDLER),
            "outbound = [\"GET http://up.test\"]\n",
        )
        .await;
    for begins in [false, true] {
        let mut client = send(
            &server,
            &function,
            "/fetch",
            "x-target: http://up.test/\r\n",
        )
        .await;
        let (mut asked, _) = timeout(LONG, upstream.accept()).await.unwrap().unwrap();
        let mut head = [0; 4096];
        assert!(asked.read(&mut head).await.unwrap() > 0);
        if begins {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart";
            asked.write_all(answer).await.unwrap();
            let mut first = [0; 1];
            timeout(LONG, client.read_exact(&mut first))
                .await
                .unwrap()
                .unwrap();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(client);
        let began = Instant::now();
        let ended = timeout(LONG, asked.read(&mut head)).await.unwrap();
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
        // 50 ms is the promise, on a machine that does nothing else.
        assert!(
            began.elapsed() < Duration::from_millis(500),
            "{:?}",
            began.elapsed()
        );
    }
}
