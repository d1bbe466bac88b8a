//! The compiler of modules: engines and a linker, built once for all modules of a process.

use super::instance::Instance;
use super::prime::{Draft, Refusal};
use super::worker::WorkerLimits;
use super::{constructors, functions, imports, inspect, prime, shape, validate};
use crate::config::wasm_config;
use crate::manifest::{Kind, Primed};
use crate::state::CallState;
use crate::{artefact, host};
use iof_fault::{Fault, FaultKind};
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use wasmtime::{Engine, Linker, Module, OptLevel, RegallocAlgorithm, Store};

/// The engines of a compile worker, and everything else that every module needs.
///
/// No state of a module stays here: its code ran in separate stores, which are gone when its artefact is made.
pub(crate) struct Toolchain {
    limits: WorkerLimits,
    /// Compiles with optimisation, for the artefact.
    engine: Engine,
    /// Compiles quickly, for code that runs at upload: it is used once, and not worth optimising.
    quick: Engine,
    linker: Linker<CallState>,
}

/// A compiled module.
pub(crate) struct Compilation {
    pub(crate) artefact: Vec<u8>,
    /// True if no code of the module trapped or failed at upload.
    pub(super) clean: bool,
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
    pub(crate) fn compile(&self, source: &[u8]) -> Result<Compilation, Fault> {
        let limits = &self.limits;
        validate::precheck(source, &limits.compile)?;
        let types = validate::validate(source, &limits.compile)?;
        let space = shape::space(source, &limits.call)?;

        // Imports that are not served are found before anything is compiled.
        let mut store = Store::new(&self.engine, CallState::for_linking(&limits.call));
        let imported = imports::imports(&self.engine, source).map_err(invalid)?;
        let unserved = imports::unserved(&imported, &self.linker, &mut store)?;
        imports::accept(&unserved, limits.compile.unknown_imports)?;

        let adopted = constructors::adopt(source);
        let source = &*adopted;
        let types = match &adopted {
            Cow::Borrowed(_) => types,
            Cow::Owned(_) => validate::validate(source, &limits.compile)?,
        };
        let exported = functions::functions(source, &types);

        // One quick compile serves everything that runs at upload.
        let draft = || guarded(|| Draft::new(&self.quick, source));
        let describes = exported.0.iter().any(|name| functions::describes(name));
        let draft_to_describe = describes.then(draft);
        let mut instance = match &draft_to_describe {
            Some(Ok(draft)) => draft.instance().ok(),
            // A module that cannot be snapshotted can still describe itself.
            Some(Err(_)) => {
                let module = Module::new(&self.quick, source).map_err(invalid)?;
                Instance::new(&self.quick, &module).ok()
            }
            None => None,
        };
        let mut manifest = inspect::manifest(source, &exported, instance.as_mut())?;
        let described = !describes || instance.is_some_and(|instance| !instance.failed);
        manifest.unserved = unserved;
        manifest.space = space;
        manifest.files = imported.imports().any(|import| {
            import.module() == "wasi_snapshot_preview1" && import.name() == "path_open"
        });

        // A program starts itself.
        let initializers: &[&str] = match manifest.kind {
            Kind::WasiCommand => &[],
            Kind::Bindgen => &functions::INITIALIZERS,
        };
        let allocator = manifest.allocator.as_ref();
        let starts = prime::starts(source, &exported.1, allocator, initializers);
        let primed = match starts {
            true => draft_to_describe
                .unwrap_or_else(draft)
                .and_then(|draft| guarded(|| draft.prime(allocator, initializers))),
            false => Err(Refusal::Snapshot("it has no start-up".to_owned())),
        };
        let snapshot = match primed {
            Ok(snapshot) => Ok(snapshot),
            Err(Refusal::Prime(fault)) => return Err(fault),
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
                let initializers = initializers
                    .iter()
                    .filter(|name| functions::is(&exported.1, name, &[], &[]));
                manifest.initialize = initializers.map(|name| (*name).to_owned()).collect();
                self.engine.precompile_module(source).map_err(invalid)?
            }
        };
        let artefact = artefact::encode(&manifest, code)
            .map_err(|error| Fault::host("The module could not be compiled.", error))?;
        Ok(Compilation { artefact, clean })
    }
}

/// Runs the snapshotter, which asserts its own invariants: a hostile module may break them.
fn guarded<T>(snapshotter: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(snapshotter))
        .unwrap_or_else(|_| Err(Refusal::Snapshot("the snapshotter failed".to_owned())))
}

fn internal(error: wasmtime::Error) -> Fault {
    Fault::host("The module could not be compiled.", format!("{error:#}"))
}

fn invalid(error: wasmtime::Error) -> Fault {
    Fault::new(
        FaultKind::InvalidModule,
        format!("The module is not valid: {:#}.", error),
    )
}

/// Ends start-up code that does not end by itself, from a thread that ends with the engine.
#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own in a process without a runtime"
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
