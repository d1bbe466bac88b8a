//! Every type that a function of wasm-bindgen can take and return here: as it is, as an `Option`, and in a `Result`.
//!
//! One source for several versions of wasm-bindgen, each of which lays them out in its own way.

use wasm_bindgen::prelude::*;

macro_rules! same {
    ($($name:ident, $option:ident, $result:ident: $type:ty),* $(,)?) => {$(
        /// The argument, unchanged.
        #[wasm_bindgen]
        pub fn $name(value: $type) -> $type {
            value
        }

        /// The same, if there is one.
        #[wasm_bindgen]
        pub fn $option(value: Option<$type>) -> Option<$type> {
            value
        }

        /// The same, or an error.
        #[wasm_bindgen]
        pub fn $result(value: $type, fine: bool) -> Result<$type, JsError> {
            if fine { Ok(value) } else { Err(JsError::new("not fine")) }
        }
    )*};
}
same! {
    bool, option_bool, result_bool: bool,
    i8, option_i8, result_i8: i8,
    u8, option_u8, result_u8: u8,
    i16, option_i16, result_i16: i16,
    u16, option_u16, result_u16: u16,
    i32, option_i32, result_i32: i32,
    u32, option_u32, result_u32: u32,
    i64, option_i64, result_i64: i64,
    u64, option_u64, result_u64: u64,
    usize, option_usize, result_usize: usize,
    f32, option_f32, result_f32: f32,
    f64, option_f64, result_f64: f64,
    char, option_char, result_char: char,
    string, option_string, result_string: String,
    bytes, option_bytes, result_bytes: Vec<u8>,
    list_i8, option_list_i8, result_list_i8: Vec<i8>,
    list_i16, option_list_i16, result_list_i16: Vec<i16>,
    list_u16, option_list_u16, result_list_u16: Vec<u16>,
    list_i32, option_list_i32, result_list_i32: Vec<i32>,
    list_u32, option_list_u32, result_list_u32: Box<[u32]>,
    list_i64, option_list_i64, result_list_i64: Vec<i64>,
    list_u64, option_list_u64, result_list_u64: Vec<u64>,
    list_f32, option_list_f32, result_list_f32: Vec<f32>,
    list_f64, option_list_f64, result_list_f64: Vec<f64>,
    list_string, option_list_string, result_list_string: Vec<String>,
    colour, option_colour, result_colour: Colour,
}

#[cfg(feature = "wide")]
same! {
    i128, option_i128, result_i128: i128,
    u128, option_u128, result_u128: u128,
}

#[cfg(feature = "sequences")]
same! {
    list_bool, option_list_bool, result_list_bool: Vec<bool>,
    list_char, option_list_char, result_list_char: Vec<char>,
}

/// An enum without fields.
#[wasm_bindgen]
#[derive(Clone, Copy, Debug)]
pub enum Colour {
    /// One.
    Red = 3,
    /// The other.
    Green = 7,
}

/// The sum of a borrowed list.
#[wasm_bindgen]
pub fn sum(numbers: &[f64]) -> f64 {
    numbers.iter().sum()
}

/// Nothing, or an error.
#[wasm_bindgen]
pub fn unit(fine: bool) -> Result<(), JsError> {
    if fine { Ok(()) } else { Err(JsError::new("unit bad")) }
}

/// A text or none, or an error.
#[wasm_bindgen]
pub fn perhaps(which: u32) -> Result<Option<String>, JsError> {
    match which {
        0 => Ok(None),
        1 => Ok(Some("one".into())),
        _ => Err(JsError::new("bad number")),
    }
}

/// A number or none, or an error.
#[wasm_bindgen]
pub fn perhaps_number(which: u32) -> Result<Option<u32>, JsError> {
    match which {
        0 => Ok(None),
        1 => Ok(Some(4_000_000_000)),
        _ => Err(JsError::new("bad number")),
    }
}

/// A number, or a text as the error.
#[wasm_bindgen]
pub fn or_text(fine: bool) -> Result<u32, String> {
    if fine { Ok(5) } else { Err("a text".into()) }
}

/// A number, or a JavaScript value as the error.
#[wasm_bindgen]
pub fn or_value(fine: bool) -> Result<f64, JsValue> {
    if fine { Ok(0.5) } else { Err(JsValue::from_str("a value")) }
}

/// An error that is dropped, and one that is returned.
#[wasm_bindgen]
pub fn second_error(text: &str) -> Result<u32, JsError> {
    drop(JsError::new("the first"));
    let returned = JsError::new(text);
    drop(JsError::new("the last"));
    Err(returned)
}
