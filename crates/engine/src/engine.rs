//! One engine: what all calls share, and the loading of artefacts. A call itself is in `call`.
//!
//! Instances come from wasmtime's pool: a slot's pages stay resident, a call's writes are undone from a copy-on-write
//! image, and a primed module never grows its memory, so a small call makes no system call that changes the address
//! space. Every call runs on a fiber of the pool: one path for guests that wait and guests that do not costs less than
//! two paths, and lets a guest that computes hand its core to others at every tick.
//!
//! Rejected: keeping instances between calls (a function would see what another caller left), and explicit bounds
//! checks instead of guard pages (they slow every memory access to save what priming saves for nothing).

use crate::abi::guest::Handles;
use crate::compile::{Compiler, proposals::WITHOUT, shape};
use crate::host::scratch::Scratch;
use crate::host::storage::Storage;
use crate::host::{self, glue, missing, preview1};
use crate::limits::{CompileLimits, Limits};
use crate::manifest::Unserved;
use crate::state::CallState;
use crate::ticker::Ticker;
use crate::{Export, Manifest, artefact};
use iof_commands::Registry;
use iof_fault::Fault;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use wasmtime::{
    Config, Enabled, ExternType, InstanceAllocationStrategy, InstancePre, Linker, ModuleExport,
    PoolingAllocationConfig,
};

/// What an engine needs to know once.
#[derive(Debug)]
pub struct EngineConfig {
    /// Limits of every call.
    pub limits: Limits,
    /// Limits of every compile.
    pub compile: CompileLimits,
    /// How many calls may be under way at once. Each takes 4 GiB of address space, of which it uses what it needs.
    pub concurrency: u32,
    /// The program, with its first arguments, that serves [`crate::compile_worker`].
    pub worker: Vec<PathBuf>,
    /// Files and directories that all calls together may have open.
    pub open_files: u32,
    /// An existing or new directory for calls' scratch directories; whatever is in it is removed.
    pub scratch: PathBuf,
}

/// Compiles modules and runs their exports. Cheap to clone: all clones are one engine.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) wasm: wasmtime::Engine,
    linker: Linker<CallState>,
    fingerprint: String,
    pub(crate) limits: Arc<Limits>,
    pub(crate) commands: Arc<Registry>,
    pub(crate) storage: Arc<dyn Storage>,
    compiler: Compiler,
    pub(crate) scratch: Arc<Scratch>,
    /// Ends with the engine.
    _ticker: Ticker,
}

/// A loaded module, ready to be called.
pub struct Function {
    pub(crate) manifest: Manifest,
    pub(crate) pre: InstancePre<CallState>,
    pub(crate) exports: HashMap<Arc<str>, (Export, ModuleExport)>,
    pub(crate) initialize: Vec<ModuleExport>,
    pub(crate) handles: Handles,
}

/// A compiled module and what was found out about it.
#[derive(Debug)]
pub struct Compiled {
    /// For the record and for clients.
    pub manifest: Manifest,
    /// For [`Engine::load`] on an engine of the same fingerprint.
    pub artefact: Vec<u8>,
}

/// Bytes of a slot's memory that stay resident between calls: at least what a small primed module has.
const KEEP_MEMORY: usize = 2 << 20;
/// The same for tables.
const KEEP_TABLE: usize = 64 << 10;
/// Host frames that run on a guest's fiber have this much stack beyond the guest's own.
const HOST_STACK: u64 = 512 << 10;
/// Tables of one instance.
pub(crate) const TABLES: u32 = 4;
/// Elements of one table; the biggest runtimes (Python) need some ten thousand.
pub(crate) const TABLE_ELEMENTS: usize = 100_000;

impl Engine {
    /// Starts an engine.
    ///
    /// # Errors
    /// A message for the operator: the host refuses the address space, or the scratch directory.
    pub fn new(
        config: EngineConfig,
        commands: Arc<Registry>,
        storage: Arc<dyn Storage>,
    ) -> Result<Self, String> {
        let (slots, limits) = (config.concurrency.max(1), Arc::new(config.limits));
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
        let mut wasm = wasm_config(&limits);
        wasm.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let wasm = wasmtime::Engine::new(&wasm).map_err(|error| {
            format!(
                "The engine could not reserve room for {slots} calls at once: {error:#}. Lower server.concurrency, or \
                 raise the limit of address space (ulimit -v)."
            )
        })?;
        let scratch = Scratch::new(&config.scratch, config.open_files).map_err(|error| {
            format!(
                "The scratch directory {} cannot be used: {error}.",
                config.scratch.display()
            )
        })?;
        Ok(Self(Arc::new(Inner {
            linker: host::linker(&wasm).map_err(|error| format!("{error:#}"))?,
            fingerprint: fingerprint(&wasm),
            compiler: Compiler::new(config.compile, Arc::clone(&limits), config.worker),
            limits,
            commands,
            storage,
            scratch: Arc::new(scratch),
            _ticker: Ticker::start(wasm.weak())
                .map_err(|error| format!("No thread for the clock: {error}."))?,
            wasm,
        })))
    }

    /// Names everything that compiled code depends on; an artefact fits engines of the same fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// Validates, inspects, primes and compiles a module in a child process.
    ///
    /// # Errors
    /// A fault that says what is wrong with the module, or which limit it reached.
    pub async fn compile(&self, source: bytes::Bytes) -> Result<Compiled, Fault> {
        let artefact = self.0.compiler.compile(source).await?;
        // What cannot be called is never kept.
        let (engine, compiled) = (self.clone(), artefact);
        let loaded = tokio::task::spawn_blocking(move || {
            let loaded = artefact::load(&engine.0.wasm, &compiled);
            loaded.map(|(manifest, _)| (manifest, compiled))
        })
        .await
        .map_err(|error| Fault::host("The module could not be compiled.", error))?;
        let (manifest, artefact) = loaded.map_err(|fault| shape::too_large(fault.detail))?;
        Ok(Compiled { manifest, artefact })
    }

    /// Judges a module that was compiled before, as [`Engine::compile`] judges it now: settings may have changed.
    ///
    /// # Errors
    /// `unknown-import`, `memory`.
    pub fn accept(&self, manifest: &Manifest) -> Result<(), Fault> {
        self.0.compiler.accept(manifest)
    }

    /// What a compiled module says of itself, without loading it.
    ///
    /// # Errors
    /// A fault of source `host` when the artefact is damaged.
    pub fn manifest(&self, artefact: &[u8]) -> Result<Manifest, Fault> {
        Ok(artefact::manifest(artefact)?.0)
    }

    /// Makes a compiled module callable.
    ///
    /// `artefact` must come from [`Engine::compile`], directly or from a store that authenticates what it returns:
    /// its code is run as it is.
    ///
    /// # Errors
    /// A fault of source `host` when it was made by another engine; compile the source again. `memory`, when it begins
    /// with more than the settings of now allow.
    pub fn load(&self, artefact: &[u8]) -> Result<Function, Fault> {
        let (manifest, _) = artefact::manifest(artefact)?;
        // Before the pool says the same without a name: settings may have changed.
        shape::fits(manifest.space, &self.0.limits)?;
        let (manifest, module) = artefact::load(&self.0.wasm, artefact)?;
        let unfit =
            |what: &str| Fault::host("The compiled module does not fit its description.", what);
        let mut linker = self.0.linker.clone();
        // A name that is served with another type than the module's is not served to it.
        linker.allow_shadowing(true);
        let no_memory = !matches!(module.get_export("memory"), Some(ExternType::Memory(_)));
        for import in module.imports() {
            let unserved = |known: &Unserved| known.is(&import);
            let defined = if glue::is_glue(&import) {
                glue::define(&mut linker, &import)
            } else if no_memory && preview1::needs_memory(&import) {
                missing::define_without_memory(&mut linker, &import)
            } else if manifest.unserved.iter().any(unserved) {
                missing::define(&mut linker, &import)
            } else {
                Ok(())
            };
            defined.map_err(|error| unfit(&format!("{error:#}")))?;
        }
        let index = |name: &str| module.get_export_index(name);
        let exports = manifest
            .exports
            .iter()
            .map(|export| {
                Ok((
                    export.name.as_str().into(),
                    (
                        export.clone(),
                        index(&export.symbol).ok_or_else(|| unfit(&export.symbol))?,
                    ),
                ))
            })
            .collect::<Result<_, Fault>>()?;
        let handles = Handles {
            memory: index("memory"),
            malloc: manifest
                .allocator
                .as_ref()
                .and_then(|a| Some((index(&a.malloc)?, a.takes_align))),
        };
        let initialize = manifest
            .initialize
            .iter()
            .map(|name| index(name).ok_or_else(|| unfit(name)))
            .collect::<Result<_, Fault>>()?;
        let pre = linker
            .instantiate_pre(&module)
            .map_err(|error| unfit(&format!("{error:#}")))?;
        Ok(Function {
            manifest,
            pre,
            exports,
            initialize,
            handles,
        })
    }
}

impl Function {
    /// What is known of the module.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}

/// The part of the configuration that compiled code depends on: the same here and in the compile worker.
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

/// Written into the path of stored artefacts. The number counts changes of our own layout or priming.
fn fingerprint(engine: &wasmtime::Engine) -> String {
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
