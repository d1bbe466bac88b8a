//! Reading and writing guest memory at addresses that the guest chose.
//!
//! Every pointer is hostile until the slice it names was found inside the memory.

use crate::state::CallState;
use iof_fault::{Fault, FaultKind};
use wasmtime::{AsContext, Caller, Extern, Memory};
use wiggle::GuestError;

/// The guest named bytes outside of its memory.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the guest named {length} bytes at address {pointer}, outside of its memory")]
pub(crate) struct BadPointer {
    pub(crate) pointer: u32,
    pub(crate) length: u64,
}

impl From<BadPointer> for Fault {
    fn from(bad: BadPointer) -> Self {
        Fault::new(
            FaultKind::BadPointer,
            format!(
                "The function handed over {} bytes at address {}, which lie outside of its memory. It was probably \
                 built for another interface; see docs/guide/functions.md.",
                bad.length, bad.pointer
            ),
        )
    }
}

/// What a pointer that the library of WASI could not follow means.
pub(crate) fn fault_of(bad: &GuestError) -> Fault {
    match bad {
        GuestError::InFunc { err, .. } => fault_of(err),
        GuestError::PtrOutOfBounds(region) => BadPointer {
            pointer: region.start,
            length: region.len.into(),
        }
        .into(),
        other => Fault::new(
            FaultKind::BadPointer,
            format!(
                "The function called WASI with what it cannot take: {other}. It was probably built for another \
                 interface; see docs/guide/functions.md."
            ),
        ),
    }
}

/// The fault of a module that names bytes of a memory which nobody can see.
pub(crate) fn none() -> Fault {
    Fault::new(
        FaultKind::NoMemory,
        "The function called an import that reads or writes its memory, and exports no memory named `memory`. Export it.",
    )
}

/// The memory that the calling module exports: looked for by its name once a call, whose store has one instance.
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

/// The bytes at `pointer`, or where they would lie.
pub(crate) fn read(
    memory: &Memory,
    store: &impl AsContext,
    pointer: u32,
    length: u32,
) -> Result<Vec<u8>, BadPointer> {
    let at = pointer as usize;
    at.checked_add(length as usize)
        .and_then(|end| memory.data(store).get(at..end))
        .map(<[u8]>::to_vec)
        .ok_or(BadPointer {
            pointer,
            length: length.into(),
        })
}

/// The bytes at `pointer`, to be written.
pub(crate) fn room(bytes: &mut [u8], pointer: u32, length: u32) -> Result<&mut [u8], BadPointer> {
    let at = pointer as usize;
    at.checked_add(length as usize)
        .and_then(|end| bytes.get_mut(at..end))
        .ok_or(BadPointer {
            pointer,
            length: length.into(),
        })
}
