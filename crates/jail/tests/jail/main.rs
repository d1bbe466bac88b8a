//! The jail from outside: real programs in real jails.
//!
//! Each scenario runs in every jail that the machine and the user offer, see [`support::jails`]. As
//! root, the whole binary runs once more as `nobody` (`unprivileged.rs`).

// Tests look at files and start programs directly, and panic.
#![allow(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used
)]

mod support;

mod basics;
mod leftovers;
mod limits;
mod programs;
mod proxy;
mod reach;
mod unprivileged;
mod workers;
