//! What the host answers: one file for each capability.
//!
//! A capability is served to a guest only under the names that it imports; nothing here opens anything that the call's
//! context did not bring. The 2020 names and today's share their code.

pub(crate) mod fail;
pub(crate) mod glue;
pub(crate) mod log;
pub(crate) mod memory;
pub(crate) mod missing;
pub(crate) mod objects;
pub(crate) mod process;
pub(crate) mod scratch;
pub(crate) mod storage;
pub(crate) mod values;
pub(crate) mod wasi;

use crate::state::CallState;
use wasmtime::{Engine, Linker};

/// Every import that any module may use without a word, for one engine.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<CallState>> {
    let mut linker = Linker::new(engine);
    wasi::add_to_linker(&mut linker)?;
    process::add_to_linker(&mut linker)?;
    storage::add_to_linker(&mut linker)?;
    values::add_to_linker(&mut linker)?;
    fail::add_to_linker(&mut linker)?;
    Ok(linker)
}
