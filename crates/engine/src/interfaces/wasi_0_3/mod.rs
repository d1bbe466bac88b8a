//! Interfaces of WASI 0.3 whose functions are replaced: those that make the host write, open or hold.
//!
//! They have the accounts and the streams of 0.2: a file is read and written by the same code, whichever version of WASI its
//! guest speaks.

mod cli;
mod file_streams;
mod filesystem;

use crate::state::CallState;
use wasmtime::component::Linker;

pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    cli::add_to_linker(linker)?;
    filesystem::add_to_linker(linker)
}
