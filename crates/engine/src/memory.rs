//! Guest memory, read and written at addresses that the guest chose.
//!
//! Every pointer is hostile until its slice is known to lie inside the memory.

use iof_fault::{Fault, FaultKind};
use wasmtime::{AsContext, AsContextMut, Memory};
use wiggle::GuestError;

/// The error of an address and a length from the guest that reach beyond its memory.
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

/// The fault of a pointer that the WASI library rejected.
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

/// The fault of a module that passes an address, but exports no memory.
pub(crate) fn none() -> Fault {
    Fault::new(
        FaultKind::NoMemory,
        "The function called an import that reads or writes its memory, and exports no memory named `memory`. Export it.",
    )
}

/// Checks that the bytes at `pointer` lie in the memory. Call this before checking a limit on their length, so that a
/// slice that reaches beyond the memory is a bad pointer, whatever the limit.
///
/// # Errors
/// [`BadPointer`]
pub(crate) fn check(
    memory: &Memory,
    store: &impl AsContext,
    pointer: u32,
    length: u32,
) -> Result<(), BadPointer> {
    let end = u64::from(pointer) + u64::from(length);
    match end <= memory.data_size(store) as u64 {
        true => Ok(()),
        false => Err(BadPointer {
            pointer,
            length: length.into(),
        }),
    }
}

/// Copies the bytes at `pointer`.
///
/// # Errors
/// [`BadPointer`]
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

/// The bytes at `pointer`, for writing.
///
/// # Errors
/// [`BadPointer`]
pub(crate) fn room(bytes: &mut [u8], pointer: u32, length: u32) -> Result<&mut [u8], BadPointer> {
    let at = pointer as usize;
    at.checked_add(length as usize)
        .and_then(|end| bytes.get_mut(at..end))
        .ok_or(BadPointer {
            pointer,
            length: length.into(),
        })
}

/// Writes bytes at `pointer`.
///
/// # Errors
/// [`BadPointer`]
pub(crate) fn write(
    memory: &Memory,
    mut store: impl AsContextMut,
    pointer: u32,
    bytes: &[u8],
) -> Result<(), BadPointer> {
    let bad = BadPointer {
        pointer,
        length: bytes.len() as u64,
    };
    memory
        .write(&mut store, pointer as usize, bytes)
        .map_err(|_| bad)
}
