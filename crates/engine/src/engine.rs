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
use crate::capability::scratch::Scratch;
use crate::capability::storage::Storage;
use crate::compile::{Compiler, shape};
use crate::config::{self, EngineConfig};
use crate::host::{self, glue, missing, preview1};
use crate::limits::Limits;
use crate::manifest::Unserved;
use crate::state::CallState;
use crate::ticker::Ticker;
use crate::{Export, Fault, Manifest, artefact};
use iof_commands::Registry;
use std::collections::HashMap;
use std::sync::Arc;
use wasmtime::{ExternType, InstancePre, Linker, ModuleExport};

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
        let wasm = config::serving(&limits, slots);
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
            fingerprint: config::fingerprint(&wasm),
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
