//! Code from a text with places in it: what the crate `quote` does, as far as one attribute needs it.

use crate::proc_macro::{Group, Literal, TokenStream, TokenTree};

/// The tokens of `text`, with each identifier that names a part replaced by it. Parts keep the spans that they have.
///
/// `text` is a constant of this crate: one that does not parse fails in its unit tests.
pub(crate) fn template(text: &str, parts: &[(&str, TokenStream)]) -> TokenStream {
    let tokens = text.parse().unwrap_or_default();
    fill(tokens, parts)
}

fn fill(tokens: TokenStream, parts: &[(&str, TokenStream)]) -> TokenStream {
    tokens
        .into_iter()
        .flat_map(|token| match token {
            TokenTree::Ident(ident) => {
                let name = ident.to_string();
                match parts.iter().find(|(part, _)| *part == name) {
                    Some((_, part)) => part.clone(),
                    None => TokenTree::Ident(ident).into(),
                }
            }
            TokenTree::Group(group) => {
                let mut filled = Group::new(group.delimiter(), fill(group.stream(), parts));
                filled.set_span(group.span());
                TokenTree::Group(filled).into()
            }
            other => other.into(),
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
