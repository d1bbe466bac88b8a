//! Functions that fail, in every way in which one can.

use std::fmt;

/// Fails with its argument as message, and the code `error`.
#[iof::function]
fn fail_text(message: String) -> Result<(), String> {
    Err(message)
}

/// Fails with this code and message.
#[iof::function]
fn fail_code(code: String, message: &str) -> Result<String, iof::Error> {
    Err(iof::Error::new(code, message))
}

/// Fails with a standard error, unless its argument is a number.
#[iof::function]
fn parse_number(text: &str) -> Result<i64, std::num::ParseIntError> {
    text.parse()
}

/// The same, through `?` into an `iof::Error`.
#[iof::function]
fn parse_flag(text: &str) -> iof::Result<bool> {
    Ok(text.parse()?)
}

/// Half of an even number.
#[iof::function]
fn half(number: u32) -> Result<u32, Odd> {
    if number.is_multiple_of(2) {
        Ok(number / 2)
    } else {
        Err(Odd)
    }
}

/// Not half of a number.
struct Odd;

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the number is odd")
    }
}

/// Answers nothing if the flag is set, and fails otherwise.
#[iof::function]
fn succeed_if(flag: bool) -> Result<(), Box<dyn std::error::Error>> {
    flag.then_some(())
        .ok_or_else(|| "the flag is not set".into())
}

/// Cannot write its result as JSON.
#[iof::function]
fn unwritable() -> std::collections::BTreeMap<(u8, u8), u8> {
    [((1, 2), 3)].into()
}

/// Panics.
#[iof::function]
fn panics(message: &str) {
    panic!("{message}");
}
