//! The kind `bindgen`: strings, byte arrays and numbers as wasm-bindgen lays them out.
//!
//! A string or byte array goes in as pointer and length: the host allocates it with `__wbindgen_malloc`, and it then
//! belongs to the callee. The core values of a type are in [`super::layout`]. A result of one core value is returned as
//! it is. A result of several core values takes one of two forms, both in use:
//!
//! | shape | from | result |
//! |---|---|---|
//! | return area | rustc only, and the tool for modules before 2024 | first parameter points to where the values go |
//! | values | the tool today (multi-value) | as many results |
//!
//! Hosts of 2020 passed the constant 8 as return area, which is right only for modules of their compiler. This host
//! allocates one, so any layout works. A function that returns a `Result` adds two words, a handle of the error and a
//! flag.
//!
//! The types come from the module, if it describes its functions, or from the caller ([`StatedSignature`]). Otherwise
//! the core type and the arguments decide: a text takes two `i32`, a number one parameter, and arguments that do not
//! fit cause a fault that states what would fit. For such a function, the words in a return area show whether the
//! result was a text ([`results`]). The result is never freed: its instance ends with the call.

use super::guest::Guest;
use super::layout::{CallPlan, CoreArg, halves, quarters};
use crate::abi::objects::Holder;
use crate::limits::LimitExceeded;
use crate::manifest::{Export, Signature};
use crate::{Arg, StatedSignature, Value};
use args::lower;
use iof_fault::Fault;
use wasmtime::{Func, Val};

mod args;
mod results;
#[cfg(test)]
mod tests;
mod typed;
mod untyped;

pub(crate) use results::Returned;

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
    lower(export, args, stated, texts)
}

/// The signature that a module declares, if its core type agrees with it.
///
/// # Errors
/// A clause that states why it does not agree.
pub(crate) fn agrees(export: &Export, signature: Signature) -> Result<Signature, String> {
    typed::agrees(export, signature)
}

/// Returns whether the core type of an export is one of the layouts of a signature.
pub(crate) fn fits(export: &Export, signature: &Signature) -> bool {
    typed::layout_of(export, signature).is_some()
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
    let mut params = Vec::with_capacity(1 + 2 * plan.slots.len());
    let area = match results::area(&plan.returns) {
        Some(bytes) => {
            let length = u32::try_from(bytes.len()).map_err(|_| LimitExceeded::Memory)?;
            let area = guest.allocate(length, 8).await?;
            guest.write(area, &bytes)?;
            params.push(Val::I32(area.cast_signed()));
            Some(area)
        }
        None => None,
    };
    for slot in plan.slots {
        match slot {
            CoreArg::Bytes(bytes) => {
                let length = u32::try_from(bytes.len()).map_err(|_| LimitExceeded::Memory)?;
                let pointer = put(guest, &bytes, 1).await?;
                params.extend([pointer, Val::I32(length.cast_signed())]);
            }
            CoreArg::List { bytes, width } => {
                let count = bytes.len() / width.max(1) as usize;
                let count = u32::try_from(count).map_err(|_| LimitExceeded::Memory)?;
                let pointer = put(guest, &bytes, width.cast_signed()).await?;
                params.extend([pointer, Val::I32(count.cast_signed())]);
            }
            CoreArg::Texts(texts) => {
                let count = u32::try_from(texts.len()).map_err(|_| LimitExceeded::Memory)?;
                let mut handles = Vec::new();
                for text in texts {
                    let (objects, space) = guest.store.data_mut().objects();
                    handles.extend(objects.insert(text, space)?.to_le_bytes());
                }
                let pointer = put(guest, &handles, 4).await?;
                params.extend([pointer, Val::I32(count.cast_signed())]);
            }
            CoreArg::Null => params.extend([Val::I32(0), Val::I32(0)]),
            CoreArg::I32(value) => params.push(Val::I32(value)),
            CoreArg::I64(value) => params.push(Val::I64(value)),
            CoreArg::SplitI64(value) => params.extend(halves(value).map(Val::I32)),
            CoreArg::I128(value) => params.extend(quarters(value).map(Val::I64)),
            CoreArg::F32(value) => params.push(Val::F32(value.to_bits())),
            CoreArg::F64(value) => params.push(Val::F64(value.to_bits())),
        }
    }
    let mut values = [const { Val::I32(0) }; results::MOST];
    let values = values
        .get_mut(..results::count(&plan.returns))
        .unwrap_or_default();
    function
        .call_async(&mut *guest.store, &params, values)
        .await?;
    results::read(guest, &plan.returns, area, values, output_limit)
}

/// Copies bytes into the guest's memory, and returns their address.
async fn put<T: Holder>(
    guest: &mut Guest<'_, T>,
    bytes: &[u8],
    align: i32,
) -> wasmtime::Result<Val> {
    let length = u32::try_from(bytes.len()).map_err(|_| LimitExceeded::Memory)?;
    let pointer = guest.allocate(length, align).await?;
    guest.write(pointer, bytes)?;
    Ok(Val::I32(pointer.cast_signed()))
}
