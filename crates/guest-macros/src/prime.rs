//! `#[iof::prime]`: the export `iof_prime`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ReturnType;

use crate::{error, function};

pub(crate) fn expand(attribute: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    if !attribute.is_empty() {
        return Err(error(
            attribute,
            "`#[iof::prime]` takes nothing in brackets",
        ));
    }
    let item = function::parse(item, "`#[iof::prime]` stands on a function: `fn()`")?;
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
            "nobody reads what `#[iof::prime]` returns: keep it in a `static`, and panic to fail the upload",
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
    fn it_stands_on_a_function_of_nothing() {
        let message = |item| super::expand(quote!(), item).unwrap_err().to_string();
        assert_eq!(
            message(quote!(
                struct A;
            )),
            "`#[iof::prime]` stands on a function: `fn()`"
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
            "nobody reads what `#[iof::prime]` returns: keep it in a `static`, and panic to fail the upload"
        );
        assert_eq!(
            message(quote!(
                async fn f() {}
            )),
            "a call has one thread, and its commands answer in place: remove `async`"
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
