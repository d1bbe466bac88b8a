//! The kind `bindgen`: strings, byte arrays and numbers as wasm-bindgen lays them out.
//!
//! A string or byte array goes in as pointer and length: the host allocates it with `__wbindgen_malloc`, and it then
//! belongs to the callee. What a type is as core values is in [`layout`]. A result of one core value is returned as it is;
//! one of several comes out in two shapes, both in use:
//!
//! | shape | from | result |
//! |---|---|---|
//! | return area | rustc alone, and the tool on modules of before 2024 | first parameter points to where the values go |
//! | values | the tool today (multi-value) | as many results |
//!
//! 2020 hosts passed the constant 8 as return area, which is right only for modules of their compiler. We allocate one,
//! so any layout works. A function that returns a `Result` adds two words, a handle of the error and a flag.
//!
//! A module that describes its functions tells the types, or the caller states them ([`StatedSignature`]). Otherwise the
//! core type and the arguments at hand decide: a text takes two `i32`, a number one parameter, and what does not fit is
//! a fault that says what would. What such a function leaves in a return area shows whether it was a text ([`results`]).
//! The result is never freed: its instance ends with the call.

use super::bindgen::args::bind;
use super::guest::Guest;
use crate::host::objects::Holder;
use crate::limits::Reached;
use crate::manifest::{Core, Export, Signature, Type};
use crate::{Arg, StatedSignature, Value};
use bytes::Bytes;
use iof_fault::Fault;
use layout::Era;
use wasmtime::{Func, Val};

mod args;
mod layout;
mod results;
#[cfg(test)]
mod tests;

pub(crate) use results::Returned;

/// One or two core parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Slot {
    Bytes(Bytes),
    /// Elements of a list as they lie in memory, each of this width.
    List {
        bytes: Bytes,
        width: u32,
    },
    /// A list of texts, each of which is a handle.
    Texts(Vec<String>),
    /// A text or list that is not there.
    Null,
    I32(i32),
    I64(i64),
    /// 64 bits in two parameters, the low half first, as compilers of 2020 passed them.
    Halves(i64),
    /// 128 bits in two parameters, the low half first.
    I128(u128),
    F32(f32),
    F64(f64),
}

/// Where the result is, and what it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Returns {
    Nothing,
    /// A value of a known type.
    Known {
        ty: Type,
        era: Era,
        /// In a return area, whose address is the first parameter.
        area: bool,
        fallible: Fallible,
    },
    /// A text or bytes in a return area, as far as is known.
    Area,
    /// Pointer and length as results; behind them, if fallible, error and flag.
    Pair(bool),
}

/// Whether an error and a flag follow a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fallible {
    No,
    Yes,
    /// In an area, they are there if the function wrote them.
    Perhaps,
}

/// How one call will be made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) slots: Vec<Slot>,
    pub(crate) returns: Returns,
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
    bind(export, args, stated, texts)
}

/// The signature that a module says, if its core type agrees with it.
///
/// # Errors
/// A clause that says why not.
pub(crate) fn agrees(export: &Export, signature: Signature) -> Result<Signature, String> {
    args::agrees(export, signature)
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
    let mut params = Vec::with_capacity(1 + 2 * plan.slots.len());
    let area = match results::area(&plan.returns) {
        Some(bytes) => {
            let length = u32::try_from(bytes.len()).map_err(|_| Reached::Memory)?;
            let area = guest.allocate(length, 8).await?;
            guest.write(area, &bytes)?;
            params.push(Val::I32(area.cast_signed()));
            Some(area)
        }
        None => None,
    };
    for slot in plan.slots {
        match slot {
            Slot::Bytes(bytes) => {
                let length = u32::try_from(bytes.len()).map_err(|_| Reached::Memory)?;
                let pointer = put(guest, &bytes, 1).await?;
                params.extend([pointer, Val::I32(length.cast_signed())]);
            }
            Slot::List { bytes, width } => {
                let count = bytes.len() / width.max(1) as usize;
                let count = u32::try_from(count).map_err(|_| Reached::Memory)?;
                let pointer = put(guest, &bytes, width.cast_signed()).await?;
                params.extend([pointer, Val::I32(count.cast_signed())]);
            }
            Slot::Texts(texts) => {
                let count = u32::try_from(texts.len()).map_err(|_| Reached::Memory)?;
                let mut handles = Vec::new();
                for text in texts {
                    let (objects, space) = guest.store.data_mut().objects();
                    handles.extend(objects.insert(text, space)?.to_le_bytes());
                }
                let pointer = put(guest, &handles, 4).await?;
                params.extend([pointer, Val::I32(count.cast_signed())]);
            }
            Slot::Null => params.extend([Val::I32(0), Val::I32(0)]),
            Slot::I32(value) => params.push(Val::I32(value)),
            Slot::I64(value) => params.push(Val::I64(value)),
            Slot::Halves(value) => params.extend(halves(value).map(Val::I32)),
            Slot::I128(value) => params.extend(quarters(value).map(Val::I64)),
            Slot::F32(value) => params.push(Val::F32(value.to_bits())),
            Slot::F64(value) => params.push(Val::F64(value.to_bits())),
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

/// Puts bytes into the guest's memory, and returns where.
async fn put<T: Holder>(
    guest: &mut Guest<'_, T>,
    bytes: &[u8],
    align: i32,
) -> wasmtime::Result<Val> {
    let length = u32::try_from(bytes.len()).map_err(|_| Reached::Memory)?;
    let pointer = guest.allocate(length, align).await?;
    guest.write(pointer, bytes)?;
    Ok(Val::I32(pointer.cast_signed()))
}

/// The low 32 bits, then the high ones.
#[expect(clippy::cast_possible_truncation, reason = "each half is meant")]
fn halves(value: i64) -> [i32; 2] {
    [value as i32, (value >> 32) as i32]
}

fn whole(low: i32, high: i32) -> i64 {
    (i64::from(high) << 32) | i64::from(low.cast_unsigned())
}

/// The low 64 bits, then the high ones.
#[expect(clippy::cast_possible_truncation, reason = "each half is meant")]
fn quarters(value: u128) -> [i64; 2] {
    [
        (value as u64).cast_signed(),
        ((value >> 64) as u64).cast_signed(),
    ]
}

/// The core types that a slot has, for the shape check.
pub(crate) fn core_of(slot: &Slot) -> &'static [Core] {
    match slot {
        Slot::Bytes(_) | Slot::List { .. } | Slot::Texts(_) | Slot::Null | Slot::Halves(_) => {
            &[Core::I32, Core::I32]
        }
        Slot::I32(_) => &[Core::I32],
        Slot::I64(_) => &[Core::I64],
        Slot::I128(_) => &[Core::I64, Core::I64],
        Slot::F32(_) => &[Core::F32],
        Slot::F64(_) => &[Core::F64],
    }
}
