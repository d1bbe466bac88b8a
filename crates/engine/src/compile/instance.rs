//! An instance that runs at upload, for a module's descriptions and its start-up.

use crate::manifest::Allocator;
use wasmtime::{Engine, ExternType, Linker, Module, ResourceLimiter, Store, Trap, UpdateDeadline};

/// The bytes of the allocation that grows the heap: arguments of this size then fit without growing the memory.
const HEAP: i32 = 60_000;
/// The memory that start-up may use before the module counts as not primable.
const MEMORY: usize = 256 << 20;
/// Ticks of 100 ms that one priming may take.
const TICKS: u64 = 20;
/// The data of a priming store.
#[derive(Default)]
pub(super) struct Data {
    codes: Vec<u32>,
}

impl ResourceLimiter for Data {
    fn memory_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MEMORY)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= 1_000_000)
    }
}

/// An instance whose imports all trap, except those that descriptors and set-up need.
pub(super) struct Instance {
    pub(super) store: Store<Data>,
    pub(super) instance: wasmtime::Instance,
    /// True if one of its functions trapped.
    pub(super) failed: bool,
}

impl Instance {
    pub(super) fn new(engine: &Engine, module: &Module) -> wasmtime::Result<Self> {
        let mut store = Store::new(engine, Data::default());
        store.limiter(|data| data);
        store.set_epoch_deadline(TICKS);
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Interrupt));
        let mut linker: Linker<Data> = Linker::new(engine);
        for import in module.imports() {
            let ExternType::Func(ty) = import.ty() else {
                continue;
            };
            let (from, name) = (import.module(), import.name());
            if name == "__wbindgen_describe" && ty.params().len() == 1 {
                linker.func_wrap(
                    from,
                    name,
                    |mut caller: wasmtime::Caller<'_, Data>, code: u32| {
                        let codes = &mut caller.data_mut().codes;
                        if codes.len() >= 10_000 {
                            return Err(wasmtime::Error::msg("a description without end"));
                        }
                        codes.push(code);
                        Ok(())
                    },
                )?;
            } else if name.contains("init_externref_table")
                && ty.params().len() == 0
                && ty.results().len() == 0
            {
                linker.func_wrap(from, name, || {})?;
            }
        }
        linker.define_unknown_imports_as_traps(module)?;
        let instance = linker.instantiate(&mut store, module)?;
        Ok(Self {
            store,
            instance,
            failed: false,
        })
    }

    /// Returns whether the instance exports a function of this name without parameters and results.
    pub(super) fn exports(&mut self, name: &str) -> bool {
        self.instance
            .get_typed_func::<(), ()>(&mut self.store, name)
            .is_ok()
    }

    /// Calls a function without parameters and results.
    pub(super) fn run(&mut self, name: &str) -> wasmtime::Result<()> {
        self.instance
            .get_typed_func::<(), ()>(&mut self.store, name)?
            .call(&mut self.store, ())
    }

    /// The codes that a descriptor emits; `None` if there is no such descriptor or it fails.
    pub(super) fn describe(&mut self, descriptor: &str) -> Option<Vec<u32>> {
        self.store.data_mut().codes.clear();
        if self.run(descriptor).is_err() {
            self.failed = true;
            return None;
        }
        Some(std::mem::take(&mut self.store.data_mut().codes))
    }

    /// Calls a function without arguments, and returns its result, a text of at most `most` bytes.
    ///
    /// # Errors
    /// A clause that states what went wrong.
    pub(super) fn text(
        &mut self,
        name: &str,
        allocator: &Allocator,
        most: u32,
    ) -> Result<Vec<u8>, String> {
        let store = &mut self.store;
        let function = self.instance.get_typed_func::<i32, ()>(&mut *store, name);
        let function = function.map_err(|_| format!("`{name}` must have the type (i32) -> ()"))?;
        let malloc = self.instance.get_func(&mut *store, &allocator.malloc);
        let malloc = malloc.ok_or("the module exports no allocator")?;
        let area = match allocator.takes_align {
            true => malloc
                .typed::<(i32, i32), i32>(&*store)
                .and_then(|malloc| malloc.call(&mut *store, (8, 4))),
            false => malloc
                .typed::<i32, i32>(&*store)
                .and_then(|malloc| malloc.call(&mut *store, 8)),
        };
        let called = area.and_then(|area| function.call(&mut *store, area).map(|()| area));
        self.failed |= called.is_err();
        let area = called.map_err(|error| failure(name, &error))?;
        let memory = self.instance.get_memory(&mut *store, "memory");
        let memory = memory.ok_or("the module exports no memory")?.data(&*store);
        let bytes = |pointer: u32, length: u32| {
            let at = pointer as usize;
            memory.get(at..at.checked_add(length as usize)?)
        };
        let outside = || format!("`{name}` returns an address outside of the memory");
        let area = bytes(area.cast_unsigned(), 8).ok_or_else(outside)?;
        let (pointer, length) = area.split_first_chunk::<4>().ok_or_else(outside)?;
        let length = length.first_chunk().ok_or_else(outside)?;
        let (pointer, length) = (u32::from_le_bytes(*pointer), u32::from_le_bytes(*length));
        if length > most {
            return Err(format!("it is longer than {} KiB", most >> 10));
        }
        bytes(pointer, length)
            .map(<[u8]>::to_vec)
            .ok_or_else(outside)
    }

    /// Allocates and frees, which grows the heap to the size that small calls need.
    pub(super) fn grow_heap(&mut self, allocator: &Allocator) -> wasmtime::Result<()> {
        let store = &mut self.store;
        let free = allocator
            .free
            .as_ref()
            .and_then(|free| self.instance.get_func(&mut *store, free));
        if allocator.takes_align {
            let pointer = self
                .instance
                .get_typed_func::<(i32, i32), i32>(&mut *store, &allocator.malloc)?
                .call(&mut *store, (HEAP, 1))?;
            if let Some(free) = free {
                free.typed::<(i32, i32, i32), ()>(&*store)?
                    .call(&mut *store, (pointer, HEAP, 1))?;
            }
        } else {
            let pointer = self
                .instance
                .get_typed_func::<i32, i32>(&mut *store, &allocator.malloc)?
                .call(&mut *store, HEAP)?;
            if let Some(free) = free {
                free.typed::<(i32, i32), ()>(&*store)?
                    .call(&mut *store, (pointer, HEAP))?;
            }
        }
        Ok(())
    }
}

/// The clause for a function that failed at upload.
fn failure(name: &str, error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => {
            format!("`{name}` does not end: what runs at upload has two seconds")
        }
        _ => format!("`{name}` failed: {}", error.root_cause()),
    }
}
