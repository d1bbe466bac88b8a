//! Commands for modules of 2020: `ssvm_process` and its successor `wasmedge_process`.
//!
//! Each has eleven functions, which share one state ([`crate::capability::process`]): the guest adds name, arguments,
//! environment and stdin piece by piece, runs, and fetches the output.

use super::memory;
use crate::state::CallState;
use bytes::Bytes;
use std::time::Duration;
use wasmtime::{Caller, Linker};

/// Defines the functions of both import modules.
pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    for module in ["ssvm_process", "wasmedge_process"] {
        let name = |function: &str| format!("{module}_{function}");
        linker.func_wrap(module, &name("set_prog_name"), set_prog_name)?;
        linker.func_wrap(module, &name("add_arg"), add_arg)?;
        linker.func_wrap(module, &name("add_env"), add_env)?;
        linker.func_wrap(module, &name("add_stdin"), add_stdin)?;
        linker.func_wrap(
            module,
            &name("set_timeout"),
            |mut caller: Caller<'_, CallState>, ms: u32| {
                let timeout = Duration::from_millis(ms.into());
                caller.data_mut().process.set_timeout(timeout);
            },
        )?;
        linker.func_wrap_async(
            module,
            &name("run"),
            |caller: Caller<'_, CallState>, (): ()| Box::new(run(caller)),
        )?;
        linker.func_wrap(
            module,
            &name("get_exit_code"),
            |caller: Caller<'_, CallState>| caller.data().process.status(),
        )?;
        linker.func_wrap(
            module,
            &name("get_stdout_len"),
            |caller: Caller<'_, CallState>| length(caller.data().process.stdout()),
        )?;
        linker.func_wrap(
            module,
            &name("get_stderr_len"),
            |caller: Caller<'_, CallState>| length(caller.data().process.stderr()),
        )?;
        linker.func_wrap(
            module,
            &name("get_stdout"),
            |caller: Caller<'_, CallState>, pointer: u32| {
                let bytes = caller.data().process.stdout().clone();
                fetch(caller, pointer, &bytes)
            },
        )?;
        linker.func_wrap(
            module,
            &name("get_stderr"),
            |caller: Caller<'_, CallState>, pointer: u32| {
                let bytes = caller.data().process.stderr().clone();
                fetch(caller, pointer, &bytes)
            },
        )?;
    }
    Ok(())
}

type Call<'a> = Caller<'a, CallState>;

fn set_prog_name(mut caller: Call<'_>, pointer: u32, length: u32) -> wasmtime::Result<()> {
    let bytes = input(&mut caller, pointer, length)?;
    caller.data_mut().process.add_name(bytes);
    Ok(())
}

fn add_arg(mut caller: Call<'_>, pointer: u32, length: u32) -> wasmtime::Result<()> {
    let bytes = input(&mut caller, pointer, length)?;
    caller.data_mut().process.add_arg(bytes);
    Ok(())
}

fn add_env(
    mut caller: Call<'_>,
    key: u32,
    key_length: u32,
    value: u32,
    value_length: u32,
) -> wasmtime::Result<()> {
    let key = input(&mut caller, key, key_length)?;
    let value = input(&mut caller, value, value_length)?;
    caller.data_mut().process.add_env(key, value);
    Ok(())
}

fn add_stdin(mut caller: Call<'_>, pointer: u32, length: u32) -> wasmtime::Result<()> {
    let bytes = input(&mut caller, pointer, length)?;
    caller.data_mut().process.add_stdin(bytes);
    Ok(())
}

async fn run(mut caller: Call<'_>) -> wasmtime::Result<i32> {
    let CallState {
        process,
        commands,
        context,
        limits,
        tape,
        ..
    } = caller.data_mut();
    Ok(process
        .run(commands, context, limits, tape.as_ref())
        .await?)
}

fn length(bytes: &Bytes) -> u32 {
    // Settings bound outputs far below this.
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// Copies an output to memory that the guest has allocated for it.
fn fetch(mut caller: Call<'_>, pointer: u32, bytes: &Bytes) -> wasmtime::Result<()> {
    let memory = memory::of(&mut caller)?;
    Ok(memory::write(&memory, &mut caller, pointer, bytes)?)
}

/// Reads bytes from the guest, within the limit of this command's input.
fn input(caller: &mut Call<'_>, pointer: u32, length: u32) -> wasmtime::Result<Vec<u8>> {
    let memory = memory::of(caller)?;
    memory::check(&memory, &*caller, pointer, length)?;
    let state = caller.data_mut();
    state.process.reserve(length, &state.limits)?;
    Ok(memory::read(&memory, caller, pointer, length)?)
}
