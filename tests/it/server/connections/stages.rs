//! Two hundred clients that are slow, silent, huge or gone, at every stage, beside one regular client.

use super::frames;
use super::raw::{Dice, address, tls_address};
use iof_tests::{guests::guest, server::Server};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// One connection of a hostile client, at a stage.
async fn attack(
    kind: usize,
    plain: SocketAddr,
    sealed: SocketAddr,
    run: &str,
) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let mut stream: TcpStream = match kind {
        1 | 2 => socket.connect(sealed).await?,
        _ => socket.connect(plain).await?,
    };
    let post = |length: usize| {
        format!(
            "POST {run} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\ncontent-length: {length}\r\n\r\n"
        )
        .into_bytes()
    };
    let (first, drip): (Vec<u8>, &[u8]) = match kind {
        // Accept, TLS, first byte: silent, or only half.
        0 | 1 => (vec![], b""),
        2 => (b"\x16\x03\x01\x02\x00\x01".to_vec(), b""),
        3 => (b"PRI * HT".to_vec(), b""),
        // A head that drips, and one that does not end.
        4 => (b"GET / HTTP/1.1\r\n".to_vec(), b"x: y\r\n"),
        5 => (
            [b"GET / HTTP/1.1\r\nx: ", &vec![b'a'; 100_000][..]].concat(),
            b"aaaa",
        ),
        // A body that drips, and a refused one.
        6 => (post(100_000), b"b"),
        7 => ([post(1 << 40), vec![b'x'; 200_000]].concat(), b"xxxx"),
        // Answers that are not read.
        8 => ([post(1 << 20), vec![b'x'; 1 << 20]].concat(), b""),
        9 => {
            let open = frames::opening(&[(4, 0)]);
            let body = frames::frame(frames::DATA, 1, 1, &[b'x'; 16_000]);
            (
                [open, frames::request(1, "POST", run, false), body].concat(),
                b"",
            )
        }
        // Clients that go away in the middle.
        10 => ([post(10_000), vec![b'x'; 5_000]].concat(), b""),
        // Idle clients.
        _ => (
            b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec(),
            b"",
        ),
    };
    tokio::time::timeout(Duration::from_secs(5), stream.write_all(&first)).await??;
    if kind == 10 {
        stream.set_zero_linger()?;
        return Ok(());
    }
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if !drip.is_empty() {
            stream.write_all(drip).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_hostile_clients_do_not_disturb_a_regular_one() {
    let server = Server::builder()
        .config("[server]\nhead_wait = \"2s\"\nbody_wait = \"2s\"\nwrite_wait = \"2s\"\n")
        .tls()
        .start()
        .await;
    let hello = server.upload(guest("hello")).await.id;
    let echo = server.upload(guest("raw-bindgen")).await.id;
    let run: Arc<str> = format!("/api/run/{echo}/keep/bytes").into();
    let (plain, sealed) = (address(&server), tls_address(&server));
    server.run(hello, "say", "x").await;

    let attacks = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for n in 0..200usize {
        let (run, attacks) = (Arc::clone(&run), Arc::clone(&attacks));
        clients.spawn(async move {
            let mut dice = Dice(n as u64);
            // Not all at the same moment.
            tokio::time::sleep(Duration::from_millis(dice.below(1000) as u64)).await;
            for round in 0.. {
                let _ = attack((n + round) % 12, plain, sealed, &run).await;
                attacks.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    // The best of three rounds: other processes hold the cores of this machine, too.
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let mut times = Vec::new();
        for _ in 0..200 {
            let start = Instant::now();
            let answer = server.run(hello, "say", "world").await;
            times.push(start.elapsed());
            assert_eq!(answer.text(), "hello world");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        times.sort_unstable();
        best = best.min(times[times.len() * 99 / 100 - 1]);
        if best < Duration::from_millis(50) {
            break;
        }
    }
    assert!(best < Duration::from_millis(50), "p99 {best:?}");
    clients.shutdown().await;
    assert!(attacks.load(Ordering::Relaxed) > 0);
    // The server closes all of them soon.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.pid()))
        .unwrap()
        .count();
    assert!(open < 100, "{open} descriptors are open");
}
