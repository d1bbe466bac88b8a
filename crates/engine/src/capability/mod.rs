//! Capabilities: what a guest may ask of the host, one file for each.
//!
//! A capability works on its own state and on the call's context only. No capability knows wasmtime, a guest's memory,
//! or how a guest imports it; `host` serves capabilities to core modules.

pub(crate) mod batches;
pub(crate) mod clock;
pub(crate) mod environment;
pub(crate) mod fail;
pub(crate) mod files;
pub(crate) mod log;
pub(crate) mod process;
pub(crate) mod random;
pub(crate) mod scratch;
pub(crate) mod shared_files;
pub(crate) mod storage;
pub(crate) mod transactions;
pub(crate) mod values;
