//! Functions that answer HTTP requests (`wasi:http`), from outside: what they see, how their bodies stream, how they end, and
//! what they ask of others. The handler here is one of WASI 0.2; [`crate::exchange_0_3`] runs the same tests with one of 0.3.

mod ends;
mod examples;
mod interim;
mod leaving;
mod outgoing;
mod programs;
mod requests;
mod reuse;
mod streams;
mod thumbnails;
mod wasi_0_2;

use iof_tests::{
    call::{Answer, Uploaded},
    exchange::Handler,
    server::Server,
};
use serde_json::Value;
use std::time::{Duration, Instant};

/// The guest of these tests.
const HANDLER: &str = "http-handler";
/// The fault of an answer whose guest forgets its body.
const FORGOTTEN: &str = "response";

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// A server, and a public function on it whose paths choose what it does.
async fn handler(config: &str) -> (Server, Uploaded) {
    handler_of(HANDLER, config).await
}

/// The same of a guest.
pub(crate) async fn handler_of(guest: &str, config: &str) -> (Server, Uploaded) {
    let Handler { server, function } = Handler::start(guest, config).await;
    (server, function)
}

pub(crate) fn path(function: &Uploaded, below: &str) -> String {
    format!("/fn/{}{below}", function.id)
}

pub(crate) async fn get(server: &Server, function: &Uploaded, below: &str) -> Answer {
    server.get(&path(function, below)).await
}

/// The newest row of the function's log, once there are `count`.
pub(crate) async fn row(server: &Server, function: &Uploaded, count: usize) -> Value {
    let began = Instant::now();
    loop {
        let logs = format!("/v1/functions/{}/logs", function.id);
        let logs = server.read_as(function, &logs).await;
        let rows = logs["logs"].as_array().unwrap();
        if rows.len() >= count {
            return rows[rows.len() - 1].clone();
        }
        assert!(began.elapsed() < LONG, "{logs}\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
