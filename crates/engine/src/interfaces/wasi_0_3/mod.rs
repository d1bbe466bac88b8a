//! Interfaces of WASI 0.3 with replaced functions: those that make the host write, open files or hold memory.
//!
//! They share the accounts and streams of 0.2: the same code reads and writes a file for both versions of WASI.

mod cli;
mod file_streams;
mod filesystem;

use crate::state::CallState;
use wasmtime::component::Linker;

pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    cli::add_to_linker(linker)?;
    filesystem::add_to_linker(linker)
}
