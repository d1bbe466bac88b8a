//! `iof` `fail` and `fail_with_status`, by which a function built with the guest crate returns an error.
//!
//! `fail(code, code_length, message, message_length)` ends the call and does not return; `fail_with_status` has the
//! HTTP status of the answer as one more argument.

use super::memory;
use crate::capability::fail::{self, CODE, MESSAGE};
use crate::state::CallState;
use wasmtime::{Caller, Linker};

/// Defines both imports.
pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    linker.func_wrap("iof", "fail", fail)?;
    linker.func_wrap("iof", "fail_with_status", fail_with_status)?;
    Ok(())
}

fn fail(
    mut caller: Caller<'_, CallState>,
    code: u32,
    code_length: u32,
    message: u32,
    message_length: u32,
) -> wasmtime::Result<()> {
    let (code, message) = texts(&mut caller, (code, code_length), (message, message_length))?;
    Err(fail::fault(&code, &message).into())
}

fn fail_with_status(
    mut caller: Caller<'_, CallState>,
    code: u32,
    code_length: u32,
    message: u32,
    message_length: u32,
    status: u32,
) -> wasmtime::Result<()> {
    let (code, message) = texts(&mut caller, (code, code_length), (message, message_length))?;
    Err(fail::fault_with_status(&code, &message, status).into())
}

/// Reads a code and a message, each up to its maximum length.
fn texts(
    caller: &mut Caller<'_, CallState>,
    (code, code_length): (u32, u32),
    (message, message_length): (u32, u32),
) -> wasmtime::Result<(String, String)> {
    let memory = memory::of(caller)?;
    let message = memory::read(&memory, &*caller, message, message_length.min(MESSAGE))?;
    // One byte beyond the longest code shows that the code is too long.
    let code = memory::read(&memory, &*caller, code, code_length.min(CODE + 1))?;
    Ok((
        String::from_utf8_lossy(&code).into_owned(),
        String::from_utf8_lossy(&message).into_owned(),
    ))
}
