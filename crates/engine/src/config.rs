//! The configuration of an engine, and of wasmtime below it.

use crate::limits::{CompileLimits, Limits};
use crate::proposals::WITHOUT;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

/// The settings of an engine, given once.
#[derive(Debug)]
pub struct EngineConfig {
    /// Limits of every call.
    pub limits: Limits,
    /// Limits of every compile.
    pub compile: CompileLimits,
    /// Calls that may be under way at once. Each takes 4 GiB of address space, of which it uses what it needs.
    pub concurrency: u32,
    /// The program, with its first arguments, that serves [`crate::compile_worker`].
    pub worker: Vec<PathBuf>,
    /// Files and directories that all calls together may have open.
    pub open_files: u32,
    /// An existing or new directory for calls' scratch directories; whatever is in it is removed.
    pub scratch: PathBuf,
}

/// Bytes of a slot's memory that stay resident between calls: at least the memory of a small primed module.
const KEEP_MEMORY: usize = 2 << 20;
/// Bytes of a slot's tables that stay resident.
const KEEP_TABLE: usize = 64 << 10;
/// Stack of a guest's fiber beyond the guest's own, for host frames.
const HOST_STACK: u64 = 512 << 10;
/// Tables that one instance may have.
pub(crate) const TABLES: u32 = 4;
/// Elements that one table may have; the biggest runtimes (Python) need some ten thousand.
pub(crate) const TABLE_ELEMENTS: usize = 100_000;

/// The part of wasmtime's configuration that compiled code depends on: the same here and in the compile worker.
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
        .wasm_features(WITHOUT, false)
        .wasm_backtrace_details(wasmtime::WasmBacktraceDetails::Disable);
    config
}

/// The configuration of an engine that serves calls: [`wasm_config`] with a pool of instances.
pub(crate) fn serving(limits: &Limits, slots: u32) -> Config {
    let memory = usize::try_from(limits.memory.as_u64())
        .unwrap_or(usize::MAX)
        .clamp(1 << 16, 4 << 30);
    let mut pool = PoolingAllocationConfig::default();
    pool.total_core_instances(slots)
        .total_memories(slots)
        .total_stacks(slots)
        .total_gc_heaps(slots)
        .max_tables_per_module(TABLES)
        .total_tables(slots.saturating_mul(TABLES))
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(memory)
        .linear_memory_keep_resident(KEEP_MEMORY)
        .table_keep_resident(KEEP_TABLE)
        .max_unused_warm_slots(slots)
        .pagemap_scan(Enabled::Auto);
    let mut config = wasm_config(limits);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// A name of all that compiled code depends on, part of the path of stored artefacts. The number counts changes of our
/// own layout or priming.
pub(crate) fn fingerprint(engine: &wasmtime::Engine) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("4-{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker has no pool; if that changed the code, every artefact would be refused and compiled again.
    #[test]
    fn worker_and_server_agree_on_the_fingerprint() {
        let limits = Limits::default();
        let worker = wasmtime::Engine::new(&wasm_config(&limits)).unwrap();
        let mut pooled = wasm_config(&limits);
        pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(
            PoolingAllocationConfig::default(),
        ));
        let pooled = wasmtime::Engine::new(&pooled).unwrap();
        assert_eq!(fingerprint(&worker), fingerprint(&pooled));
    }
}
