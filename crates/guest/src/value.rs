//! The form in which a value in memory crosses: text, bytes or JSON, by its type as the compiler sees it.
//!
//! The attribute uses a function or a constant of `Of::<T>`, with the traits of this module in scope. An item of
//! `Of<T>` itself takes precedence, and that of the trait is for all other types: so `String` is text under any alias,
//! and a type with a schema has that schema, without the specialisation that Rust lacks.

use std::borrow::Cow;
use std::fmt::Display;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{CommandError, Error, Request, Response, http, storage};

/// A type, through which the attribute selects its items.
pub struct Of<T: ?Sized>(PhantomData<T>);

/// The default for every type: it crosses as JSON.
pub trait AnyValue {
    /// The type.
    type Value: ?Sized;
    /// Its name in a description.
    const KIND: &'static str = "json";
    /// Fails the build for a `Result` under another name.
    const IS_NO_HIDDEN_RESULT: () = ();
    /// Fails the build if there is another parameter beside it.
    const HAS_COMPANY: () = ();

    /// Makes the value of an argument, or ends the call.
    fn read(parameter: &str, bytes: Vec<u8>) -> Self::Value
    where
        Self::Value: Argument,
    {
        match from_json(&bytes) {
            Ok(value) => value,
            Err(words) => fail(&Error::new(
                "arguments",
                format!("parameter `{parameter}`: {words}"),
            )),
        }
    }

    /// Makes the bytes of a result, or ends the call.
    fn write(value: Self::Value) -> Vec<u8>
    where
        Self::Value: Answer + Sized,
    {
        Self::write_ref(&value)
    }

    /// Makes the bytes of a result that is a reference, or ends the call.
    fn write_ref(value: &Self::Value) -> Vec<u8>
    where
        Self::Value: Answer,
    {
        match serde_json::to_vec(value) {
            Ok(json) => json,
            Err(e) => fail(&Error::new(
                "result",
                format!("the result cannot be written as JSON: {e}"),
            )),
        }
    }
}

/// A type that can be read from JSON. The trait exists for its compiler message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a function",
    label = "serde cannot make this from JSON",
    note = "put `#[iof::data]` on the type, or derive serde's `Deserialize` for it"
)]
pub trait Argument: DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> Argument for T {}

/// A type that can be written as JSON. The trait exists for its compiler message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a function",
    label = "serde cannot write this as JSON",
    note = "put `#[iof::data]` on the type, or derive serde's `Serialize` for it"
)]
pub trait Answer: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Answer for T {}

/// An error with a text. The trait exists for its compiler message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a function",
    label = "this type has no text with which to end the call",
    note = "implement `Display` for it, or return an `iof::Error`"
)]
pub trait Words: Display {}

#[diagnostic::do_not_recommend]
impl<T: Display> Words for T {}

impl<T: ?Sized> AnyValue for Of<T> {
    type Value = T;
}

/// The value of a missing argument: an empty text, or `null` for a type that accepts it.
fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    if bytes.trim_ascii().is_empty() {
        serde_json::from_str("null").map_err(|_| "it is missing: pass JSON".to_owned())
    } else {
        serde_json::from_slice(bytes).map_err(|e| e.to_string())
    }
}

impl<T, E> Of<Result<T, E>> {
    /// See [`AnyValue::IS_NO_HIDDEN_RESULT`].
    ///
    /// ```compile_fail,E0080
    /// type Answer = Result<String, String>;
    ///
    /// #[iof::function]
    /// fn hidden() -> Answer {
    ///     Ok(String::new())
    /// }
    /// ```
    pub const IS_NO_HIDDEN_RESULT: () = panic!(
        "write this result as `Result<…>`: under another name its error would be a value, and would not end the call"
    );
}

/// Text and bytes: owned types, and borrowed ones.
macro_rules! plain {
    ($kind:literal, $from:path: $([$($generic:tt)*] $owned:ty),* ; $borrowed:ty) => {
        $(
            impl<$($generic)*> Of<$owned> {
                /// See [`AnyValue::KIND`].
                pub const KIND: &'static str = $kind;

                /// See [`AnyValue::read`].
                #[must_use]
                pub fn read(_: &str, bytes: Vec<u8>) -> $owned {
                    $from(bytes).into()
                }

                /// See [`AnyValue::write`].
                #[must_use]
                pub fn write(value: $owned) -> Vec<u8> {
                    <$borrowed as ToOwned>::Owned::from(value).into()
                }

                /// See [`AnyValue::write_ref`].
                #[must_use]
                #[allow(clippy::ptr_arg)] // the attribute needs exactly this type
                pub fn write_ref(value: &$owned) -> Vec<u8> {
                    <$borrowed>::to_owned(value).into()
                }
            }
        )*
        impl Of<$borrowed> {
            /// See [`AnyValue::KIND`].
            pub const KIND: &'static str = $kind;

            /// See [`AnyValue::write_ref`].
            #[must_use]
            pub fn write_ref(value: &$borrowed) -> Vec<u8> {
                <$borrowed>::to_owned(value).into()
            }
        }
    };
}
plain!("string", text: [] String, [] Box<str>, ['a] Cow<'a, str>; str);
plain!("bytes", Vec::from: [] Vec<u8>, [] Box<[u8]>, ['a] Cow<'a, [u8]>; [u8]);

impl Of<Request> {
    /// See [`AnyValue::KIND`].
    pub const KIND: &'static str = "request";
    /// See [`AnyValue::HAS_COMPANY`].
    ///
    /// ```compile_fail,E0080
    /// #[iof::function]
    /// fn two(request: iof::Request, more: u8) {}
    /// ```
    pub const HAS_COMPANY: () =
        panic!("a request includes all that was sent: make it the only parameter of the function");

    /// See [`AnyValue::read`].
    #[must_use]
    pub fn read(parameter: &str, bytes: Vec<u8>) -> Request {
        Request::open(bytes).unwrap_or_else(|| {
            let words =
                format!("parameter `{parameter}`: it is not a request in the server's form");
            fail(&Error::new("arguments", words))
        })
    }
}

impl Of<Response> {
    /// See [`AnyValue::KIND`].
    pub const KIND: &'static str = "response";

    /// See [`AnyValue::write`].
    #[must_use]
    #[allow(clippy::needless_pass_by_value)] // like the others
    pub fn write(value: Response) -> Vec<u8> {
        value.seal()
    }

    /// See [`AnyValue::write_ref`].
    #[must_use]
    pub fn write_ref(value: &Response) -> Vec<u8> {
        value.seal()
    }
}

/// Converts bytes to text. The server guarantees UTF-8; an invalid byte becomes U+FFFD.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// The error of a function.
pub struct Failed<E>(pub E);

/// The default for every error: its text ends the call.
pub trait AnyError {
    /// The error's type.
    type Error;

    /// Ends the call with it.
    fn end(self) -> !
    where
        Self::Error: Words;
}

impl<E> AnyError for Failed<E> {
    type Error = E;

    fn end(self) -> !
    where
        E: Words,
    {
        fail(&Error::other(self.0))
    }
}

/// Implements the end of a call for errors with a code.
macro_rules! coded {
    ($($error:ty = $of:expr),* $(,)?) => {$(
        impl Failed<$error> {
            /// See [`AnyError::end`].
            pub fn end(self) -> ! {
                fail(&($of)(self.0))
            }
        }
    )*};
}
coded! {
    Error = std::convert::identity,
    http::Error = Error::from,
    storage::Error = Error::from,
    CommandError = Error::from,
    Box<dyn std::error::Error> = |error: Box<dyn std::error::Error>| Error::of(&*error),
    Box<dyn std::error::Error + Send + Sync> =
        |error: Box<dyn std::error::Error + Send + Sync>| Error::of(&*error),
}

/// Ends the call.
fn fail(error: &Error) -> ! {
    #[cfg(target_family = "wasm")]
    crate::abi::imports::fail(error.code(), error.message(), error.status());
    #[cfg(not(target_family = "wasm"))]
    #[expect(
        clippy::panic,
        reason = "outside of the server there is no call to end"
    )]
    {
        panic!("the call ended with `{}`: {error}", error.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[iof::data]
    #[derive(Debug, PartialEq)]
    struct Pair {
        left: u8,
        right: Option<u8>,
    }

    type Name = String;

    #[test]
    fn the_type_decides_and_not_its_name() {
        assert_eq!(<Of<Name>>::KIND, "string");
        assert_eq!(<Of<Cow<'_, str>>>::KIND, "string");
        assert_eq!(<Of<str>>::KIND, "string");
        assert_eq!(<Of<Box<[u8]>>>::KIND, "bytes");
        assert_eq!(<Of<Pair>>::KIND, "json");
        assert_eq!(<Of<Option<String>>>::KIND, "json");
        assert_eq!(<Of<Name>>::read("a", b"a\xff".to_vec()), "a\u{fffd}");
        assert_eq!(<Of<Name>>::write("\"".to_owned()), b"\"");
        assert_eq!(<Of<[u8]>>::write_ref(&[1, 2]), [1, 2]);
        assert_eq!(<Of<Vec<u16>>>::write(vec![1, 2]), b"[1,2]");
    }

    #[test]
    fn missing_json_is_null() {
        assert_eq!(<Of<Option<u8>>>::read("a", vec![]), None);
        assert_eq!(
            from_json::<Pair>(b" ").unwrap_err(),
            "it is missing: pass JSON"
        );
        assert_eq!(
            from_json::<Pair>(br#"{"left":1}"#).unwrap(),
            Pair {
                left: 1,
                right: None
            }
        );
    }

    #[test]
    #[should_panic = "the call ended with `arguments`: parameter `pair`: missing field `left` at line 1 column 2"]
    fn a_wrong_argument_ends_the_call() {
        <Of<Pair>>::read("pair", b"{}".to_vec());
    }

    #[test]
    #[should_panic = "the call ended with `result`: the result cannot be written as JSON: key must be a string"]
    fn a_result_that_json_cannot_express_ends_the_call() {
        <Of<std::collections::BTreeMap<(u8, u8), u8>>>::write([((1, 2), 3)].into());
    }

    #[test]
    #[should_panic = "the call ended with `no-such-thing`: there is none"]
    fn an_error_keeps_its_code() {
        Failed(Error::new("no-such-thing", "there is none")).end();
    }

    #[test]
    #[should_panic = "the call ended with `storage-key`"]
    fn errors_of_this_crate_keep_their_codes_in_a_box() {
        let error: Box<dyn std::error::Error> = storage::set("", &1).unwrap_err().into();
        Failed(error).end();
    }

    #[test]
    #[should_panic = "the call ended with `error`: words"]
    fn a_text_has_the_default_code() {
        Failed("words").end();
    }
}
