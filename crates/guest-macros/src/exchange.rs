//! Options in the brackets of `#[iof::function(…)]`: which requests call the function, and how.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Ident;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;

use crate::error;
use crate::types::{Param, Wire};

/// The methods that may be listed, and their HTTP names.
const METHODS: [(&str, &str); 5] = [
    ("get", "GET"),
    ("post", "POST"),
    ("put", "PUT"),
    ("patch", "PATCH"),
    ("delete", "DELETE"),
];

/// The options that the brackets may contain.
const WORDS: &str = "`#[iof::function(…)]` takes only `raw` and the methods `get`, `post`, `put`, `patch`, `delete`";

/// The options of requests to a function.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    /// The option `raw`, if it is present.
    raw: Option<Ident>,
    methods: Vec<&'static str>,
}

impl Exchange {
    /// Parses the brackets.
    ///
    /// # Errors
    /// An error at an option that is unknown or repeated.
    pub(crate) fn of(attribute: TokenStream) -> syn::Result<Self> {
        let words = Punctuated::<Ident, syn::Token![,]>::parse_terminated.parse2(attribute);
        let words = words.map_err(|e| syn::Error::new(e.span(), WORDS))?;
        let mut exchange = Self::default();
        for word in words {
            let known = METHODS.iter().find(|(name, _)| word == name);
            let twice = match known {
                Some((_, method)) if exchange.methods.contains(method) => true,
                Some((_, method)) => {
                    exchange.methods.push(method);
                    false
                }
                None if word == "raw" => exchange.raw.replace(word.clone()).is_some(),
                None => {
                    return Err(error(word, WORDS));
                }
            };
            if twice {
                return Err(error(&word, format!("`{word}` is repeated: remove one")));
            }
        }
        Ok(exchange)
    }

    /// Checks of the parameters for the compiler, which sees their types.
    ///
    /// # Errors
    /// An error if `raw` is on a function that does not have one parameter, or has a number as parameter.
    pub(crate) fn fits(&self, function: &Ident, params: &[Param]) -> syn::Result<TokenStream> {
        let is_body = matches!(params, [param] if param.wire == Wire::Memory);
        if self.raw.is_some() && !is_body {
            return Err(error(
                function,
                "`raw` passes the unchanged body: take it as the only parameter, as `&str`, `&[u8]` or JSON",
            ));
        }
        let company = params
            .iter()
            .filter(|param| params.len() > 1 && param.wire == Wire::Memory);
        let company = company.map(|Param { owned, .. }| {
            quote_spanned! {Span::call_site().located_at(owned.span())=>
                const _: () = <::iof::__private::Of<#owned>>::HAS_COMPANY;
            }
        });
        Ok(quote!(#(#company)*))
    }
}

impl ToTokens for Exchange {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let (raw, methods) = (self.raw.is_some(), &self.methods);
        tokens.extend(quote! {
            ::iof::__private::Exchange { raw: #raw, methods: &[#(#methods),*] }
        });
    }
}
