//! `iof` `fail`: how a function built with the guest crate returns an error.
//!
//! `fail(code, code_length, message, message_length)` ends the call and does not come back.

use super::memory;
use crate::capability::fail::{self, CODE, MESSAGE};
use crate::state::CallState;
use wasmtime::{Caller, Linker};

/// Serves the import.
pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    linker.func_wrap("iof", "fail", fail)?;
    Ok(())
}

fn fail(
    mut caller: Caller<'_, CallState>,
    code: u32,
    code_length: u32,
    message: u32,
    message_length: u32,
) -> wasmtime::Result<()> {
    let memory = memory::of(&mut caller)?;
    let message = memory::read(&memory, &caller, message, message_length.min(MESSAGE))?;
    // One byte more than a code has shows that it is too long.
    let code = memory::read(&memory, &caller, code, code_length.min(CODE + 1))?;
    let message = String::from_utf8_lossy(&message);
    Err(fail::fault(&String::from_utf8_lossy(&code), &message).into())
}
