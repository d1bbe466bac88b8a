//! Calling conventions of core modules, by which values pass into a guest and back: one file for each.

pub(crate) mod bindgen;
pub(crate) mod command;
pub(crate) mod described;
pub(crate) mod descriptor;
#[cfg(test)]
mod fuzz_tests;
pub(crate) mod guest;
mod input;
mod layout;
pub(crate) mod objects;
pub(crate) mod typed;
pub(crate) mod wasmedge;

use crate::manifest::{Abi, Export};
use crate::value::ProgramInput;
use crate::{Arg, StatedSignature, Value};
use guest::Guest;
use iof_fault::Fault;
use objects::Holder;
use wasmtime::Func;

/// A plan of one call.
pub(crate) enum CallPlan {
    Bindgen(layout::CallPlan),
    Wasmedge(wasmedge::CallPlan),
    Command(ProgramInput),
}

/// Plans the call of `export` with `args`; `texts` is true if the host can allocate texts in its module.
///
/// # Errors
/// `arguments` when they do not fit; the message states what the export takes.
pub(crate) fn plan(
    export: &Export,
    args: &[Arg],
    stated: Option<&StatedSignature>,
    texts: bool,
) -> Result<CallPlan, Fault> {
    match export.abi {
        Abi::Bindgen => bindgen::plan(export, args, stated, texts).map(CallPlan::Bindgen),
        Abi::Wasmedge => wasmedge::plan(export, args, stated).map(CallPlan::Wasmedge),
        Abi::Command => command::plan(export, args, stated).map(CallPlan::Command),
        Abi::Typed => Err(Fault::host(
            "The function cannot be called.",
            "an export of a core module has the ABI of components",
        )),
    }
}

/// Makes the call in a fresh instance.
///
/// # Errors
/// Any trap: a fault of the guest, of a limit or of the host.
pub(crate) async fn call<T: Holder>(
    guest: &mut Guest<'_, T>,
    function: Func,
    plan: CallPlan,
    output_limit: u64,
) -> wasmtime::Result<Value> {
    match plan {
        CallPlan::Bindgen(plan) => bindgen::call(guest, function, plan, output_limit).await,
        CallPlan::Wasmedge(plan) => wasmedge::call(guest, function, plan, output_limit).await,
        CallPlan::Command(_) => command::call(guest, function).await,
    }
}
