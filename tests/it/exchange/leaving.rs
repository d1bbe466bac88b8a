//! Clients that leave: the call ends, and so does what it asked of others.

use super::{LONG, row};
use iof_tests::exchange::{Handler, Leaving, WaitingHandler};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

/// The function would go on for twenty seconds, before its head or after it.
#[tokio::test]
async fn a_client_that_leaves_ends_the_call() {
    let handler = Handler::start(super::HANDLER, "").await;
    let mut rows = 0;
    for below in ["/sleep?20000", "/pause?20000", "/events?200"] {
        let mut stream = handler.begin(below, "").await;
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
        let row = row(&handler.server, &handler.function, rows).await;
        // What is measured includes the log, which is written behind.
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "{below} {:?}",
            began.elapsed()
        );
        assert_eq!(row["fault"], "client-gone", "{below} {row}");
    }
}

/// Wherever it stands: what its call asked of others ends, and the call does, for whose permit another waits. The guest
/// ignores what it hears of a body that was cut.
#[tokio::test]
async fn a_call_and_what_it_asked_of_others_end_within_50_milliseconds() {
    let waiting = WaitingHandler::start(super::HANDLER).await;
    for leaving in Leaving::ALL {
        assert_prompt(leaving, || waiting.times_to_end(leaving)).await;
    }
    for leaving in [
        Leaving::BeforeTheHead,
        Leaving::WhileItSends,
        Leaving::Unread,
    ] {
        assert_prompt(leaving, || waiting.times_to_end_at_own_host(leaving)).await;
    }
}

#[tokio::test]
async fn connections_of_tls_end_within_50_milliseconds() {
    let waiting = WaitingHandler::start(super::HANDLER).await;
    for leaving in Leaving::ALL {
        assert_prompt(leaving, || waiting.times_to_end_over_tls(leaving)).await;
    }
}

#[tokio::test]
async fn streams_of_http_2_end_within_50_milliseconds() {
    let waiting = WaitingHandler::start(super::HANDLER).await;
    for leaving in [
        Leaving::BeforeTheHead,
        Leaving::InTheBody,
        Leaving::WhileItSends,
        Leaving::Unread,
        Leaving::UnreadWhole,
    ] {
        assert_prompt(leaving, || waiting.times_to_end_over_http_2(leaving)).await;
    }
}

async fn assert_prompt<F>(leaving: Leaving, times: impl Fn() -> F)
where
    F: Future<Output = (Duration, Duration)>,
{
    // The best of a few: another process may hold the core.
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..8 {
        let (others, call) = times().await;
        best = (best.0.min(others), best.1.min(call));
    }
    let within = Duration::from_millis(50);
    assert!(best.0 < within && best.1 < within, "{leaving:?} {best:?}");
}

/// A body that is not one ends the guest's reading, and not the call: its client is there, and has its answer.
#[tokio::test]
async fn a_client_that_stays_has_its_answer() {
    let handler = Handler::start(super::HANDLER, "").await;
    let path = handler.path("/heedless");
    for body in [
        "transfer-encoding: chunked\r\n\r\nnonsense\r\n",
        "content-length: 4\r\n\r\npart",
    ] {
        let request = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{body}");
        let mut stream = handler.write(&request).await;
        let (mut answer, mut piece) = (String::new(), [0; 4096]);
        while !answer.contains("heedless") {
            let read = timeout(LONG, stream.read(&mut piece)).await;
            let read = read.unwrap().unwrap();
            assert!(read > 0, "{answer}");
            answer.push_str(&String::from_utf8_lossy(&piece[..read]));
        }
    }
}
