//! The item that the attribute stands on: a function, or what is refused.

use crate::error::Error;
use crate::proc_macro::{Delimiter, Ident, Spacing, Span, TokenStream, TokenTree};
use crate::tokens::{Tokens, is, plain, visible};

#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: Ident,
    /// The expressions of its comments, `#[doc = …]`.
    pub(crate) doc: Vec<TokenStream>,
    pub(crate) params: Vec<Param>,
    /// `None` is `()`.
    pub(crate) result: Option<TokenStream>,
}

#[derive(Debug)]
pub(crate) struct Param {
    pub(crate) name: String,
    /// Without the `&` of a reference.
    pub(crate) ty: TokenStream,
    pub(crate) borrowed: bool,
    /// The place of the type.
    pub(crate) span: Span,
}

impl Function {
    pub(crate) fn parse(item: TokenStream) -> Result<Self, Error> {
        let mut tokens = Tokens::new(item);
        let doc = tokens.attributes().into_iter().filter_map(doc).collect();
        if tokens.word("pub").is_some() && tokens.at_group(Delimiter::Parenthesis) {
            tokens.next();
        }
        let (mut is_async, mut is_extern) = (None, None);
        loop {
            if let Some(span) = tokens.word("async") {
                is_async = Some(span);
            } else if let Some(span) = tokens.word("extern") {
                is_extern = Some(span);
                if matches!(tokens.peek(), Some(TokenTree::Literal(_))) {
                    tokens.next();
                }
            } else if tokens.word("unsafe").is_none() && tokens.word("const").is_none() {
                break;
            }
        }
        if let (Some(span), true) = (is_extern, tokens.at_group(Delimiter::Brace)) {
            return Err(Error::new(span, imports()));
        }
        if tokens.word("fn").is_none() {
            return Err(refusal(&tokens));
        }
        let Some(TokenTree::Ident(name)) = tokens.next() else {
            return Err(refusal(&tokens));
        };
        if let Some(span) = is_async {
            let message = format!(
                "`{name}` is `async`, and nothing here waits for it: remove `async`. Commands and storage answer before the function goes on"
            );
            return Err(Error::new(span, message));
        }
        if tokens.punct('<') {
            let message = format!(
                "`{name}` has parameters in `<>`, and an export has none: write it without, with types such as `&str` and `String`"
            );
            return Err(Error::new(name.span(), message));
        }
        let params = tokens.group(Delimiter::Parenthesis).unwrap_or_default();
        let params = parse_params(params)?;
        let result = (tokens.punct('-') && tokens.punct('>')).then(|| {
            tokens.until(|token| {
                matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
                    || matches!(token, TokenTree::Ident(ident) if ident.to_string() == "where")
            })
        });
        if let Some(result) = &result {
            let mut visible = Tokens::new(visible(result.clone()));
            let span = visible.span();
            let is_static = |token: Option<TokenTree>| matches!(token, Some(TokenTree::Ident(ident)) if ident.to_string() == "static");
            if visible.punct('&') && !(visible.punct('\'') && is_static(visible.next())) {
                let message = format!(
                    "`{name}` returns a reference, and what it refers to ends with the call: return a `String` or a `Vec<u8>`"
                );
                return Err(Error::new(span, message));
            }
        }
        Ok(Self {
            name,
            doc,
            params,
            result,
        })
    }
}

fn parse_params(params: TokenStream) -> Result<Vec<Param>, Error> {
    let mut tokens = Tokens::new(params);
    let mut params = vec![];
    while tokens.peek().is_some() {
        tokens.attributes();
        let span = tokens.span();
        let pattern = tokens.until(|token| is(token, ':') || is(token, ','));
        if !tokens.punct(':') {
            return Err(Error::new(
                span,
                format!(
                    "`{pattern}` belongs to a type, and only functions on their own can be exported: write a `pub fn` that makes the value it needs"
                ),
            ));
        }
        let ty = tokens.until(|token| is(token, ','));
        tokens.punct(',');
        params.push(param(&pattern, ty, params.len())?);
    }
    Ok(params)
}

fn param(pattern: &TokenStream, ty: TokenStream, index: usize) -> Result<Param, Error> {
    let mut names = visible(pattern.clone())
        .into_iter()
        .filter_map(|token| match token {
            TokenTree::Ident(ident) => Some(plain(&ident.to_string())),
            _ => None,
        });
    let name = names
        .find(|name| !matches!(name.as_str(), "mut" | "ref" | "_"))
        .map(|name| name.trim_start_matches('_').to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| format!("argument{}", index + 1));
    let mut tokens = Tokens::new(visible(ty));
    let span = tokens.span();
    let borrowed = tokens.punct('&');
    if borrowed {
        if matches!(tokens.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == '\'' && punct.spacing() == Spacing::Joint)
        {
            tokens.next();
            tokens.next();
        }
        if tokens.word("mut").is_some() {
            return Err(Error::new(
                span,
                format!(
                    "the caller does not see what `{name}` becomes: take it by value, and return it"
                ),
            ));
        }
    }
    Ok(Param {
        name,
        span: tokens.span(),
        ty: tokens.rest(),
        borrowed,
    })
}

/// The expression of `doc = …`; `doc(hidden)` has none.
fn doc(attribute: TokenStream) -> Option<TokenStream> {
    let mut tokens = Tokens::new(attribute);
    tokens.word("doc")?;
    tokens.punct('=').then(|| tokens.rest())
}

/// The message to the author of the block, or to whoever depends on one: cargo tells which of them builds.
fn imports() -> String {
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    let reason = "the functions in this `extern` block are JavaScript, and iof runs functions without JavaScript.";
    match std::env::var_os("CARGO_PRIMARY_PACKAGE") {
        Some(_) => format!(
            "{reason} Reach what is outside through a command (`http_proxy` makes requests), and print with `println!`"
        ),
        None => format!(
            "{reason} Do without `{package}`, or without what brings it: `cargo tree --target wasm32-wasip1 --invert {package}` tells"
        ),
    }
}

fn refusal(tokens: &Tokens) -> Error {
    let word = tokens.peek().map(ToString::to_string).unwrap_or_default();
    let message = match word.as_str() {
        "struct" | "enum" | "union" => format!(
            "`#[wasm_bindgen]` on a `{word}`: its values would live in JavaScript between calls, and here nothing lives \
             between calls. Remove the attribute, take and return it as JSON (derive serde's traits; `serde_json::from_str` \
             and `to_string` on a `&str` and a `String`)"
        ),
        "impl" => "`#[wasm_bindgen]` on an `impl`: methods need a value that lives in JavaScript between calls. Remove \
                   the attribute, and export a `pub fn` for each method that is called"
            .to_owned(),
        _ => "`#[wasm_bindgen]` exports functions: put it on a `pub fn`".to_owned(),
    };
    Error::new(tokens.span(), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Function, String> {
        Function::parse(text.parse().unwrap()).map_err(|error| error.message)
    }

    #[test]
    fn functions_of_every_form() {
        let function = parse(
            "/// One.\n#[inline]\n#[doc = \"Two.\"]\npub(crate) extern \"C\" fn r#match(mut a: &str, #[allow(unused)] _b: std::collections::HashMap<fn() -> i32, u8>, _: & [f64],) -> Result<String, JsValue> where String: Sized { loop {} }",
        )
        .unwrap();
        assert_eq!(function.name.to_string(), "r#match");
        assert_eq!(function.doc.len(), 2);
        let params: Vec<_> = function
            .params
            .iter()
            .map(|param| {
                (
                    param.name.as_str(),
                    param.ty.to_string().replace(' ', ""),
                    param.borrowed,
                )
            })
            .collect();
        assert_eq!(
            params,
            [
                ("a", "str".into(), true),
                ("b", "std::collections::HashMap<fn()->i32,u8>".into(), false),
                ("argument3", "[f64]".into(), true),
            ]
        );
        assert_eq!(
            function.result.unwrap().to_string().replace(' ', ""),
            "Result<String,JsValue>"
        );
        assert!(parse("fn f() {}").unwrap().result.is_none());
        assert!(parse("pub fn f() -> &'static str { \"\" }").is_ok());
    }

    #[test]
    fn what_is_refused_says_what_to_do() {
        for (item, words) in [
            (
                "extern \"C\" { fn alert(s: &str); }",
                "iof runs functions without JavaScript",
            ),
            ("extern { type Date; }", "JavaScript"),
            ("pub struct A { b: u8 }", "on a `struct`"),
            ("pub enum A { B }", "take and return it as JSON"),
            (
                "impl A { pub fn new() -> A { A } }",
                "export a `pub fn` for each method",
            ),
            ("pub async fn f() {}", "remove `async`"),
            ("pub fn f<'a>(s: &'a str) {}", "`f` has parameters in `<>`"),
            ("pub fn f(&self) {}", "belongs to a type"),
            ("pub fn f(self: Box<Self>, a: &mut [u8]) {}", "return it"),
            ("pub fn f(a: &str) -> &str { a }", "return a `String`"),
            ("mod a {}", "put it on a `pub fn`"),
            ("", "put it on a `pub fn`"),
        ] {
            let message = parse(item).unwrap_err();
            assert!(message.contains(words), "{item}: {message}");
        }
    }
}
