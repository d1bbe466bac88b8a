//! The loaded code of a function: loading it from an artefact, planning a call, and running the call.
//!
//! Each format of WebAssembly has a file, [`core`] and [`component`], and each enum here has a variant for it; only
//! this module and the start of a call know which formats there are (docs/decisions/0033-what-the-engine-runs.md). The
//! variants are matched, not boxed: a call is dispatched without an allocation.

mod component;
mod core;

use crate::artefact::{self, PackedCode};
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::state::CallState;
use crate::value::ProgramInput;
use crate::{Arg, StatedSignature};
use iof_fault::Fault;
use std::sync::Arc;
use wasmtime::{Engine, Linker};
use wasmtime_wasi_http::handler::ProxyPre;

pub(crate) use component::{bound, handler, tasks_ended};

/// The linkers of an engine, one for each format.
pub(crate) struct Linkers {
    core: Linker<CallState>,
    component: wasmtime::component::Linker<CallState>,
}

impl Linkers {
    pub(crate) fn new(engine: &Engine) -> wasmtime::Result<Self> {
        Ok(Self {
            core: crate::host::linker(engine)?,
            component: crate::interfaces::linker(engine)?,
        })
    }
}

/// Loaded code.
pub(crate) enum Executable {
    Core(core::CoreModule),
    Component(component::LinkedComponent),
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
        match manifest.world {
            None => {
                let module = artefact::module(engine, code)?;
                core::CoreModule::new(&module, linkers.core.clone(), manifest).map(Self::Core)
            }
            Some(_) => {
                let component = artefact::component(engine, code)?;
                component::LinkedComponent::new(&component, &linkers.component, manifest)
                    .map(Self::Component)
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
        match manifest.world {
            None => artefact::module(engine, code).map(drop),
            Some(_) => artefact::component(engine, code).map(drop),
        }
    }

    /// The export of this name.
    pub(crate) fn export(&self, name: &str) -> Option<CallableExport<'_>> {
        match self {
            Self::Core(module) => module.export(name).map(CallableExport::Core),
            Self::Component(component) => component.export(name).map(CallableExport::Component),
        }
    }

    /// The handler of HTTP requests, if the code is one.
    pub(crate) fn handler(&self) -> Option<&ProxyPre<CallState>> {
        match self {
            Self::Core(_) => None,
            Self::Component(component) => component.handler(),
        }
    }
}

/// An export that can be called.
#[derive(Clone, Copy)]
pub(crate) enum CallableExport<'a> {
    Core(core::CoreExport<'a>),
    Component(component::ComponentExport<'a>),
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
        limits: &Limits,
    ) -> Result<PlannedCall<'a>, Fault> {
        match self {
            Self::Core(export) => export.plan(args, stated).map(PlannedCall::Core),
            Self::Component(export) => {
                let planned = export.plan(args, stated, limits);
                planned.map(|call| PlannedCall::Component(Box::new(call)))
            }
        }
    }
}

/// A planned call, which can run in a fresh store.
pub(crate) enum PlannedCall<'a> {
    Core(core::CoreCall<'a>),
    Component(Box<component::ComponentCall<'a>>),
}

impl PlannedCall<'_> {
    /// The name of the export.
    pub(crate) fn name(&self) -> &Arc<str> {
        match self {
            Self::Core(call) => call.name(),
            Self::Component(call) => call.name(),
        }
    }

    /// The input of a program; `None` for other kinds.
    pub(crate) fn program(&self) -> Option<&ProgramInput> {
        match self {
            Self::Core(call) => call.program(),
            Self::Component(call) => call.program(),
        }
    }

    /// Returns whether this is a call of a component.
    pub(crate) fn is_component(&self) -> bool {
        matches!(self, Self::Component(_))
    }
}

fn unfit(what: &str) -> Fault {
    Fault::host("The compiled module does not fit its description.", what)
}
