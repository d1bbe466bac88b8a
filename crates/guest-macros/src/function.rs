//! `#[iof::function]`: the export of a function, and the export that describes it.
//!
//! The interface is that of wasm-bindgen. Text, bytes and JSON are pointer and length, a number is itself, and a result
//! of text, bytes or JSON goes through a return area, whose address is the first parameter.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Ident, Item, ItemFn};

use crate::exchange::Exchange;
use crate::types::{Param, Returned, Wire};
use crate::{doc, error, names};

pub(crate) fn expand(attribute: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let exchange = Exchange::of(attribute)?;
    let item = parse(
        item,
        "`#[iof::function]` is for functions with a body: use `#[iof::data]` for a type",
    )?;
    plain(&item)?;
    let name = item.sig.ident.to_string();
    let name = name.strip_prefix("r#").unwrap_or(&name);
    if let Some(reason) = names::refused(name) {
        return Err(error(&item.sig.ident, reason));
    }
    let params = item
        .sig
        .inputs
        .iter()
        .map(Param::of)
        .collect::<syn::Result<Vec<_>>>()?;
    let returned = Returned::of(&item.sig.output)?;
    let fits = exchange.fits(&item.sig.ident, &params)?;

    let call = call(&item.sig.ident, name, &params, &returned);
    let describe = describe(name, &doc::text(&item.attrs), &params, &returned, &exchange);
    let conditions = conditions(&item);
    Ok(quote! {
        #item

        #(#conditions)*
        const _: () = {
            #[allow(unused_imports)]
            use ::iof::__private::{AnyError as _, AnyValue as _, NoSchema as _};
            #fits
            #call
            #describe
        };
    })
}

/// Parses an item as a function. The error of an item of another kind is `words`; other syntax errors are the parser's.
pub(crate) fn parse(item: TokenStream, words: &str) -> syn::Result<ItemFn> {
    match syn::parse2(item)? {
        Item::Fn(item) => Ok(item),
        other => Err(error(&other, words)),
    }
}

/// The `cfg` conditions of the function: the compiler has evaluated those above the attribute; those below are
/// returned.
pub(crate) fn conditions(item: &ItemFn) -> impl Iterator<Item = &Attribute> {
    item.attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"))
}

/// Refuses everything but `fn name(…) -> …`.
///
/// # Errors
/// An error at the unsupported token, with what to do instead.
pub(crate) fn plain(item: &ItemFn) -> syn::Result<()> {
    let sig = &item.sig;
    if let Some(word) = &sig.asyncness {
        return Err(error(
            word,
            "a call has one thread, and its commands block: remove `async`",
        ));
    }
    if let Some(word) = &sig.unsafety {
        return Err(error(
            word,
            "callers cannot keep the contract of an unsafe function: remove `unsafe`",
        ));
    }
    if let Some(word) = &sig.abi {
        return Err(error(
            word,
            "the attribute generates the export that the server calls: remove `extern`",
        ));
    }
    if let Some(dots) = &sig.variadic {
        return Err(error(dots, "a call has the arguments that are declared"));
    }
    if !sig.generics.params.is_empty() {
        return Err(error(
            &sig.generics,
            "a call needs to know the types: write them in place of generics, and references without lifetimes",
        ));
    }
    if let Some(clause) = &sig.generics.where_clause {
        return Err(error(
            clause,
            "a call needs to know the types: remove the `where` clause",
        ));
    }
    Ok(())
}

/// The export that the server calls.
fn call(function: &Ident, export: &str, params: &[Param], returned: &Returned) -> TokenStream {
    let mut core = Vec::new();
    let mut read = Vec::new();
    let mut pass = Vec::new();
    for (at, param) in params.iter().enumerate() {
        let (value, length) = (format_ident!("a{at}"), format_ident!("a{at}_length"));
        let (owned, name) = (&param.owned, &param.name);
        match &param.wire {
            Wire::Bool => {
                core.push(quote!(#value: i32));
                read.push(quote!(let #value = #value != 0;));
            }
            // The host may leave anything in the upper bits, which are cut off.
            Wire::Small(number) => {
                core.push(quote!(#value: i32));
                read.push(quote!(let #value = #value as #number;));
            }
            Wire::Wide(number) => core.push(quote!(#value: #number)),
            Wire::Memory => {
                core.push(quote!(#value: ::iof::__private::Pointer));
                core.push(quote!(#length: usize));
                read.push(quote_spanned! {place(owned)=>
                    let #value = <::iof::__private::Of<#owned>>::read(#name, #value.take(#length));
                });
            }
        }
        pass.push(if param.borrowed {
            quote!(&#value)
        } else {
            quote!(#value)
        });
    }

    let result = quote!(#function(#(#pass),*));
    let result = match returned.error {
        None => result,
        Some(place) => {
            let end = quote_spanned! {Span::call_site().located_at(place)=>
                ::iof::__private::Failed(error).end()
            };
            quote! {
                match #result {
                    ::core::result::Result::Ok(value) => value,
                    ::core::result::Result::Err(error) => #end,
                }
            }
        }
    };
    let ty = &returned.ty;
    let deref = returned.borrowed.then(|| quote!(*));
    let (area, returns, finish) = match &returned.wire {
        None => (None, None, quote!(let () = result;)),
        Some(Wire::Bool | Wire::Small(_)) => {
            (None, Some(quote!(-> i32)), quote!(#deref result as i32))
        }
        Some(Wire::Wide(number)) => (None, Some(quote!(-> #number)), quote!(#deref result)),
        Some(Wire::Memory) => {
            let write = format_ident!(
                "{}",
                if returned.borrowed {
                    "write_ref"
                } else {
                    "write"
                }
            );
            (
                Some(quote!(area: ::iof::__private::Area,)),
                None,
                quote_spanned! {place(ty)=>
                    const _: () = <::iof::__private::Of<#ty>>::IS_NO_HIDDEN_RESULT;
                    area.fill(<::iof::__private::Of<#ty>>::#write(result));
                },
            )
        }
    };
    quote! {
        #[cfg_attr(target_family = "wasm", unsafe(export_name = #export))]
        #[allow(unsafe_code, dead_code, deprecated, clippy::all)]
        extern "C" fn call(#area #(#core),*) #returns {
            #(#read)*
            let result = #result;
            #finish
        }
    }
}

/// The span at which errors in the code for a type are shown; names resolve as in all generated code.
fn place(ty: &TokenStream) -> Span {
    Span::call_site().located_at(ty.span())
}

/// The export that the server calls once, when the module is uploaded.
fn describe(
    name: &str,
    doc: &str,
    params: &[Param],
    returned: &Returned,
    exchange: &Exchange,
) -> TokenStream {
    let export = format!("__iof_describe_{name}");
    let params = params.iter().map(|param| {
        let name = &param.name;
        let ty = described(&param.wire, &param.owned, &quote!(Accepted));
        quote!((#name, #ty))
    });
    let result = match &returned.wire {
        None => quote!(::iof::__private::Described::plain("unit")),
        Some(wire) => described(wire, &returned.ty, &quote!(Returned)),
    };
    let fallible = returned.error.is_some();
    quote! {
        #[cfg_attr(target_family = "wasm", unsafe(export_name = #export))]
        #[allow(unsafe_code, dead_code, clippy::all)]
        extern "C" fn describe(area: ::iof::__private::Area) {
            area.fill(::iof::__private::describe(#name, #doc, [#(#params),*], #result, #fallible, #exchange));
        }
    }
}

fn described(wire: &Wire, ty: &TokenStream, direction: &TokenStream) -> TokenStream {
    match wire.kind() {
        Some(kind) => quote!(::iof::__private::Described::plain(#kind)),
        None => quote! {
            ::iof::__private::Described::new(
                <::iof::__private::Of<#ty>>::KIND,
                || <::iof::__private::Of<#ty>>::schema(::iof::__private::Direction::#direction),
            )
        },
    }
}

#[cfg(test)]
mod tests;
