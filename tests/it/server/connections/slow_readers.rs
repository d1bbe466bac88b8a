//! Answers that clients do not read end after `server.write_wait`, and count toward `server.body_memory` until then.

use super::frames;
use super::raw::{LONG, connect, connect_from, connect_tls, reply, rest};
use iof_tests::{guests::guest, server::Server};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

const SIZE: usize = 12 << 20;

async fn slow(config: &str) -> (Server, String) {
    let config = format!("[server]\nwrite_wait = \"1s\"\n{config}");
    let server = Server::builder().config(config).tls().start().await;
    let id = server.upload(guest("raw-bindgen")).await.id;
    (server, format!("/api/run/{id}/keep/bytes"))
}

async fn ask(stream: &mut (impl AsyncWrite + Unpin), path: &str, size: usize) {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\ncontent-length: {size}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; size]).await.unwrap();
    stream.flush().await.unwrap();
}

/// Reads nothing for longer than allowed, and returns the number of bytes that arrive afterwards.
async fn left(mut stream: impl tokio::io::AsyncRead + Unpin) -> usize {
    tokio::time::sleep(Duration::from_millis(3500)).await;
    let (read, ended) = rest(&mut stream, LONG).await;
    assert!(ended, "still open");
    read.len()
}

#[tokio::test]
async fn an_unread_answer_is_dropped() {
    let (server, path) = slow("").await;
    let mut plain = connect_from(&server, 1, Some(4096)).await;
    ask(&mut plain, &path, SIZE).await;
    let mut sealed = connect_tls(&server, &[]).await;
    ask(&mut sealed, &path, SIZE).await;
    let (plain, sealed) = tokio::join!(left(plain), left(sealed));
    assert!(plain < SIZE, "{plain}");
    // Buffers of the system may hold a few megabytes.
    assert!(sealed < SIZE, "{sealed}");
}

/// The bytes in the send queues of the server's sockets.
fn unsent(server: &Server) -> u64 {
    let port: u16 = server.url.rsplit(':').next().unwrap().parse().unwrap();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let ours = format!(":{port:04X}");
    let rows = table
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[1].ends_with(&ours))
        .map(|row| u64::from_str_radix(row[4].split(':').next().unwrap(), 16).unwrap())
        .sum()
}

/// The rest in the system's buffers is dropped, too: it would stay for minutes, outside of any limit.
#[tokio::test]
async fn the_system_buffers_nothing_for_a_reset_client() {
    let (server, path) = slow("head_wait = \"1s\"\n").await;
    // An answer that does not fit the buffers of the system, so that the server waits, and one that does.
    for size in [SIZE, 1 << 20] {
        let mut stream = connect_from(&server, 1, Some(4096)).await;
        ask(&mut stream, &path, size).await;
        let start = Instant::now();
        while unsent(&server) == 0 && start.elapsed() < Duration::from_secs(5) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(unsent(&server) > 100_000, "{size}: {}", unsent(&server));
        while unsent(&server) > 0 && start.elapsed() < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let (left, took) = (unsent(&server), start.elapsed());
        assert!(
            left == 0 && took < Duration::from_secs(8),
            "{size}: {left} after {took:?}"
        );
        // The client's side stayed open all the time.
        drop(stream);
    }
}

/// A client that reads slowly gets all of its answer.
#[tokio::test]
async fn a_slowly_read_answer_arrives() {
    let (server, path) = slow("").await;
    let mut stream = connect_from(&server, 1, Some(64 << 10)).await;
    ask(&mut stream, &path, SIZE).await;
    let (mut total, mut piece) = (0, vec![0; 1 << 20]);
    let start = Instant::now();
    while total < SIZE {
        let count = stream.read(&mut piece).await.unwrap();
        assert_ne!(count, 0, "ended after {total}");
        total += count;
        // 12 MiB in 4 s: each second has its 64 KiB.
        if start.elapsed() < Duration::from_secs(4) {
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }
}

#[tokio::test]
async fn answers_share_the_memory_for_bodies() {
    let (server, path) = slow("body_memory = \"30MiB\"\n").await;
    // Two answers that stall take 24 MiB, and leave no room for a body of 12.
    let mut stalled = Vec::new();
    for _ in 0..2 {
        let mut stream = connect_from(&server, 1, Some(4096)).await;
        ask(&mut stream, &path, SIZE).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        stalled.push(stream);
    }
    let mut third = connect(&server).await;
    ask(&mut third, &path, SIZE).await;
    let refused = reply(&mut third).await.unwrap();
    assert_eq!(
        refused.header("iof-fault"),
        "body-memory",
        "{}",
        refused.head
    );
    // The answers end, and their memory is released.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut third = connect(&server).await;
    ask(&mut third, &path, SIZE).await;
    let answer = reply(&mut third).await.unwrap();
    assert_eq!(answer.body.len(), SIZE, "{}", answer.head);
    drop(stalled);
}

/// A stream without a window holds only its own answer: it is reset, and the connection stays.
#[tokio::test]
async fn a_stream_without_a_window_is_reset() {
    let (server, path) = slow("head_wait = \"20s\"\n").await;
    let mut stream = connect(&server).await;
    // SETTINGS_INITIAL_WINDOW_SIZE = 0
    let body = frames::frame(frames::DATA, 1, 1, &[b'x'; 16_000]);
    let request = [
        frames::opening(&[(4, 0)]),
        frames::request(1, "POST", &path, false),
        body,
    ];
    stream.write_all(&request.concat()).await.unwrap();
    assert!(
        frames::next_of(&mut stream, frames::HEADERS, LONG)
            .await
            .is_some()
    );
    let start = Instant::now();
    let reset = frames::next_of(&mut stream, frames::RST_STREAM, LONG).await;
    assert_eq!(reset.map(|reset| reset.2), Some(1));
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    // The connection still works.
    let settings = frames::frame(frames::SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255]);
    let again = [settings, frames::request(3, "GET", "/healthz", true)].concat();
    stream.write_all(&again).await.unwrap();
    let (_, _, id, _) = frames::next_of(&mut stream, frames::HEADERS, LONG)
        .await
        .unwrap();
    assert_eq!(id, 3);
}
