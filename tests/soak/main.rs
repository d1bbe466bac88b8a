//! `cargo xtask soak components`: what the tests of functions that answer HTTP requests measure briefly, at length.

#![allow(
    clippy::print_stdout,
    reason = "a program for people, on top of the harness"
)]

use iof_tests::exchange::{Handler, Leaving, WaitingHandler};
use std::time::{Duration, Instant};

/// The guest.
const HANDLER: &str = "http-handler";
/// Megabytes of each body.
const BODY: usize = 1024;
/// Clients that read nothing.
const SLOW: usize = 1000;
/// Requests of the client beside them.
const QUICK: usize = 200;
/// Clients that leave, at each of the moments at which one may.
const LEAVING: usize = 200;
/// The limits that such calls need, and room for all of them: one function runs four fifths of `concurrency` at a time.
const CONFIG: &str = "[server]\nconcurrency = 1500\nconnections = 2000\n\
    [limits]\nwall_time = \"600s\"\nfirst_byte = \"600s\"\nbetween_bytes = \"600s\"\nguest_cpu = \"600s\"\nstreamed_body = \"2GiB\"\n";

#[tokio::main]
async fn main() {
    let waiting = WaitingHandler::start(HANDLER).await;
    let (mut others, mut calls) = (vec![], vec![]);
    for number in 0..LEAVING {
        let leaving = Leaving::ALL[number % Leaving::ALL.len()];
        let (other, call) = waiting.times_to_end(leaving).await;
        others.push(other);
        calls.push(call);
    }
    others.sort_unstable();
    calls.sort_unstable();
    println!(
        "from a client's leaving to the end of what its call asked of others: {}",
        summary(&others)
    );
    println!(
        "to the answer of the call that waits for its permit: {}",
        summary(&calls)
    );

    let handler = warm().await;
    let alone = handler.times_beside_slow_clients(0, QUICK).await;
    let beside = handler.times_beside_slow_clients(SLOW, QUICK).await;
    println!("a quick client by itself: {}", summary(&alone));
    println!("beside {SLOW} that read nothing: {}", summary(&beside));

    // What the slow ones took is not idle memory.
    drop(handler);
    let handler = warm().await;
    let began = Instant::now();
    let most = handler.memory_of_bodies(BODY).await;
    let took = began.elapsed().as_secs();
    println!(
        "bodies of {BODY} MiB in, out, and both at once: at most {} MiB above idle, in {took} s",
        most >> 20
    );
}

/// A function that was called once.
async fn warm() -> Handler {
    let handler = Handler::start(HANDLER, CONFIG).await;
    let answer = handler.server.get(&handler.path("/hello")).await;
    assert_eq!(answer.text(), "hello");
    handler
}

/// The median and the maximum of times in their order.
fn summary(times: &[Duration]) -> String {
    let ms = |time: Option<&Duration>| time.copied().unwrap_or_default().as_secs_f64() * 1000.0;
    let (median, most) = (ms(times.get(times.len() / 2)), ms(times.last()));
    format!(
        "{median:.1} ms (median of {}), {most:.1} ms at most",
        times.len()
    )
}
