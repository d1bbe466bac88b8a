//! Types of results, and the form in which each leaves; the counterpart of [`crate::argument`].

use crate::abi::{Outgoing, fail};
use crate::{JsValue, json};

/// A result.
#[diagnostic::on_unimplemented(
    message = "a function that iof calls cannot return `{Self}`",
    label = "no result leaves as this",
    note = "it returns nothing, a text (`String`), bytes (`Vec<u8>`), a number, `bool`, `char`, an array of numbers, an `Option` of those, a `JsValue`, or a `Result` of those",
    note = "the error of a `Result` is a text (`String`, `&str`), a `JsValue` or a `JsError`",
    note = "return anything else as JSON: a `String` of `serde_json::to_string`"
)]
pub trait Answer {
    /// The form in which it leaves.
    type Wire: Outgoing;
    /// The word for it in the function's description.
    const TYPE: &'static str;
    /// True if the call can end in an error.
    const FALLIBLE: bool;
    /// The result; an error ends the call here.
    fn into_wire(self) -> Self::Wire;
}

/// A result that is no error.
#[diagnostic::on_unimplemented(
    message = "a function that iof calls cannot return `{Self}`",
    label = "no result leaves as this",
    note = "it returns nothing, a text (`String`), bytes (`Vec<u8>`), a number, `bool`, `char`, an array of numbers, an `Option` of those, a `JsValue`, or a `Result` of those",
    note = "return anything else as JSON: a `String` of `serde_json::to_string`"
)]
pub trait Output {
    /// The form in which it leaves.
    type Wire: Outgoing;
    /// The word for it in the function's description.
    const TYPE: &'static str;
    /// The result.
    fn into_wire(self) -> Self::Wire;
}

/// A type whose result may be missing.
#[diagnostic::on_unimplemented(
    message = "a function that iof calls cannot return `Option<{Self}>`",
    label = "no result leaves as this",
    note = "what may be nothing is a `String`, `Vec<u8>`, a number, `bool`, `char` or an array of numbers"
)]
pub trait Optional: Sized {
    /// The word for it in the function's description.
    const TYPE: &'static str;
    /// The result.
    fn into_wire(result: Option<Self>) -> Vec<u8>;
}

impl<T: Output> Answer for T {
    type Wire = T::Wire;
    const TYPE: &'static str = <T as Output>::TYPE;
    const FALLIBLE: bool = false;
    fn into_wire(self) -> T::Wire {
        Output::into_wire(self)
    }
}

impl<T: Output, E: Into<JsValue>> Answer for Result<T, E> {
    type Wire = T::Wire;
    const TYPE: &'static str = <T as Output>::TYPE;
    const FALLIBLE: bool = true;
    fn into_wire(self) -> T::Wire {
        match self {
            Ok(result) => result.into_wire(),
            Err(error) => fail("error", &error.into().into_message()),
        }
    }
}

impl<T: Optional> Output for Option<T> {
    type Wire = Vec<u8>;
    const TYPE: &'static str = T::TYPE;
    fn into_wire(self) -> Vec<u8> {
        T::into_wire(self)
    }
}

impl Output for () {
    type Wire = ();
    const TYPE: &'static str = "unit";
    fn into_wire(self) {}
}

impl Output for bool {
    type Wire = i32;
    const TYPE: &'static str = "bool";
    fn into_wire(self) -> i32 {
        self.into()
    }
}

impl Output for JsValue {
    type Wire = Vec<u8>;
    const TYPE: &'static str = "json";
    fn into_wire(self) -> Vec<u8> {
        self.into_json().into_bytes()
    }
}

macro_rules! texts {
    ($($text:ty = $name:literal: $into:expr,)*) => {$(
        impl Output for $text {
            type Wire = Vec<u8>;
            const TYPE: &'static str = $name;
            fn into_wire(self) -> Vec<u8> {
                let into: fn($text) -> Vec<u8> = $into;
                into(self)
            }
        }
    )*};
}
texts! {
    String = "string": String::into_bytes,
    Box<str> = "string": |text| String::from(text).into_bytes(),
    &'static str = "string": |text| text.into(),
    char = "string": |c| c.to_string().into_bytes(),
    Vec<u8> = "bytes": |bytes| bytes,
    Box<[u8]> = "bytes": |bytes| bytes.into_vec(),
}

macro_rules! empty_if_none {
    ($($text:ty)*) => {$(
        impl Optional for $text {
            const TYPE: &'static str = <$text as Output>::TYPE;
            fn into_wire(result: Option<Self>) -> Vec<u8> {
                result.map(Output::into_wire).unwrap_or_default()
            }
        }
    )*};
}
empty_if_none!(String Vec<u8> char);

impl Optional for bool {
    const TYPE: &'static str = "json";
    fn into_wire(result: Option<Self>) -> Vec<u8> {
        result.map_or("null".into(), |value| value.to_string().into())
    }
}

macro_rules! numbers {
    ($($number:ty as $wire:ty = $name:literal,)*) => {$(
        impl Output for $number {
            type Wire = $wire;
            const TYPE: &'static str = $name;
            fn into_wire(self) -> $wire {
                // The host reads the bits as what the description says.
                self as $wire
            }
        }
        impl Optional for $number {
            const TYPE: &'static str = "json";
            fn into_wire(result: Option<Self>) -> Vec<u8> {
                result.map_or("null".into(), |number| json::finite(&number).into_bytes())
            }
        }
    )*};
}
numbers! {
    i8 as i32 = "i8", u8 as i32 = "u8", i16 as i32 = "i16", u16 as i32 = "u16", i32 as i32 = "i32", u32 as i32 = "u32",
    isize as i32 = "i32", usize as i32 = "u32",
    i64 as i64 = "i64", u64 as i64 = "u64", f32 as f32 = "f32", f64 as f64 = "f64",
}

macro_rules! arrays {
    ($($number:ty)*) => {$(
        impl Output for Vec<$number> {
            type Wire = Vec<u8>;
            const TYPE: &'static str = "json";
            fn into_wire(self) -> Vec<u8> {
                json::array(&self).into_bytes()
            }
        }
        impl Output for Box<[$number]> {
            type Wire = Vec<u8>;
            const TYPE: &'static str = "json";
            fn into_wire(self) -> Vec<u8> {
                json::array(&self).into_bytes()
            }
        }
        impl Optional for Vec<$number> {
            const TYPE: &'static str = "json";
            fn into_wire(result: Option<Self>) -> Vec<u8> {
                result.map_or("null".into(), Output::into_wire)
            }
        }
    )*};
}
arrays!(i8 i16 u16 i32 u32 i64 u64 isize usize f32 f64);

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves<T: Answer<Wire = Vec<u8>>>(result: T) -> String {
        String::from_utf8(result.into_wire()).unwrap()
    }

    #[test]
    fn nothing_and_something() {
        assert_eq!(leaves(None::<String>), "");
        assert_eq!(leaves(Some("a".to_owned())), "a");
        assert_eq!(leaves(None::<i64>), "null");
        assert_eq!(leaves(Some(-7_i64)), "-7");
        assert_eq!(leaves(Some(f64::INFINITY)), "null");
        assert_eq!(leaves(Some(true)), "true");
        assert_eq!(leaves(None::<Vec<i32>>), "null");
        assert_eq!(leaves(vec![1.5, 2.0]), "[1.5,2]");
        assert_eq!(leaves('é'), "é");
    }

    #[test]
    fn bits_of_a_number() {
        assert_eq!(Answer::into_wire(u32::MAX), -1);
        assert_eq!(Answer::into_wire(u64::MAX), -1);
        assert_eq!(Answer::into_wire(-1_i8), -1);
    }

    #[test]
    fn a_result_that_went_well() {
        let fine: Result<String, JsValue> = Ok("fine".into());
        assert_eq!(leaves(fine), "fine");
        const { assert!(<Result<u8, String> as Answer>::FALLIBLE) };
        assert_eq!(<Result<u8, String> as Answer>::TYPE, "u8");
    }

    #[test]
    #[should_panic(expected = "error: no such thing")]
    fn an_error_of_a_text() {
        leaves(Err::<String, _>(JsValue::from_str("no such thing")));
    }

    #[test]
    #[should_panic(expected = r#"error: {"code":7}"#)]
    fn an_error_of_an_object() {
        leaves(Err::<String, _>(JsValue::from_json(r#"{"code":7}"#.into())));
    }
}
