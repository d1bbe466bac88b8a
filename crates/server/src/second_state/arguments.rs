//! From the body of a call to its argument, as the original did it: at most one.
//!
//! The type of the body is compared to the letter, and JSON is not passed on as it came but as JavaScript would write
//! it after reading it: no white space, `25.0` as `25`, the last of two equal keys, number-like keys first. Functions
//! rely on it: the original's own test feeds `{"celsius_temperature":25.0}` to a function that reads an integer.

use super::js::{Js, order, parse};
use super::run::Asked;
use super::target::Target;
use bytes::Bytes;
use iof_engine::{Arg, Fault};

/// What the body of a call says: its argument, and two fields that are not for the function.
///
/// # Errors
/// `json` for a body of type `application/json` that is no object or array; `fetch` and `callback` for fields that
/// cannot be used.
pub(super) fn of_body(content_type: &str, body: Bytes) -> Result<Asked<'static>, Fault> {
    let text = |text: String| Some(Arg::Text(text.into()));
    Ok(only(match content_type {
        "application/octet-stream" if body.is_empty() => None,
        "application/octet-stream" => Some(Arg::Bytes(body)),
        "application/json" if body.is_empty() => text("{}".into()),
        "application/json" => return directed(strict(&body)?),
        _ if body.is_empty() => None,
        "text/plain" => match parse(&body) {
            Some(json) => return directed(json),
            None => Some(Arg::Text(utf8(body))),
        },
        other => match other
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
            .as_str()
        {
            "text/plain" => Some(Arg::Text(utf8(body))),
            "application/octet-stream" => Some(Arg::Bytes(body)),
            "application/json" => return directed(strict(&body)?),
            "application/x-www-form-urlencoded" => text(form(&body)),
            _ => None,
        },
    }))
}

fn only(arg: Option<Arg>) -> Asked<'static> {
    Asked {
        args: arg.into_iter().collect(),
        fetch: None,
        callback: None,
        shares: vec![],
    }
}

/// JSON as the argument, without the fields that say what to fetch and where to send the result.
fn directed(mut json: Js) -> Result<Asked<'static>, Fault> {
    let fetch = json.take(["SSVM_Fetch", "SSVM-Fetch"]);
    let callback = json.take(["SSVM_Callback", "SSVM-Callback"]);
    Ok(Asked {
        fetch: fetch.map(|js| Target::fetch(&js.bare())).transpose()?,
        callback: callback
            .map(|js| Target::callback(&js.bare()))
            .transpose()?,
        ..only(Some(Arg::Text(json.text().into())))
    })
}

/// A body of JSON as JavaScript writes it; `None` if it is none that the original's parser took.
pub(super) fn rewritten(body: &[u8]) -> Option<String> {
    strict(body).ok().map(|json| json.text())
}

/// Text as Node decodes it: what is no UTF-8 is replaced.
fn utf8(body: Bytes) -> Bytes {
    match String::from_utf8_lossy(&body) {
        std::borrow::Cow::Borrowed(_) => body,
        std::borrow::Cow::Owned(text) => text.into(),
    }
}

/// The body parser took objects and arrays alone.
fn strict(body: &[u8]) -> Result<Js, Fault> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(first, Some(b'{' | b'['))
        .then(|| parse(body))
        .flatten()
        .ok_or_else(|| {
            Fault::client(
                "json",
                "The body is not a JSON object or array, which application/json stands for here.",
            )
        })
}

/// The fields of a form, as JSON of strings; a field that comes twice is an array.
fn form(body: &[u8]) -> String {
    let mut fields: Vec<(String, Js)> = Vec::new();
    for (name, value) in url::form_urlencoded::parse(body) {
        let value = Js::Text(value.into_owned());
        match fields.iter_mut().find(|(known, _)| *known == name) {
            None => fields.push((name.into_owned(), value)),
            Some((_, Js::Array(values))) => values.push(value),
            Some((_, first)) => {
                let both = vec![std::mem::replace(first, Js::Null), value];
                *first = Js::Array(both);
            }
        }
    }
    Js::Object(order(fields)).text()
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// Each pair is Node's own output.
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
            ("{broken", "{broken"),
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
        assert_eq!(of("application/json", "1").unwrap_err().code, "json");
        assert_eq!(of("application/json", "{").unwrap_err().code, "json");
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
        assert_eq!(bad.err().unwrap().code, "callback");
    }

    proptest::proptest! {
        /// Any text is safe, and what was rewritten once stays as it is.
        #[test]
        fn rewriting_is_idempotent(text in "[\\[\\]{}:,\"0-9eE.\\-a-z \\\\u]{0,40}") {
            let once = plain_or(&text);
            proptest::prop_assert_eq!(plain_or(&once), once);
        }
    }

    fn plain_or(text: &str) -> String {
        parse(text.as_bytes()).map_or_else(|| text.to_owned(), |json| json.text())
    }
}
