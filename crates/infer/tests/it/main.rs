//! Models against the runtimes of their formats, and against attackers.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a helper that fails is a failed test"
)]

mod commands;
mod hostile;
mod limits;
mod mobilenet_v2;
mod onnxruntime;
mod pictures;
mod registry;
mod runtimes;
mod setup;
