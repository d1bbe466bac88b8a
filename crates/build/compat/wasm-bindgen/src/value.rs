//! `JsValue` where there is no JavaScript: a JSON value.

use crate::json;
use std::fmt;

/// A value of any type. Whoever calls sends it as JSON, and gets it as JSON.
#[derive(Clone, PartialEq)]
pub struct JsValue(Kind);

#[derive(Clone, PartialEq)]
enum Kind {
    Undefined,
    Null,
    Bool(bool),
    /// Its digits: 64 bits do not fit into a number of JavaScript.
    Number(String),
    Text(String),
    /// An object or an array, as JSON.
    Json(String),
}

impl JsValue {
    /// `null` in JavaScript.
    pub const NULL: Self = Self(Kind::Null);
    /// `undefined` in JavaScript; JSON has `null` for it.
    pub const UNDEFINED: Self = Self(Kind::Undefined);
    /// `true` in JavaScript.
    pub const TRUE: Self = Self(Kind::Bool(true));
    /// `false` in JavaScript.
    pub const FALSE: Self = Self(Kind::Bool(false));

    /// A text.
    #[expect(
        clippy::should_implement_trait,
        reason = "the name that it has in wasm-bindgen"
    )]
    pub fn from_str(text: &str) -> Self {
        Self(Kind::Text(text.into()))
    }

    /// A number.
    pub fn from_f64(number: f64) -> Self {
        Self(Kind::Number(number.to_string()))
    }

    /// A boolean.
    pub const fn from_bool(value: bool) -> Self {
        Self(Kind::Bool(value))
    }

    /// `null`.
    pub const fn null() -> Self {
        Self::NULL
    }

    /// `undefined`.
    pub const fn undefined() -> Self {
        Self::UNDEFINED
    }

    /// From what serde can write.
    ///
    /// # Errors
    /// Those of `serde_json`.
    #[cfg(feature = "serde-serialize")]
    pub fn from_serde<T: serde::ser::Serialize + ?Sized>(value: &T) -> serde_json::Result<Self> {
        serde_json::to_string(value).map(Self::from_json)
    }

    /// To what serde can read.
    ///
    /// # Errors
    /// Those of `serde_json`.
    #[cfg(feature = "serde-serialize")]
    pub fn into_serde<T: for<'a> serde::de::Deserialize<'a>>(&self) -> serde_json::Result<T> {
        serde_json::from_str(&self.clone().into_json())
    }

    /// The number that it is.
    pub fn as_f64(&self) -> Option<f64> {
        match &self.0 {
            Kind::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// The text that it is.
    pub fn as_string(&self) -> Option<String> {
        match &self.0 {
            Kind::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// The boolean that it is.
    pub fn as_bool(&self) -> Option<bool> {
        match self.0 {
            Kind::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// True if it is a text.
    pub fn is_string(&self) -> bool {
        matches!(self.0, Kind::Text(_))
    }

    /// True if it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self.0, Kind::Null)
    }

    /// True if it is `undefined`.
    pub fn is_undefined(&self) -> bool {
        matches!(self.0, Kind::Undefined)
    }

    /// True if it is an object or an array.
    pub fn is_object(&self) -> bool {
        matches!(self.0, Kind::Json(_))
    }

    /// True if it is a function: never.
    pub fn is_function(&self) -> bool {
        false
    }

    /// True if it is a symbol: never.
    pub fn is_symbol(&self) -> bool {
        false
    }

    /// True if JavaScript takes it for true.
    pub fn is_truthy(&self) -> bool {
        match &self.0 {
            Kind::Undefined | Kind::Null => false,
            Kind::Bool(value) => *value,
            Kind::Number(_) => self.as_f64().is_some_and(|n| n != 0.0 && !n.is_nan()),
            Kind::Text(text) => !text.is_empty(),
            Kind::Json(_) => true,
        }
    }

    /// True if JavaScript takes it for false.
    pub fn is_falsy(&self) -> bool {
        !self.is_truthy()
    }

    /// The value of a JSON text. What is no JSON is a text, so that a client may send one as it is.
    pub(crate) fn from_json(json: String) -> Self {
        let trimmed = json.trim();
        Self(match trimmed {
            "null" => Kind::Null,
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            _ if json::is_number(trimmed) => Kind::Number(trimmed.into()),
            _ if trimmed.starts_with(['{', '[']) => Kind::Json(trimmed.into()),
            _ => Kind::Text(json::unquote(trimmed).unwrap_or(json)),
        })
    }

    /// The value as JSON.
    pub(crate) fn into_json(self) -> String {
        match self.0 {
            Kind::Undefined | Kind::Null => "null".into(),
            Kind::Bool(value) => value.to_string(),
            Kind::Number(digits) => json::finite(&digits),
            Kind::Text(text) => json::quote(&text),
            Kind::Json(json) => json,
        }
    }

    /// The value as what an error says.
    pub(crate) fn into_message(self) -> String {
        match self.0 {
            Kind::Text(text) => text,
            Kind::Undefined => "undefined".into(),
            kind => Self(kind).into_json(),
        }
    }
}

impl Default for JsValue {
    fn default() -> Self {
        Self::UNDEFINED
    }
}

impl fmt::Debug for JsValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = match &self.0 {
            Kind::Undefined => "undefined".into(),
            _ => self.clone().into_json(),
        };
        write!(f, "JsValue({inner})")
    }
}

macro_rules! from {
    ($($type:ty: $value:ident => $kind:expr,)*) => {$(
        impl From<$type> for JsValue {
            fn from($value: $type) -> Self {
                Self($kind)
            }
        }
    )*};
}
from! {
    bool: value => Kind::Bool(value),
    &str: text => Kind::Text(text.into()),
    &String: text => Kind::Text(text.clone()),
    String: text => Kind::Text(text),
    crate::JsError: error => Kind::Text(error.into_message()),
}

macro_rules! from_numbers {
    ($($number:ty)*) => {$(
        impl From<$number> for JsValue {
            fn from(number: $number) -> Self {
                Self(Kind::Number(number.to_string()))
            }
        }
        impl PartialEq<$number> for JsValue {
            fn eq(&self, other: &$number) -> bool {
                self.0 == Self::from(*other).0
            }
        }
    )*};
}
from_numbers!(i8 u8 i16 u16 i32 u32 i64 u64 isize usize f32 f64);

impl<T: Into<JsValue>> From<Option<T>> for JsValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::UNDEFINED, Into::into)
    }
}

macro_rules! same_as {
    ($($type:ty: $value:ident => $same:expr,)*) => {$(
        impl PartialEq<$type> for JsValue {
            fn eq(&self, $value: &$type) -> bool {
                let same: fn(&Self, &$type) -> bool = $same;
                same(self, $value)
            }
        }
    )*};
}
same_as! {
    bool: other => |value, other| value.as_bool() == Some(*other),
    str: other => |value, other| matches!(&value.0, Kind::Text(text) if text == other),
    &str: other => |value, other| matches!(&value.0, Kind::Text(text) if text == other),
    String: other => |value, other| matches!(&value.0, Kind::Text(text) if text == other),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_in_and_out() {
        for json in [
            "null",
            "true",
            "7",
            "-1.5",
            "18446744073709551615",
            r#""a\"b""#,
            r#"{"a":[1]}"#,
            "[]",
        ] {
            assert_eq!(JsValue::from_json(json.into()).into_json(), json);
        }
        assert_eq!(JsValue::from_json("hello you".into()), "hello you");
        assert_eq!(JsValue::from_json("\"hello\"".into()), "hello");
        assert_eq!(JsValue::from_f64(f64::NAN).into_json(), "null");
        assert_eq!(JsValue::UNDEFINED.into_json(), "null");
    }

    #[test]
    fn what_it_is() {
        assert_eq!(JsValue::from(7), 7);
        assert_eq!(JsValue::from(7).as_f64(), Some(7.0));
        assert_eq!(JsValue::from("a").as_string().as_deref(), Some("a"));
        assert_eq!(JsValue::from(None::<bool>), JsValue::undefined());
        assert!(JsValue::from(0).is_falsy() && JsValue::from("0").is_truthy());
        assert_eq!(format!("{:?}", JsValue::from("a")), "JsValue(\"a\")");
    }

    #[cfg(feature = "serde-serialize")]
    #[test]
    fn through_serde() {
        let value = JsValue::from_serde(&vec![1, 2]).unwrap();
        assert_eq!(value.into_serde::<Vec<u8>>().unwrap(), [1, 2]);
        let text = JsValue::from_serde("a\n").unwrap();
        assert_eq!(text, "a\n");
        assert_eq!(text.into_serde::<String>().unwrap(), "a\n");
    }
}
