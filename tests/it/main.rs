//! Black-box tests of the `iof` binary: one file a feature, one program for all of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on ends there"
)]

mod browser;
mod send_email;
mod stand_in;
mod upstream;
