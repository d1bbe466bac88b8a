//! Types that a caller states, for modules that do not say theirs: `(i64, string) -> i64`.
//!
//! A core type tells neither signed from unsigned, nor text from two numbers, nor one number of 64 bits from two of 32.
//! A caller who knows says so with the call; nothing is guessed.

use crate::Fault;
use crate::manifest::Type;
use std::fmt;

/// The types of one function, as its caller states them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatedSignature {
    pub(crate) params: Vec<StatedType>,
    pub(crate) result: StatedType,
}

/// A type in such a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatedType {
    One(Type),
    /// Integers, which only the successor's ABI carries.
    Array(Type),
}

/// WebAssembly allows no function more.
const PARAMS: usize = 1000;

/// Every name, and what it stands for.
const NAMES: [(&str, Type); 14] = [
    ("bool", Type::Bool),
    ("i8", Type::I8),
    ("u8", Type::U8),
    ("i16", Type::I16),
    ("u16", Type::U16),
    ("i32", Type::I32),
    ("u32", Type::U32),
    ("i64", Type::I64),
    ("u64", Type::U64),
    ("f32", Type::F32),
    ("f64", Type::F64),
    ("string", Type::String),
    ("bytes", Type::Bytes),
    ("json", Type::Json),
];

impl StatedSignature {
    /// Reads `(i64, string) -> i64`: parameters in parentheses, an arrow, a result, which is `()` for none.
    ///
    /// # Errors
    /// `signature`, which names the word that is none.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let (params, result) = text
            .split_once("->")
            .ok_or_else(|| refused("has no arrow", text))?;
        let params = params
            .trim()
            .strip_prefix('(')
            .and_then(|rest| rest.strip_suffix(')'))
            .ok_or_else(|| refused("needs parentheses around its parameters, which are", params))?
            .trim();
        let params = match params {
            "" => vec![],
            _ => params
                .split(',')
                .take(PARAMS + 1)
                .map(|word| StatedType::parse(word.trim()))
                .collect::<Result<Vec<_>, _>>()?,
        };
        if params.len() > PARAMS {
            return Err(refused("has more than 1000 parameters", ""));
        }
        let result = match result.trim() {
            "()" => StatedType::One(Type::Unit),
            word => StatedType::parse(word)?,
        };
        Ok(Self { params, result })
    }
}

impl StatedType {
    fn parse(word: &str) -> Result<Self, Fault> {
        let element = word
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .map(str::trim);
        let ty = match element {
            None => of_name(word).map(Self::One),
            Some(name) => match of_name(name) {
                Some(Type::U8) => Some(Self::One(Type::Bytes)),
                Some(
                    ty @ (Type::I8
                    | Type::U16
                    | Type::I16
                    | Type::U32
                    | Type::I32
                    | Type::U64
                    | Type::I64),
                ) => Some(Self::Array(ty)),
                _ => None,
            },
        };
        ty.ok_or_else(|| refused("has no type", word))
    }
}

/// Names the word that offends, and the grammar.
fn refused(what: &str, word: &str) -> Fault {
    let word: String = word.trim().chars().take(40).collect();
    let word = if word.is_empty() {
        "nothing".to_owned()
    } else {
        format!("`{word}`")
    };
    Fault::client(
        "signature",
        format!(
            "The stated signature {what}: {word}. Write it as `(i64, string) -> i64`, with the types bool, i8, u8, \
             i16, u16, i32, u32, i64, u64, f32, f64, string, bytes, json, arrays of integers such as [i32], and `-> ()` for \
             no result."
        ),
    )
}

impl fmt::Display for StatedSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (at, ty) in self.params.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            ty.fmt(f)?;
        }
        write!(f, ") -> {}", self.result)
    }
}

impl fmt::Display for StatedType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(ty) => f.write_str(name(*ty)),
            Self::Array(ty) => write!(f, "[{}]", name(*ty)),
        }
    }
}

/// The type that a word names.
pub(crate) fn of_name(name: &str) -> Option<Type> {
    let known = NAMES.iter().find(|(known, _)| *known == name);
    known.map(|(_, ty)| *ty)
}

/// The word for a type.
pub(crate) fn name(ty: Type) -> &'static str {
    NAMES
        .iter()
        .find(|(_, known)| *known == ty)
        .map_or("()", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_meant() {
        let parse = |text| StatedSignature::parse(text).unwrap();
        for (text, same) in [
            ("(i64, string) -> i64", "(i64, string) -> i64"),
            (" ( bytes,u8 )->() ", "(bytes, u8) -> ()"),
            ("() -> f32", "() -> f32"),
            (
                "([i32], [ u64 ], [u8]) -> [i16]",
                "([i32], [u64], bytes) -> [i16]",
            ),
        ] {
            assert_eq!(parse(text).to_string(), same, "{text}");
            assert_eq!(parse(same), parse(text));
        }
        let every: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
        let every = format!("({}) -> ()", every.join(", "));
        assert_eq!(parse(&every).to_string(), every);
    }

    #[test]
    fn what_is_not_a_signature_is_named() {
        for (text, word) in [
            ("", "no arrow: nothing"),
            ("i32", "no arrow: `i32`"),
            ("i32 -> i32", "parentheses"),
            ("(i32, int) -> i32", "`int`"),
            ("(i32,) -> i32", "no type: nothing"),
            ("(()) -> i32", "`()`"),
            ("([f32]) -> i32", "`[f32]`"),
            ("([[i32]]) -> i32", "`[[i32]]`"),
            ("(i32) -> ", "no type: nothing"),
            ("(i32) -> (i32)", "`(i32)`"),
            ("(I32) -> i32", "`I32`"),
            ("(i32) -> i32 -> i32", "`i32 -> i32`"),
        ] {
            let fault = StatedSignature::parse(text).unwrap_err();
            assert_eq!((&*fault.code, fault.status), ("signature", 400), "{text}");
            assert!(fault.message.contains(word), "{text}: {}", fault.message);
            assert!(fault.message.contains("(i64, string) -> i64"));
        }
        let many = format!("({}i32) -> ()", "i32,".repeat(1000));
        assert!(StatedSignature::parse(&many).is_err());
        assert!(StatedSignature::parse(&many.replacen("i32,", "", 1)).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_safe(text in "[()\\[\\]a-z0-9, >-]{0,40}|.{0,40}") {
            if let Ok(signature) = StatedSignature::parse(&text) {
                proptest::prop_assert_eq!(StatedSignature::parse(&signature.to_string()).unwrap(), signature);
            }
        }
    }
}
