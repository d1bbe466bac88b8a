//! `wasi:io/error` with the message of the error only, without the host's debug output.

use super::version;
use crate::state::CallState;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::IoError;

pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    linker.instance(version!("wasi:io/error"))?.func_wrap(
        "[method]error.to-debug-string",
        |mut store: StoreContextMut<'_, CallState>, (error,): (Resource<IoError>,)| {
            let table = store.data_mut().ctx().table;
            Ok((table.get(&error)?.to_string(),))
        },
    )
}
