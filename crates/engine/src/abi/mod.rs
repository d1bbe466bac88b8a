//! How values cross into a module and out of it: one file for each kind.

pub(crate) mod bindgen;
pub(crate) mod command;
pub(crate) mod described;
pub(crate) mod descriptor;
mod given;
pub(crate) mod guest;
#[cfg(test)]
mod hostile;
pub(crate) mod wasmedge;

use crate::host::objects::Holder;
use crate::manifest::{Abi, Export};
use crate::{Arg, StatedSignature, Value};
use guest::Guest;
use iof_fault::Fault;
use wasmtime::Func;

/// How one call will be made.
pub(crate) enum Plan {
    Bindgen(bindgen::Plan),
    Wasmedge(wasmedge::Plan),
    Command(command::Plan),
}

/// Decides how `export` is called with `args`; `texts` says whether its module can be handed any.
///
/// # Errors
/// `arguments` when they do not fit; the message says what the export takes.
pub(crate) fn plan(
    export: &Export,
    args: &[Arg],
    stated: Option<&StatedSignature>,
    texts: bool,
) -> Result<Plan, Fault> {
    match export.abi {
        Abi::Bindgen => bindgen::plan(export, args, stated, texts).map(Plan::Bindgen),
        Abi::Wasmedge => wasmedge::plan(export, args, stated).map(Plan::Wasmedge),
        Abi::Command => command::plan(export, args, stated).map(Plan::Command),
    }
}

/// Makes the call in a fresh instance.
///
/// # Errors
/// Whatever trapped: the guest's fault, a limit, or a host's.
pub(crate) async fn call<T: Holder>(
    guest: &mut Guest<'_, T>,
    function: Func,
    plan: Plan,
    output_limit: u64,
) -> wasmtime::Result<Value> {
    match plan {
        Plan::Bindgen(plan) => bindgen::call(guest, function, plan, output_limit).await,
        Plan::Wasmedge(plan) => wasmedge::call(guest, function, plan, output_limit).await,
        Plan::Command(_) => command::call(guest, function).await,
    }
}
