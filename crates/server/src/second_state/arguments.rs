//! The argument of a call, read from its body as the original did: at most one.
//!
//! The type of the body is compared exactly, and JSON is passed on as JavaScript would write it after reading it
//! ([`crate::json`]), not as it arrived. Functions rely on this: the original's own test feeds
//! `{"celsius_temperature":25.0}` to a function that reads an integer. Charsets are those of the original's parsers:
//! any for a text, a UTF charset for JSON, UTF-8 for a form.

use super::form::{self, FormLimits};
use super::parsed_call::ParsedCall;
use crate::callback::RequestTarget;
use crate::charset;
use crate::http::essence_of;
use crate::json::{Failure, RewriteOptions, RewrittenJson, Style};
use crate::parsing::Budget;
use bytes::Bytes;
use iof_engine::Arg;
use iof_fault::{Fault, FaultKind};

/// JSON fields that the function does not see: the fetch, and the target of the result.
const DIRECTIONS: [[&str; 2]; 2] = [
    ["SSVM_Fetch", "SSVM-Fetch"],
    ["SSVM_Callback", "SSVM-Callback"],
];

/// Reads the body of a call: its argument, and the two fields that the function does not see.
///
/// # Errors
/// `json` for a body of type `application/json` that is not an object or array; `fetch` and `callback` for fields that
/// cannot be used; `charset`, `form-fields`, `json-depth`, and the errors of the budget.
pub(super) fn of_body(
    content_type: &str,
    body: Bytes,
    limits: FormLimits,
    budget: &mut Budget,
) -> Result<ParsedCall, Fault> {
    let text = |text: Bytes| Some(Arg::Text(text));
    // Decoding replaces a byte by at most three.
    let decoded = |body: Bytes, budget: &mut Budget| {
        let charset = charset::of(content_type);
        if charset.is_some() || std::str::from_utf8(&body).is_err() {
            budget.take(3 * body.len())?;
        }
        charset::decode(body, charset.as_deref())
    };
    Ok(only(match &*essence_of(content_type) {
        _ if body.is_empty() && content_type == "application/json" => text("{}".into()),
        _ if body.is_empty() => None,
        "application/octet-stream" => Some(Arg::Bytes(body)),
        "application/json" => {
            let json = strict(content_type, body, limits.depth, DIRECTIONS, budget)?;
            return directed(json);
        }
        "text/plain" if content_type == "text/plain" => {
            let body = decoded(body, budget)?;
            match rewrite(&body, limits.depth, DIRECTIONS, budget) {
                Ok(json) => return directed(json),
                // Text that is nested deeper than the limit of JSON is passed on as text.
                Err(Failure::NotJson | Failure::TooDeep(_)) => text(body),
                Err(Failure::Fault(fault)) => return Err(fault),
            }
        }
        "text/plain" => text(decoded(body, budget)?),
        "application/x-www-form-urlencoded" => {
            charset::utf8_only(content_type)?;
            let body = decoded(body, budget)?;
            let form = std::str::from_utf8(&body).unwrap_or_default();
            text(form::read(form, limits, budget)?.into())
        }
        _ => None,
    }))
}

fn only(arg: Option<Arg>) -> ParsedCall {
    ParsedCall {
        args: arg.into_iter().collect(),
        fetch: None,
        callback: None,
        shares: vec![],
    }
}

/// JSON as the argument, without the fields of the fetch and of the result's target.
fn directed(json: RewrittenJson) -> Result<ParsedCall, Fault> {
    let [fetch, callback] = json.taken.map(|field| field.map(bare));
    Ok(ParsedCall {
        fetch: fetch.as_deref().map(RequestTarget::fetch).transpose()?,
        callback: callback
            .as_deref()
            .map(RequestTarget::callback)
            .transpose()?,
        ..only(Some(Arg::Text(json.text.into())))
    })
}

/// A text without its quotes; any other JSON unchanged.
fn bare(json: String) -> String {
    serde_json::from_str(&json).unwrap_or(json)
}

/// A JSON body as JavaScript writes it. The original's body parser accepted only objects and arrays, in a UTF charset.
///
/// # Errors
/// `json`, `charset`, `json-depth`, and the errors of the budget.
pub(super) fn rewritten(
    content_type: &str,
    body: Bytes,
    depth: u32,
    budget: &mut Budget,
) -> Result<String, Fault> {
    strict(content_type, body, depth, [[""; 2]; 2], budget).map(|json| json.text)
}

fn strict(
    content_type: &str,
    body: Bytes,
    depth: u32,
    take: [[&'static str; 2]; 2],
    budget: &mut Budget,
) -> Result<RewrittenJson, Fault> {
    let charset = charset::of(content_type);
    if let Some(other) = charset.as_deref().filter(|name| !name.starts_with("utf-")) {
        return Err(charset::unknown(other));
    }
    if charset.is_some() || std::str::from_utf8(&body).is_err() {
        budget.take(3 * body.len())?;
    }
    let body = charset::decode(body, charset.as_deref())?;
    let json = match first(&body) {
        Some(b'{' | b'[') => rewrite(&body, depth, take, budget)
            .map(Some)
            .or_else(Failure::unless_text)?,
        _ => None,
    };
    json.ok_or_else(|| {
        Fault::new(
            FaultKind::Json,
            "The body is not a JSON object or array, which application/json stands for here.",
        )
    })
}

/// A text as JavaScript writes it.
fn rewrite(
    body: &[u8],
    depth: u32,
    take: [[&'static str; 2]; 2],
    budget: &mut Budget,
) -> Result<RewrittenJson, Failure> {
    // Most texts are not JSON, as their first byte shows.
    let (Some(b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n'), Ok(text)) =
        (first(body), std::str::from_utf8(body))
    else {
        return Err(Failure::NotJson);
    };
    let rewriting = RewriteOptions {
        take,
        ..RewriteOptions::new(Style::JavaScript, depth)
    };
    rewriting.run(text, budget)
}

fn first(body: &[u8]) -> Option<&u8> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    body.iter().find(|byte| !is_space(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status;

    const LIMITS: FormLimits = FormLimits {
        fields: 1000,
        depth: 1000,
    };

    fn of_body(content_type: &str, body: Bytes) -> Result<ParsedCall, Fault> {
        super::of_body(content_type, body, LIMITS, &mut Budget::default())
    }

    fn arg(content_type: &str, body: &str) -> Result<Option<Arg>, Fault> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        Ok(of_body(content_type, body)?.args.pop())
    }

    fn plain(body: &str) -> String {
        match arg("text/plain", body).unwrap() {
            Some(Arg::Text(text)) => String::from_utf8(text.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Each pair is output of Node.
    #[test]
    fn text_that_is_json_is_rewritten_as_javascript_does() {
        for (sent, passed) in [
            ("22", "22"),
            ("\"Tim\"", "\"Tim\""),
            ("Tim", "Tim"),
            (
                "{\"celsius_temperature\":25.0}",
                "{\"celsius_temperature\":25}",
            ),
            (
                " { \"a\" : [ 1.0, 1e3, -0, 0.1 ] } ",
                "{\"a\":[1,1000,0,0.1]}",
            ),
            ("12345678901234567890", "12345678901234567000"),
            ("1e21", "1e+21"),
            ("1e-7", "1e-7"),
            ("123456789012345680000", "123456789012345680000"),
            ("{\"b\":1,\"a\":2,\"b\":3}", "{\"b\":3,\"a\":2}"),
            (
                "{\"b\":1,\"10\":2,\"9\":3,\"01\":4,\"4294967295\":5}",
                "{\"9\":3,\"10\":2,\"b\":1,\"01\":4,\"4294967295\":5}",
            ),
            ("\"\\u00e9\\u0001\\/\\n\"", "\"é\\u0001/\\n\""),
            ("[1e400, -1E999,\"\\\"1e400\"]", "[null,null,\"\\\"1e400\"]"),
            ("1e400", "null"),
            ("true", "true"),
            (
                "\"\\ud83d \\uD83D\\uDE00 \\uDE00\"",
                "\"\\ud83d \u{1f600} \\ude00\"",
            ),
            (
                "{\"a\":[],\"b\":{},\"a\":{\"c\":1,\"c\":[2]}}",
                "{\"a\":{\"c\":[2]},\"b\":{}}",
            ),
            ("{\"\\u0061\":1,\"a\":2,\"1\":3}", "{\"1\":3,\"a\":2}"),
            ("{broken", "{broken"),
            ("\u{feff}[1.0]", "[1]"),
            ("\u{feff}Ada", "Ada"),
            ("1 2", "1 2"),
        ] {
            assert_eq!(plain(sent), passed, "{sent}");
        }
    }

    #[test]
    fn the_type_is_compared_to_the_letter() {
        let of = arg;
        let text = |text: &'static str| Some(Arg::Text(Bytes::from_static(text.as_bytes())));
        assert_eq!(
            of("text/plain; charset=UTF-8", "25.0").unwrap(),
            text("25.0")
        );
        assert_eq!(of("application/json", "[1.0]").unwrap(), text("[1]"));
        assert_eq!(of("application/json", "1").unwrap_err().code(), "json");
        assert_eq!(of("application/json", "{").unwrap_err().code(), "json");
        assert_eq!(
            of("application/octet-stream", "x").unwrap(),
            Some(Arg::Bytes(Bytes::from_static(b"x")))
        );
        assert_eq!(
            of("application/x-www-form-urlencoded", "text=hi&x=1").unwrap(),
            text("{\"text\":\"hi\",\"x\":\"1\"}")
        );
        assert_eq!(
            of("application/x-www-form-urlencoded", "a=1&a=2").unwrap(),
            text("{\"a\":[\"1\",\"2\"]}")
        );
        assert_eq!(
            of("application/x-www-form-urlencoded", "a[b]=1&a[c]=2").unwrap(),
            text("{\"a\":{\"b\":\"1\",\"c\":\"2\"}}")
        );
        for (content_type, status) in [
            ("application/json; charset=iso-8859-1", 415),
            ("application/x-www-form-urlencoded; charset=iso-8859-1", 415),
            ("text/plain; charset=utf-7", 415),
        ] {
            let fault = of(content_type, "{}").unwrap_err();
            assert_eq!(
                (fault.code(), status::of(fault.kind).as_u16()),
                ("charset", status)
            );
        }
        assert_eq!(of("image/png", "x").unwrap(), None);
        assert_eq!(of("text/plain", "").unwrap(), None);
        assert_eq!(of("", "x").unwrap(), None);
    }

    #[test]
    fn what_is_not_for_the_function_is_taken_out() {
        let body = r#"{"SSVM_Fetch":"https://a.test/x","a": 1.0,"SSVM_Callback":{}}"#;
        for content_type in ["application/json", "text/plain"] {
            let asked = of_body(content_type, Bytes::from(body)).unwrap();
            assert_eq!(asked.args, [Arg::Text("{\"a\":1}".into())]);
            assert_eq!(asked.fetch.unwrap().url.as_str(), "https://a.test/x");
            assert!(matches!(asked.callback, Some(None)));
        }
        let asked = of_body("text/plain; charset=utf-8", Bytes::from(body)).unwrap();
        assert_eq!(asked.args, [Arg::Text(body.into())]);
        assert!(asked.fetch.is_none() && asked.callback.is_none());
        let bad = of_body("application/json", Bytes::from(r#"{"SSVM_Callback":7}"#));
        assert_eq!(bad.err().unwrap().code(), "callback");
    }

    proptest::proptest! {
        /// Any text can be rewritten safely, and a second rewrite changes nothing.
        #[test]
        fn rewriting_is_idempotent(text in "[\\[\\]{}:,\"0-9eE.\\-a-z \\\\u]{0,40}") {
            let once = plain_or(&text);
            proptest::prop_assert_eq!(plain_or(&once), once);
        }
    }

    fn plain_or(text: &str) -> String {
        match rewrite(text.as_bytes(), 1000, [[""; 2]; 2], &mut Budget::default()) {
            Ok(json) => json.text,
            Err(_) => text.to_owned(),
        }
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(plain(&deep(1000)), deep(1000));
        // Text that is nested deeper is passed on as text.
        assert_eq!(plain(&deep(1001)), deep(1001));
        assert_eq!(
            arg("application/json", &deep(1001)).unwrap_err().code(),
            "json-depth"
        );
    }
}
