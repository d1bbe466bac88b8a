//! The keys of maps, which JSON has as the names of an object.

use wasmtime::component::{Type, Val};

/// Returns whether keys of this type have one text each.
pub(super) fn are_names(ty: &Type) -> bool {
    matches!(
        ty,
        Type::String
            | Type::Char
            | Type::Bool
            | Type::U8
            | Type::S8
            | Type::U16
            | Type::S16
            | Type::U32
            | Type::S32
            | Type::U64
            | Type::S64
    )
}

/// A key as the name of a member.
pub(super) fn name(key: &Val) -> String {
    match key {
        Val::String(text) => text.clone(),
        Val::Char(char) => char.to_string(),
        Val::Bool(bool) => bool.to_string(),
        Val::U8(number) => number.to_string(),
        Val::S8(number) => number.to_string(),
        Val::U16(number) => number.to_string(),
        Val::S16(number) => number.to_string(),
        Val::U32(number) => number.to_string(),
        Val::S32(number) => number.to_string(),
        Val::U64(number) => number.to_string(),
        Val::S64(number) => number.to_string(),
        _ => String::new(),
    }
}

/// The name of a member as a key of a type. A number has one name: 7, and not 07.
pub(super) fn key(ty: &Type, of: &str) -> Option<Val> {
    let key = match ty {
        Type::String => Val::String(of.to_owned()),
        Type::Char => Val::Char(of.parse().ok()?),
        Type::Bool => Val::Bool(of.parse().ok()?),
        Type::U8 => Val::U8(of.parse().ok()?),
        Type::S8 => Val::S8(of.parse().ok()?),
        Type::U16 => Val::U16(of.parse().ok()?),
        Type::S16 => Val::S16(of.parse().ok()?),
        Type::U32 => Val::U32(of.parse().ok()?),
        Type::S32 => Val::S32(of.parse().ok()?),
        Type::U64 => Val::U64(of.parse().ok()?),
        Type::S64 => Val::S64(of.parse().ok()?),
        _ => return None,
    };
    (name(&key) == of).then_some(key)
}
