//! The instance of one call, seen by an ABI: its allocator and its memory.
//!
//! Every address and length from a guest is hostile until the slice is known to lie inside the memory, and no copy is
//! larger than the limit of a result.

use crate::limits::LimitExceeded;
use crate::memory::{self, BadPointer};
use iof_fault::{Fault, FaultKind};
use wasmtime::{AsContextMut, Instance, Memory, ModuleExport, Store};

/// The exports that every call of a module uses, looked up once.
#[derive(Clone, Copy)]
pub(crate) struct Handles {
    pub(crate) memory: Option<ModuleExport>,
    pub(crate) malloc: Option<(ModuleExport, bool)>,
}

/// A fresh instance, and its store.
pub(crate) struct Guest<'a, T: 'static> {
    pub(crate) store: &'a mut Store<T>,
    pub(crate) instance: Instance,
    pub(crate) handles: Handles,
}

impl<T: Send + 'static> Guest<'_, T> {
    fn memory(&mut self) -> wasmtime::Result<Memory> {
        self.handles
            .memory
            .and_then(|export| {
                self.instance
                    .get_module_export(self.store.as_context_mut(), &export)
            })
            .and_then(wasmtime::Extern::into_memory)
            .ok_or_else(|| no_allocator("memory"))
    }

    /// Allocates memory in the guest; the address is under the guest's control.
    pub(crate) async fn allocate(&mut self, size: u32, align: i32) -> wasmtime::Result<u32> {
        let (malloc, takes_align) = self
            .handles
            .malloc
            .ok_or_else(|| no_allocator("__wbindgen_malloc"))?;
        let malloc = self
            .instance
            .get_module_export(&mut *self.store, &malloc)
            .and_then(wasmtime::Extern::into_func)
            .ok_or_else(|| no_allocator("__wbindgen_malloc"))?;
        let size = size.cast_signed();
        let pointer = if takes_align {
            malloc
                .typed::<(i32, i32), i32>(&*self.store)?
                .call_async(&mut *self.store, (size, align))
                .await?
        } else {
            malloc
                .typed::<i32, i32>(&*self.store)?
                .call_async(&mut *self.store, size)
                .await?
        };
        Ok(pointer.cast_unsigned())
    }

    pub(crate) fn write(&mut self, pointer: u32, bytes: &[u8]) -> wasmtime::Result<()> {
        let bad = BadPointer {
            pointer,
            length: bytes.len() as u64,
        };
        self.memory()?
            .write(&mut *self.store, pointer as usize, bytes)
            .map_err(|_| bad.into())
    }

    pub(crate) fn read(&mut self, pointer: u32, length: u32) -> wasmtime::Result<Vec<u8>> {
        let memory = self.memory()?;
        Ok(memory::read(&memory, &*self.store, pointer, length)?)
    }

    /// The whole memory, for reading.
    pub(crate) fn data(&mut self) -> wasmtime::Result<&[u8]> {
        let memory = self.memory()?;
        Ok(memory.data(&*self.store))
    }
}

/// The bytes of a result: at most `limit`, and inside `memory`.
///
/// # Errors
/// [`BadPointer`] for a length that no memory could hold; [`LimitExceeded::Output`] for a shorter one above `limit`.
pub(crate) fn result(
    memory: &[u8],
    pointer: u32,
    length: u64,
    limit: u64,
) -> wasmtime::Result<&[u8]> {
    if length == 0 {
        return Ok(&[]); // an empty vector's pointer dangles
    }
    let bytes = usize::try_from(length)
        .ok()
        .and_then(|length| (pointer as usize).checked_add(length))
        .and_then(|end| memory.get(pointer as usize..end))
        .ok_or(BadPointer { pointer, length })?;
    if length > limit {
        return Err(LimitExceeded::Output.into());
    }
    Ok(bytes)
}

fn no_allocator(what: &str) -> wasmtime::Error {
    Fault::new(
        FaultKind::NoAllocator,
        format!(
            "The module does not export `{what}`, which is needed to hand text or bytes to it. Build it with \
             wasm-bindgen, or call functions that take and return numbers only."
        ),
    )
    .into()
}
