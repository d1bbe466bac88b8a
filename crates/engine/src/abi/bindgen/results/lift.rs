//! Values of known types, lifted from core values.

use super::lists::{bad, list};
use crate::Value;
use crate::abi::guest::{Guest, result};
use crate::abi::layout::{self, Era, FLOAT_NONE, NARROW_NONE, whole};
use crate::abi::objects::Holder;
use crate::types::Type;
use bytes::Bytes;
use wasmtime::Val;

/// Lifts a value of a known type.
pub(super) fn lift<T: Holder>(
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
        (
            Type::String | Type::Bytes | Type::Json | Type::Response,
            [Val::I32(pointer), Val::I32(length)],
        ) => {
            let bytes = fetch(
                guest,
                pointer.cast_unsigned(),
                length.cast_unsigned(),
                limit,
            )?;
            Ok(match ty {
                Type::Bytes => Value::Bytes(bytes),
                Type::Response => Value::Response(bytes),
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

/// A number of 32 bits, or of an enum, in an `f64`.
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

/// Copies bytes out of the memory.
pub(super) fn fetch<T: Holder>(
    guest: &mut Guest<'_, T>,
    pointer: u32,
    length: u32,
    limit: u64,
) -> wasmtime::Result<Bytes> {
    Ok(match length {
        // No byte is read, so a module without a memory may return an empty text.
        0 => Bytes::new(),
        _ => Bytes::copy_from_slice(result(guest.data()?, pointer, length.into(), limit)?),
    })
}
