//! The engine: the state that all calls share, and the loading of artefacts. A call itself is in `call`.
//!
//! Instances come from wasmtime's pool: a slot's pages stay resident, a call's writes are undone from a copy-on-write
//! image, and a primed module never grows its memory, so a small call makes no system call that changes the address
//! space. Every call runs on a fiber of the pool: one path for guests that wait and for guests that do not costs less
//! than two, and lets a CPU-bound guest yield its core at every tick.
//!
//! Rejected: keeping instances between calls of functions that did not ask for it (a function would see what another
//! caller left; `reuse` keeps them for those that did), and explicit bounds
//! checks instead of guard pages (they slow every memory access, and priming already saves what they would save).

use crate::capability::scratch::Scratch;
use crate::capability::storage::Storage;
use crate::capacity::Capacity;
use crate::compile::{Compiler, CompilerFigures, Effort, shape};
use crate::config::{self, EngineConfig};
use crate::executable::{Executable, Linkers};
use crate::limits::Limits;
use crate::pool::{self, PoolFigures};
use crate::reuse::{IdleRoom, InstancePool, Reuse, ReuseFigures};
use crate::ticker::Ticker;
use crate::{Manifest, artefact};
use iof_command::Registry;
use iof_fault::Fault;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Compiles modules and runs their exports. Cheap to clone: all clones are one engine.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) wasm: wasmtime::Engine,
    linkers: Linkers,
    fingerprint: String,
    capacity: Capacity,
    pub(crate) limits: Arc<Limits>,
    pub(crate) commands: Arc<Registry>,
    pub(crate) storage: Arc<dyn Storage>,
    compiler: Compiler,
    pub(crate) scratch: Arc<Scratch>,
    idle: Arc<IdleRoom>,
    /// Ends with the engine.
    _ticker: Ticker,
}

/// A loaded module, ready to be called.
pub struct Function {
    pub(crate) manifest: Manifest,
    pub(crate) executable: Executable,
    /// The bytes of memory that the module takes.
    resident: u64,
    /// A number of its own for each load: an instance fits only the code that it was made of.
    pub(crate) load: u64,
}

/// A compiled module and its manifest.
#[derive(Debug)]
pub struct Compiled {
    /// The facts about the module, for the record and for clients.
    pub manifest: Manifest,
    /// The code, for [`Engine::load`] on an engine of the same fingerprint.
    pub artefact: Vec<u8>,
}

/// The bytes that a loaded function takes beside its code, whatever its size: metadata of types and exports.
const METADATA: u64 = 32 << 10;

/// The number of the next load.
static LOADS: AtomicU64 = AtomicU64::new(0);

impl Engine {
    /// Starts an engine.
    ///
    /// # Errors
    /// A message for the operator: the host refused the address space, or the scratch directory.
    pub fn new(
        config: EngineConfig,
        commands: Arc<Registry>,
        storage: Arc<dyn Storage>,
    ) -> Result<Self, String> {
        let (calls, limits) = (config.concurrency.max(1), Arc::new(config.limits));
        let instances = calls.saturating_add(config.idle_instances);
        let wasm = pool::engine(&limits, (calls, instances), &config.capacity).map_err(|error| {
            format!(
                "The engine could not reserve room for {calls} calls at once and {} functions: {error:#}. Lower \
                 server.concurrency or server.loaded_memory, or raise the limit of address space (ulimit -v).",
                config.capacity.functions
            )
        })?;
        let scratch = Scratch::new(&config.scratch, config.open_files).map_err(|error| {
            format!(
                "The scratch directory {} cannot be used: {error}.",
                config.scratch.display()
            )
        })?;
        Ok(Self(Arc::new(Inner {
            linkers: Linkers::new(&wasm).map_err(|error| format!("{error:#}"))?,
            fingerprint: config::fingerprint(&wasm),
            capacity: config.capacity,
            compiler: Compiler::new(config.compile, Arc::clone(&limits), config.worker),
            limits,
            commands,
            storage,
            scratch: Arc::new(scratch),
            idle: Arc::new(IdleRoom::new(config.idle_instances, config.idle_memory)),
            _ticker: Ticker::start(wasm.weak())
                .map_err(|error| format!("No thread for the clock: {error}."))?,
            wasm,
        })))
    }

    /// The digest of everything that compiled code depends on; an artefact fits engines of the same fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// The number of functions that the engine can keep loaded.
    #[must_use]
    pub fn capacity(&self) -> &Capacity {
        &self.0.capacity
    }

    /// The figures of the instance pool.
    #[must_use]
    pub fn pool(&self) -> Option<PoolFigures> {
        pool::figures(&self.0.wasm)
    }

    /// The figures of instances that are kept between calls.
    #[must_use]
    pub fn reuse(&self) -> ReuseFigures {
        self.0.idle.figures()
    }

    /// A pool of instances for one version of a function and its grants.
    #[must_use]
    pub fn instance_pool(&self, reuse: Reuse) -> InstancePool {
        InstancePool::new(reuse, Arc::clone(&self.0.idle))
    }

    /// The figures of the compiler.
    #[must_use]
    pub fn compiler(&self) -> CompilerFigures {
        self.0.compiler.figures()
    }

    /// Validates, inspects, primes and compiles a module in a child process.
    ///
    /// # Errors
    /// A fault that states what is wrong with the module, or which limit it reached.
    pub async fn compile(&self, source: bytes::Bytes) -> Result<Compiled, Fault> {
        self.compile_with(source, Effort::Full).await
    }

    /// Compiles a module quickly, without priming and without optimisation. Its calls take longer until it is compiled
    /// in full.
    ///
    /// # Errors
    /// The errors of [`Engine::compile`].
    pub async fn draft(&self, source: bytes::Bytes) -> Result<Compiled, Fault> {
        self.compile_with(source, Effort::Draft).await
    }

    async fn compile_with(&self, source: bytes::Bytes, effort: Effort) -> Result<Compiled, Fault> {
        let artefact = self.0.compiler.compile(source, effort).await?;
        // A module that cannot be called is not kept.
        let (engine, compiled) = (self.clone(), artefact);
        let loaded = tokio::task::spawn_blocking(move || {
            let (manifest, code) = artefact::manifest(&compiled)?;
            Executable::check(&engine.0.wasm, &manifest, code)?;
            Ok((manifest, compiled))
        })
        .await
        .map_err(|error| Fault::host("The module could not be compiled.", error))?;
        let (manifest, artefact) = loaded.map_err(|fault: Fault| shape::too_large(fault.detail))?;
        Ok(Compiled { manifest, artefact })
    }

    /// Makes the line table of a module in a child process, for [`LineTable::read`](crate::LineTable::read). Empty if the module
    /// has no lines.
    ///
    /// # Errors
    /// `compile-queue`, or a fault that states what is wrong with its debug sections: the module is served without lines.
    pub async fn line_table(&self, source: bytes::Bytes) -> Result<Vec<u8>, Fault> {
        self.0.compiler.lines(source).await
    }

    /// Checks an already compiled module by the current rules of [`Engine::compile`]: settings may have changed.
    ///
    /// # Errors
    /// `unknown-import`, `memory`.
    pub fn accept(&self, manifest: &Manifest) -> Result<(), Fault> {
        self.0.compiler.accept(manifest)
    }

    /// Reads the manifest of a compiled module without loading it.
    ///
    /// # Errors
    /// A fault of source `host` when the artefact is damaged.
    pub fn manifest(&self, artefact: &[u8]) -> Result<Manifest, Fault> {
        Ok(artefact::manifest(artefact)?.0)
    }

    /// Makes a compiled module callable.
    ///
    /// `artefact` must come from [`Engine::compile`], directly or from a store that authenticates what it returns: its
    /// code is executed without further checks.
    ///
    /// # Errors
    /// A fault of source `host` when another engine made the artefact; compile the source again. `memory` when an
    /// instance begins with more than the current settings allow.
    pub fn load(&self, artefact: &[u8]) -> Result<Function, Fault> {
        let (manifest, code) = artefact::manifest(artefact)?;
        // Checked here, because the pool would refuse it without naming the setting: settings may have changed.
        manifest.fits(&self.0.limits)?;
        let executable = Executable::load(&self.0.wasm, &self.0.linkers, &manifest, code)?;
        Ok(Function {
            resident: code.resident() + METADATA + artefact.len() as u64 / 5,
            manifest,
            executable,
            load: LOADS.fetch_add(1, Ordering::Relaxed),
        })
    }
}

impl Function {
    /// An estimate of the bytes of memory that the loaded code takes, without the pages that stay in the pool's slots.
    #[must_use]
    pub fn resident(&self) -> u64 {
        self.resident
    }

    /// The manifest of the module.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}
