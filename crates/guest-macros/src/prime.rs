//! `#[iof::prime]`: the export `iof_prime`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ReturnType;

use crate::{error, function};

pub(crate) fn expand(attribute: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    if !attribute.is_empty() {
        return Err(error(attribute, "`#[iof::prime]` takes no options"));
    }
    let item = function::parse(
        item,
        "`#[iof::prime]` is for a function without parameters: `fn()`",
    )?;
    function::plain(&item)?;
    if !item.sig.inputs.is_empty() {
        return Err(error(
            &item.sig.inputs,
            "`#[iof::prime]` runs when the module is uploaded, where there are no arguments: remove them",
        ));
    }
    if let ReturnType::Type(_, ty) = &item.sig.output {
        return Err(error(
            ty,
            "the result of `#[iof::prime]` is not used: keep it in a `static`, and panic to fail the upload",
        ));
    }
    let name = &item.sig.ident;
    let conditions = function::conditions(&item);
    Ok(quote! {
        #item

        #(#conditions)*
        const _: () = {
            #[cfg_attr(target_family = "wasm", unsafe(export_name = "iof_prime"))]
            #[allow(unsafe_code, dead_code)]
            extern "C" fn prime() {
                #name();
            }
        };
    })
}

#[cfg(test)]
mod tests {
    use quote::quote;

    #[test]
    fn the_attribute_is_for_functions_without_parameters() {
        let message = |item| super::expand(quote!(), item).unwrap_err().to_string();
        assert_eq!(
            message(quote!(
                struct A;
            )),
            "`#[iof::prime]` is for a function without parameters: `fn()`"
        );
        assert_eq!(
            message(quote!(
                fn f(a: u32) {}
            )),
            "`#[iof::prime]` runs when the module is uploaded, where there are no arguments: remove them"
        );
        assert_eq!(
            message(quote!(
                fn f() -> u32 {
                    1
                }
            )),
            "the result of `#[iof::prime]` is not used: keep it in a `static`, and panic to fail the upload"
        );
        assert_eq!(
            message(quote!(
                async fn f() {}
            )),
            "a call has one thread, and its commands block: remove `async`"
        );
        assert!(
            super::expand(
                quote!(),
                quote!(
                    fn f() {}
                )
            )
            .is_ok()
        );
    }
}
