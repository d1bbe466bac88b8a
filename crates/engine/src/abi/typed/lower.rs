//! Arguments as values of a component's types.

use super::describe;
use super::reader::Reader;
use crate::Arg;
use serde::de::DeserializeSeed as _;
use std::cell::Cell;
use wasmtime::component::{Type, Val};

/// The bytes that the values of a call may still take on the host.
pub(super) struct Room(Cell<usize>);

impl Room {
    pub(super) fn new(bytes: u64) -> Self {
        Self(Cell::new(usize::try_from(bytes).unwrap_or(usize::MAX)))
    }

    pub(super) fn take(&self, bytes: usize) -> Result<(), String> {
        let left = self.0.get().checked_sub(bytes);
        let left = left.ok_or("its values take more than limits.memory on the host")?;
        self.0.set(left);
        Ok(())
    }

    pub(super) fn take_values(&self, count: usize) -> Result<(), String> {
        self.take(count.saturating_mul(size_of::<Val>()))
    }
}

/// An argument as a value of a type: texts and bytes as they are, all else as JSON.
///
/// # Errors
/// A clause that states the problem.
pub(super) fn argument(ty: &Type, arg: &Arg, room: &Room) -> Result<Val, String> {
    let (Arg::Text(bytes) | Arg::Bytes(bytes) | Arg::Request(bytes)) = arg;
    if describe::is_bytes(ty) {
        return list_of_bytes(bytes, room);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        format!("it is not UTF-8 from byte {at} on")
    })?;
    match ty {
        Type::String => {
            room.take(text.len())?;
            Ok(Val::String(text.to_owned()))
        }
        ty => json(ty, text, room),
    }
}

/// An element of a JSON array as a value of a type.
///
/// # Errors
/// A clause that states the problem.
pub(super) fn element(ty: &Type, arg: &Arg, room: &Room) -> Result<Val, String> {
    let (Arg::Text(bytes) | Arg::Bytes(bytes) | Arg::Request(bytes)) = arg;
    json(ty, std::str::from_utf8(bytes).unwrap_or_default(), room)
}

/// The value of a missing argument: an empty text, an empty list of bytes or `none`, if the type has one of these.
pub(super) fn missing(ty: &Type) -> Option<Val> {
    match ty {
        Type::String => Some(Val::String(String::new())),
        Type::Option(_) => Some(Val::Option(None)),
        ty if describe::is_bytes(ty) => Some(Val::List(vec![])),
        _ => None,
    }
}

/// JSON as a value of a type.
///
/// # Errors
/// A clause that states the problem.
pub(super) fn json(ty: &Type, text: &str, room: &Room) -> Result<Val, String> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = Reader { ty, room }.deserialize(&mut json);
    let value = value.and_then(|value| json.end().map(|()| value));
    value.map_err(|error| error.to_string())
}

/// Bytes as a `list<u8>`.
pub(super) fn list_of_bytes(bytes: &[u8], room: &Room) -> Result<Val, String> {
    room.take_values(bytes.len())?;
    Ok(Val::List(bytes.iter().map(|byte| Val::U8(*byte)).collect()))
}
