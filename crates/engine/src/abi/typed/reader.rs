//! A reader of JSON as values of a component's types, without a tree in between.

use super::lower::{Room, list_of_bytes};
use super::{describe, keys};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;
use wasmtime::component::{Type, Val};

/// Reads one value of a type.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) ty: &'a Type,
    pub(super) room: &'a Room,
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

    /// The inner type of an option whose value is written without `{"some": …}`.
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

    /// A number as a value of a floating-point type, if it is in range.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "to the nearest of single precision"
    )]
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

    #[expect(
        clippy::cast_precision_loss,
        reason = "a number of JSON becomes the nearest that the type has"
    )]
    fn visit_i64<E: Error>(self, value: i64) -> Result<Val, E> {
        if let Some(inside) = self.inside() {
            return Self::some(self.of(&inside).visit_i64(value));
        }
        match self.is_float() {
            true => self.float(value as f64),
            false => self.integer(value.into()),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a number of JSON becomes the nearest that the type has"
    )]
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
            // Integers may be written as 1.0 or 1e3.
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
                    let at = at.unwrap_or(fields.len());
                    let (Some(slot), Some((_, ty))) = (values.get_mut(at), fields.get(at)) else {
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
            Type::Map(of) => {
                let (key, value) = (of.key(), of.value());
                let (mut names, mut pairs) = (HashSet::new(), vec![]);
                while let Some(name) = map.next_key::<String>()? {
                    // In its key, and among the names.
                    let size = 2 * name.len() + size_of::<String>() + size_of::<Val>();
                    self.room.take(size).map_err(Error::custom)?;
                    let shown = || name.chars().take(40).collect::<String>();
                    let Some(key) = keys::key(&key, &name) else {
                        return self.wrong(&format!("a key `{}`", shown()));
                    };
                    if names.contains(&name) {
                        return self.wrong(&format!("`{}` twice", shown()));
                    }
                    names.insert(name);
                    pairs.push((key, map.next_value_seed(self.of(&value))?));
                }
                Ok(Val::Map(pairs))
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
            // An option whose value itself could be null.
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
