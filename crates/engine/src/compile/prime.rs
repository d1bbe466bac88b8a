//! Priming: the start-up of a module runs once, at upload, and not in every call.
//!
//! The module runs its initialisers and its first heap growth, and is snapshotted (`wasmtime-wizer`): the new module
//! begins in the state that the old one had reached. Growing a memory, and undoing the growth when a slot is reused,
//! are two system calls that lock the address space; after priming a small call makes neither.
//!
//! Nothing from outside may be frozen into a snapshot: while priming, every import traps, except for glue that only
//! sets up tables. A module whose start-up calls an import (for its environment, the time) is primed without its
//! start-up: only its heap is grown, and every call runs its start-up.

use super::functions::{Functions, INITIALIZE, PRIME, is};
use super::instance::Instance;
use crate::manifest::Allocator;
use crate::proposals::SERVED;
use iof_fault::{Fault, FaultKind};
use std::borrow::Cow;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use wasmtime::{Engine, Module, Trap};
use wasmtime_wizer::{ModuleContext, WasmtimeWizer, Wizer};

/// A snapshot, and the initialisers that still run in every call.
pub(super) struct Snapshot {
    pub(super) module: Vec<u8>,
    pub(super) initialize: Vec<String>,
}

/// The most bytes that a snapshot may add to the module: a larger one costs more than it saves.
const GROWTH: usize = 16 << 20;

/// Returns whether a snapshot can differ from the module: the module has a start-up, or an allocator whose heap can
/// grow.
pub(super) fn starts(
    source: &[u8],
    types: &Functions,
    allocator: Option<&Allocator>,
    initializers: &[&str],
) -> bool {
    // A module without exports cannot be called, and the snapshotter cannot read its memory.
    let exports = wasmparser::Parser::new(0)
        .parse_all(source)
        .any(|payload| matches!(payload, Ok(wasmparser::Payload::ExportSection(_))));
    if !exports {
        return false;
    }
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

/// The reason why a module was not primed.
pub(super) enum Refusal {
    /// No instance of the module can begin.
    Start(String),
    /// An initialiser trapped.
    StartUp(String),
    /// The module cannot be snapshotted.
    Snapshot(String),
    /// The author's own set-up failed: the upload must not succeed.
    Prime(Fault),
}

/// The trap that ended the instantiation of a module. It is the same for every instance, because no import was called
/// (that is another error); a start that takes too long does not count, because it may end in a call.
pub(super) fn failing_start(error: &wasmtime::Error) -> Option<String> {
    match error.downcast_ref::<Trap>()? {
        Trap::Interrupt => None,
        trap => Some(trap.to_string()),
    }
}

fn impossible(error: wasmtime::Error) -> Refusal {
    Refusal::Snapshot(format!("{error:#}"))
}

/// A module that was compiled quickly, for the code that runs at upload.
pub(super) struct Draft<'a> {
    wizer: Wizer,
    engine: &'a Engine,
    source: &'a [u8],
    context: ModuleContext<'a>,
    module: Module,
}

impl<'a> Draft<'a> {
    /// Compiles the module.
    ///
    /// # Errors
    /// The reason why the module cannot be snapshotted.
    pub(super) fn new(engine: &'a Engine, source: &'a [u8]) -> Result<Self, Refusal> {
        let wizer = Wizer::new();
        let (context, instrumented) = wizer.instrument(source).map_err(impossible)?;
        let module = Module::new(engine, &instrumented).map_err(impossible)?;
        Ok(Self {
            wizer,
            engine,
            source,
            context,
            module,
        })
    }

    /// A separate instance, whose state does not go into a snapshot.
    ///
    /// # Errors
    /// An error if its start traps, or if an import has another type.
    pub(super) fn instance(&self) -> wasmtime::Result<Instance> {
        Instance::new(self.engine, &self.module)
    }

    /// Primes the module; the error states why that is not possible.
    pub(super) fn prime(
        &self,
        allocator: Option<&Allocator>,
        initializers: &[&str],
    ) -> Result<Snapshot, Refusal> {
        // The snapshot includes the start-up; if the start-up calls an import, the snapshot is taken before it.
        match self.attempt(&self.context, allocator, initializers, true) {
            Err(Refusal::StartUp(_)) => {
                // The snapshotter removes `_initialize`, which this module still needs. The rename does not change
                // code.
                let renamed = defer_initialize(self.source);
                let (context, _) = self.wizer.instrument(&renamed).map_err(impossible)?;
                self.attempt(&context, allocator, initializers, false)
            }
            other => other,
        }
    }

    fn attempt(
        &self,
        context: &ModuleContext<'_>,
        allocator: Option<&Allocator>,
        initializers: &[&str],
        start_up: bool,
    ) -> Result<Snapshot, Refusal> {
        let mut instance = self
            .instance()
            .map_err(|error| match failing_start(&error) {
                Some(trap) => Refusal::Start(trap),
                None => impossible(error),
            })?;
        let mut initialize = vec![];
        for name in initializers.iter().copied() {
            if !instance.exports(name) {
            } else if start_up {
                instance
                    .run(name)
                    .map_err(|error| Refusal::StartUp(format!("{error:#}")))?;
            } else {
                let renamed = if name == INITIALIZE { DEFERRED } else { name };
                initialize.push(renamed.to_owned());
            }
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
            ..
        } = instance;
        let mut state = WasmtimeWizer {
            store: &mut store,
            instance,
        };
        let module = now(self.wizer.snapshot(context, &mut state))
            .ok_or_else(|| Refusal::Snapshot("the snapshot waits".into()))?
            .map_err(impossible)?;
        // The snapshot has a data segment for each used range of memory; a module close to the maximum then exceeds it.
        wasmparser::Validator::new_with_features(SERVED)
            .validate_all(&module)
            .map_err(|error| Refusal::Snapshot(format!("its snapshot is not valid: {error}")))?;
        if module.len() > self.source.len() + GROWTH {
            return Err(Refusal::Snapshot(
                "its start-up fills more memory than a snapshot should hold".into(),
            ));
        }
        Ok(Snapshot { module, initialize })
    }
}

/// The name of `_initialize` in a snapshot that was taken before it ran, which has the same length.
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
                .find(|(_, export)| export.name == INITIALIZE)
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

/// The output of a future that never waits: reading a store is asynchronous only in its type.
fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
