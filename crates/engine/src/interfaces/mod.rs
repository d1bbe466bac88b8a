//! Imports of components: the interfaces of WASI 0.2 and 0.3, which `wasmtime_wasi` serves over the context that core
//! modules use, and the interfaces of iof, over the capabilities.
//!
//! All `0.2.x` versions of an interface are one interface here (a linker of wasmtime resolves compatible versions), and
//! so are all `0.3.x`. Functions by which a guest makes the host allocate, open or write are replaced by ones that
//! count first: [`filesystem`], [`random`], [`poll`], [`wasi_0_3`]. Requests of `wasi:http` leave through the one
//! outbound client ([`http`]). [`served`] lists all served interfaces, for the refusal of uploads that need others.

/// The name of an interface of WASI 0.3 with the version under which its functions are replaced.
macro_rules! version_0_3 {
    ($interface:literal) => {
        concat!($interface, "@0.3.0")
    };
}

mod command;
mod config;
mod errors;
mod filesystem;
pub(crate) mod http;
mod keyvalue;
mod logging;
pub(crate) mod missing;
mod poll;
mod random;
pub(crate) mod served;
mod streams;
mod wasi_0_3;

use crate::state::CallState;
use wasmtime::Engine;
use wasmtime::component::Linker;
use wasmtime_wasi::{WasiCtxView, WasiView};

/// The version of the interfaces of `wasmtime_wasi`, under which their functions are replaced.
macro_rules! version {
    ($interface:literal) => {
        concat!($interface, "@0.2.12")
    };
}
use version;

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.context().ctx()
    }
}

/// A linker with every interface that all components may import.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<CallState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    command::add_to_linker(&mut linker)?;
    keyvalue::add_to_linker(&mut linker)?;
    config::add_to_linker(&mut linker)?;
    logging::add_to_linker(&mut linker)?;
    linker.allow_shadowing(true);
    filesystem::add_to_linker(&mut linker)?;
    random::add_to_linker(&mut linker)?;
    poll::add_to_linker(&mut linker)?;
    errors::add_to_linker(&mut linker)?;
    wasi_0_3::add_to_linker(&mut linker)?;
    linker.allow_shadowing(false);
    Ok(linker)
}
