//! Imports of components: the interfaces of WASI 0.2, by `wasmtime_wasi` over the context that core modules use, and our
//! own over the capabilities.
//!
//! Every `0.2.x` of an interface is the same one here (a linker of wasmtime resolves compatible versions). Functions that
//! let a guest make the host allocate, open or write are replaced by ones that count first: [`filesystem`], [`random`],
//! [`poll`]. Requests of `wasi:http` leave through the one outbound client ([`http`]). [`served`] lists what there is, for uploads that need more.

mod command;
mod errors;
mod filesystem;
pub(crate) mod http;
mod keyvalue;
pub(crate) mod missing;
mod poll;
mod random;
pub(crate) mod served;
mod streams;

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

/// A linker of every interface that a component may import without asking.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<CallState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    command::add_to_linker(&mut linker)?;
    keyvalue::add_to_linker(&mut linker)?;
    linker.allow_shadowing(true);
    filesystem::add_to_linker(&mut linker)?;
    random::add_to_linker(&mut linker)?;
    poll::add_to_linker(&mut linker)?;
    errors::add_to_linker(&mut linker)?;
    linker.allow_shadowing(false);
    Ok(linker)
}
