//! The configuration of an engine, and of wasmtime below it.

use crate::capacity::Capacity;
use crate::limits::{CompileLimits, Limits};
use crate::proposals::WITHOUT;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use wasmtime::Config;

/// The settings of an engine, given once.
#[derive(Debug)]
pub struct EngineConfig {
    /// Limits of every call.
    pub limits: Limits,
    /// Limits of every compile.
    pub compile: CompileLimits,
    /// The most calls that may run at once.
    pub concurrency: u32,
    /// The most instances that may wait for another call of their function.
    pub idle_instances: u32,
    /// The most bytes of all of these instances.
    pub idle_memory: u64,
    /// The number of functions that are kept loaded, and of slots for them.
    pub capacity: Capacity,
    /// The program, with its first arguments, that runs [`crate::compile_worker`].
    pub worker: Vec<PathBuf>,
    /// The most files and directories that all calls together may have open.
    pub open_files: u32,
    /// The directory for calls' scratch directories, which may not exist yet; its contents are removed.
    pub scratch: PathBuf,
}

/// The stack of a guest's fiber beyond the guest's own stack, for host frames.
const HOST_STACK: u64 = 512 << 10;
/// The part of wasmtime's configuration on which compiled code depends: the same here and in the compile worker.
pub(crate) fn wasm_config(limits: &Limits) -> Config {
    let stack = usize::try_from(limits.stack.as_u64()).unwrap_or(usize::MAX);
    let fiber =
        usize::try_from(limits.stack.as_u64().saturating_add(HOST_STACK)).unwrap_or(usize::MAX);
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .memory_init_cow(true)
        .max_wasm_stack(stack)
        .async_stack_size(fiber)
        // Unwind tables serve debuggers of the host, and each load would register them. Traps do not need them.
        .native_unwind_info(false)
        .wasm_features(WITHOUT, false)
        .wasm_component_model_map(true)
        .wasm_backtrace_details(wasmtime::WasmBacktraceDetails::Disable);
    config
}

/// The fingerprint of the engine that these limits make, without its pool of memory.
///
/// # Errors
/// A message of the engine.
pub fn engine_fingerprint(limits: &Limits) -> Result<String, String> {
    let engine = wasmtime::Engine::new(&wasm_config(limits));
    let engine = engine.map_err(|error| format!("{error:#}"))?;
    Ok(fingerprint(&engine))
}

/// A digest of everything that compiled code depends on, part of the path of stored artefacts. The number counts
/// changes to this crate's layout or priming.
pub(crate) fn fingerprint(engine: &wasmtime::Engine) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("6-{:016x}", hasher.finish())
}
