//! `#[iof::data]`: the derives that a type needs to cross as JSON, without serde or schemars in the author's manifest.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Item;

use crate::error;

pub(crate) fn expand(attribute: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    if !attribute.is_empty() {
        return Err(error(
            attribute,
            "`#[iof::data]` takes nothing in brackets: what serde is to know goes into `#[serde(…)]` below it",
        ));
    }
    let item = syn::parse2(item)?;
    let (Item::Struct(_) | Item::Enum(_)) = item else {
        return Err(error(
            item,
            "`#[iof::data]` stands on a struct or an enum; on a function it is `#[iof::function]`",
        ));
    };
    let schema = cfg!(feature = "schema").then(|| {
        quote! {
            #[derive(::iof::schemars::JsonSchema)]
            #[schemars(crate = "::iof::schemars")]
        }
    });
    Ok(quote! {
        #[derive(::iof::serde::Serialize, ::iof::serde::Deserialize)]
        #[serde(crate = "::iof::serde")]
        #schema
        #item
    })
}

#[cfg(test)]
mod tests {
    use quote::quote;

    #[test]
    fn it_stands_on_types_alone() {
        let message = |attribute, item| super::expand(attribute, item).unwrap_err().to_string();
        assert_eq!(
            message(
                quote!(),
                quote!(
                    fn f() {}
                )
            ),
            "`#[iof::data]` stands on a struct or an enum; on a function it is `#[iof::function]`"
        );
        assert_eq!(
            message(
                quote!(rename_all = "kebab-case"),
                quote!(
                    struct A;
                )
            ),
            "`#[iof::data]` takes nothing in brackets: what serde is to know goes into `#[serde(…)]` below it"
        );
        assert!(
            super::expand(
                quote!(),
                quote!(
                    enum A {
                        B,
                    }
                )
            )
            .is_ok()
        );
    }
}
