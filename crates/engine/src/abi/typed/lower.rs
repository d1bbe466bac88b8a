//! JSON as a value of a component's type.

use super::describe;
use crate::Arg;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;
use wasmtime::component::{Type, Val};

/// Bytes that the values of a call may still take on the host.
pub(super) struct Room(Cell<usize>);

impl Room {
    pub(super) fn new(bytes: u64) -> Self {
        Self(Cell::new(usize::try_from(bytes).unwrap_or(usize::MAX)))
    }

    fn take(&self, bytes: usize) -> Result<(), String> {
        let left = self.0.get().checked_sub(bytes);
        let left = left.ok_or("its values take more than limits.memory on the host")?;
        self.0.set(left);
        Ok(())
    }

    fn take_values(&self, count: usize) -> Result<(), String> {
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

/// The value of an argument that did not come: an empty text or list of bytes, or none, where the type has one.
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

fn list_of_bytes(bytes: &[u8], room: &Room) -> Result<Val, String> {
    room.take_values(bytes.len())?;
    Ok(Val::List(bytes.iter().map(|byte| Val::U8(*byte)).collect()))
}

/// Reads one value of a type.
#[derive(Clone, Copy)]
struct Reader<'a> {
    ty: &'a Type,
    room: &'a Room,
}

impl<'a> Reader<'a> {
    fn of<'b>(self, ty: &'b Type) -> Reader<'b>
    where
        'a: 'b,
    {
        Reader {
            ty,
            room: self.room,
        }
    }

    fn wrong<T, E: Error>(self, got: &str) -> Result<T, E> {
        Err(E::custom(format!(
            "wanted {}, got {got}",
            describe::text(self.ty)
        )))
    }

    /// The value of an option that is there, if this is the type of one whose value is written as it is.
    fn inside(self) -> Option<Type> {
        match self.ty {
            Type::Option(of) if !describe::is_wrapped(&of.ty()) => Some(of.ty()),
            _ => None,
        }
    }

    fn integer<E: Error>(self, number: i128) -> Result<Val, E> {
        let value = match self.ty {
            Type::U8 => number.try_into().ok().map(Val::U8),
            Type::S8 => number.try_into().ok().map(Val::S8),
            Type::U16 => number.try_into().ok().map(Val::U16),
            Type::S16 => number.try_into().ok().map(Val::S16),
            Type::U32 => number.try_into().ok().map(Val::U32),
            Type::S32 => number.try_into().ok().map(Val::S32),
            Type::U64 => number.try_into().ok().map(Val::U64),
            Type::S64 => number.try_into().ok().map(Val::S64),
            _ => None,
        };
        value.map_or_else(|| self.wrong(&number.to_string()), Ok)
    }

    /// A number of a floating-point type, if it has one that is as large.
    #[expect(clippy::cast_possible_truncation, reason = "to the nearest of single precision")]
    fn float<E: Error>(self, number: f64) -> Result<Val, E> {
        match self.ty {
            Type::Float64 => Ok(Val::Float64(number)),
            Type::Float32 => match number as f32 {
                single if single.is_finite() => Ok(Val::Float32(single)),
                _ => self.wrong(&number.to_string()),
            },
            _ => self.wrong(&number.to_string()),
        }
    }

    fn is_float(self) -> bool {
        matches!(self.ty, Type::Float32 | Type::Float64)
    }

    /// Wraps what was read of an option's value.
    fn some<E>(value: Result<Val, E>) -> Result<Val, E> {
        value.map(|value| Val::Option(Some(Box::new(value))))
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Val;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Val, D::Error> {
        self.room.take_values(1).map_err(D::Error::custom)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Val;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&describe::text(self.ty))
    }

    fn visit_unit<E: Error>(self) -> Result<Val, E> {
        match self.ty {
            Type::Option(_) => Ok(Val::Option(None)),
            _ => self.wrong("null"),
        }
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Val, E> {
        if let Some(inside) = self.inside() {
            return Self::some(self.of(&inside).visit_bool(value));
        }
        match self.ty {
            Type::Bool => Ok(Val::Bool(value)),
            _ => self.wrong(if value { "true" } else { "false" }),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a number of JSON is the nearest that the type has")]
    fn visit_i64<E: Error>(self, value: i64) -> Result<Val, E> {
        if let Some(inside) = self.inside() {
            return Self::some(self.of(&inside).visit_i64(value));
        }
        match self.is_float() {
            true => self.float(value as f64),
            false => self.integer(value.into()),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a number of JSON is the nearest that the type has")]
    fn visit_u64<E: Error>(self, value: u64) -> Result<Val, E> {
        if let Some(inside) = self.inside() {
            return Self::some(self.of(&inside).visit_u64(value));
        }
        match self.is_float() {
            true => self.float(value as f64),
            false => self.integer(value.into()),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and in range")]
    fn visit_f64<E: Error>(self, value: f64) -> Result<Val, E> {
        /// Whole numbers up to this one are exact.
        const EXACT: f64 = (1u64 << 53) as f64;
        if let Some(inside) = self.inside() {
            return Self::some(self.of(&inside).visit_f64(value));
        }
        match self.is_float() {
            true => self.float(value),
            // As it may be written: 1.0, 1e3.
            false if value.fract() == 0.0 && value.abs() <= EXACT => self.integer(value as i128),
            false => self.wrong(&value.to_string()),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Val, E> {
        if let Some(inside) = self.inside() {
            return Self::some(self.of(&inside).visit_str(text));
        }
        let quoted = || format!("{:?}", text.chars().take(40).collect::<String>());
        self.room.take(text.len()).map_err(E::custom)?;
        let value = match self.ty {
            Type::String => Some(Val::String(text.to_owned())),
            Type::Char => {
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(char), None) => Some(Val::Char(char)),
                    _ => None,
                }
            }
            Type::U64 => text.parse().ok().map(Val::U64),
            Type::S64 => text.parse().ok().map(Val::S64),
            Type::Float32 | Type::Float64 => {
                let number = match text {
                    "NaN" => Some(f32::NAN),
                    "Infinity" => Some(f32::INFINITY),
                    "-Infinity" => Some(f32::NEG_INFINITY),
                    _ => None,
                };
                number.map(|number| match self.ty {
                    Type::Float32 => Val::Float32(number),
                    _ => Val::Float64(number.into()),
                })
            }
            Type::Enum(of) => {
                let known = of.names().any(|name| name == text);
                known.then(|| Val::Enum(text.to_owned()))
            }
            Type::Variant(of) => {
                let known = of.cases().find(|case| case.name == text);
                known
                    .filter(|case| case.ty.is_none())
                    .map(|_| Val::Variant(text.to_owned(), None))
            }
            ty if describe::is_bytes(ty) => match BASE64_STANDARD.decode(text) {
                Ok(bytes) => Some(list_of_bytes(&bytes, self.room).map_err(E::custom)?),
                Err(_) => None,
            },
            _ => None,
        };
        value.map_or_else(|| self.wrong(&quoted()), Ok)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Val, A::Error> {
        if let Some(inside) = self.inside() {
            return Self::some(self.of(&inside).visit_seq(seq));
        }
        match self.ty {
            Type::List(of) if !describe::is_bytes(self.ty) => {
                let (element, mut values) = (of.ty(), vec![]);
                while let Some(value) = seq.next_element_seed(self.of(&element))? {
                    values.push(value);
                }
                Ok(Val::List(values))
            }
            Type::Tuple(of) => {
                let mut values = vec![];
                for ty in of.types() {
                    match seq.next_element_seed(self.of(&ty))? {
                        Some(value) => values.push(value),
                        None => return self.wrong(&format!("{} values", values.len())),
                    }
                }
                match seq.next_element::<serde::de::IgnoredAny>()? {
                    None => Ok(Val::Tuple(values)),
                    Some(_) => self.wrong(&format!("more than {} values", values.len())),
                }
            }
            Type::Flags(of) => {
                let mut names: Vec<String> = vec![];
                while let Some(name) = seq.next_element::<String>()? {
                    self.room
                        .take(name.len() + size_of::<String>())
                        .map_err(Error::custom)?;
                    if names.contains(&name) {
                        return self.wrong(&format!("`{name}` twice"));
                    }
                    if !of.names().any(|known| known == name) {
                        let name: String = name.chars().take(40).collect();
                        return self.wrong(&format!("`{name}`"));
                    }
                    names.push(name);
                }
                Ok(Val::Flags(names))
            }
            _ => self.wrong("an array"),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Val, A::Error> {
        if let Some(inside) = self.inside() {
            return Self::some(self.of(&inside).visit_map(map));
        }
        match self.ty {
            Type::Record(of) => {
                let fields: Vec<_> = of.fields().map(|field| (field.name, field.ty)).collect();
                let mut values: Vec<Option<Val>> = vec![None; fields.len()];
                while let Some(name) = map.next_key::<String>()? {
                    let at = fields.iter().position(|(known, _)| *known == name);
                    let Some((slot, (_, ty))) =
                        at.and_then(|at| Some((values.get_mut(at)?, fields.get(at)?)))
                    else {
                        let name: String = name.chars().take(40).collect();
                        return self.wrong(&format!("a field `{name}`"));
                    };
                    if slot.replace(map.next_value_seed(self.of(ty))?).is_some() {
                        return self.wrong(&format!("`{name}` twice"));
                    }
                }
                let fields = fields.into_iter().zip(values);
                let fields = fields.map(|((name, ty), value)| match (value, ty) {
                    (Some(value), _) => Ok((name.to_owned(), value)),
                    (None, Type::Option(_)) => Ok((name.to_owned(), Val::Option(None))),
                    (None, _) => self.wrong(&format!("no field `{name}`")),
                });
                Ok(Val::Record(fields.collect::<Result<_, _>>()?))
            }
            Type::Variant(of) => {
                let name = map.next_key::<String>()?.unwrap_or_default();
                let case = of.cases().find(|case| case.name == name);
                let Some(ty) = case.and_then(|case| case.ty) else {
                    let name: String = name.chars().take(40).collect();
                    return self.wrong(&format!("an object of `{name}`"));
                };
                let value = map.next_value_seed(self.of(&ty))?;
                self.ended(map)?;
                Ok(Val::Variant(name, Some(Box::new(value))))
            }
            Type::Result(of) => {
                let name = map.next_key::<String>()?.unwrap_or_default();
                let ty = match &*name {
                    "ok" => of.ok(),
                    "err" => of.err(),
                    _ => return self.wrong("an object of another name"),
                };
                let value = match ty {
                    Some(ty) => Some(Box::new(map.next_value_seed(self.of(&ty))?)),
                    None => {
                        map.next_value::<()>()?;
                        None
                    }
                };
                self.ended(map)?;
                Ok(Val::Result(match &*name {
                    "ok" => Ok(value),
                    _ => Err(value),
                }))
            }
            // An option whose value could be null itself.
            Type::Option(of) => {
                let name = map.next_key::<String>()?.unwrap_or_default();
                if name != "some" {
                    return self.wrong("an object of another name than `some`");
                }
                let value = map.next_value_seed(self.of(&of.ty()))?;
                self.ended(map)?;
                Ok(Val::Option(Some(Box::new(value))))
            }
            _ => self.wrong("an object"),
        }
    }
}

impl Reader<'_> {
    /// Checks that an object had one member.
    fn ended<'de, A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        match map.next_key::<String>()? {
            None => Ok(()),
            Some(_) => self.wrong("an object of several names"),
        }
    }
}
