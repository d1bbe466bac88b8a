//! Clients that send nothing, and clients that wait for their turn.

use iof_tests::server::Server;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_client_that_sends_no_head_is_sent_away() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = Server::start("[server]\nhead_wait = \"300ms\"\n").await;
    let address = server.url.trim_start_matches("http://").to_owned();
    let mut client = tokio::net::TcpStream::connect(&address).await.unwrap();
    client
        .write_all(b"POST /api/run/1/say HTTP/1.1\r\nHost: x\r\nX-")
        .await
        .unwrap();
    let start = Instant::now();
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(5), client.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert!(
        start.elapsed() >= Duration::from_millis(250),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn connections_are_bounded_and_the_others_wait() {
    let server = Server::start("[server]\nconnections = 2\n").await;
    let address = server.url.trim_start_matches("http://").to_owned();
    let first = tokio::net::TcpStream::connect(&address).await.unwrap();
    let second = tokio::net::TcpStream::connect(&address).await.unwrap();
    let third = server.get("/healthz");
    let freed = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop((first, second));
        Instant::now()
    };
    let start = Instant::now();
    let (answer, freed) = tokio::join!(third, freed);
    assert_eq!(answer.text(), "ok\n");
    assert!(
        start.elapsed() >= freed - start,
        "it was answered before there was room"
    );
}
