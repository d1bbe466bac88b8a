//! Lists, written as JSON.

use crate::Value;
use crate::abi::guest::{Guest, result};
use crate::abi::objects::Holder;
use crate::limits::LimitExceeded;
use crate::types::Type;
use iof_fault::{Fault, FaultKind};
use std::io::Write;

/// The elements of a list, as JSON.
pub(super) fn list<T: Holder>(
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
        // Every element takes at least a digit and a comma: a list of more bytes than this exceeds the limit of the
        // output.
        _ => result(guest.data()?, pointer, size, limit.saturating_mul(4))?,
    };
    let mut json = vec![b'['];
    for (at, cell) in bytes.chunks_exact(width as usize).enumerate() {
        if at > 0 {
            json.push(b',');
        }
        write_element(element, cell, &mut json)?;
        if json.len() as u64 >= limit {
            return Err(LimitExceeded::Output.into());
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
            return Err(LimitExceeded::Output.into());
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
        // A number that JSON cannot write becomes `null`.
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
/// The fault of a result that does not have its type.
pub(super) fn bad() -> wasmtime::Error {
    Fault::new(
        FaultKind::BadResult,
        "The function returned what is not a value of its type, or not a text where its type is not known. State its \
         types with the header iof-signature, such as `(u32) -> u32`.",
    )
    .into()
}
