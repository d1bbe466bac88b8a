//! A client that closes its side after its request is answered. A call whose client has gone ends.

use super::raw::{LONG, Reply, connect, connect_tls, reply, rest};
use iof_tests::{guests::guest, server::Server};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWriteExt};

async fn wasi(config: &str) -> (Server, u64) {
    let server = Server::builder().config(config).tls().start().await;
    let id = server.upload(guest("wasi")).await.id;
    (server, id)
}

fn sleep(id: u64, version: &str, millis: &str) -> String {
    format!(
        "POST /api/run/{id}/sleep_ms HTTP/{version}\r\nhost: localhost\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{millis}",
        millis.len()
    )
}

/// The final answer, after any `100 Continue`.
async fn last(stream: &mut (impl AsyncRead + Unpin)) -> Reply {
    loop {
        let answer = reply(stream).await.expect("an answer");
        if answer.status() >= 200 {
            return answer;
        }
        assert_eq!(answer.status(), 100);
    }
}

#[tokio::test]
async fn a_client_that_closed_its_side_is_answered() {
    let (server, id) = wasi("").await;
    for millis in ["1", "100", "1500"] {
        for version in ["1.1", "1.0"] {
            let mut stream = connect(&server).await;
            let request = sleep(id, version, millis);
            stream.write_all(request.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let answer = last(&mut stream).await;
            assert_eq!(answer.status(), 200, "{version} {millis} {answer:?}");
            assert_eq!(answer.header("iof-fault"), "");
            let start = Instant::now();
            assert_eq!(rest(&mut stream, LONG).await, (String::new(), true));
            assert!(start.elapsed() < Duration::from_secs(1), "closed at once");
        }
        let mut stream = connect_tls(&server, &[b"http/1.1"]).await;
        let request = sleep(id, "1.1", millis);
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(last(&mut stream).await.status(), 200, "tls {millis}");
    }
}

#[tokio::test]
async fn all_of_its_pipelined_requests_are_answered() {
    let (server, id) = wasi("").await;
    let mut stream = connect(&server).await;
    let requests = sleep(id, "1.1", "20").repeat(20);
    stream.write_all(requests.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    for n in 0..20 {
        let answer = last(&mut stream).await;
        assert_eq!(answer.status(), 200, "{n}");
    }
    assert_eq!(rest(&mut stream, LONG).await, (String::new(), true));
}

#[tokio::test]
async fn half_a_body_is_refused() {
    let (server, id) = wasi("").await;
    let request = sleep(id, "1.1", "1");
    let longer = request.replace("content-length: 1", "content-length: 100");
    let chunked = request
        .replace("content-length: 1", "transfer-encoding: chunked")
        .replace("\r\n\r\n1", "\r\n\r\nff\r\nhalf");
    for request in [longer, chunked] {
        let mut stream = connect(&server).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let start = Instant::now();
        let (output, ended) = rest(&mut stream, LONG).await;
        assert!(
            ended && start.elapsed() < Duration::from_secs(3),
            "{:?}",
            start.elapsed()
        );
        assert!(
            output.is_empty() || output.contains("iof-fault: request\r\n"),
            "{output}"
        );
    }
}

/// The only permit is free again soon, whether a client closed its socket or its connection was reset.
#[tokio::test]
async fn a_call_ends_when_its_client_has_gone() {
    let (server, id) =
        wasi("[limits]\nwall_time = \"60s\"\n[server]\nconcurrency = 1\nqueue_wait = \"20s\"\n")
            .await;
    for sealed in [false, true] {
        for reset in [false, true] {
            let request = sleep(id, "1.1", "50000");
            match sealed {
                true => {
                    let mut stream = connect_tls(&server, &[b"http/1.1"]).await;
                    stream.write_all(request.as_bytes()).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    if !reset {
                        stream.shutdown().await.unwrap();
                    }
                }
                false => {
                    let mut stream = connect(&server).await;
                    stream.write_all(request.as_bytes()).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    if reset {
                        stream.set_zero_linger().unwrap();
                    }
                }
            }
            let start = Instant::now();
            assert_eq!(server.run(id, "sleep_ms", "1").await.status(), 200);
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "{sealed} {reset} {:?}",
                start.elapsed()
            );
        }
    }
}
