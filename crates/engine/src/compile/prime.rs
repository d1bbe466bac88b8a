//! Starting a module once, at upload, so that no call has to.
//!
//! The module is run through its initialisers and its first heap growth, and snapshotted (`wasmtime-wizer`): the new
//! module begins where the old one had got to. Growing a memory, and taking the growth back when a slot is reused, are
//! two system calls that lock the address space; after priming a small call makes neither.
//!
//! Nothing of the outside may be frozen into a snapshot: while priming every import traps, except for glue that only
//! sets up tables. A module whose start-up asks for anything (its environment, the time) is primed without it, as far
//! as its allocator, and runs its start-up in every call.

use super::allocator::is;
use super::inspect::{Functions, PRIME};
use super::proposals::SERVED;
use crate::manifest::Allocator;
use iof_fault::{Fault, FaultKind};
use std::borrow::Cow;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use wasmtime::{Engine, ExternType, Linker, Module, ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wizer::{WasmtimeWizer, Wizer};

/// A snapshot and what has yet to run in every call.
pub(super) struct Snapshot {
    pub(super) module: Vec<u8>,
    pub(super) initialize: Vec<String>,
}

/// How large the heap is made: arguments of this size fit without growing the memory.
const HEAP: i32 = 60_000;
/// Memory that start-up may use before it counts as not primable.
const MEMORY: usize = 256 << 20;
/// Ticks of 100 ms that one priming may take.
const TICKS: u64 = 20;
/// A snapshot that adds more than this to the module costs more than it saves.
const GROWTH: usize = 16 << 20;

/// Data of a priming store.
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
    store: Store<Data>,
    instance: wasmtime::Instance,
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
        Ok(Self { store, instance })
    }

    /// Whether it exports a function of that name that takes and returns nothing.
    fn exports(&mut self, name: &str) -> bool {
        self.instance
            .get_typed_func::<(), ()>(&mut self.store, name)
            .is_ok()
    }

    fn run(&mut self, name: &str) -> wasmtime::Result<()> {
        self.instance
            .get_typed_func::<(), ()>(&mut self.store, name)?
            .call(&mut self.store, ())
    }

    /// The codes that a descriptor emits; `None` if there is no such descriptor or it fails.
    pub(super) fn describe(&mut self, descriptor: &str) -> Option<Vec<u32>> {
        self.store.data_mut().codes.clear();
        self.run(descriptor).ok()?;
        Some(std::mem::take(&mut self.store.data_mut().codes))
    }

    /// What a function without arguments returns, if that is a text of at most `most` bytes.
    pub(super) fn text(&mut self, name: &str, allocator: &Allocator, most: u32) -> Option<Vec<u8>> {
        let store = &mut self.store;
        let function = self.instance.get_typed_func::<i32, ()>(&mut *store, name);
        let function = function.ok()?;
        let malloc = self.instance.get_func(&mut *store, &allocator.malloc)?;
        let area = if allocator.takes_align {
            malloc
                .typed::<(i32, i32), i32>(&*store)
                .ok()?
                .call(&mut *store, (8, 4))
        } else {
            malloc.typed::<i32, i32>(&*store).ok()?.call(&mut *store, 8)
        };
        let area = area.ok()?;
        function.call(&mut *store, area).ok()?;
        let memory = self.instance.get_memory(&mut *store, "memory")?;
        let memory = memory.data(&*store);
        let bytes = |pointer: u32, length: u32| {
            let at = pointer as usize;
            memory.get(at..at.checked_add(length as usize)?)
        };
        let (pointer, length) = bytes(area.cast_unsigned(), 8)?.split_first_chunk::<4>()?;
        let (pointer, length) = (
            u32::from_le_bytes(*pointer),
            u32::from_le_bytes(*length.first_chunk()?),
        );
        (length <= most).then(|| bytes(pointer, length).map(<[u8]>::to_vec))?
    }

    /// Allocates and frees: the heap has then grown to where small calls need it.
    fn grow_heap(&mut self, allocator: &Allocator) -> wasmtime::Result<()> {
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

/// Whether anything of a module runs before its first call: without a start-up or an allocator whose heap can grow, a
/// snapshot would be the module again.
pub(super) fn starts(
    source: &[u8],
    types: &Functions,
    allocator: Option<&Allocator>,
    initializers: &[&str],
) -> bool {
    let initializers = initializers.iter().copied().chain([PRIME]);
    let start_section = || {
        wasmparser::Parser::new(0)
            .parse_all(source)
            .any(|payload| matches!(payload, Ok(wasmparser::Payload::StartSection { .. })))
    };
    allocator.is_some()
        || initializers
            .into_iter()
            .any(|name| is(types, name, &[], &[]))
        || start_section()
}

/// Primes a module; the error says why it could not be.
pub(super) fn prime(
    engine: &Engine,
    source: &[u8],
    allocator: Option<&Allocator>,
    initializers: &[&str],
) -> Result<Snapshot, Refusal> {
    // Start-up first; a module whose start-up needs the outside is snapshotted before it.
    match attempt(engine, source, allocator, initializers, true) {
        Err(Refusal::StartUp(_)) => attempt(engine, source, allocator, initializers, false),
        other => other,
    }
}

/// Why a module was not primed.
pub(super) enum Refusal {
    /// An initialiser trapped.
    StartUp(String),
    /// The module cannot be snapshotted.
    Snapshot(String),
    /// Its author's own set-up failed: an upload that must not succeed.
    Prime(Fault),
}

fn attempt(
    engine: &Engine,
    source: &[u8],
    allocator: Option<&Allocator>,
    initializers: &[&str],
    start_up: bool,
) -> Result<Snapshot, Refusal> {
    let impossible = |error: wasmtime::Error| Refusal::Snapshot(format!("{error:#}"));
    let wizer = Wizer::new();
    // The snapshotter takes `_initialize` away, which a module that cannot be started here still needs.
    let renamed = if start_up {
        Cow::Borrowed(source)
    } else {
        defer_initialize(source)
    };
    let source = &*renamed;
    let (context, instrumented) = wizer.instrument(source).map_err(impossible)?;
    let module = Module::new(engine, &instrumented).map_err(impossible)?;
    let mut instance = Instance::new(engine, &module).map_err(impossible)?;

    let mut initialize = vec![];
    for name in initializers.iter().copied() {
        if !instance.exports(name) {
        } else if start_up {
            instance
                .run(name)
                .map_err(|error| Refusal::StartUp(format!("{error:#}")))?;
        } else {
            initialize.push(name.to_owned());
        }
    }
    if initializers.contains(&"_initialize") && instance.exports(DEFERRED) {
        initialize.insert(0, DEFERRED.to_owned());
    }
    if instance.exports(PRIME) {
        instance.run(PRIME).map_err(|error| {
            Refusal::Prime(
                Fault::new(
                    FaultKind::Prime,
                    format!(
                        "`{PRIME}` failed: {}. It runs at upload, without commands, files or time, for at most two \
                         seconds.",
                        error.root_cause()
                    ),
                ),
            )
        })?;
    }
    if let Some(allocator) = allocator {
        instance
            .grow_heap(allocator)
            .map_err(|error| Refusal::StartUp(format!("{error:#}")))?;
    }
    let Instance {
        mut store,
        instance,
    } = instance;
    let mut state = WasmtimeWizer {
        store: &mut store,
        instance,
    };
    let module = now(wizer.snapshot(&context, &mut state))
        .ok_or_else(|| Refusal::Snapshot("the snapshot waits".into()))?
        .map_err(impossible)?;
    // The snapshot holds a segment of data for each stretch of memory; a module that had nearly as many as there may be
    // has too many then.
    wasmparser::Validator::new_with_features(SERVED)
        .validate_all(&module)
        .map_err(|error| Refusal::Snapshot(format!("its snapshot is not valid: {error}")))?;
    if module.len() > source.len() + GROWTH {
        return Err(Refusal::Snapshot(
            "its start-up fills more memory than a snapshot should hold".into(),
        ));
    }
    Ok(Snapshot { module, initialize })
}

/// What `_initialize` is called in a snapshot that was taken before it ran: a name of the same length.
const DEFERRED: &str = "__iof_start";

/// Renames the export `_initialize`.
fn defer_initialize(source: &[u8]) -> Cow<'_, [u8]> {
    let name_at = wasmparser::Parser::new(0)
        .parse_all(source)
        .find_map(|payload| match payload {
            Ok(wasmparser::Payload::ExportSection(section)) => Some(section),
            _ => None,
        })
        .and_then(|section| {
            section
                .into_iter_with_offsets()
                .filter_map(Result::ok)
                .find(|(_, export)| export.name == "_initialize")
        })
        // One byte of length, then the name.
        .map(|(at, _)| at + 1);
    let Some(at) = name_at else {
        return Cow::Borrowed(source);
    };
    let mut renamed = source.to_vec();
    if let Some(name) = renamed.get_mut(at..at + DEFERRED.len()) {
        name.copy_from_slice(DEFERRED.as_bytes());
    }
    Cow::Owned(renamed)
}

/// The output of a future that never waits: reading a store is asynchronous in type only.
fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
