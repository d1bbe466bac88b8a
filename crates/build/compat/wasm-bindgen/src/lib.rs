//! Stands in for wasm-bindgen before 0.2.88, so that crates of 2020 build as they are with the compilers of today.
//!
//! `#[wasm_bindgen]` on a function makes the exports that the tool of that time made, for a host without JavaScript:
//! the function under its name, with the layout of [`abi`]; its types under `__iof_describe_` and its name; and the
//! allocator. What needs JavaScript is an error of the compiler that says what to do instead.

// A path dependency is not capped as one from a registry is: a compiler of tomorrow must not show its warnings of this
// crate to whoever builds a function.
#![cfg_attr(not(test), allow(warnings))]

mod abi;
mod answer;
mod argument;
pub mod closure;
mod describe;
mod error;
mod json;
mod value;

pub use error::{JsError, UnwrapThrowExt, throw, throw_str, throw_val};
pub use value::JsValue;
pub use wasm_bindgen_macro::wasm_bindgen;

/// The names that a function imports with `*`.
pub mod prelude {
    pub use crate::closure::Closure;
    pub use crate::{JsError, JsValue, UnwrapThrowExt, wasm_bindgen};
}

/// Would keep a text for JavaScript; there is nothing to keep it for.
pub fn intern(text: &str) -> &str {
    text
}

/// Would forget what [`intern`] kept.
pub fn unintern(_: &str) {}

/// The parts that the expansion of `#[wasm_bindgen]` uses.
#[doc(hidden)]
pub mod __rt {
    pub use crate::abi::{Area, Incoming, Outgoing};
    pub use crate::answer::Answer;
    pub use crate::argument::{Argument, Borrowed};
    pub use crate::describe::describe;
}
