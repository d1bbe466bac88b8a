//! Types of arguments, and the form in which each arrives.
//!
//! Texts, bytes and numbers arrive as wasm-bindgen had them. What it had for JavaScript alone (arrays of numbers, values
//! of any type, numbers that may be missing) arrives as JSON, and a text or bytes that may be missing as empty ones.

use crate::abi::{Incoming, fail};
use crate::{JsValue, json};

/// An argument by value.
#[diagnostic::on_unimplemented(
    message = "a function that iof calls cannot take `{Self}`",
    label = "no argument arrives as this",
    note = "it takes texts (`&str`, `String`), bytes (`&[u8]`, `Vec<u8>`), numbers, `bool`, `char`, arrays of numbers, `Option` of those, and `JsValue`",
    note = "take anything else as JSON: a `&str` for `serde_json::from_str`"
)]
pub trait Argument: Sized {
    /// The form in which it arrives.
    type Wire: Incoming;
    /// The word for it in the function's description.
    const TYPE: &'static str;
    /// The argument.
    fn from_wire(wire: Self::Wire) -> Self;
}

/// An argument by reference, of what this type borrows.
#[diagnostic::on_unimplemented(
    message = "a function that iof calls cannot take `&{Self}`",
    label = "no argument arrives as a reference to this",
    note = "by reference it takes `&str`, `&[u8]`, slices of numbers and `&JsValue`",
    note = "take anything else as JSON: a `&str` for `serde_json::from_str`"
)]
pub trait Borrowed {
    /// The form in which it arrives.
    type Wire: Incoming;
    /// The owner of the value during the call.
    type Held;
    /// The word for it in the function's description.
    const TYPE: &'static str;
    /// Keeps the argument for the call.
    fn hold(wire: Self::Wire) -> Self::Held;
    /// Lends it.
    fn lend(held: &Self::Held) -> &Self;
}

/// A type whose argument may be missing.
#[diagnostic::on_unimplemented(
    message = "a function that iof calls cannot take `Option<{Self}>`",
    label = "no argument arrives as this",
    note = "what may be missing is a `String`, `Vec<u8>`, a number, `bool`, `char` or an array of numbers"
)]
pub trait Optional: Sized {
    /// The form in which it arrives.
    type Wire: Incoming;
    /// The word for it in the function's description.
    const TYPE: &'static str;
    /// The argument, if it came.
    fn from_wire(wire: Self::Wire) -> Option<Self>;
}

impl<T: Optional> Argument for Option<T> {
    type Wire = T::Wire;
    const TYPE: &'static str = T::TYPE;
    fn from_wire(wire: T::Wire) -> Self {
        T::from_wire(wire)
    }
}

/// The host sends UTF-8. A byte that is not becomes U+FFFD rather than undefined behaviour.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn misfit(found: &str, wanted: &str) -> ! {
    let shown: String = found.chars().take(80).collect();
    fail("arguments", &format!("`{shown}` is not {wanted}."))
}

impl Argument for String {
    type Wire = Vec<u8>;
    const TYPE: &'static str = "string";
    fn from_wire(wire: Vec<u8>) -> Self {
        text(wire)
    }
}

impl Borrowed for str {
    type Wire = Vec<u8>;
    type Held = String;
    const TYPE: &'static str = "string";
    fn hold(wire: Vec<u8>) -> String {
        text(wire)
    }
    fn lend(held: &String) -> &str {
        held
    }
}

impl Optional for String {
    type Wire = Vec<u8>;
    const TYPE: &'static str = "string";
    fn from_wire(wire: Vec<u8>) -> Option<Self> {
        (!wire.is_empty()).then(|| text(wire))
    }
}

impl Argument for Box<str> {
    type Wire = Vec<u8>;
    const TYPE: &'static str = "string";
    fn from_wire(wire: Vec<u8>) -> Self {
        text(wire).into()
    }
}

impl Argument for Vec<u8> {
    type Wire = Vec<u8>;
    const TYPE: &'static str = "bytes";
    fn from_wire(wire: Vec<u8>) -> Self {
        wire
    }
}

impl Argument for Box<[u8]> {
    type Wire = Vec<u8>;
    const TYPE: &'static str = "bytes";
    fn from_wire(wire: Vec<u8>) -> Self {
        wire.into()
    }
}

impl Borrowed for [u8] {
    type Wire = Vec<u8>;
    type Held = Vec<u8>;
    const TYPE: &'static str = "bytes";
    fn hold(wire: Vec<u8>) -> Vec<u8> {
        wire
    }
    fn lend(held: &Vec<u8>) -> &[u8] {
        held
    }
}

impl Optional for Vec<u8> {
    type Wire = Vec<u8>;
    const TYPE: &'static str = "bytes";
    fn from_wire(wire: Vec<u8>) -> Option<Self> {
        (!wire.is_empty()).then_some(wire)
    }
}

impl Argument for bool {
    type Wire = i32;
    const TYPE: &'static str = "bool";
    fn from_wire(wire: i32) -> Self {
        wire != 0
    }
}

impl Optional for bool {
    type Wire = Vec<u8>;
    const TYPE: &'static str = "json";
    fn from_wire(wire: Vec<u8>) -> Option<Self> {
        let json = text(wire);
        match json.trim() {
            "" | "null" => None,
            "true" => Some(true),
            "false" => Some(false),
            other => misfit(other, "true, false or null"),
        }
    }
}

impl Argument for char {
    type Wire = Vec<u8>;
    const TYPE: &'static str = "string";
    fn from_wire(wire: Vec<u8>) -> Self {
        let text = text(wire);
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => c,
            _ => misfit(&text, "one character"),
        }
    }
}

impl Optional for char {
    type Wire = Vec<u8>;
    const TYPE: &'static str = "string";
    fn from_wire(wire: Vec<u8>) -> Option<Self> {
        (!wire.is_empty()).then(|| Argument::from_wire(wire))
    }
}

impl Argument for JsValue {
    type Wire = Vec<u8>;
    const TYPE: &'static str = "json";
    fn from_wire(wire: Vec<u8>) -> Self {
        Self::from_json(text(wire))
    }
}

impl Borrowed for JsValue {
    type Wire = Vec<u8>;
    type Held = Self;
    const TYPE: &'static str = "json";
    fn hold(wire: Vec<u8>) -> Self {
        Argument::from_wire(wire)
    }
    fn lend(held: &Self) -> &Self {
        held
    }
}

fn array<T: std::str::FromStr>(wire: Vec<u8>, of: &str) -> Vec<T> {
    let json = text(wire);
    json::numbers(&json).unwrap_or_else(|| misfit(&json, &format!("a JSON array of {of}")))
}

macro_rules! arrays {
    ($($number:ty)*) => {$(
        impl Argument for Vec<$number> {
            type Wire = Vec<u8>;
            const TYPE: &'static str = "json";
            fn from_wire(wire: Vec<u8>) -> Self {
                array(wire, stringify!($number))
            }
        }
        impl Argument for Box<[$number]> {
            type Wire = Vec<u8>;
            const TYPE: &'static str = "json";
            fn from_wire(wire: Vec<u8>) -> Self {
                <Vec<$number> as Argument>::from_wire(wire).into()
            }
        }
        impl Optional for Vec<$number> {
            type Wire = Vec<u8>;
            const TYPE: &'static str = "json";
            fn from_wire(wire: Vec<u8>) -> Option<Self> {
                let missing = matches!(wire.trim_ascii(), b"" | b"null");
                (!missing).then(|| Argument::from_wire(wire))
            }
        }
        impl Borrowed for [$number] {
            type Wire = Vec<u8>;
            type Held = Vec<$number>;
            const TYPE: &'static str = "json";
            fn hold(wire: Vec<u8>) -> Vec<$number> {
                Argument::from_wire(wire)
            }
            fn lend(held: &Vec<$number>) -> &[$number] {
                held
            }
        }
    )*};
}
arrays!(i8 i16 u16 i32 u32 i64 u64 isize usize f32 f64);

macro_rules! numbers {
    ($($number:ty as $wire:ty = $name:literal,)*) => {$(
        impl Argument for $number {
            type Wire = $wire;
            const TYPE: &'static str = $name;
            fn from_wire(wire: $wire) -> Self {
                // The host checked the range; the bits are those of the type.
                wire as $number
            }
        }
        impl Optional for $number {
            type Wire = Vec<u8>;
            const TYPE: &'static str = "json";
            fn from_wire(wire: Vec<u8>) -> Option<Self> {
                let json = text(wire);
                match json.trim() {
                    "" | "null" => None,
                    other => Some(json::number(other).unwrap_or_else(|| {
                        misfit(other, concat!("a number of type ", $name, " or null"))
                    })),
                }
            }
        }
    )*};
}
numbers! {
    i8 as i32 = "i8", u8 as i32 = "u8", i16 as i32 = "i16", u16 as i32 = "u16", i32 as i32 = "i32", u32 as i32 = "u32",
    // Of 32 bits where this code runs.
    isize as i32 = "i32", usize as i32 = "u32",
    i64 as i64 = "i64", u64 as i64 = "u64", f32 as f32 = "f32", f64 as f64 = "f64",
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from<T: Argument<Wire = Vec<u8>>>(text: &str) -> T {
        T::from_wire(text.into())
    }

    #[test]
    fn what_may_be_missing() {
        assert_eq!(from::<Option<String>>(""), None);
        assert_eq!(from::<Option<String>>("a"), Some("a".into()));
        assert_eq!(from::<Option<Vec<u8>>>(""), None);
        for missing in ["", "null", " null "] {
            assert_eq!(from::<Option<i32>>(missing), None);
            assert_eq!(from::<Option<bool>>(missing), None);
            assert_eq!(from::<Option<Vec<f64>>>(missing), None);
        }
        assert_eq!(from::<Option<i32>>("-7"), Some(-7));
        assert_eq!(from::<Option<u64>>("18446744073709551615"), Some(u64::MAX));
        assert_eq!(from::<Option<bool>>("true"), Some(true));
        assert_eq!(from::<Option<char>>("é"), Some('é'));
        assert_eq!(from::<Option<Vec<f64>>>("[1,2.5]"), Some(vec![1.0, 2.5]));
    }

    #[test]
    fn bits_of_a_number() {
        assert_eq!(<u32 as Argument>::from_wire(-1), u32::MAX);
        assert_eq!(<u64 as Argument>::from_wire(-1), u64::MAX);
        assert_eq!(<i8 as Argument>::from_wire(-1), -1);
    }

    #[test]
    fn what_is_not_utf_8_is_replaced() {
        assert_eq!(<str as Borrowed>::hold(vec![b'a', 0xff]), "a\u{fffd}");
    }

    #[test]
    #[should_panic(expected = "arguments: `ab` is not one character.")]
    fn two_characters_are_not_one() {
        from::<char>("ab");
    }

    #[test]
    #[should_panic(expected = "arguments: `[1.5]` is not a JSON array of i32.")]
    fn fractions_are_not_integers() {
        from::<Vec<i32>>("[1.5]");
    }
}
