//! Black-box tests of the `iof` binary: a folder for each subject, one program for all of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot continue fails there, and a test may block"
)]
#![allow(
    clippy::duplicate_mod,
    reason = "the tests of exchanges run with a handler of each version of WASI"
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
