//! The compiler of modules: engines and a linker, built once for all modules of a process.

use super::effort::{Compilation, Effort};
use super::functions::Functions;
use super::instance::Instance;
use super::limits::WorkerLimits;
use super::prime::{Draft, Refusal};
use super::refusals::internal;
use super::{
    component, constructors, functions, imports, inspect, instantiation, prime, shape, validate,
};
use crate::config::wasm_config;
use crate::manifest::{Kind, Manifest, Primed};
use crate::state::CallState;
use crate::{artefact, host};
use iof_fault::{Fault, FaultKind};
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::{Engine, Linker, Module, OptLevel, RegallocAlgorithm, Store};

/// The engines of a compile worker, and everything else that every module needs.
///
/// No state of a module stays here: its code runs in separate stores, which are dropped once its artefact is made.
pub(crate) struct Toolchain {
    limits: WorkerLimits,
    /// The engine that optimises, for the artefact.
    engine: Engine,
    /// The engine that compiles quickly, for code that runs only at upload.
    quick: Engine,
    linker: Linker<CallState>,
}

impl Toolchain {
    /// Builds the engines.
    ///
    /// # Errors
    /// A fault of source `host` when this machine cannot run them.
    pub(crate) fn new(limits: &WorkerLimits) -> Result<Self, Fault> {
        let build = || {
            let engine = Engine::new(&wasm_config(&limits.call))?;
            let mut quick = wasm_config(&limits.call);
            quick.cranelift_opt_level(OptLevel::None);
            quick.cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
            let quick = Engine::new(&quick)?;
            start_clock(&quick);
            Ok(Self {
                limits: limits.clone(),
                linker: host::linker(&engine)?,
                engine,
                quick,
            })
        };
        build().map_err(internal)
    }

    /// Compiles a module to its artefact, in this process.
    ///
    /// # Errors
    /// A fault that states what is wrong with the module.
    pub(crate) fn compile(&self, source: &[u8], effort: Effort) -> Result<Compilation, Fault> {
        let limits = &self.limits;
        validate::precheck(source, &limits.compile)?;
        if validate::is_component(source) {
            let engine = match effort {
                Effort::Full => &self.engine,
                Effort::Draft => &self.quick,
            };
            return component::compile(engine, source, limits, effort);
        }
        let types = validate::validate(source, &limits.compile)?;
        let space = shape::space(source, &limits.call)?;

        // Imports that are not served are found before anything is compiled.
        let mut store = Store::new(
            &self.engine,
            CallState::of_no_call(Arc::new(limits.call.clone())),
        );
        let imported = imports::imports(&self.engine, source).map_err(invalid)?;
        let unserved = imports::unserved(&imported, &self.linker, &mut store)?;
        imports::accept_core(&unserved, limits.compile.unknown_imports)?;

        let adopted = constructors::adopt(source);
        let source = &*adopted;
        let types = match &adopted {
            Cow::Borrowed(_) => types,
            Cow::Owned(_) => validate::validate(source, &limits.compile)?,
        };
        let exported = functions::functions(source, &types);

        let know = |manifest: &mut Manifest| {
            manifest.unserved = unserved;
            manifest.space = space;
            manifest.files = imported.imports().any(|import| {
                import.module() == "wasi_snapshot_preview1" && import.name().starts_with("path_")
            });
        };
        // An author's set-up has to run before the module is accepted.
        if effort == Effort::Draft && !exported.1.contains_key(functions::PRIME) {
            return self.draft(source, &exported, know);
        }

        // One quick compile serves all code that runs at upload.
        let draft = || guarded(|| Draft::new(&self.quick, source));
        let describes = exported.0.iter().any(|name| functions::describes(name));
        let drafted = describes.then(draft);
        let instance = match &drafted {
            Some(Ok(draft)) => draft.instance(),
            // A module that cannot be snapshotted can still describe itself.
            Some(Err(_)) => {
                let module = Module::new(&self.quick, source).map_err(invalid)?;
                Instance::new(&self.quick, &module)
            }
            None => Err(wasmtime::Error::msg("nothing asked for it")),
        };
        let failing_start = instance.as_ref().err().and_then(prime::failing_start);
        let mut instance = started(instance);
        let mut manifest = inspect::manifest(source, &exported, &mut instance)?;
        manifest.failing_start = failing_start;
        let described = !describes || instance.is_ok_and(|instance| !instance.failed);
        know(&mut manifest);
        let initializers = initializers(&manifest);
        let allocator = manifest.allocator.as_ref();
        let starts = prime::starts(source, &exported.1, allocator, initializers);
        // Priming finds such a trap as well.
        if !describes && !starts && instantiation::can_trap(source) {
            let module = Module::new(&self.quick, source).map_err(invalid)?;
            let instance = Instance::new(&self.quick, &module);
            manifest.failing_start = instance.err().as_ref().and_then(prime::failing_start);
        }
        let primed = match starts {
            true => drafted
                .unwrap_or_else(draft)
                .and_then(|draft| guarded(|| draft.prime(allocator, initializers))),
            false => Err(Refusal::Snapshot("it has no start-up".to_owned())),
        };
        let snapshot = match primed {
            Ok(snapshot) => Ok(snapshot),
            Err(Refusal::Prime(fault)) => return Err(fault),
            Err(Refusal::Start(trap)) => {
                manifest.failing_start = Some(trap.clone());
                Err(trap)
            }
            Err(Refusal::StartUp(why) | Refusal::Snapshot(why)) => Err(why),
        };
        // If the engine refuses the snapshot, the module is compiled as it was uploaded.
        let primed = snapshot.and_then(|snapshot| {
            // Start-up may have grown the memory beyond the limit of a call.
            let space =
                shape::space(&snapshot.module, &limits.call).map_err(|fault| fault.message)?;
            let code = self.engine.precompile_module(&snapshot.module);
            code.map(|code| (code, snapshot.initialize, space))
                .map_err(|error| format!("{error:#}"))
        });
        let clean = described && (primed.is_ok() || !starts);
        let code = match primed {
            Ok((code, initialize, space)) => {
                manifest.primed = Primed::Yes;
                manifest.space = space;
                manifest.initialize = initialize;
                code
            }
            Err(why) => {
                manifest.primed = Primed::No(why);
                manifest.initialize = to_run(initializers, &exported.1);
                self.engine.precompile_module(source).map_err(invalid)?
            }
        };
        let artefact = artefact::encode(&manifest, code)
            .map_err(|error| Fault::host("The module could not be compiled.", error))?;
        Ok(Compilation { artefact, clean })
    }
}

impl Toolchain {
    /// Compiles a module once and quickly, and leaves its start-up to each call.
    fn draft(
        &self,
        source: &[u8],
        exported: &(Vec<String>, Functions),
        know: impl FnOnce(&mut Manifest),
    ) -> Result<Compilation, Fault> {
        let module = Module::new(&self.quick, source).map_err(invalid)?;
        let describes = exported.0.iter().any(|name| functions::describes(name));
        let instance = match describes || instantiation::can_trap(source) {
            true => Instance::new(&self.quick, &module),
            false => Err(wasmtime::Error::msg("nothing asked for it")),
        };
        let failing_start = instance.as_ref().err().and_then(prime::failing_start);
        let mut instance = started(instance);
        let mut manifest = inspect::manifest(source, exported, &mut instance)?;
        manifest.failing_start = failing_start;
        know(&mut manifest);
        manifest.primed = Primed::No("it was compiled quickly".to_owned());
        manifest.initialize = to_run(initializers(&manifest), &exported.1);
        manifest.draft = true;
        let clean = !describes || instance.is_ok_and(|instance| !instance.failed);
        let code = module.serialize().map_err(internal)?;
        let artefact = artefact::encode(&manifest, code)
            .map_err(|error| Fault::host("The module could not be compiled.", error))?;
        Ok(Compilation { artefact, clean })
    }
}

/// An instance for descriptions, or a clause that states why there is none.
fn started(instance: wasmtime::Result<Instance>) -> Result<Instance, String> {
    instance.map_err(|error| format!("the module does not start: {}", error.root_cause()))
}

/// The exports that set a module up. A program starts itself.
fn initializers(manifest: &Manifest) -> &'static [&'static str] {
    match manifest.kind {
        Kind::WasiCommand => &[],
        Kind::Bindgen | Kind::Typed | Kind::Http => &functions::INITIALIZERS,
    }
}

/// The initialisers that a module exports.
fn to_run(initializers: &[&str], types: &Functions) -> Vec<String> {
    let there = initializers
        .iter()
        .filter(|name| functions::is(types, name, &[], &[]));
    there.map(|name| (*name).to_owned()).collect()
}

/// Runs the snapshotter, whose assertions panic if a hostile module breaks its assumptions.
fn guarded<T>(snapshotter: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(snapshotter))
        .unwrap_or_else(|_| Err(Refusal::Snapshot("the snapshotter failed".to_owned())))
}

fn invalid(error: wasmtime::Error) -> Fault {
    Fault::new(
        FaultKind::InvalidModule,
        format!("The module is not valid: {:#}.", error),
    )
}

/// Interrupts start-up code that does not return. The thread ends with the engine.
#[expect(
    clippy::disallowed_methods,
    reason = "a separate thread in a process without a runtime"
)]
fn start_clock(engine: &Engine) {
    let engine = engine.weak();
    std::thread::spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(Duration::from_millis(100));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::Capacity;
    use crate::executable::Executable;
    use crate::limits::{CompileLimits, Limits};
    use crate::pool;

    fn toolchain() -> Toolchain {
        let limits = WorkerLimits::new(&CompileLimits::default(), &Limits::default());
        Toolchain::new(&limits).unwrap()
    }

    #[test]
    fn a_draft_is_the_same_module_with_its_start_up_ahead() {
        let toolchain = toolchain();
        let source = r#"(module
            (memory (export "memory") 1)
            (global $seven (mut i32) (i32.const 0))
            (func (export "_initialize") (global.set $seven (i32.const 7)))
            (func (export "seven") (result i32) (global.get $seven)))"#;
        let source = wat::parse_str(source).unwrap();
        let compiled = |effort| toolchain.compile(&source, effort).unwrap().artefact;
        let (draft, full) = (compiled(Effort::Draft), compiled(Effort::Full));
        let ((drafted, code), (finished, _)) = (
            artefact::manifest(&draft).unwrap(),
            artefact::manifest(&full).unwrap(),
        );
        assert!(drafted.draft && !finished.draft);
        assert_eq!(drafted.initialize, ["_initialize"]);
        assert!(finished.initialize.is_empty() && finished.primed == Primed::Yes);
        let names = |manifest: &Manifest| {
            let names = manifest.exports.iter().map(|export| export.name.clone());
            names.collect::<Vec<_>>()
        };
        assert_eq!(names(&drafted), names(&finished));
        // A different engine, which optimises, calls it.
        let pooled = pool::engine(&Limits::default(), (2, 2), &Capacity::of(2)).unwrap();
        Executable::check(&pooled, &drafted, code).unwrap();
    }

    #[test]
    fn an_authors_own_set_up_runs_before_a_draft_as_well() {
        let toolchain = toolchain();
        let module = |body: &str| {
            let source = format!(
                r#"(module (memory (export "memory") 1)
                (func (export "iof_prime") {body}) (func (export "f")))"#
            );
            let source = wat::parse_str(source).unwrap();
            toolchain.compile(&source, Effort::Draft)
        };
        let compiled = module("").unwrap().artefact;
        assert!(!artefact::manifest(&compiled).unwrap().0.draft);
        let Err(fault) = module("unreachable") else {
            panic!("it failed, and was taken");
        };
        assert_eq!(fault.kind, FaultKind::Prime);
    }
}
