//! Black-box tests of the `iof` binary: a folder for each subject, one program for all of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot continue fails there, and a test may block"
)]

mod cli;
mod components;
mod egress;
mod exchange;
mod exchange_0_3;
mod guests;
mod scenarios;
mod second_state;
mod server;
mod v1;
mod webhooks;
