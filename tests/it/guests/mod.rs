//! Modules: how they are called, and the resources they may use of the host.

mod bindgen;
mod commands;
mod counting;
mod guest_codes;
mod host_calls;
pub(crate) mod host_limits;
mod imports;
pub(crate) mod infer;
mod modules;
mod native;
mod native_bodies;
mod native_network;
mod program;
mod program_0_3;
mod resident;
mod shapes;
pub(crate) mod storage;
mod wasi;
mod wasmedge_bindgen;
