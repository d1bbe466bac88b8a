//! The child process that compiles: bounds itself, reads a module, writes one answer, ends.

use super::{constructors, functions, imports, inspect, instance, prime, shape, validate};
use crate::config::wasm_config;
use crate::limits::{CompileLimits, Limits};
use crate::manifest::{Kind, Primed};
use crate::{artefact, host};
use iof_fault::{Fault, FaultKind};
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use wasmtime::{Engine, Module, OptLevel, Store};

/// First byte of an answer that is an artefact.
pub(super) const ARTEFACT: u8 = b'A';
/// First byte of an answer that is a [`Refused`] in JSON.
pub(super) const FAULT: u8 = b'F';

/// The limits of a worker, passed as one argument in JSON.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct WorkerLimits {
    compile: CompileLimits,
    call: Limits,
}

impl WorkerLimits {
    pub(crate) fn new(compile: &CompileLimits, call: &Limits) -> Self {
        Self {
            compile: compile.clone(),
            call: call.clone(),
        }
    }
}

/// A fault on its way to the parent.
#[derive(Deserialize, Serialize)]
struct Refused {
    kind: FaultKind,
    message: String,
    detail: Option<String>,
}

/// Reads the parent's side of a refusal. Whatever a worker sends is the kind of a fault, never a success.
pub(super) fn refusal(answer: &[u8]) -> Fault {
    match serde_json::from_slice::<Refused>(answer) {
        Ok(refused) => {
            let mut fault = Fault::new(refused.kind, refused.message);
            fault.detail = refused.detail;
            fault
        }
        Err(error) => Fault::host("The module could not be compiled.", error),
    }
}

/// The worker: the whole of its process. `limits` is the argument that the parent passed.
///
/// # Errors
/// When it cannot bound itself or speak to its parent; the program exits with a failure then.
pub fn run(limits: &str) -> std::io::Result<()> {
    let limits: WorkerLimits = serde_json::from_str(limits)?;
    bound(&limits.compile)?;
    let mut source = Vec::new();
    std::io::stdin()
        .lock()
        .take(limits.compile.module_size.as_u64() + 1)
        .read_to_end(&mut source)?;
    let answer = match compile(&source, &limits) {
        Ok(artefact) => [&[ARTEFACT], artefact.as_slice()].concat(),
        Err(fault) => {
            let refused = Refused {
                kind: fault.kind,
                message: fault.message,
                detail: fault.detail,
            };
            [&[FAULT], serde_json::to_vec(&refused)?.as_slice()].concat()
        }
    };
    std::io::stdout().lock().write_all(&answer)
}

/// Limits that the kernel keeps, whatever the code below does.
fn bound(limits: &CompileLimits) -> std::io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let cap = |resource, current: u64, maximum: u64| {
        setrlimit(
            resource,
            Rlimit {
                current: Some(current),
                maximum: Some(maximum),
            },
        )
    };
    let seconds = limits.compile_cpu.as_secs().max(1);
    cap(Resource::Cpu, seconds, seconds + 1)?;
    // Writable private memory: address space that is only reserved does not count, and reserving is what wasm does.
    cap(
        Resource::Data,
        limits.compile_memory.as_u64(),
        limits.compile_memory.as_u64(),
    )?;
    cap(Resource::Core, 0, 0)?;
    // Memory images are files in memory; no other file is ever opened.
    cap(
        Resource::Fsize,
        limits.compile_memory.as_u64(),
        limits.compile_memory.as_u64(),
    )?;
    // Calls come first.
    rustix::process::nice(10)?;
    Ok(())
}

/// From a module to its artefact, in this process.
pub(crate) fn compile(source: &[u8], limits: &WorkerLimits) -> Result<Vec<u8>, Fault> {
    validate::precheck(source, &limits.compile)?;
    let types = validate::validate(source, &limits.compile)?;
    let space = shape::space(source, &limits.call)?;
    let internal = |error: wasmtime::Error| {
        Fault::host("The module could not be compiled.", format!("{error:#}"))
    };
    let engine = Engine::new(&wasm_config(&limits.call)).map_err(internal)?;

    // Imports that are not served are known before anything is compiled.
    let linker = host::linker(&engine).map_err(internal)?;
    let mut store = Store::new(&engine, crate::state::CallState::for_linking(&limits.call));
    let imported = imports::imports(&engine, source).map_err(invalid)?;
    let unserved = imports::unserved(&imported, &linker, &mut store)?;
    imports::accept(&unserved, limits.compile.unknown_imports)?;

    let adopted = constructors::adopt(source);
    let source = &*adopted;
    let types = match &adopted {
        Cow::Borrowed(_) => types,
        Cow::Owned(_) => validate::validate(source, &limits.compile)?,
    };
    let exported = functions::functions(source, &types);

    // Priming and descriptors run on code that is compiled quickly; only the result is worth optimising.
    let mut quick = wasm_config(&limits.call);
    quick.cranelift_opt_level(OptLevel::None);
    let quick = Engine::new(&quick).map_err(internal)?;
    let _clock = Clock::start(&quick);
    let describes = exported
        .0
        .iter()
        .any(|name| DESCRIPTIONS.iter().any(|kind| name.starts_with(kind)));
    let mut instance = match describes {
        true => {
            let module = Module::new(&quick, source).map_err(invalid)?;
            instance::Instance::new(&quick, &module).ok()
        }
        false => None,
    };
    let mut manifest = inspect::manifest(source, &exported, instance.as_mut())?;
    drop(instance);
    manifest.unserved = unserved;
    manifest.space = space;
    manifest.files = imported
        .imports()
        .any(|import| import.module() == "wasi_snapshot_preview1" && import.name() == "path_open");

    // A program starts itself.
    let initializers: &[&str] = match manifest.kind {
        Kind::WasiCommand => &[],
        Kind::Bindgen => &functions::INITIALIZERS,
    };
    let allocator = manifest.allocator.as_ref();
    let primed = match prime::starts(source, &exported.1, allocator, initializers) {
        // The snapshotter asserts what it makes, and a hostile module may break its assumptions.
        true => catch_unwind(AssertUnwindSafe(|| {
            prime::prime(&quick, source, allocator, initializers)
        }))
        .unwrap_or_else(|_| {
            Err(prime::Refusal::Snapshot(
                "the snapshotter failed".to_owned(),
            ))
        }),
        false => Err(prime::Refusal::Snapshot("it has no start-up".to_owned())),
    };
    let snapshot = match primed {
        Ok(snapshot) => Ok(snapshot),
        Err(prime::Refusal::Prime(fault)) => return Err(fault),
        Err(prime::Refusal::StartUp(why) | prime::Refusal::Snapshot(why)) => Err(why),
    };
    // If the engine does not take the snapshot, the module is compiled as it was uploaded.
    let primed = snapshot.and_then(|snapshot| {
        // Start-up may have grown the memory to where no call may have it.
        let space = shape::space(&snapshot.module, &limits.call).map_err(|fault| fault.message)?;
        let code = engine.precompile_module(&snapshot.module);
        code.map(|code| (code, snapshot.initialize, space))
            .map_err(|error| format!("{error:#}"))
    });
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
            engine.precompile_module(source).map_err(invalid)?
        }
    };
    artefact::encode(&manifest, code)
        .map_err(|error| Fault::host("The module could not be compiled.", error))
}

/// Beginnings of the names of exports that describe functions.
const DESCRIPTIONS: [&str; 2] = ["__wbindgen_describe_", "__iof_describe_"];

fn invalid(error: wasmtime::Error) -> Fault {
    Fault::new(
        FaultKind::InvalidModule,
        format!("The module is not valid: {:#}.", error),
    )
}

/// Ends start-up code that does not end by itself. Its thread ends with the process.
struct Clock;

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "a thread of its own in a process without a runtime"
    )]
    fn start(engine: &Engine) -> Self {
        let engine = engine.weak();
        std::thread::spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Self
    }
}
