//! Components: linked once, instantiated for every call.

use super::unfit;
use crate::abi::command;
use crate::abi::typed::{PlainCall, TypedSignature};
use crate::interfaces;
use crate::limits::Limits;
use crate::manifest::{Abi, Export, Kind, Manifest};
use crate::reuse::{Exports, UsedInstance};
use crate::state::CallState;
use crate::value::ProgramInput;
use crate::{Arg, StatedSignature, Value};
use iof_fault::Fault;
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use wasmtime::Store;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Accessor, Component, ComponentExportIndex, InstancePre, Linker, Val};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi_http::handler::ProxyPre;
use wasmtime_wasi_http::{p2, p3};

/// A component with linked imports and resolved exports.
pub(crate) struct LinkedComponent {
    pre: InstancePre<CallState>,
    exports: HashMap<Arc<str>, FoundExport>,
    /// `Some` for a component that answers HTTP requests.
    handler: Option<ProxyPre<CallState>>,
}

/// A resolved export.
struct FoundExport {
    export: Export,
    handle: ComponentExportIndex,
    /// `None` for the `run` of a program.
    signature: Option<TypedSignature>,
}

impl LinkedComponent {
    /// Links a component, within a linker of its own if it needs imports that fault.
    pub(super) fn new(
        component: &Component,
        linker: &Linker<CallState>,
        manifest: &Manifest,
    ) -> Result<Self, Fault> {
        let exports = manifest.exports.iter().map(|export| {
            let name: Arc<str> = export.name.as_str().into();
            let found = find(component, export, &name).ok_or_else(|| unfit(&export.symbol))?;
            Ok((name, found))
        });
        let exports = exports.collect::<Result<_, Fault>>()?;
        let linked = match manifest.unserved.is_empty() {
            true => linker.instantiate_pre(component),
            false => {
                let mut linker = linker.clone();
                linker
                    .define_unknown_imports_as_traps(component)
                    .and_then(|()| linker.instantiate_pre(component))
            }
        };
        let pre = linked.map_err(|error| unfit(&format!("{error:#}")))?;
        let handler = (manifest.kind == Kind::Http).then(|| handler(component, &pre));
        Ok(Self {
            pre,
            exports,
            handler: handler
                .transpose()
                .map_err(|error| unfit(&format!("{error:#}")))?,
        })
    }

    pub(super) fn handler(&self) -> Option<&ProxyPre<CallState>> {
        self.handler.as_ref()
    }

    pub(super) fn export(&self, name: &str) -> Option<ComponentExport<'_>> {
        let (name, found) = self.exports.get_key_value(name)?;
        Some(ComponentExport {
            component: self,
            name,
            found,
        })
    }
}

/// The export that answers HTTP requests; that of WASI 0.3, if there are two.
///
/// # Errors
/// An error of wasmtime for a component that has none.
pub(crate) fn handler(
    component: &Component,
    pre: &InstancePre<CallState>,
) -> wasmtime::Result<ProxyPre<CallState>> {
    const ASYNC_HANDLER: &str = "wasi:http/handler@0.3.0";
    match component.get_export_index(None, ASYNC_HANDLER) {
        Some(_) => p3::bindings::ServicePre::new(pre.clone()).map(ProxyPre::P3),
        None => p2::bindings::ProxyPre::new(pre.clone()).map(ProxyPre::P2),
    }
}

/// Finds an export by its symbol, `function` or `interface#function`.
fn find(component: &Component, export: &Export, name: &Arc<str>) -> Option<FoundExport> {
    let (instance, function) = match export.symbol.split_once('#') {
        Some((instance, function)) => {
            let (_, handle) = component.get_export(None, instance)?;
            (Some(handle), function)
        }
        None => (None, &*export.symbol),
    };
    let (item, handle) = component.get_export(instance.as_ref(), function)?;
    let ComponentItem::ComponentFunc(of) = item else {
        return None;
    };
    Some(FoundExport {
        export: export.clone(),
        handle,
        signature: signature(export, name, &of),
    })
}

fn signature(export: &Export, name: &Arc<str>, of: &ComponentFunc) -> Option<TypedSignature> {
    match export.abi {
        Abi::Command => None,
        _ => Some(TypedSignature::new(Arc::clone(name), of)),
    }
}

/// Entries of wasmtime's table of tasks for each handle: a stream with its two ends has three, a task as many.
const ENTRIES_OF_HANDLE: usize = 4;

/// Bounds what the host holds for a component: the values of one call of a host function, handles, tasks.
pub(crate) fn bound(store: &mut Store<CallState>) {
    let limits = Arc::clone(&store.data().limits);
    store.set_hostcall_fuel(usize::try_from(limits.memory.as_u64()).unwrap_or(usize::MAX));
    let handles = limits.handles as usize;
    store.set_max_component_handles(handles);
    if let Some(table) = store.concurrent_resource_table() {
        // The entries of tasks, streams, futures and sets of them, even without a handle. Each takes up to three.
        table.set_max_capacity(handles.saturating_mul(ENTRIES_OF_HANDLE));
    }
}

/// Waits until all tasks of a component have ended: those of WASI 0.3 may continue after the function has returned.
pub(crate) async fn tasks_ended(store: &Accessor<CallState>) {
    poll_fn(|cx| store.poll_no_interesting_tasks(cx)).await;
}

/// An export of a component.
#[derive(Clone, Copy)]
pub(crate) struct ComponentExport<'a> {
    component: &'a LinkedComponent,
    name: &'a Arc<str>,
    found: &'a FoundExport,
}

impl<'a> ComponentExport<'a> {
    pub(super) fn plan(
        self,
        args: &[Arg],
        stated: Option<&StatedSignature>,
        limits: &Limits,
    ) -> Result<ComponentCall<'a>, Fault> {
        let found = self.found;
        let plan = match &found.signature {
            None => command::plan(&found.export, args, stated).map(CallPlan::Program),
            Some(signature) => {
                let room = limits.memory.as_u64();
                match signature.plain(args, stated, room) {
                    Some(call) => call.map(CallPlan::Plain),
                    None => {
                        let values = signature.plan(args, stated, room);
                        values.map(|values| CallPlan::Typed(signature, values))
                    }
                }
            }
        };
        Ok(ComponentCall {
            export: self,
            plan: plan?,
        })
    }
}

/// A planned call of an export of a component.
pub(crate) struct ComponentCall<'a> {
    export: ComponentExport<'a>,
    plan: CallPlan<'a>,
}

enum CallPlan<'a> {
    Program(ProgramInput),
    Typed(&'a TypedSignature, Vec<Val>),
    Plain(PlainCall),
}

impl ComponentCall<'_> {
    pub(super) fn name(&self) -> &Arc<str> {
        self.export.name
    }

    pub(super) fn program(&self) -> Option<&ProgramInput> {
        match &self.plan {
            CallPlan::Program(input) => Some(input),
            CallPlan::Typed(..) | CallPlan::Plain(_) => None,
        }
    }

    /// Makes the call, in an instance of an earlier one or in a new one.
    ///
    /// # Errors
    /// Any trap: a fault of the guest, of a limit or of the host.
    pub(crate) async fn run(
        self,
        store: &mut Store<CallState>,
        used: &mut UsedInstance,
        output_limit: u64,
    ) -> wasmtime::Result<Value> {
        bound(store);
        let result = self.call(store, used, output_limit).await;
        result.map_err(interfaces::missing::classify)
    }

    async fn call(
        self,
        store: &mut Store<CallState>,
        used: &mut UsedInstance,
        output_limit: u64,
    ) -> wasmtime::Result<Value> {
        let ComponentExport {
            component, found, ..
        } = self.export;
        let instance = match used.exports.take() {
            Some(Exports::Functions(instance)) => instance,
            _ => {
                store.data().instantiates();
                let instance = component.pre.instantiate_async(&mut *store).await?;
                store.data().is_instantiated();
                instance
            }
        };
        let function = instance.get_func(&mut *store, found.handle);
        let function = function
            .ok_or_else(|| wasmtime::Error::msg("an export of the manifest is not a function"))?;
        let result = match self.plan {
            CallPlan::Typed(signature, values) => {
                let mut results = signature.results();
                let called = store.run_concurrent(async |store| {
                    function
                        .call_concurrent(store, &values, &mut results)
                        .await?;
                    tasks_ended(store).await;
                    wasmtime::error::Ok(())
                });
                called.await.flatten()?;
                signature.result(results, output_limit)
            }
            CallPlan::Plain(call) => call.run(&function, store, output_limit).await,
            CallPlan::Program(_) => {
                let run = function.typed::<(), (Result<(), ()>,)>(&*store)?;
                let ended = store.run_concurrent(async |store| {
                    let ended = run.call_concurrent(store, ()).await?;
                    tasks_ended(store).await;
                    wasmtime::error::Ok(ended)
                });
                match ended.await.flatten() {
                    Ok((Ok(()),)) => Ok(Value::Unit),
                    Ok((Err(()),)) => Err(I32Exit(1).into()),
                    Err(error) if matches!(error.downcast_ref(), Some(I32Exit(0))) => {
                        Ok(Value::Unit)
                    }
                    Err(error) => Err(error),
                }
            }
        };
        used.exports = Some(Exports::Functions(instance));
        result
    }
}
