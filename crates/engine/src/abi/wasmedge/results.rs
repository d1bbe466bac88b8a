//! Results of this ABI: values that carry their types, anywhere in memory.
//!
//! The guest controls the table and everything in it. Nothing is copied before it is known to lie in memory. A million
//! entries may name the same bytes, so the output is bounded as it is written.

use super::super::guest::result;
use crate::Value;
use crate::limits::LimitExceeded;
use bytes::Bytes;
use iof_fault::{Fault, FaultKind};
use std::io::{self, Write};

/// Bytes of a table entry: pointer, type, bytes.
const ENTRY: u64 = 12;

/// The types, by the code in the table. Arrays of numbers are 20 more than the number.
const U8: u32 = 1;
const I8: u32 = 2;
const U16: u32 = 3;
const I16: u32 = 4;
const U32: u32 = 5;
const I32: u32 = 6;
const U64: u32 = 7;
const I64: u32 = 8;
const F32: u32 = 9;
const F64: u32 = 10;
const BOOL: u32 = 11;
const CHAR: u32 = 12;
const BYTES: u32 = 21;
const ARRAYS: std::ops::RangeInclusive<u32> = 21..=28;
const STRING: u32 = 31;

/// Reads `count` results: a single one unchanged, several or a list of numbers as JSON, none as no value.
///
/// # Errors
/// `bad-pointer` and `bad-result` for a malformed value, `output` for more than may be returned.
pub(super) fn read(memory: &[u8], table: u32, count: u32, limit: u64) -> wasmtime::Result<Value> {
    // Every entry takes at least a digit and a comma, so the JSON of a larger table would exceed the limit.
    let room = limit.saturating_mul(ENTRY);
    let table = result(memory, table, u64::from(count) * ENTRY, room)?;
    let (entries, _) = table.as_chunks::<{ ENTRY as usize }>();
    match entries {
        [] => Ok(Value::Unit),
        [one] => single(memory, one, limit),
        several => {
            let mut json = LimitedText::new(limit);
            for (at, entry) in several.iter().enumerate() {
                json.put(if at == 0 { b"[" } else { b"," })?;
                write(memory, entry, &mut json)?;
            }
            json.put(b"]")?;
            Ok(Value::Text(json.done()))
        }
    }
}

/// The fields of an entry: pointer, type and bytes.
fn parts(
    [p0, p1, p2, p3, t0, t1, t2, t3, l0, l1, l2, l3]: [u8; ENTRY as usize],
) -> (u32, u32, u32) {
    (
        u32::from_le_bytes([p0, p1, p2, p3]),
        u32::from_le_bytes([t0, t1, t2, t3]),
        u32::from_le_bytes([l0, l1, l2, l3]),
    )
}

fn single(memory: &[u8], entry: &[u8; ENTRY as usize], limit: u64) -> wasmtime::Result<Value> {
    let (pointer, code, length) = parts(*entry);
    match code {
        STRING | BYTES => {
            let bytes = Bytes::copy_from_slice(result(memory, pointer, length.into(), limit)?);
            Ok(match code {
                STRING => Value::Text(bytes),
                _ => Value::Bytes(bytes),
            })
        }
        code if ARRAYS.contains(&code) => {
            let mut json = LimitedText::new(limit);
            write(memory, entry, &mut json)?;
            Ok(Value::Text(json.done()))
        }
        code => {
            let bytes = result(memory, pointer, length.into(), 8)
                .map_err(|error| too_long(error, code, length))?;
            number(code, bytes).ok_or_else(|| bad(code, length))
        }
    }
}

/// A value of one of the scalar types, if `bytes` has the length of that type.
fn number(code: u32, bytes: &[u8]) -> Option<Value> {
    fn array<const W: usize>(bytes: &[u8]) -> Option<[u8; W]> {
        bytes.try_into().ok()
    }
    Some(match code {
        U8 => Value::Integer(u8::from_le_bytes(array(bytes)?).into()),
        I8 => Value::Integer(i8::from_le_bytes(array(bytes)?).into()),
        U16 => Value::Integer(u16::from_le_bytes(array(bytes)?).into()),
        I16 => Value::Integer(i16::from_le_bytes(array(bytes)?).into()),
        U32 => Value::Integer(u32::from_le_bytes(array(bytes)?).into()),
        I32 => Value::Integer(i32::from_le_bytes(array(bytes)?).into()),
        U64 => Value::Integer(u64::from_le_bytes(array(bytes)?).into()),
        I64 => Value::Integer(i64::from_le_bytes(array(bytes)?).into()),
        F32 => Value::F32(f32::from_le_bytes(array(bytes)?)),
        F64 => Value::F64(f64::from_le_bytes(array(bytes)?)),
        BOOL => Value::Bool(array::<1>(bytes)? != [0]),
        CHAR => {
            let char = char::from_u32(u32::from_le_bytes(array(bytes)?))?;
            Value::Text(char.to_string().into())
        }
        _ => return None,
    })
}

/// One value as JSON.
fn write(
    memory: &[u8],
    entry: &[u8; ENTRY as usize],
    json: &mut LimitedText,
) -> wasmtime::Result<()> {
    let (pointer, code, length) = parts(*entry);
    if code == STRING {
        let text = result(memory, pointer, length.into(), json.limit)?;
        return json.string(&String::from_utf8_lossy(text));
    }
    if !ARRAYS.contains(&code) {
        return match single(memory, entry, 8)? {
            // JSON cannot write NaN and infinities.
            Value::F32(n) if !n.is_finite() => json.put(b"null"),
            Value::F64(n) if !n.is_finite() => json.put(b"null"),
            Value::Text(char) => json.string(&String::from_utf8_lossy(&char)),
            value => json.put(&value.into_body()),
        };
    }
    let scalar = code - 20;
    let width: usize = match scalar {
        U8 | I8 => 1,
        U16 | I16 => 2,
        U32 | I32 => 4,
        _ => 8,
    };
    // Each element takes at least a digit and a comma.
    let room = json.limit.saturating_mul(width as u64);
    let bytes = result(memory, pointer, length.into(), room)?;
    if bytes.len() % width != 0 {
        return Err(bad(code, length));
    }
    json.put(b"[")?;
    for (at, element) in bytes.chunks_exact(width).enumerate() {
        if at > 0 {
            json.put(b",")?;
        }
        match number(scalar, element) {
            Some(Value::Integer(n)) => json.number(n)?,
            _ => return Err(bad(code, length)),
        }
    }
    json.put(b"]")
}

/// The error of a scalar longer than any type, which is malformed rather than over a limit.
fn too_long(error: wasmtime::Error, code: u32, length: u32) -> wasmtime::Error {
    match error.downcast_ref() {
        Some(LimitExceeded::Output) => bad(code, length),
        _ => error,
    }
}

fn bad(code: u32, length: u32) -> wasmtime::Error {
    let text = format!(
        "The function returned {length} bytes as a value of type {code}, which that type is not. It was probably not \
         built with wasmedge-bindgen 0.4; see docs/guide/functions.md."
    );
    Fault::new(FaultKind::BadResult, text).into()
}

/// A text that cannot grow beyond a limit.
struct LimitedText {
    text: Vec<u8>,
    limit: u64,
}

impl LimitedText {
    fn new(limit: u64) -> Self {
        Self {
            text: vec![],
            limit,
        }
    }

    fn put(&mut self, bytes: &[u8]) -> wasmtime::Result<()> {
        self.write_all(bytes)
            .map_err(|_| LimitExceeded::Output.into())
    }

    fn number(&mut self, n: i128) -> wasmtime::Result<()> {
        write!(self, "{n}").map_err(|_| LimitExceeded::Output.into())
    }

    fn string(&mut self, text: &str) -> wasmtime::Result<()> {
        serde_json::to_writer(self, text).map_err(|_| LimitExceeded::Output.into())
    }

    fn done(self) -> Bytes {
        self.text.into()
    }
}

impl Write for LimitedText {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.text.len() as u64).saturating_add(bytes.len() as u64) > self.limit {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
