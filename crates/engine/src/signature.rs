//! Types that a caller states, for modules that do not declare theirs: `(i64, string) -> i64`.
//!
//! A core type does not distinguish signed from unsigned numbers, a text from two numbers, or one number of 64 bits
//! from two of 32. A caller who knows the types states them with the call; nothing is guessed.

use crate::types::{Type, names};
use iof_fault::{Fault, FaultKind};
use std::fmt;

/// The types of one function, as its caller states them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatedSignature {
    pub(crate) params: Vec<Type>,
    pub(crate) result: Type,
}

/// The most parameters that WebAssembly allows a function.
const PARAMS: usize = 1000;

impl StatedSignature {
    /// Reads `(i64, string) -> i64`: parameters in parentheses, an arrow, a result, which is `()` for none.
    ///
    /// # Errors
    /// `signature`, naming the word that is not a type.
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
                .map(|word| parse(word.trim()))
                .collect::<Result<Vec<_>, _>>()?,
        };
        if params.len() > PARAMS {
            return Err(refused("has more than 1000 parameters", ""));
        }
        let result = match result.trim() {
            "()" => Type::Unit,
            word => parse(word)?,
        };
        Ok(Self { params, result })
    }
}

fn parse(word: &str) -> Result<Type, Fault> {
    let plain = |word: &str| {
        let element = word
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .map(str::trim);
        match element {
            None => Type::of_name(word).filter(|ty| !ty.is_exchange()),
            // Texts in a list are JavaScript values, which a caller cannot state; only modules that declare them can
            // have them.
            Some("string") => None,
            Some(name) => Type::of_name(name)
                .filter(|ty| ty.width().is_some())
                .map(Type::listed),
        }
    };
    let ty = match word.strip_suffix('?') {
        None => plain(word),
        Some(inner) => plain(inner.trim())
            .filter(|ty| *ty != Type::Json)
            .map(|ty| Type::Option(Box::new(ty))),
    };
    ty.ok_or_else(|| refused("has no type", word))
}

/// The fault of an invalid word, with the grammar.
fn refused(what: &str, word: &str) -> Fault {
    let word: String = word.trim().chars().take(40).collect();
    let word = if word.is_empty() {
        "nothing".to_owned()
    } else {
        format!("`{word}`")
    };
    let names: Vec<_> = names().collect();
    Fault::new(
        FaultKind::Signature,
        format!(
            "The stated signature {what}: {word}. Write it as `(i64, string) -> i64`, with the types {}, lists such as \
             [i32], optional ones such as u32?, and `-> ()` for no result.",
            names.join(", ")
        ),
    )
}

impl fmt::Display for StatedSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params: Vec<_> = self.params.iter().map(ToString::to_string).collect();
        write!(f, "({}) -> {}", params.join(", "), self.result)
    }
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
            (
                "([f32]?, string ?, char) -> u128?",
                "([f32]?, string?, char) -> u128?",
            ),
        ] {
            assert_eq!(parse(text).to_string(), same, "{text}");
            assert_eq!(parse(same), parse(text));
        }
        let every: Vec<_> = names().collect();
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
            ("([string]) -> i32", "`[string]`"),
            ("(json?) -> i32", "`json?`"),
            ("(i32??) -> i32", "`i32??`"),
            ("([[i32]]) -> i32", "`[[i32]]`"),
            ("(i32) -> ", "no type: nothing"),
            ("(i32) -> (i32)", "`(i32)`"),
            ("(I32) -> i32", "`I32`"),
            ("(i32) -> i32 -> i32", "`i32 -> i32`"),
        ] {
            let fault = StatedSignature::parse(text).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Signature, "{text}");
            assert!(fault.message.contains(word), "{text}: {}", fault.message);
            assert!(fault.message.contains("(i64, string) -> i64"));
        }
        let many = format!("({}i32) -> ()", "i32,".repeat(1000));
        assert!(StatedSignature::parse(&many).is_err());
        assert!(StatedSignature::parse(&many.replacen("i32,", "", 1)).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_safe(text in "[()\\[\\]a-z0-9?, >-]{0,40}|.{0,40}") {
            if let Ok(signature) = StatedSignature::parse(&text) {
                proptest::prop_assert_eq!(StatedSignature::parse(&signature.to_string()).unwrap(), signature);
            }
        }
    }
}
