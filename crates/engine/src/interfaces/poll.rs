//! `wasi:io/poll` with a bound on the length of the list that a guest polls.

use super::version;
use crate::limits::LimitExceeded;
use crate::state::CallState;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi_io::bindings::wasi::io::poll::Host;

pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    linker.instance(version!("wasi:io/poll"))?.func_wrap_async(
        "poll",
        |mut store: StoreContextMut<'_, CallState>, (pollables,): (Vec<Resource<DynPollable>>,)| {
            Box::new(async move {
                let state = store.data_mut();
                if pollables.len() > state.limits.handles as usize {
                    return Err(LimitExceeded::Handles.into());
                }
                Ok((Host::poll(state.ctx().table, pollables).await?,))
            })
        },
    )
}
