//! Results of this ABI, from core values or from a return area.
//!
//! The guest controls all of this: pointers, lengths and handles are checked before use, and no output is larger than
//! the limit of a result.
//!
//! A function without known types is expected to return a text. The words behind pointer and length show when the
//! result was of another type: such a result is refused, because its type is unknown.

mod lift;
mod lists;

use crate::Value;
use crate::abi::guest::Guest;
use crate::abi::layout::{self, Era, ErrorLayout, ResultLayout};
use crate::abi::objects::Holder;
use crate::manifest::{Core, Type};
use lift::{fetch, lift};
use lists::bad;
use wasmtime::Val;

/// An error that the function returned, by its handle.
#[derive(Debug, thiserror::Error)]
#[error("the function returned an error")]
pub(crate) struct Returned(pub(crate) u32);

/// The number of core values of the largest result: an optional number of 64 bits in halves, an error, a flag.
pub(super) const MOST: usize = 6;
/// The number of words in a return area for a text: pointer, length, error, flag.
const WORDS: usize = 4;
/// The value of the last two words before the call.
const UNTOUCHED: u32 = 0xa5a5_a5a5;
/// Texts that a function returns lie above this address, and all handles of references below it.
const LOW: u32 = 1 << 16;

/// Core types of a known result, with its error.
fn cores(ty: &Type, era: Era, fallible: ErrorLayout) -> Vec<Core> {
    let mut cores = vec![];
    layout::flatten(ty, era, &mut cores);
    if fallible != ErrorLayout::No {
        cores.extend([Core::I32, Core::I32]);
    }
    cores
}

/// The return area before the call, if there is one.
pub(super) fn area(returns: &ResultLayout) -> Option<Vec<u8>> {
    match returns {
        ResultLayout::Known {
            ty,
            era,
            area: true,
            fallible,
        } => {
            let (_, size) = layout::offsets(&cores(ty, *era, *fallible));
            Some(vec![0; size as usize])
        }
        ResultLayout::Area => {
            let words = [0, 0, UNTOUCHED, UNTOUCHED];
            Some(words.into_iter().flat_map(u32::to_le_bytes).collect())
        }
        _ => None,
    }
}

/// The number of results that the function has.
pub(super) fn count(returns: &ResultLayout) -> usize {
    match returns {
        ResultLayout::Nothing | ResultLayout::Area | ResultLayout::Known { area: true, .. } => 0,
        ResultLayout::Known {
            ty, era, fallible, ..
        } => cores(ty, *era, *fallible).len(),
        ResultLayout::Pair(fallible) => 2 + 2 * usize::from(*fallible),
    }
}

/// Reads the result of a call.
///
/// # Errors
/// [`Returned`], `bad-result`, a bad pointer, the limit of a result.
pub(super) fn read<T: Holder>(
    guest: &mut Guest<'_, T>,
    returns: &ResultLayout,
    area: Option<u32>,
    values: &[Val],
    limit: u64,
) -> wasmtime::Result<Value> {
    match (returns, area) {
        (ResultLayout::Nothing, _) => Ok(Value::Unit),
        (
            ResultLayout::Known {
                ty, era, fallible, ..
            },
            Some(area),
        ) => {
            let cores = cores(ty, *era, *fallible);
            let values = load(guest, area, &cores)?;
            known(guest, ty, *era, *fallible, &values, limit)
        }
        (
            ResultLayout::Known {
                ty, era, fallible, ..
            },
            None,
        ) => known(guest, ty, *era, *fallible, values, limit),
        (ResultLayout::Area, Some(area)) => {
            let words = guest.read(area, 4 * WORDS as u32)?;
            let (words, _) = words.as_chunks::<4>();
            let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
            match *words.as_slice() {
                [pointer, length, UNTOUCHED, UNTOUCHED] => text(guest, pointer, length, limit),
                // A `Result` without a value or with one word, which can be read only if it is an error.
                [_, error, 1, UNTOUCHED] => Err(Returned(error).into()),
                [pointer, length, error, flag] => {
                    fallible_text(guest, [pointer, length, error, flag], limit)
                }
                _ => Err(bad()),
            }
        }
        (ResultLayout::Pair(_), _) => match *values {
            [Val::I32(pointer), Val::I32(length)] => text(
                guest,
                pointer.cast_unsigned(),
                length.cast_unsigned(),
                limit,
            ),
            [
                Val::I32(pointer),
                Val::I32(length),
                Val::I32(error),
                Val::I32(flag),
            ] => {
                let words = [pointer, length, error, flag].map(i32::cast_unsigned);
                fallible_text(guest, words, limit)
            }
            _ => Err(bad()),
        },
        (ResultLayout::Area, None) => Err(bad()),
    }
}

/// Loads the values of a return area.
fn load<T: Holder>(
    guest: &mut Guest<'_, T>,
    area: u32,
    cores: &[Core],
) -> wasmtime::Result<Vec<Val>> {
    let (offsets, size) = layout::offsets(cores);
    let bytes = guest.read(area, size)?;
    let word = |at: u32| {
        bytes
            .get(at as usize..)
            .and_then(|rest| rest.first_chunk())
            .map_or(0, |word| u32::from_le_bytes(*word))
    };
    let double = |at: u32| u64::from(word(at)) | (u64::from(word(at + 4)) << 32);
    let value = |(core, at): (&Core, u32)| match core {
        Core::I64 => Val::I64(double(at).cast_signed()),
        Core::F64 => Val::F64(double(at)),
        Core::F32 => Val::F32(word(at)),
        Core::I32 | Core::Other => Val::I32(word(at).cast_signed()),
    };
    Ok(cores.iter().zip(offsets).map(value).collect())
}

fn known<T: Holder>(
    guest: &mut Guest<'_, T>,
    ty: &Type,
    era: Era,
    fallible: ErrorLayout,
    values: &[Val],
    limit: u64,
) -> wasmtime::Result<Value> {
    let values = match (fallible, values) {
        (ErrorLayout::No, values) => values,
        (_, [values @ .., Val::I32(error), Val::I32(flag)]) => {
            if *flag != 0 {
                return Err(Returned(error.cast_unsigned()).into());
            }
            values
        }
        _ => return Err(bad()),
    };
    lift(guest, ty, era, values, limit)
}

/// Reads a text of a function without known types.
fn text<T: Holder>(
    guest: &mut Guest<'_, T>,
    pointer: u32,
    length: u32,
    limit: u64,
) -> wasmtime::Result<Value> {
    let (objects, _) = guest.store.data_mut().objects();
    // The handle and the flag of a `Result` without a value: a handle of the host, or a reference to an error.
    if length == 1 && (objects.get(pointer).is_some() || pointer < LOW && objects.last().is_some())
    {
        return Err(Returned(pointer).into());
    }
    // The flag of an optional number, and the number: a text never lies at address 1.
    if pointer == 1 && length > 0 {
        return Err(bad());
    }
    fetch(guest, pointer, length, limit).map(Value::Text)
}

/// Reads a text of a function without known types, behind which an error and a flag follow.
fn fallible_text<T: Holder>(
    guest: &mut Guest<'_, T>,
    [pointer, length, error, flag]: [u32; WORDS],
    limit: u64,
) -> wasmtime::Result<Value> {
    match flag {
        1 => Err(Returned(error).into()),
        // The address of an empty text dangles; a number may have any value.
        0 if length > 0 || pointer <= 1 => fetch(guest, pointer, length, limit).map(Value::Text),
        _ => Err(bad()),
    }
}
