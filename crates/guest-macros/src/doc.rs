//! The part of a doc comment that callers see: its paragraphs before the first heading or example.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The text of a doc comment for callers; empty without one.
pub(crate) fn text(attributes: &[Attribute]) -> String {
    let mut lines = Vec::new();
    for line in attributes.iter().filter_map(line) {
        // A block comment is one attribute of several lines.
        lines.extend(line.split('\n').map(|line| line.trim().to_owned()));
    }
    let end = lines
        .iter()
        .position(|line| line.starts_with('#') || line.starts_with("```"))
        .unwrap_or(lines.len());
    lines.truncate(end);
    lines.join("\n").trim().to_owned()
}

fn line(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(meta) = &attribute.meta else {
        return None;
    };
    match &meta.value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) if meta.path.is_ident("doc") => Some(text.value()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use syn::{ItemFn, parse_quote};

    #[test]
    fn a_comment_ends_at_its_first_heading_or_example() {
        let function: ItemFn = parse_quote! {
            /// Sends a mail,
            /// or does not.
            ///
            /// Twice is once.
            ///
            /// # Errors
            /// None of it.
            #[inline]
            fn f() {}
        };
        assert_eq!(
            super::text(&function.attrs),
            "Sends a mail,\nor does not.\n\nTwice is once."
        );
        let function: ItemFn = parse_quote! {
            /** Adds.

            ```
            add(1, 2)
            ``` */
            fn f() {}
        };
        assert_eq!(super::text(&function.attrs), "Adds.");
        assert_eq!(super::text(&[]), "");
    }
}
