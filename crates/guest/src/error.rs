//! Errors of functions: a code for programs, and a message for people.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;

use crate::{CommandError, http, storage};

/// The longest code.
const LONGEST: usize = 64;
/// The code of an error without one.
const OTHER: &str = "error";

/// An error with a code by which callers distinguish it.
///
/// ```
/// fn name_of(customer: u32) -> iof::Result<String> {
///     match customer {
///         7 => Ok("Ada".to_owned()),
///         _ => Err(iof::Error::new("no-such-customer", format!("There is no customer {customer}."))),
///     }
/// }
/// # assert_eq!(name_of(8).unwrap_err().code(), "no-such-customer");
/// ```
///
/// Every standard error becomes one with `?`. Those of this crate keep a code (`http-denied`, `storage-key`, …), all
/// others get the code `error`. For that conversion to exist, this type is not a [`std::error::Error`] itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    code: Cow<'static, str>,
    message: String,
    status: Option<u16>,
}

/// The result of a function that can fail in several ways.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with a code: at most 64 lower-case letters, digits and dashes. Any other text is converted to that
    /// form: `No_Such Customer` becomes the code `no-such-customer`.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code: valid(code.into()),
            message: message.into(),
            status: None,
        }
    }

    /// An error with the code `error`.
    pub fn other(message: impl fmt::Display) -> Self {
        Self::new(OTHER, format!("{message:#}"))
    }

    /// The same error with the HTTP status that callers see, from 400 to 599; without one, it is 502.
    ///
    /// ```
    /// let error = iof::Error::new("bad-signature", "The signature does not match.").with_status(401);
    /// assert_eq!(error.status(), Some(401));
    /// ```
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// The status that [`with_status`](Self::with_status) set.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// The code by which programs distinguish errors.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The message for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The code of our own errors is known.
    pub(crate) fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let code = if let Some(error) = error.downcast_ref::<http::Error>() {
            error.kind().code()
        } else if let Some(error) = error.downcast_ref::<CommandError>() {
            error.code()
        } else if let Some(error) = error.downcast_ref::<storage::Error>() {
            error.code()
        } else {
            OTHER
        };
        Self::new(code, format!("{error:#}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: std::error::Error + Any> From<E> for Error {
    fn from(error: E) -> Self {
        Self::of(&error)
    }
}

fn valid(code: Cow<'static, str>) -> Cow<'static, str> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !code.is_empty() && code.len() <= LONGEST && code.chars().all(fits) {
        return code;
    }
    let code: String = code
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if fits(c) { c } else { '-' })
        .take(LONGEST)
        .collect();
    if code.is_empty() {
        Cow::Borrowed(OTHER)
    } else {
        Cow::Owned(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_made_of_letters_digits_and_dashes() {
        for (given, code) in [
            ("no-such-customer", "no-such-customer"),
            ("No_Such Customer", "no-such-customer"),
            ("é", "-"),
            ("", "error"),
        ] {
            assert_eq!(Error::new(given, "").code(), code);
        }
        assert_eq!(Error::new("a".repeat(65), "").code(), "a".repeat(64));
        assert_eq!(Error::new("é".repeat(65), "").code(), "-".repeat(64));
    }

    #[test]
    fn a_question_mark_takes_every_standard_error() {
        fn number(text: &str) -> Result<u8> {
            Ok(text.parse()?)
        }
        let error = number("x").unwrap_err();
        assert_eq!(
            (error.code(), error.message()),
            ("error", "invalid digit found in string")
        );
        fn kept(key: &str) -> Result<Option<u8>> {
            Ok(storage::get(key)?)
        }
        assert_eq!(kept("").unwrap_err().code(), "storage-key");
    }
}
