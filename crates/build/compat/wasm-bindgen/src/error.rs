//! Errors, which in JavaScript are thrown: here they end the call, with their text.

use crate::JsValue;
use crate::abi::fail;
use std::fmt;

/// An error with a text.
#[derive(Clone)]
pub struct JsError(String);

impl JsError {
    /// The error of this text.
    pub fn new(message: &str) -> Self {
        Self(message.into())
    }

    pub(crate) fn into_message(self) -> String {
        self.0
    }
}

impl<E: std::error::Error> From<E> for JsError {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Debug for JsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsError({:?})", self.0)
    }
}

/// Ends the call with an error of this text.
pub fn throw_str(message: &str) -> ! {
    fail("error", message)
}

/// The same, by the name that it had first.
pub fn throw(message: &str) -> ! {
    throw_str(message)
}

/// Ends the call with this value as its error.
pub fn throw_val(value: JsValue) -> ! {
    fail("error", &value.into_message())
}

/// `unwrap` and `expect` that end the call with an error rather than a panic.
pub trait UnwrapThrowExt<T>: Sized {
    /// The value inside, or the end of the call.
    fn unwrap_throw(self) -> T {
        self.expect_throw("`unwrap_throw` failed")
    }

    /// The value inside, or the end of the call with this text.
    fn expect_throw(self, message: &str) -> T;
}

impl<T> UnwrapThrowExt<T> for Option<T> {
    fn expect_throw(self, message: &str) -> T {
        self.unwrap_or_else(|| throw_str(message))
    }
}

impl<T, E: fmt::Debug> UnwrapThrowExt<T> for Result<T, E> {
    fn expect_throw(self, message: &str) -> T {
        self.unwrap_or_else(|error| throw_str(&format!("{message}: {error:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inside_comes_out() {
        assert_eq!(Some(1).unwrap_throw(), 1);
        assert_eq!(Ok::<_, ()>(1).expect_throw("no"), 1);
        let error: JsError = "x".parse::<i32>().unwrap_err().into();
        assert_eq!(JsValue::from(error), "invalid digit found in string");
    }

    #[test]
    #[should_panic(expected = "error: wanted: \"why\"")]
    fn what_is_not_ends_the_call() {
        Err::<(), _>("why").expect_throw("wanted");
    }
}
