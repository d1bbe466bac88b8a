//! The options in the brackets of `#[wasm_bindgen(…)]`.

use crate::error::Error;
use crate::proc_macro::{TokenStream, TokenTree};
use crate::tokens::{Tokens, is, plain};

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Options {
    /// The name of the export, if it is not that of the function.
    pub(crate) name: Option<String>,
    /// Runs once when the module starts, and is not for calls.
    pub(crate) start: bool,
    /// A text for TypeScript: nothing is made of it.
    pub(crate) typescript: bool,
}

impl Options {
    pub(crate) fn parse(stream: TokenStream) -> Result<Self, Error> {
        let mut options = Self::default();
        let mut tokens = Tokens::new(stream);
        while tokens.peek().is_some() {
            let span = tokens.span();
            let option = tokens.until(|token| is(token, '=') || is(token, ','));
            let value = tokens
                .punct('=')
                .then(|| tokens.until(|token| is(token, ',')));
            match (option.to_string().as_str(), value) {
                ("start", None) => options.start = true,
                // Notes for the generator of TypeScript.
                ("skip_typescript", None) => {}
                ("typescript_custom_section", None) => options.typescript = true,
                ("js_name", Some(value)) => {
                    let found = name(value.clone());
                    options.name = Some(found.ok_or_else(|| {
                        Error::new(span, format!("`js_name = {value}` is no name of an export: write `js_name = name`"))
                    })?);
                }
                (option, _) => {
                    return Err(Error::new(
                        span,
                        format!(
                            "`#[wasm_bindgen({option})]` is for JavaScript, and iof runs functions without JavaScript: \
                             remove it. On a function it takes `js_name = name` and `start`"
                        ),
                    ));
                }
            }
            tokens.punct(',');
        }
        Ok(options)
    }
}

/// `name` or `"name"`.
fn name(value: TokenStream) -> Option<String> {
    let mut tokens = value.into_iter();
    let name = match tokens.next()? {
        TokenTree::Ident(ident) => plain(&ident.to_string()),
        TokenTree::Literal(literal) => {
            let text = literal.to_string();
            text.strip_prefix('"')?.strip_suffix('"')?.to_owned()
        }
        _ => return None,
    };
    let fits = tokens.next().is_none()
        && !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || "_$-.".contains(c));
    fits.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, String> {
        Options::parse(text.parse().unwrap()).map_err(|error| error.message)
    }

    #[test]
    fn what_a_function_takes() {
        assert_eq!(parse(""), Ok(Options::default()));
        for text in [
            "js_name = sayHello",
            "js_name = \"sayHello\", skip_typescript",
            "js_name = sayHello,",
        ] {
            assert_eq!(
                parse(text).unwrap().name.as_deref(),
                Some("sayHello"),
                "{text}"
            );
        }
        assert!(parse("start").unwrap().start);
    }

    #[test]
    fn what_it_does_not() {
        for (text, words) in [
            (
                "constructor",
                "`#[wasm_bindgen(constructor)]` is for JavaScript",
            ),
            (
                "module = \"./a.js\"",
                "`#[wasm_bindgen(module)]` is for JavaScript",
            ),
            ("js_name = \"a b\"", "is no name of an export"),
            ("js_name", "is for JavaScript"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(words), "{message}");
        }
    }
}
