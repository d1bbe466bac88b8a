//! `#[wasm_bindgen]` for a host without JavaScript; what it expands to is in `expand.rs`.
//!
//! Written on the compiler's own tokens: a function's build then needs nothing from a registry for this attribute.

// As in the crate that it belongs to: a path dependency's warnings are not capped.
#![cfg_attr(not(test), allow(warnings))]
#![cfg_attr(
    test,
    allow(
        clippy::cmp_owned,
        reason = "the compiler's own Ident compares with no text"
    )
)]

mod error;
mod expand;
mod item;
mod names;
mod options;
mod template;
mod tokens;

/// The compiler's tokens, or for unit tests those of a crate with the same API.
#[cfg(not(test))]
extern crate proc_macro;
#[cfg(test)]
extern crate proc_macro2 as proc_macro;

/// Exports a function.
#[cfg(not(test))]
#[proc_macro_attribute]
pub fn wasm_bindgen(
    options: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    expand::expand(options, item)
}
