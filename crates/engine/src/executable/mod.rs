//! The loaded code of a function: reading it from an artefact, planning a call of it, and running the call.
//!
//! Each format of WebAssembly has a file, [`core`] today, and each enum here has a variant for it; nothing outside of
//! this module knows which formats there are (docs/decisions/0033-what-the-engine-runs.md). The variants are matched,
//! not boxed: a call is dispatched without an allocation.

mod core;

use crate::artefact::{self, PackedCode};
use crate::manifest::{Kind, Manifest};
use crate::state::CallState;
use crate::value::ProgramInput;
use crate::{Arg, StatedSignature, Value};
use iof_fault::Fault;
use std::sync::Arc;
use wasmtime::{Engine, Linker, Store};

/// The linkers of an engine, one for each format.
pub(crate) struct Linkers {
    core: Linker<CallState>,
}

impl Linkers {
    pub(crate) fn new(engine: &Engine) -> wasmtime::Result<Self> {
        Ok(Self {
            core: crate::host::linker(engine)?,
        })
    }
}

/// Loaded code.
pub(crate) enum Executable {
    Core(core::CoreModule),
}

impl Executable {
    /// Loads the code of an artefact and links it.
    ///
    /// # Errors
    /// A fault of source `host` when the code is damaged, made by another engine, or not what its manifest says.
    pub(crate) fn load(
        engine: &Engine,
        linkers: &Linkers,
        manifest: &Manifest,
        code: PackedCode<'_>,
    ) -> Result<Self, Fault> {
        match manifest.kind {
            Kind::Bindgen | Kind::WasiCommand => {
                let module = artefact::module(engine, code)?;
                core::CoreModule::new(&module, linkers.core.clone(), manifest).map(Self::Core)
            }
        }
    }

    /// Checks that an engine can load the code of an artefact.
    ///
    /// # Errors
    /// The errors of [`Executable::load`].
    pub(crate) fn check(
        engine: &Engine,
        manifest: &Manifest,
        code: PackedCode<'_>,
    ) -> Result<(), Fault> {
        match manifest.kind {
            Kind::Bindgen | Kind::WasiCommand => artefact::module(engine, code).map(drop),
        }
    }

    /// The export of this name.
    pub(crate) fn export(&self, name: &str) -> Option<CallableExport<'_>> {
        match self {
            Self::Core(module) => module.export(name).map(CallableExport::Core),
        }
    }
}

/// An export that can be called.
#[derive(Clone, Copy)]
pub(crate) enum CallableExport<'a> {
    Core(core::CoreExport<'a>),
}

impl<'a> CallableExport<'a> {
    /// Plans the call of the export with `args`.
    ///
    /// # Errors
    /// `arguments` when they do not fit; the message states what the export takes.
    pub(crate) fn plan(
        self,
        args: &[Arg],
        stated: Option<&StatedSignature>,
    ) -> Result<PlannedCall<'a>, Fault> {
        match self {
            Self::Core(export) => export.plan(args, stated).map(PlannedCall::Core),
        }
    }
}

/// A call that was planned and can run in a fresh store.
pub(crate) enum PlannedCall<'a> {
    Core(core::CoreCall<'a>),
}

impl PlannedCall<'_> {
    /// The name of the export.
    pub(crate) fn name(&self) -> &Arc<str> {
        match self {
            Self::Core(call) => call.name(),
        }
    }

    /// The input of a program; `None` for other kinds.
    pub(crate) fn program(&self) -> Option<&ProgramInput> {
        match self {
            Self::Core(call) => call.program(),
        }
    }

    /// Instantiates the code and makes the call.
    ///
    /// # Errors
    /// Any trap: the guest's fault, a limit, or a host's.
    pub(crate) fn run(
        self,
        store: &mut Store<CallState>,
        output_limit: u64,
    ) -> impl Future<Output = wasmtime::Result<Value>> + Send {
        // The future of the variant itself: a wrapper around it would cost a further copy in every call.
        match self {
            Self::Core(call) => call.run(store, output_limit),
        }
    }
}
