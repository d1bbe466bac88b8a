//! Black-box tests of the `iof` binary: one file a feature, one program for all of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends there, and a test may block"
)]

mod bindgen;
mod browser;
mod cli;
mod commands;
mod durability;
mod era;
mod imports;
mod limits;
mod outbound;
mod second_state;
mod send_email;
mod stand_in;
mod storage;
mod uploads;
mod upstream;
mod wasi;
mod wasmedge_bindgen;
