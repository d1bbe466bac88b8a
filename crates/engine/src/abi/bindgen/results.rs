//! What a function of this ABI returned, from its core values or from its return area.
//!
//! Everything is the guest's word: a pointer, a length and a handle are checked before they are followed, and nothing is
//! written that is larger than a result may be.
//!
//! Of a function whose types nobody says, a text is expected. What it leaves behind pointer and length shows when it was
//! something else: such a result is refused, because it cannot be told what it is.

use super::super::guest::{Guest, result};
use super::layout::{self, Era, FLOAT_NONE, NARROW_NONE};
use super::{Fallible, Returns, whole};
use crate::Value;
use crate::host::objects::Holder;
use crate::limits::Reached;
use crate::manifest::{Core, Type};
use bytes::Bytes;
use iof_fault::{Fault, FaultKind};
use std::io::Write;
use wasmtime::Val;

/// The function returned an error, which has this handle.
#[derive(Debug, thiserror::Error)]
#[error("the function returned an error")]
pub(crate) struct Returned(pub(crate) u32);

/// Core values of the largest result: an optional number of 64 bits in halves, an error, a flag.
pub(super) const MOST: usize = 6;
/// Words of an area for a text: pointer, length, error, flag.
const WORDS: usize = 4;
/// What the last two of them hold before the call.
const UNTOUCHED: u32 = 0xa5a5_a5a5;
/// Below this lie no texts that a function returns, and all handles of references.
const LOW: u32 = 1 << 16;

/// Core types of a known result, with its error.
fn cores(ty: &Type, era: Era, fallible: Fallible) -> Vec<Core> {
    let mut cores = vec![];
    layout::flatten(ty, era, &mut cores);
    if fallible != Fallible::No {
        cores.extend([Core::I32, Core::I32]);
    }
    cores
}

/// The return area before the call, if there is one.
pub(super) fn area(returns: &Returns) -> Option<Vec<u8>> {
    match returns {
        Returns::Known {
            ty,
            era,
            area: true,
            fallible,
        } => {
            let (_, size) = layout::offsets(&cores(ty, *era, *fallible));
            Some(vec![0; size as usize])
        }
        Returns::Area => {
            let words = [0, 0, UNTOUCHED, UNTOUCHED];
            Some(words.into_iter().flat_map(u32::to_le_bytes).collect())
        }
        _ => None,
    }
}

/// How many results the function has.
pub(super) fn count(returns: &Returns) -> usize {
    match returns {
        Returns::Nothing | Returns::Area | Returns::Known { area: true, .. } => 0,
        Returns::Known {
            ty, era, fallible, ..
        } => cores(ty, *era, *fallible).len(),
        Returns::Pair(fallible) => 2 + 2 * usize::from(*fallible),
    }
}

/// Reads the result.
///
/// # Errors
/// [`Returned`], `bad-result`, a bad pointer, the limit of what may be returned.
pub(super) fn read<T: Holder>(
    guest: &mut Guest<'_, T>,
    returns: &Returns,
    area: Option<u32>,
    values: &[Val],
    limit: u64,
) -> wasmtime::Result<Value> {
    match (returns, area) {
        (Returns::Nothing, _) => Ok(Value::Unit),
        (
            Returns::Known {
                ty, era, fallible, ..
            },
            Some(area),
        ) => {
            let cores = cores(ty, *era, *fallible);
            let values = load(guest, area, &cores)?;
            known(guest, ty, *era, *fallible, &values, limit)
        }
        (
            Returns::Known {
                ty, era, fallible, ..
            },
            None,
        ) => known(guest, ty, *era, *fallible, values, limit),
        (Returns::Area, Some(area)) => {
            let words = guest.read(area, 4 * WORDS as u32)?;
            let (words, _) = words.as_chunks::<4>();
            let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
            match *words.as_slice() {
                [pointer, length, UNTOUCHED, UNTOUCHED] => text(guest, pointer, length, limit),
                // A `Result` of nothing or of one word, which came out as it should only if it is an error.
                [_, error, 1, UNTOUCHED] => Err(Returned(error).into()),
                [pointer, length, error, flag] => {
                    fallible_text(guest, [pointer, length, error, flag], limit)
                }
                _ => Err(bad()),
            }
        }
        (Returns::Pair(_), _) => match *values {
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
        (Returns::Area, None) => Err(bad()),
    }
}

/// The values of an area.
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
    fallible: Fallible,
    values: &[Val],
    limit: u64,
) -> wasmtime::Result<Value> {
    let values = match (fallible, values) {
        (Fallible::No, values) => values,
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

/// A value of a known type.
fn lift<T: Holder>(
    guest: &mut Guest<'_, T>,
    ty: &Type,
    era: Era,
    values: &[Val],
    limit: u64,
) -> wasmtime::Result<Value> {
    let null = || Ok(Value::Json(Bytes::from_static(b"null")));
    match (ty, values) {
        (Type::Unit, _) => Ok(Value::Unit),
        (Type::Option(inner), [Val::F64(bits)]) if era.float_options && floats(inner) => {
            let number = f64::from_bits(*bits);
            if FLOAT_NONE.contains(&number) {
                return null();
            }
            float(inner, number).ok_or_else(bad)
        }
        (Type::Option(inner), [Val::I32(tag), values @ ..]) if layout::is_tagged(inner) => {
            match tag {
                0 => null(),
                1 => lift(guest, inner, era, values, limit),
                _ => Err(bad()),
            }
        }
        (Type::Option(inner), values) => {
            let none = match (&**inner, values) {
                (Type::Enum { hole, .. }, [Val::I32(n)]) => n.cast_unsigned() == *hole,
                (Type::Enum { hole, .. }, [Val::F64(n)]) => f64::from_bits(*n) == f64::from(*hole),
                (_, [Val::I32(n)]) => *n == NARROW_NONE,
                (_, [Val::I32(pointer), Val::I32(_)]) => *pointer == 0,
                _ => return Err(bad()),
            };
            if none {
                null()
            } else {
                lift(guest, inner, era, values, limit)
            }
        }
        (Type::Enum { .. }, [Val::F64(bits)]) => {
            float(&Type::I64, f64::from_bits(*bits)).ok_or_else(bad)
        }
        (Type::I64 | Type::U64, [Val::I32(low), Val::I32(high)]) => {
            scalar(ty, &Val::I64(whole(*low, *high))).ok_or_else(bad)
        }
        (Type::I128 | Type::U128, [Val::I64(low), Val::I64(high)]) => {
            let value = u128::from(low.cast_unsigned()) | (u128::from(high.cast_unsigned()) << 64);
            Ok(match (ty, i128::try_from(value)) {
                (Type::I128, _) => Value::Integer(value.cast_signed()),
                (_, Ok(value)) => Value::Integer(value),
                (_, Err(_)) => Value::Json(value.to_string().into()),
            })
        }
        (Type::String | Type::Bytes | Type::Json, [Val::I32(pointer), Val::I32(length)]) => {
            let bytes = fetch(
                guest,
                pointer.cast_unsigned(),
                length.cast_unsigned(),
                limit,
            )?;
            Ok(match ty {
                Type::Bytes => Value::Bytes(bytes),
                _ => Value::Text(bytes),
            })
        }
        (Type::List(element), [Val::I32(pointer), Val::I32(count)]) => list(
            guest,
            element,
            pointer.cast_unsigned(),
            count.cast_unsigned(),
            limit,
        ),
        (ty, [value]) => scalar(ty, value).ok_or_else(bad),
        _ => Err(bad()),
    }
}

fn floats(inner: &Type) -> bool {
    matches!(inner, Type::I32 | Type::U32 | Type::F32)
}

/// A number of 32 bits, or an enum's, that came as an `f64`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a value that was an f32 or an integer is one"
)]
fn float(ty: &Type, number: f64) -> Option<Value> {
    let whole = number.fract() == 0.0 && number.abs() < 9e15;
    match ty {
        Type::F32 => Some(Value::F32(number as f32)),
        _ => whole.then(|| Value::Integer(number as i128)),
    }
}

fn scalar(ty: &Type, value: &Val) -> Option<Value> {
    Some(match (ty, value) {
        (Type::Bool, Val::I32(n)) => Value::Bool(*n != 0),
        (Type::Char, Val::I32(n)) => {
            Value::Text(char::from_u32(n.cast_unsigned())?.to_string().into())
        }
        (Type::U8 | Type::U16 | Type::U32, Val::I32(n)) => Value::Integer(n.cast_unsigned().into()),
        (Type::U64, Val::I64(n)) => Value::Integer(n.cast_unsigned().into()),
        (_, Val::I32(n)) => Value::Integer((*n).into()),
        (_, Val::I64(n)) => Value::Integer((*n).into()),
        (_, Val::F32(bits)) => Value::F32(f32::from_bits(*bits)),
        (_, Val::F64(bits)) => Value::F64(f64::from_bits(*bits)),
        _ => return None,
    })
}

/// A text of a function whose types nobody says.
fn text<T: Holder>(
    guest: &mut Guest<'_, T>,
    pointer: u32,
    length: u32,
    limit: u64,
) -> wasmtime::Result<Value> {
    let (objects, _) = guest.store.data_mut().objects();
    // The handle and the flag of a `Result` of nothing: a handle of ours, or of a reference to an error that was made.
    if length == 1 && (objects.get(pointer).is_some() || pointer < LOW && objects.last().is_some())
    {
        return Err(Returned(pointer).into());
    }
    // The presence of an optional number, and the number: no text lies at the address 1.
    if pointer == 1 && length > 0 {
        return Err(bad());
    }
    fetch(guest, pointer, length, limit).map(Value::Text)
}

/// The same, where an error and a flag follow.
fn fallible_text<T: Holder>(
    guest: &mut Guest<'_, T>,
    [pointer, length, error, flag]: [u32; WORDS],
    limit: u64,
) -> wasmtime::Result<Value> {
    match flag {
        1 => Err(Returned(error).into()),
        // An empty text has the address of nothing; a number has any.
        0 if length > 0 || pointer <= 1 => fetch(guest, pointer, length, limit).map(Value::Text),
        _ => Err(bad()),
    }
}

/// The fault of a result that is not what it should be.
fn bad() -> wasmtime::Error {
    Fault::new(
        FaultKind::BadResult,
        "The function returned what is not a value of its type, or not a text where its type is not known. State its \
         types with the header iof-signature, such as `(u32) -> u32`.",
    )
    .into()
}

/// Copies bytes out of the memory.
fn fetch<T: Holder>(
    guest: &mut Guest<'_, T>,
    pointer: u32,
    length: u32,
    limit: u64,
) -> wasmtime::Result<Bytes> {
    Ok(match length {
        // Nothing is read, so a module without a memory may return it.
        0 => Bytes::new(),
        _ => Bytes::copy_from_slice(result(guest.data()?, pointer, length.into(), limit)?),
    })
}

/// The elements of a list, as JSON.
fn list<T: Holder>(
    guest: &mut Guest<'_, T>,
    element: &Type,
    pointer: u32,
    count: u32,
    limit: u64,
) -> wasmtime::Result<Value> {
    if *element == Type::String {
        return texts(guest, pointer, count, limit);
    }
    let width = element.width().ok_or_else(bad)?;
    let size = u64::from(count) * u64::from(width);
    let bytes = match count {
        0 => &[][..],
        // Every element is at least a digit and a comma: of more bytes than this, the list could not be written.
        _ => result(guest.data()?, pointer, size, limit.saturating_mul(4))?,
    };
    let mut json = vec![b'['];
    for (at, cell) in bytes.chunks_exact(width as usize).enumerate() {
        if at > 0 {
            json.push(b',');
        }
        write_element(element, cell, &mut json)?;
        if json.len() as u64 >= limit {
            return Err(Reached::Output.into());
        }
    }
    json.push(b']');
    Ok(Value::Json(json.into()))
}

/// A list of texts, each of which is a handle.
fn texts<T: Holder>(
    guest: &mut Guest<'_, T>,
    pointer: u32,
    count: u32,
    limit: u64,
) -> wasmtime::Result<Value> {
    let size = u64::from(count) * 4;
    let bytes = match count {
        0 => &[][..],
        _ => result(guest.data()?, pointer, size, limit.saturating_mul(2))?,
    };
    let (handles, _) = bytes.as_chunks::<4>();
    let handles: Vec<_> = handles
        .iter()
        .map(|word| u32::from_le_bytes(*word))
        .collect();
    let (objects, space) = guest.store.data_mut().objects();
    let mut json = vec![b'['];
    for (at, handle) in handles.into_iter().enumerate() {
        if at > 0 {
            json.push(b',');
        }
        let text = objects.remove(handle, space).ok_or_else(bad)?;
        serde_json::to_writer(&mut json, &text)?;
        if json.len() as u64 >= limit {
            return Err(Reached::Output.into());
        }
    }
    json.push(b']');
    Ok(Value::Json(json.into()))
}

fn write_element(element: &Type, cell: &[u8], json: &mut Vec<u8>) -> wasmtime::Result<()> {
    let mut low = [0; 8];
    for (to, from) in low.iter_mut().zip(cell) {
        *to = *from;
    }
    let double = u64::from_le_bytes(low);
    let [a, b, c, d, ..] = low;
    let word = u32::from_le_bytes([a, b, c, d]);
    match element {
        Type::I8 => write!(json, "{}", i8::from_le_bytes([a]))?,
        Type::I16 => write!(json, "{}", i16::from_le_bytes([a, b]))?,
        Type::U16 => write!(json, "{}", u16::from_le_bytes([a, b]))?,
        Type::I32 => write!(json, "{}", word.cast_signed())?,
        Type::U32 => write!(json, "{word}")?,
        Type::I64 => write!(json, "{}", double.cast_signed())?,
        Type::U64 => write!(json, "{double}")?,
        // A number that JSON has no word for is null there.
        Type::F32 => serde_json::to_writer(json, &f32::from_bits(word))?,
        Type::F64 => serde_json::to_writer(json, &f64::from_bits(double))?,
        Type::Bool => write!(json, "{}", word != 0)?,
        Type::Char => {
            let char = char::from_u32(word).ok_or_else(bad)?;
            serde_json::to_writer(json, &char)?;
        }
        _ => return Err(bad()),
    }
    Ok(())
}
