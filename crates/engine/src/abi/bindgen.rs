//! The kind `bindgen`: strings, byte arrays and numbers as wasm-bindgen lays them out.
//!
//! A string or byte array goes in as pointer and length: the host allocates it with `__wbindgen_malloc`, and it then
//! belongs to the callee. It comes out in one of three shapes, all in use:
//!
//! | shape | from | result |
//! |---|---|---|
//! | return area | rustc alone, and the tool on modules of before 2024 | first parameter points to where pointer and length go |
//! | pair | the tool today (multi-value) | two results: pointer, length |
//! | scalar | numbers and booleans in all of them | one result |
//!
//! 2020 hosts passed the constant 8 as return area, which is right only for modules of their compiler. We allocate one,
//! so any layout works. A function that returns a `Result` adds two words, a reference to the error and a flag.
//! A number of 64 bits is one `i64` today; in 2020 it was two `i32`, low half first, and came back in a return area.
//!
//! A module that describes its functions tells the types, or the caller states them ([`StatedSignature`]). Otherwise the
//! core type and the arguments at hand decide: a text takes two `i32`, a number one parameter, and what does not fit is
//! a fault that says what would.
//! The result is never freed: its instance ends with the call.

use super::bindgen::args::bind;
use super::guest::{Guest, result};
use crate::limits::Reached;
use crate::manifest::{Core, Export, Type};
use crate::{Arg, Fault, StatedSignature, Value};
use bytes::Bytes;
use wasmtime::{Func, Val};

mod args;
#[cfg(test)]
mod tests;

/// One core parameter, or two for bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Slot {
    Bytes(Bytes),
    I32(i32),
    I64(i64),
    /// 64 bits in two parameters, the low half first, as compilers of 2020 passed them.
    Halves(i64),
    F32(f32),
    F64(f64),
}

/// Where the result is, and what it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Returns {
    Nothing,
    /// The first parameter is the address of a return area.
    Area(Text),
    /// The same, for 64 bits.
    Area64(Type),
    /// Two results: the halves of 64 bits.
    Halves(Type),
    /// Pointer and length are the results; behind them, if fallible, error and flag.
    Pair(Text, Fallible),
    /// One result of this type; behind it, if fallible, error and flag.
    Scalar(Type, Fallible),
}

/// Whether bytes are meant as text; only a module that describes itself tells.
pub(crate) type Text = Option<bool>;
/// Whether an error and a flag follow.
pub(crate) type Fallible = bool;

/// How one call will be made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) slots: Vec<Slot>,
    pub(crate) returns: Returns,
}

/// Words of a return area: pointer, length, error, flag.
const AREA: u32 = 16;

/// Decides how `export` is called with `args`.
///
/// # Errors
/// `arguments` when they do not fit; the message says what the export takes.
pub(crate) fn plan(
    export: &Export,
    args: &[Arg],
    stated: Option<&StatedSignature>,
) -> Result<Plan, Fault> {
    bind(export, args, stated)
}

/// Makes the call in a fresh instance.
///
/// # Errors
/// Whatever trapped: the guest's fault, a limit, or a host's.
pub(crate) async fn call<T: Send + 'static>(
    guest: &mut Guest<'_, T>,
    function: Func,
    plan: Plan,
    output_limit: u64,
) -> wasmtime::Result<Value> {
    let mut params = Vec::with_capacity(1 + 2 * plan.slots.len());
    let area = match plan.returns {
        Returns::Area(_) | Returns::Area64(_) => {
            let area = guest.allocate(AREA, 8).await?;
            guest.write(area, &[0; AREA as usize])?;
            params.push(Val::I32(area.cast_signed()));
            Some(area)
        }
        _ => None,
    };
    for slot in plan.slots {
        match slot {
            Slot::Bytes(bytes) => {
                let length = u32::try_from(bytes.len()).map_err(|_| Reached::Memory)?;
                let pointer = guest.allocate(length, 1).await?;
                guest.write(pointer, &bytes)?;
                params.extend([
                    Val::I32(pointer.cast_signed()),
                    Val::I32(length.cast_signed()),
                ]);
            }
            Slot::I32(value) => params.push(Val::I32(value)),
            Slot::I64(value) => params.push(Val::I64(value)),
            Slot::Halves(value) => params.extend(halves(value).map(Val::I32)),
            Slot::F32(value) => params.push(Val::F32(value.to_bits())),
            Slot::F64(value) => params.push(Val::F64(value.to_bits())),
        }
    }
    let mut results = [const { Val::I32(0) }; 4];
    let results = results.get_mut(..plan.returns.count()).unwrap_or_default();
    function
        .call_async(&mut *guest.store, &params, results)
        .await?;

    match (plan.returns, area, &*results) {
        (Returns::Area(text), Some(area), _) => {
            let words = guest.read(area, AREA)?;
            let word = |at: usize| {
                words
                    .get(4 * at..)
                    .and_then(|rest| rest.first_chunk())
                    .map_or(0, |word| u32::from_le_bytes(*word))
            };
            // Two untouched words stay zero; only a `Result` writes the flag, and leaves no pointer then.
            if word(3) == 1 && word(0) == 0 {
                return Err(guest_error());
            }
            fetch(guest, word(0), word(1), text, output_limit)
        }
        (Returns::Area64(ty), Some(area), _) => {
            let words = guest.read(area, 8)?;
            let value = words
                .first_chunk()
                .map_or(0, |bytes| i64::from_le_bytes(*bytes));
            Ok(scalar(ty, &Val::I64(value)))
        }
        (Returns::Halves(ty), _, [Val::I32(low), Val::I32(high)]) => {
            Ok(scalar(ty, &Val::I64(whole(*low, *high))))
        }
        (Returns::Pair(text, fallible), _, [Val::I32(pointer), Val::I32(length), rest @ ..]) => {
            check_flag(fallible, rest)?;
            fetch(
                guest,
                pointer.cast_unsigned(),
                length.cast_unsigned(),
                text,
                output_limit,
            )
        }
        (Returns::Scalar(ty, fallible), _, [value, rest @ ..]) => {
            check_flag(fallible, rest)?;
            Ok(scalar(ty, value))
        }
        _ => Ok(Value::Unit),
    }
}

/// Copies a result out of the memory.
fn fetch<T: Send + 'static>(
    guest: &mut Guest<'_, T>,
    pointer: u32,
    length: u32,
    text: Text,
    limit: u64,
) -> wasmtime::Result<Value> {
    let bytes = match length {
        // Nothing is read, so a module without a memory may return it.
        0 => Bytes::new(),
        _ => Bytes::copy_from_slice(result(guest.data()?, pointer, length.into(), limit)?),
    };
    Ok(match text {
        Some(false) => Value::Bytes(bytes),
        _ => Value::Text(bytes),
    })
}

/// The low 32 bits, then the high ones.
#[expect(clippy::cast_possible_truncation, reason = "each half is meant")]
fn halves(value: i64) -> [i32; 2] {
    [value as i32, (value >> 32) as i32]
}

fn whole(low: i32, high: i32) -> i64 {
    (i64::from(high) << 32) | i64::from(low.cast_unsigned())
}

impl Returns {
    fn count(self) -> usize {
        match self {
            Self::Nothing | Self::Area(_) | Self::Area64(_) => 0,
            Self::Halves(_) => 2,
            Self::Pair(_, fallible) => 2 + 2 * usize::from(fallible),
            Self::Scalar(_, fallible) => 1 + 2 * usize::from(fallible),
        }
    }
}

fn check_flag(fallible: bool, rest: &[Val]) -> wasmtime::Result<()> {
    match rest {
        [.., Val::I32(flag)] if fallible && *flag != 0 => Err(guest_error()),
        _ => Ok(()),
    }
}

/// The error itself is a JavaScript value, which lives nowhere here.
fn guest_error() -> wasmtime::Error {
    Fault::guest("guest-error", "The function returned an error.").into()
}

fn scalar(ty: Type, value: &Val) -> Value {
    match (ty, value) {
        (Type::Unit, _) => Value::Unit,
        (Type::Bool, Val::I32(n)) => Value::Bool(*n != 0),
        (Type::U8 | Type::U16 | Type::U32, Val::I32(n)) => Value::Integer(n.cast_unsigned().into()),
        (Type::U64, Val::I64(n)) => Value::Integer(n.cast_unsigned().into()),
        (_, Val::I32(n)) => Value::Integer((*n).into()),
        (_, Val::I64(n)) => Value::Integer((*n).into()),
        (_, Val::F32(bits)) => Value::F32(f32::from_bits(*bits)),
        (_, Val::F64(bits)) => Value::F64(f64::from_bits(*bits)),
        _ => Value::Unit,
    }
}

/// The core types that a plan of these slots would have, for the shape check.
pub(crate) fn core_of(slot: &Slot) -> &'static [Core] {
    match slot {
        Slot::Bytes(_) | Slot::Halves(_) => &[Core::I32, Core::I32],
        Slot::I32(_) => &[Core::I32],
        Slot::I64(_) => &[Core::I64],
        Slot::F32(_) => &[Core::F32],
        Slot::F64(_) => &[Core::F64],
    }
}
