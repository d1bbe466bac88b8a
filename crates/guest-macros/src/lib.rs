//! The attributes of the crate `iof-guest`, which re-exports and explains them.
//!
//! A type is recognised by its spelling if the spelling decides how many core parameters carry it: `bool` and the
//! numbers. Everything else crosses as bytes in memory, and whether those are text, bytes or JSON is decided by the
//! compiler, which sees through aliases (`iof::__private::Of`). So a `type Id = u32` crosses as the JSON text of a
//! number, and a `type Name = String` as text.

mod data;
mod doc;
mod exchange;
mod function;
mod names;
mod prime;
mod types;

use proc_macro::TokenStream;

/// Exports a function, so that it can be called over HTTP.
///
/// ```ignore
/// /// Greets.
/// #[iof::function]
/// fn hello(name: &str) -> String {
///     format!("hello {name}")
/// }
/// ```
///
/// The brackets state which requests call the function at its short address, `/fn/<function>/<export>`: with `raw`, the
/// body of any content type is the one argument, and `get`, `post`, `put`, `patch`, `delete` are the methods that call
/// it, `post` if none is listed.
///
/// ```ignore
/// #[iof::function(raw)]
/// fn hook(body: &[u8]) {}
/// ```
///
/// The function itself is not changed, so other functions and tests can call it. The types of its parameters and its
/// result are on the first page of the crate `iof`.
#[proc_macro_attribute]
pub fn function(attribute: TokenStream, item: TokenStream) -> TokenStream {
    answer(function::expand(attribute.into(), item.into()))
}

/// Runs a function once, when the module is uploaded; every call begins with the memory that it left.
///
/// ```ignore
/// static PRIMES: LazyLock<Vec<u32>> = LazyLock::new(sieve);
///
/// #[iof::prime]
/// fn prepare() {
///     LazyLock::force(&PRIMES);
/// }
/// ```
///
/// It has no parameters and no result, and cannot use anything outside: no commands, no storage, no time, and no random
/// numbers, which a new `HashMap` needs; a `BTreeMap` does not. If it panics, the upload fails. A module has at most
/// one.
#[proc_macro_attribute]
pub fn prime(attribute: TokenStream, item: TokenStream) -> TokenStream {
    answer(prime::expand(attribute.into(), item.into()))
}

/// Makes a struct or an enum cross as JSON, described by a schema.
///
/// ```ignore
/// #[iof::data]
/// struct Mail {
///     to: String,
///     subject: Option<String>,
/// }
/// ```
///
/// It derives serde's `Serialize` and `Deserialize`, and `JsonSchema` with the feature `schema`; `#[serde(…)]` and
/// `#[schemars(…)]` on the type and its fields work as usual. For other derives, write them yourself.
#[proc_macro_attribute]
pub fn data(attribute: TokenStream, item: TokenStream) -> TokenStream {
    answer(data::expand(attribute.into(), item.into()))
}

fn answer(expanded: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    expanded
        .unwrap_or_else(|error| error.into_compile_error())
        .into()
}

/// An error at some tokens.
fn error(at: impl quote::ToTokens, message: impl std::fmt::Display) -> syn::Error {
    syn::Error::new_spanned(at, message)
}
