//! Tests of the egress crate against real servers on loopback, one file for each subject.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a failed test"
)]

mod attacks;
mod ceiling;
mod client_certificates;
mod decoding;
mod dns;
mod exchange;
mod limits;
mod log;
mod masking;
mod own_listeners;
mod places;
mod pool;
mod proxied;
mod records;
mod redirects;
mod resolving;
mod retries;
mod reuse;
mod rules;
mod secrets;
mod settings;
mod streams;
mod support;
mod tls;
mod tunnel;
