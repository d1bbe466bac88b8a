//! The passing of a parameter or a result, as far as the spelling of its type decides it.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{FnArg, GenericArgument, Pat, Path, PathArguments, ReturnType, Type};

use crate::error;

/// The core form of a value.
#[derive(Debug, PartialEq)]
pub(crate) enum Wire {
    /// An `i32` that is not zero.
    Bool,
    /// An integer of at most 32 bits, in an `i32`.
    Small(Ident),
    /// A number that has a core type of its own.
    Wide(Ident),
    /// Pointer and length of text, bytes or JSON.
    Memory,
}

/// One parameter.
#[derive(Debug)]
pub(crate) struct Param {
    /// The name that callers see.
    pub(crate) name: String,
    /// The owned type of the argument: the parameter's type, or the type that a reference borrows from.
    pub(crate) owned: TokenStream,
    /// True if the function takes a reference to it.
    pub(crate) borrowed: bool,
    pub(crate) wire: Wire,
}

/// The result of a function.
#[derive(Debug)]
pub(crate) struct Returned {
    /// Its type, or the type behind a reference; for a `Result`, that of `Ok`.
    pub(crate) ty: TokenStream,
    /// True if it is a reference.
    pub(crate) borrowed: bool,
    /// Its core form; `None` for `()`.
    pub(crate) wire: Option<Wire>,
    /// The position of its error type, if it is a `Result`.
    pub(crate) error: Option<Span>,
}

impl Param {
    pub(crate) fn of(input: &FnArg) -> syn::Result<Self> {
        let FnArg::Typed(input) = input else {
            return Err(error(
                input,
                "a call has no `self`: make it a function outside of `impl`",
            ));
        };
        let name = match &*input.pat {
            Pat::Ident(pattern) if pattern.by_ref.is_none() && pattern.subpat.is_none() => {
                quote::format_ident!("{}", pattern.ident).to_string()
            }
            other => {
                return Err(error(
                    other,
                    "callers see the names of parameters: write a name here, and take the value apart in the function",
                ));
            }
        };
        let name = name.strip_prefix("r#").unwrap_or(&name).to_owned();
        let ty = bare(&input.ty);
        let (ty, borrowed) = match ty {
            Type::Reference(reference) => {
                if reference.mutability.is_some() {
                    return Err(error(
                        reference,
                        "a parameter returns nothing to the caller: take it by value, and return the changed value",
                    ));
                }
                if let Some(lifetime) = &reference.lifetime {
                    return Err(error(
                        lifetime,
                        "an argument lives as long as its call: write the reference without a lifetime",
                    ));
                }
                (bare(&reference.elem), true)
            }
            ty => (ty, false),
        };
        possible(ty)?;
        if let Some(at) = borrows(ty.to_token_stream()) {
            return Err(error(
                at,
                "JSON contains nothing to borrow from: write the owned type, such as `Option<String>`",
            ));
        }
        let owned = match ty {
            Type::Slice(slice) => {
                let element = &slice.elem;
                quote_spanned!(ty.span()=> ::std::vec::Vec<#element>)
            }
            Type::Path(path) if path.path.is_ident("str") => {
                quote_spanned!(ty.span()=> ::std::string::String)
            }
            ty => ty.to_token_stream(),
        };
        Ok(Self {
            name,
            owned,
            borrowed,
            wire: wire(ty),
        })
    }
}

impl Returned {
    pub(crate) fn of(output: &ReturnType) -> syn::Result<Self> {
        let ReturnType::Type(_, ty) = output else {
            return Ok(Self::plain(&Type::Tuple(syn::parse_quote!(())), None));
        };
        let ty = bare(ty);
        let Some(path) = result(ty) else {
            possible(ty)?;
            return Ok(Self::plain(ty, None));
        };
        let mut types = path
            .segments
            .last()
            .into_iter()
            .filter_map(|last| match &last.arguments {
                PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
                _ => None,
            })
            .flatten()
            .filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(bare(ty)),
                _ => None,
            });
        let Some(ok) = types.next() else {
            return Err(error(
                ty,
                "this `Result` does not state its types: write them, such as `Result<(), String>`",
            ));
        };
        possible(ok)?;
        // An alias of `Result` for one error has only its name.
        let error = types.next().map_or(path.span(), Spanned::span);
        Ok(Self::plain(ok, Some(error)))
    }

    fn plain(ty: &Type, error: Option<Span>) -> Self {
        let (ty, borrowed) = match ty {
            Type::Reference(reference) => (bare(&reference.elem), true),
            ty => (ty, false),
        };
        let unit = matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty());
        Self {
            ty: ty.to_token_stream(),
            borrowed,
            wire: (!unit).then(|| wire(ty)),
            error,
        }
    }
}

impl Wire {
    /// The name of the type in a description, if the spelling decides it.
    pub(crate) fn kind(&self) -> Option<String> {
        match self {
            Self::Bool => Some("bool".to_owned()),
            Self::Small(name) | Self::Wide(name) => Some(name.to_string()),
            Self::Memory => None,
        }
    }
}

/// The type without parentheses and without the groups that `macro_rules!` leaves.
fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Paren(inner) => bare(&inner.elem),
        Type::Group(inner) => bare(&inner.elem),
        ty => ty,
    }
}

/// A path that ends in `Result`, of any crate: the value comes first in all of them.
fn result(ty: &Type) -> Option<&Path> {
    match ty {
        Type::Path(path) if path.qself.is_none() => Some(&path.path),
        _ => None,
    }
    .filter(|path| {
        path.segments
            .last()
            .is_some_and(|last| last.ident == "Result")
    })
}

fn wire(ty: &Type) -> Wire {
    let Type::Path(path) = ty else {
        return Wire::Memory;
    };
    let Some(name) = path.path.get_ident() else {
        return Wire::Memory;
    };
    match name.to_string().as_str() {
        "bool" => Wire::Bool,
        "i8" | "u8" | "i16" | "u16" | "i32" | "u32" => Wire::Small(name.clone()),
        "i64" | "u64" | "f32" | "f64" => Wire::Wide(name.clone()),
        _ => Wire::Memory,
    }
}

/// Refuses a type that is not a value, or not the same everywhere.
fn possible(ty: &Type) -> syn::Result<()> {
    let ty = match ty {
        Type::Reference(reference) => bare(&reference.elem),
        ty => ty,
    };
    match ty {
        Type::ImplTrait(_) | Type::TraitObject(_) => Err(error(
            ty,
            "a call needs to know the type: write its name instead of a trait",
        )),
        Type::BareFn(_) | Type::Ptr(_) => Err(error(
            ty,
            "only data crosses: write a type that serde reads and writes",
        )),
        Type::Infer(_) => Err(error(ty, "a call needs to know the type: write its name")),
        Type::Never(_) => Err(error(
            ty,
            "a call has to end: return `()`, or a `Result` to end it with an error",
        )),
        Type::Path(path) if path.path.is_ident("usize") => Err(error(
            ty,
            "`usize` is not the same on every machine: write `u32` or `u64`",
        )),
        Type::Path(path) if path.path.is_ident("isize") => Err(error(
            ty,
            "`isize` is not the same on every machine: write `i32` or `i64`",
        )),
        _ => Ok(()),
    }
}

/// The first `&` or lifetime in a type.
fn borrows(tokens: TokenStream) -> Option<TokenStream> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Punct(punct) if matches!(punct.as_char(), '&' | '\'') => Some(quote!(#punct)),
        TokenTree::Group(group) => borrows(group.stream()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    fn param(input: FnArg) -> (Wire, String, bool) {
        let param = Param::of(&input).unwrap();
        (
            param.wire,
            param.owned.to_string().replace(' ', ""),
            param.borrowed,
        )
    }

    #[test]
    fn spelling_decides_numbers_and_references() {
        let small = |name: &str| Wire::Small(quote::format_ident!("{name}"));
        assert_eq!(
            param(parse_quote!(a: u8)),
            (small("u8"), "u8".into(), false)
        );
        assert_eq!(
            param(parse_quote!(a: &(i32))),
            (small("i32"), "i32".into(), true)
        );
        let memory = |owned: &str, borrowed| (Wire::Memory, owned.to_owned(), borrowed);
        assert_eq!(param(parse_quote!(mut a: String)), memory("String", false));
        assert_eq!(
            param(parse_quote!(a: &str)),
            memory("::std::string::String", true)
        );
        assert_eq!(
            param(parse_quote!(a: &[u8])),
            memory("::std::vec::Vec<u8>", true)
        );
        assert_eq!(
            param(parse_quote!(a: &[Mail])),
            memory("::std::vec::Vec<Mail>", true)
        );
        assert_eq!(
            param(parse_quote!(a: &crate::Mail)),
            memory("crate::Mail", true)
        );
        assert_eq!(
            param(parse_quote!(a: (u8, Option<bool>))),
            memory("(u8,Option<bool>)", false)
        );
        let named: FnArg = parse_quote!(r#type: u8);
        assert_eq!(Param::of(&named).unwrap().name, "type");
    }

    #[test]
    fn a_result_is_recognised_by_its_name() {
        let returned = |output: ReturnType| {
            let returned = Returned::of(&output).unwrap();
            (
                returned.ty.to_string().replace(' ', ""),
                returned.wire.is_some(),
                returned.borrowed,
                returned.error.is_some(),
            )
        };
        let is = |ty: &str, some, borrowed, fallible| (ty.to_owned(), some, borrowed, fallible);
        assert_eq!(returned(parse_quote!()), is("()", false, false, false));
        assert_eq!(returned(parse_quote!(-> ())), is("()", false, false, false));
        assert_eq!(
            returned(parse_quote!(-> &str)),
            is("str", true, true, false)
        );
        assert_eq!(
            returned(parse_quote!(-> Result<(), Error>)),
            is("()", false, false, true)
        );
        assert_eq!(
            returned(parse_quote!(-> io::Result<Vec<u8>>)),
            is("Vec<u8>", true, false, true)
        );
        assert_eq!(
            returned(parse_quote!(-> Option<u8>)),
            is("Option<u8>", true, false, false)
        );
    }
}
