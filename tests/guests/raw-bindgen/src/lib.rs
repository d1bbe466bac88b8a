//! Every type of argument and result that the bindgen kind carries, one export each.

use wasm_bindgen::prelude::*;

/// The 2020 `hello`.
#[wasm_bindgen]
pub fn say(s: &str) -> String {
    format!("hello {s}")
}

/// Owned text in and out.
#[wasm_bindgen]
pub fn shout(s: String) -> String {
    s.to_uppercase()
}

/// Borrowed bytes in, owned bytes out.
#[wasm_bindgen]
pub fn reverse(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().copied().collect()
}

/// Owned bytes in and out, the same buffer.
#[wasm_bindgen]
pub fn keep(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

/// Text in, number out.
#[wasm_bindgen]
pub fn length(s: &str) -> u32 {
    s.len() as u32
}

/// No argument.
#[wasm_bindgen]
pub fn zero() -> String {
    "nothing needed".into()
}

/// No argument, no result.
#[wasm_bindgen]
pub fn silent() {}

/// No argument, and an empty result.
#[wasm_bindgen]
pub fn empty() -> String {
    String::new()
}

/// Several arguments of every shape, named in the answer.
#[wasm_bindgen]
pub fn mixed(a: &str, b: u32, c: &[u8], d: i64, e: f64, f: bool) -> String {
    format!("{a}|{b}|{c:?}|{d}|{e}|{f}")
}

/// Two texts.
#[wasm_bindgen]
pub fn join(a: &str, b: &str) -> String {
    format!("{a}{b}")
}

macro_rules! same {
    ($($name:ident: $type:ty),* $(,)?) => {$(
        /// The argument, unchanged.
        #[wasm_bindgen]
        pub fn $name(value: $type) -> $type {
            value
        }
    )*};
}
same! {
    same_u8: u8, same_u16: u16, same_u32: u32, same_u64: u64,
    same_i8: i8, same_i16: i16, same_i32: i32, same_i64: i64,
    same_f32: f32, same_f64: f64, same_bool: bool, same_char: char,
}

/// Panics: an `unreachable` with nothing said.
#[wasm_bindgen]
pub fn panics(s: &str) -> String {
    panic!("asked to: {s}")
}

/// Throws through the import `__wbindgen_throw`.
#[wasm_bindgen]
pub fn throws(s: &str) -> String {
    wasm_bindgen::throw_str(s)
}

/// `Result`, whose error is thrown by the finished module's glue.
#[wasm_bindgen]
pub fn fails(s: &str) -> Result<String, JsError> {
    if s == "ok" {
        Ok("fine".into())
    } else {
        Err(JsError::new(s))
    }
}
