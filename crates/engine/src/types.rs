//! Types of arguments and results, and the core types that carry them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A type that an author can write.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// Nothing.
    Unit,
    /// `bool`
    Bool,
    /// `i8`
    I8,
    /// `u8`
    U8,
    /// `i16`
    I16,
    /// `u16`
    U16,
    /// `i32`
    I32,
    /// `u32`
    U32,
    /// `i64`
    I64,
    /// `u64`
    U64,
    /// `i128`
    I128,
    /// `u128`
    U128,
    /// `f32`
    F32,
    /// `f64`
    F64,
    /// `char`
    Char,
    /// `&str` or `String`
    String,
    /// `&[u8]` or `Vec<u8>`
    Bytes,
    /// Any serde type, as JSON text.
    Json,
    /// A whole request: an argument that only the server can make.
    Request,
    /// A whole response: a result.
    Response,
    /// `Vec<T>`, `Box<[T]>` or `&[T]` of numbers, booleans, characters or texts.
    List(Box<Type>),
    /// `Option<T>`
    Option(Box<Type>),
    /// An enum without fields, passed as a number.
    Enum {
        /// The name of the enum.
        name: String,
        /// The number that stands for `None`.
        hole: u32,
    },
}

/// Every type that has a name, with the name.
const NAMES: [(&str, Type); 19] = [
    ("bool", Type::Bool),
    ("i8", Type::I8),
    ("u8", Type::U8),
    ("i16", Type::I16),
    ("u16", Type::U16),
    ("i32", Type::I32),
    ("u32", Type::U32),
    ("i64", Type::I64),
    ("u64", Type::U64),
    ("i128", Type::I128),
    ("u128", Type::U128),
    ("f32", Type::F32),
    ("f64", Type::F64),
    ("char", Type::Char),
    ("string", Type::String),
    ("bytes", Type::Bytes),
    ("json", Type::Json),
    ("request", Type::Request),
    ("response", Type::Response),
];

impl Type {
    /// The type that a word names.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let known = NAMES.iter().find(|(known, _)| *known == name);
        known.map(|(_, ty)| ty.clone())
    }

    /// Returns whether this is a whole request or response; only a module's description can name these types.
    pub(crate) fn is_exchange(&self) -> bool {
        matches!(self, Self::Request | Self::Response)
    }

    /// A list of this type; a list of bytes is [`Type::Bytes`].
    pub(crate) fn listed(self) -> Self {
        match self {
            Self::U8 => Self::Bytes,
            ty => Self::List(Box::new(ty)),
        }
    }

    /// The bytes of one element of a list in memory, if a list can have elements of this type.
    pub(crate) fn width(&self) -> Option<u32> {
        match self {
            Self::I8 | Self::U8 => Some(1),
            Self::I16 | Self::U16 => Some(2),
            // Booleans and characters are cells of 32 bits, texts are handles.
            Self::I32 | Self::U32 | Self::F32 | Self::Bool | Self::Char | Self::String => Some(4),
            Self::I64 | Self::U64 | Self::F64 => Some(8),
            _ => None,
        }
    }
}

/// The word for a type: `u32`, `[f64]` for a list, `string?` for an optional one.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit => f.write_str("()"),
            Self::List(element) => write!(f, "[{element}]"),
            Self::Option(inner) => write!(f, "{inner}?"),
            Self::Enum { name, .. } => write!(f, "enum {name}"),
            named => {
                let known = NAMES.iter().find(|(_, known)| known == named);
                f.write_str(known.map_or("?", |(name, _)| name))
            }
        }
    }
}

/// Every name that a caller can state, for tests and messages.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let stated = NAMES.iter().filter(|(_, ty)| !ty.is_exchange());
    stated.map(|(name, _)| *name)
}

/// A core value type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Core {
    /// `i32`
    I32,
    /// `i64`
    I64,
    /// `f32`
    F32,
    /// `f64`
    F64,
    /// A vector or a reference, which cannot be an argument.
    Other,
}

impl From<&wasmparser::ValType> for Core {
    fn from(ty: &wasmparser::ValType) -> Self {
        match ty {
            wasmparser::ValType::I32 => Self::I32,
            wasmparser::ValType::I64 => Self::I64,
            wasmparser::ValType::F32 => Self::F32,
            wasmparser::ValType::F64 => Self::F64,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Other => "other",
        })
    }
}

/// Core types in their written form: `i32, i64`.
pub(crate) fn listed(types: &[Core]) -> String {
    let names: Vec<_> = types.iter().map(ToString::to_string).collect();
    names.join(", ")
}
