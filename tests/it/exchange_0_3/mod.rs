//! Functions that answer HTTP requests by WASI 0.3: all that is so of those of 0.2, by the same tests, and what only 0.3 has.

#[path = "../exchange/ends.rs"]
mod ends;
#[path = "../exchange/interim.rs"]
mod interim;
#[path = "../exchange/leaving.rs"]
mod leaving;
#[path = "../exchange/outgoing.rs"]
mod outgoing;
#[path = "../exchange/programs.rs"]
mod programs;
#[path = "../exchange/requests.rs"]
mod requests;
#[path = "../exchange/streams.rs"]
mod streams;
mod tasks;
mod uploads;

use crate::exchange::{LONG, get, handler_of, path, row};
use iof_tests::{call::Uploaded, server::Server};

/// The guest of these tests.
const HANDLER: &str = "http-handler-0-3";
/// The fault of an answer whose guest forgets its body: it cannot be told from one that waits.
const FORGOTTEN: &str = "between-bytes";

async fn handler(config: &str) -> (Server, Uploaded) {
    handler_of(HANDLER, config).await
}
