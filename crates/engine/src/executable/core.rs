//! Core modules: linked once, instantiated for every call.

use super::unfit;
use crate::abi::guest::{Guest, Handles};
use crate::abi::{self, CallPlan};
use crate::host::{js_imports, missing, preview1};
use crate::manifest::{Export, Manifest, UnresolvedImport};
use crate::state::CallState;
use crate::types::Type;
use crate::value::ProgramInput;
use crate::{Arg, StatedSignature, Value};
use iof_fault::Fault;
use std::collections::HashMap;
use std::sync::Arc;
use wasmtime::{ExternType, InstancePre, Linker, Module, ModuleExport, Store};

/// A core module with linked imports and resolved exports.
pub(crate) struct CoreModule {
    pre: InstancePre<CallState>,
    exports: HashMap<Arc<str>, (Export, ModuleExport)>,
    /// Initialisers that every call runs first, in this order.
    initialize: Vec<ModuleExport>,
    handles: Handles,
}

impl CoreModule {
    /// Links a module, within a linker of its own.
    pub(super) fn new(
        module: &Module,
        mut linker: Linker<CallState>,
        manifest: &Manifest,
    ) -> Result<Self, Fault> {
        define_rest(&mut linker, module, manifest).map_err(|error| unfit(&format!("{error:#}")))?;
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
            .instantiate_pre(module)
            .map_err(|error| unfit(&format!("{error:#}")))?;
        Ok(Self {
            pre,
            exports,
            initialize,
            handles,
        })
    }

    pub(super) fn export(&self, name: &str) -> Option<CoreExport<'_>> {
        let (name, (export, handle)) = self.exports.get_key_value(name)?;
        Some(CoreExport {
            module: self,
            name,
            export,
            handle,
        })
    }
}

/// Defines the imports that depend on the module: the JavaScript ones, and those that fault.
fn define_rest(
    linker: &mut Linker<CallState>,
    module: &Module,
    manifest: &Manifest,
) -> wasmtime::Result<()> {
    // An import whose type in the module differs from that of the host is left unresolved.
    linker.allow_shadowing(true);
    let no_memory = !matches!(module.get_export("memory"), Some(ExternType::Memory(_)));
    for import in module.imports() {
        let unserved = |known: &UnresolvedImport| known.is(&import);
        if js_imports::is_js_import(&import) {
            js_imports::define(linker, &import)?;
        } else if no_memory && preview1::needs_memory(&import) {
            missing::define_without_memory(linker, &import)?;
        } else if manifest.unserved.iter().any(unserved) {
            missing::define(linker, &import)?;
        }
    }
    Ok(())
}

/// An export of a core module.
#[derive(Clone, Copy)]
pub(crate) struct CoreExport<'a> {
    module: &'a CoreModule,
    name: &'a Arc<str>,
    export: &'a Export,
    handle: &'a ModuleExport,
}

impl<'a> CoreExport<'a> {
    pub(super) fn plan(
        self,
        args: &[Arg],
        stated: Option<&StatedSignature>,
    ) -> Result<CoreCall<'a>, Fault> {
        let texts = self.module.handles.malloc.is_some();
        let plan = abi::plan(self.export, args, stated, texts)?;
        Ok(CoreCall { export: self, plan })
    }
}

/// A planned call of an export of a core module.
pub(crate) struct CoreCall<'a> {
    export: CoreExport<'a>,
    plan: CallPlan,
}

impl CoreCall<'_> {
    pub(super) fn name(&self) -> &Arc<str> {
        self.export.name
    }

    pub(super) fn program(&self) -> Option<&ProgramInput> {
        match &self.plan {
            CallPlan::Command(input) => Some(input),
            _ => None,
        }
    }

    /// Instantiates the module and makes the call.
    ///
    /// # Errors
    /// Any trap: a fault of the guest, of a limit or of the host.
    pub(crate) async fn run(
        self,
        store: &mut Store<CallState>,
        output_limit: u64,
    ) -> wasmtime::Result<Value> {
        let CoreExport {
            module,
            export,
            handle,
            ..
        } = self.export;
        store.data().instantiates();
        let instance = module.pre.instantiate_async(&mut *store).await?;
        store.data().is_instantiated();
        for start in &module.initialize {
            if let Some(start) = instance
                .get_module_export(&mut *store, start)
                .and_then(wasmtime::Extern::into_func)
            {
                let start = start.typed::<(), ()>(&*store)?;
                start.call_async(&mut *store, ()).await?;
            }
        }
        let Some(target) = instance
            .get_module_export(&mut *store, handle)
            .and_then(wasmtime::Extern::into_func)
        else {
            return Err(wasmtime::Error::msg(
                "an export of the manifest is not a function",
            ));
        };
        let mut guest = Guest {
            store,
            instance,
            handles: module.handles,
        };
        let value = abi::call(&mut guest, target, self.plan, output_limit).await?;
        Ok(match (&export.signature, value) {
            (Some(of), Value::Text(text)) if of.result == Type::Json => Value::Json(text),
            (_, value) => value,
        })
    }
}
