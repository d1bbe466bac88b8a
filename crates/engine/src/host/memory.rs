//! The memory of the module that calls the host.

use crate::memory::none;
pub(crate) use crate::memory::{check, read, room, write};
use crate::state::CallState;
use wasmtime::{Caller, Extern, Memory};

/// The memory that the calling module exports, looked up by name once per call: a call's store has one instance.
pub(crate) fn of(caller: &mut Caller<'_, CallState>) -> wasmtime::Result<Memory> {
    if let Some(memory) = caller.data().memory {
        return Ok(memory);
    }
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => {
            caller.data_mut().memory = Some(memory);
            Ok(memory)
        }
        _ => Err(none().into()),
    }
}
