//! `#[iof::data]`: the derives with which a type crosses as JSON, without serde or schemars in the author's manifest.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Fields, Item};

use crate::error;

pub(crate) fn expand(attribute: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    if !attribute.is_empty() {
        return Err(error(
            attribute,
            "`#[iof::data]` takes no options: write those of serde in `#[serde(…)]` below it",
        ));
    }
    let mut item = syn::parse2(item)?;
    let (Item::Struct(_) | Item::Enum(_)) = item else {
        return Err(error(
            item,
            "`#[iof::data]` is for structs and enums: use `#[iof::function]` for a function",
        ));
    };
    let schema = if cfg!(feature = "schema") {
        Some(quote! {
            #[derive(::iof::schemars::JsonSchema)]
            #[schemars(crate = "::iof::schemars")]
        })
    } else {
        remove_schemars(&mut item);
        None
    };
    Ok(quote! {
        #[derive(::iof::serde::Serialize, ::iof::serde::Deserialize)]
        #[serde(crate = "::iof::serde")]
        #schema
        #item
    })
}

/// Removes the attributes of the derive that is left out.
fn remove_schemars(item: &mut Item) {
    fn remove(attributes: &mut Vec<Attribute>) {
        attributes.retain(|attribute| !attribute.path().is_ident("schemars"));
    }
    fn remove_of(fields: &mut Fields) {
        for field in fields {
            remove(&mut field.attrs);
        }
    }
    match item {
        Item::Struct(item) => {
            remove(&mut item.attrs);
            remove_of(&mut item.fields);
        }
        Item::Enum(item) => {
            remove(&mut item.attrs);
            for variant in &mut item.variants {
                remove(&mut variant.attrs);
                remove_of(&mut variant.fields);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use quote::ToTokens as _;
    use syn::parse_quote;

    #[test]
    fn without_schemas_their_attributes_are_removed() {
        for mut item in [
            parse_quote! {
                #[schemars(title = "A")]
                #[serde(default)]
                struct A { #[schemars(with = "String")] #[serde(skip)] a: u8, b: u8 }
            },
            parse_quote! {
                #[schemars(title = "A")]
                #[serde(untagged)]
                enum A { #[schemars(title = "B")] B(#[schemars(with = "String")] #[serde(skip)] u8) }
            },
        ] {
            super::remove_schemars(&mut item);
            let left = item.to_token_stream().to_string();
            assert!(!left.contains("schemars"), "{left}");
            assert_eq!(left.matches("serde").count(), 2, "{left}");
        }
    }

    use quote::quote;

    #[test]
    fn the_attribute_is_only_for_types() {
        let message = |attribute, item| super::expand(attribute, item).unwrap_err().to_string();
        assert_eq!(
            message(
                quote!(),
                quote!(
                    fn f() {}
                )
            ),
            "`#[iof::data]` is for structs and enums: use `#[iof::function]` for a function"
        );
        assert_eq!(
            message(
                quote!(rename_all = "kebab-case"),
                quote!(
                    struct A;
                )
            ),
            "`#[iof::data]` takes no options: write those of serde in `#[serde(…)]` below it"
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
