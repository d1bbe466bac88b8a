//! Clients that leave: the call ends, and so does what it asked of others.

use super::{LONG, row};
use iof_tests::exchange::{Handler, WaitingHandler};
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

/// Before the head of its answer and in its body: what its call asked of others ends, and the call does, for whose permit
/// another waits.
#[tokio::test]
async fn a_call_and_what_it_asked_of_others_end_within_50_milliseconds() {
    let waiting = WaitingHandler::start(super::HANDLER).await;
    for in_the_body in [false, true] {
        // The best of a few: another process may hold the core.
        let mut best = (Duration::MAX, Duration::MAX);
        for _ in 0..8 {
            let (others, call) = waiting.times_to_end(in_the_body).await;
            best = (best.0.min(others), best.1.min(call));
        }
        let within = Duration::from_millis(50);
        assert!(best.0 < within && best.1 < within, "{best:?}");
    }
}
