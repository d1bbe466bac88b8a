//! Commands against real servers on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a failed test"
)]

mod http_proxy;
mod http_proxy_time;
mod options;
mod secrets;
mod setup;

#[path = "../../../egress/tests/it/support.rs"]
#[allow(
    dead_code,
    reason = "the servers of the egress tests; not all are needed here"
)]
mod support;
