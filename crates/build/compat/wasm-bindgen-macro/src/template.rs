//! Code from a text with places in it: what the crate `quote` does, as far as one attribute needs it.

use crate::proc_macro::{Group, Literal, Span, TokenStream, TokenTree};

/// The tokens of `text`, with each identifier that names a part replaced by it. Parts keep the spans that they have.
///
/// `text` is a constant of this crate: one that does not parse fails in its unit tests.
pub(crate) fn template(text: &str, parts: &[(&str, TokenStream)]) -> TokenStream {
    template_at(Span::call_site(), text, parts)
}

/// The same, for code whose errors belong to the place `at`.
pub(crate) fn template_at(at: Span, text: &str, parts: &[(&str, TokenStream)]) -> TokenStream {
    fill(
        text.parse().unwrap_or_default(),
        parts,
        Span::call_site().located_at(at),
    )
}

fn fill(tokens: TokenStream, parts: &[(&str, TokenStream)], span: Span) -> TokenStream {
    tokens
        .into_iter()
        .flat_map(|mut token| {
            if let TokenTree::Ident(ident) = &token {
                let name = ident.to_string();
                if let Some((_, part)) = parts.iter().find(|(part, _)| *part == name) {
                    return part.clone();
                }
            }
            if let TokenTree::Group(group) = token {
                token = Group::new(group.delimiter(), fill(group.stream(), parts, span)).into();
            }
            token.set_span(span);
            token.into()
        })
        .collect()
}

/// A string literal.
pub(crate) fn literal(text: &str) -> TokenStream {
    TokenTree::Literal(Literal::string(text)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_take_their_places() {
        let part = "a + b".parse().unwrap();
        let filled = template("f(X, [X]) -> N", &[("X", part), ("N", literal("n\""))]);
        let expected: TokenStream = r#"f(a + b, [a + b]) -> "n\"""#.parse().unwrap();
        assert_eq!(filled.to_string(), expected.to_string());
    }
}
