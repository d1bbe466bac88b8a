//! The expansion of `#[wasm_bindgen]` on a function: the function as it is, and beside it the exports.
//!
//! A shim knows the tokens of its types and not the types, which may be aliases. So each parameter is two core
//! parameters of what a trait says (`()` is none in wasm), and the traits of `wasm_bindgen::__rt` do the rest.

use crate::error::Error;
use crate::item::{Function, Param};
use crate::names;
use crate::options::Options;
use crate::proc_macro::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use crate::template::{literal, template, template_at};
use crate::tokens::plain;

/// The expansion, or the error that the compiler shows.
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    match exports(options, item.clone()) {
        Ok(exports) => [item, exports].into_iter().collect(),
        // The item stays, so that nobody else misses it. Blocks that import would have no meaning.
        Err(error) => [error.into_tokens(), without_attributes(item)]
            .into_iter()
            .collect(),
    }
}

fn exports(options: TokenStream, item: TokenStream) -> Result<TokenStream, Error> {
    let options = Options::parse(options)?;
    if options.typescript {
        return Ok(TokenStream::new());
    }
    let function = Function::parse(item)?;
    if options.start {
        return start(&function);
    }
    let name = options
        .name
        .unwrap_or_else(|| plain(&function.name.to_string()));
    if names::reserved(&name) {
        return Err(Error::new(
            function.name.span(),
            format!(
                "an export cannot be called `{name}`, which has a meaning of its own: give it another name"
            ),
        ));
    }
    let symbol = names::hashed(&name);
    let mut exports = shim(&function, symbol.as_ref().unwrap_or(&name));
    exports.extend(description(&function, &name, &name));
    if let Some(symbol) = symbol {
        exports.extend(description(&function, &name, &symbol));
        exports.extend(described_by_bindgen(&symbol));
    }
    Ok(exports)
}

/// The export of a function.
fn shim(function: &Function, symbol: &str) -> TokenStream {
    let text = r#"
const _: () = {
    #[cfg_attr(target_family = "wasm", unsafe(export_name = QSymbol))]
    unsafe extern "C" fn __iof_shim(__area: QArea, QParams) -> QCore {
        QLets
        let __wire = QInto(QFunction(QArgs));
        // SAFETY: the host keeps the contract of the ABI.
        unsafe { ::wasm_bindgen::__rt::Outgoing::give(__wire, __area) }
    }
};"#;
    let params = "QFirst: <<QType as QTrait>::Wire as ::wasm_bindgen::__rt::Incoming>::First,
        QSecond: <<QType as QTrait>::Wire as ::wasm_bindgen::__rt::Incoming>::Second,";
    // SAFETY: the host keeps the contract of the ABI.
    let (held, owned) = (
        "let QHeld = <QType as QTrait>::hold(unsafe { ::wasm_bindgen::__rt::Incoming::take(QFirst, QSecond) });",
        "let QHeld = <QType as QTrait>::from_wire(unsafe { ::wasm_bindgen::__rt::Incoming::take(QFirst, QSecond) });",
    );
    let wire = "<QResult as ::wasm_bindgen::__rt::Answer>::Wire as ::wasm_bindgen::__rt::Outgoing";
    template(
        text,
        &[
            ("QSymbol", literal(symbol)),
            ("QFunction", ident(&function.name)),
            ("QArea", result(function, &format!("<{wire}>::Area"))),
            ("QCore", result(function, &format!("<{wire}>::Core"))),
            (
                "QInto",
                result(
                    function,
                    "<QResult as ::wasm_bindgen::__rt::Answer>::into_wire",
                ),
            ),
            ("QParams", each(function, params, params)),
            ("QLets", each(function, held, owned)),
            (
                "QArgs",
                each(function, "<QType as QTrait>::lend(&QHeld),", "QHeld,"),
            ),
        ],
    )
}

/// The export that tells the types of the function `name`; it goes by `of`.
fn description(function: &Function, name: &str, of: &str) -> TokenStream {
    let text = r#"
const _: () = {
    #[cfg_attr(target_family = "wasm", unsafe(export_name = QDescribe))]
    unsafe extern "C" fn __iof_describe(__area: ::wasm_bindgen::__rt::Area) {
        let __text = ::wasm_bindgen::__rt::describe(QName, &[QDoc], &[QParams], QResult, QFallible);
        // SAFETY: the host keeps the contract of the ABI.
        unsafe { ::wasm_bindgen::__rt::Outgoing::give(__text.into_bytes(), __area) }
    }
};"#;
    let param = "(QWord, <QType as QTrait>::TYPE),";
    let doc = function.doc.iter();
    template(
        text,
        &[
            ("QDescribe", literal(&format!("__iof_describe_{of}"))),
            ("QName", literal(name)),
            (
                "QDoc",
                doc.flat_map(|doc| template("QLine,", &[("QLine", doc.clone())]))
                    .collect(),
            ),
            ("QParams", each(function, param, param)),
            (
                "QResult",
                result(function, "<QResult as ::wasm_bindgen::__rt::Answer>::TYPE"),
            ),
            (
                "QFallible",
                result(
                    function,
                    "<QResult as ::wasm_bindgen::__rt::Answer>::FALLIBLE",
                ),
            ),
        ],
    )
}

/// The export by which a host takes the hash off a symbol: the one that wasm-bindgen describes it by. It says nothing, as the
/// types are in the other description.
fn described_by_bindgen(symbol: &str) -> TokenStream {
    let text = r#"
const _: () = {
    #[cfg_attr(target_family = "wasm", unsafe(export_name = QDescribe))]
    extern "C" fn __iof_nothing() {}
};"#;
    let name = literal(&format!("__wbindgen_describe_{symbol}"));
    template(text, &[("QDescribe", name)])
}

/// One text for each parameter: the first for those by reference, the second for those by value.
fn each(function: &Function, borrowed: &str, owned: &str) -> TokenStream {
    let params = function.params.iter().enumerate();
    params
        .flat_map(|(n, param)| {
            let text = if param.borrowed { borrowed } else { owned };
            template_at(param.span, text, &parts(n, param))
        })
        .collect()
}

/// Something of the result's type.
fn result(function: &Function, text: &str) -> TokenStream {
    let ty = function
        .result
        .clone()
        .unwrap_or_else(|| template("()", &[]));
    let first = ty.clone().into_iter().next();
    let at = first.map_or_else(Span::call_site, |token| token.span());
    template_at(at, text, &[("QResult", ty)])
}

/// The parts that belong to the parameter of this number.
fn parts(n: usize, param: &Param) -> [(&'static str, TokenStream); 6] {
    let local = |what: &str| ident(&Ident::new(&format!("__{what}{n}"), Span::call_site()));
    let kind = if param.borrowed {
        "::wasm_bindgen::__rt::Borrowed"
    } else {
        "::wasm_bindgen::__rt::Argument"
    };
    [
        ("QFirst", local("first")),
        ("QSecond", local("second")),
        ("QHeld", local("held")),
        ("QType", param.ty.clone()),
        ("QTrait", template(kind, &[])),
        ("QWord", literal(&param.name)),
    ]
}

fn ident(ident: &Ident) -> TokenStream {
    TokenTree::Ident(ident.clone()).into()
}

/// A function that runs once, when the module starts: hosts of wasm-bindgen's modules look for this name.
fn start(function: &Function) -> Result<TokenStream, Error> {
    if !function.params.is_empty() {
        return Err(Error::new(
            function.name.span(),
            format!(
                "`{}` runs when the module starts, and nobody passes it anything: remove its parameters",
                function.name
            ),
        ));
    }
    let text = r#"
const _: () = {
    #[cfg_attr(target_family = "wasm", unsafe(export_name = "__wbindgen_start"))]
    extern "C" fn __iof_shim() {
        ::wasm_bindgen::__rt::Answer::into_wire(QFunction());
    }
};"#;
    Ok(template(text, &[("QFunction", ident(&function.name))]))
}

/// The item without the attributes of this name inside of it, which would be errors of their own; nothing of a block
/// that imports.
fn without_attributes(item: TokenStream) -> TokenStream {
    let words: Vec<_> = item
        .clone()
        .into_iter()
        .filter_map(|token| match token {
            TokenTree::Ident(ident) => Some(ident.to_string()),
            _ => None,
        })
        .collect();
    let has = |word: &str| words.iter().any(|w| w == word);
    if has("extern") && !has("fn") {
        return TokenStream::new();
    }
    strip(item)
}

fn strip(stream: TokenStream) -> TokenStream {
    let mut kept: Vec<TokenTree> = vec![];
    for token in stream {
        let TokenTree::Group(group) = token else {
            kept.push(token);
            continue;
        };
        let first = group
            .stream()
            .into_iter()
            .next()
            .map(|token| token.to_string());
        let hash = matches!(kept.last(), Some(TokenTree::Punct(punct)) if punct.as_char() == '#');
        if hash
            && group.delimiter() == Delimiter::Bracket
            && first.as_deref() == Some("wasm_bindgen")
        {
            kept.pop();
            continue;
        }
        let mut stripped = Group::new(group.delimiter(), strip(group.stream()));
        stripped.set_span(group.span());
        kept.push(TokenTree::Group(stripped));
    }
    kept.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without white space, so that only tokens count.
    fn expanded(options: &str, item: &str) -> String {
        let text = expand(options.parse().unwrap(), item.parse().unwrap()).to_string();
        text.split_whitespace().collect()
    }

    #[test]
    fn the_function_stays_and_two_exports_come() {
        let text = expanded(
            "",
            "/// Greets.\npub fn say(s: &str, n: u8) -> String { s.into() }",
        );
        for part in [
            "pubfnsay(s:&str,n:u8)->String{s.into()}",
            "export_name=\"say\"",
            "export_name=\"__iof_describe_say\"",
            "__first0:<<stras::wasm_bindgen::__rt::Borrowed>::Wireas::wasm_bindgen::__rt::Incoming>::First",
            "__second1:<<u8as::wasm_bindgen::__rt::Argument>::Wireas::wasm_bindgen::__rt::Incoming>::Second",
            "say(<stras::wasm_bindgen::__rt::Borrowed>::lend(&__held0),__held1,)",
            "(\"s\",<stras::wasm_bindgen::__rt::Borrowed>::TYPE)",
            "<Stringas::wasm_bindgen::__rt::Answer>::FALLIBLE",
            "Greets.",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!text.contains('Q'), "a place was left empty: {text}");
    }

    #[test]
    fn names() {
        assert!(expanded("js_name = other", "pub fn f() {}").contains("\"__iof_describe_other\""));
        let time = expanded("", "pub fn time() {}");
        for part in [
            "\"time_696f660000000000\"",
            "\"__wbindgen_describe_time_696f660000000000\"",
            "\"__iof_describe_time\"",
        ] {
            assert!(time.contains(part), "{part} is not in {time}");
        }
        assert!(expanded("", "pub fn r#match() {}").contains("export_name=\"match\""));
        assert!(expanded("start", "fn begin() {}").contains("export_name=\"__wbindgen_start\""));
        for (options, item) in [
            ("", "fn memory() {}"),
            ("js_name = __x", "fn f() {}"),
            ("start", "fn f(a: u8) {}"),
        ] {
            assert!(expanded(options, item).contains("compile_error!"), "{item}");
        }
        let constant = "const TS: &'static str = \"\";";
        assert_eq!(
            expanded("typescript_custom_section", constant),
            constant.replace(' ', "")
        );
    }

    #[test]
    fn an_error_leaves_the_item_usable() {
        let text = expanded(
            "",
            "impl A { #[wasm_bindgen(constructor)] #[inline] pub fn new() -> A { A } }",
        );
        assert!(
            text.contains("compile_error!") && text.contains("implA{#[inline]pubfnnew"),
            "{text}"
        );
        assert!(!text.contains("constructor"), "{text}");
        let text = expanded("", "extern \"C\" { fn alert(s: &str); }");
        assert!(
            text.contains("compile_error!") && !text.contains("alert"),
            "{text}"
        );
    }
}
