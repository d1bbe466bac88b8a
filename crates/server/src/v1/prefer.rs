//! The header `Prefer` (RFC 7240), by which a client requests to fetch the outcome later.
//!
//! The header is a list of preferences, each with an optional value and parameters, in one header line or in several.
//! Names are case-insensitive; a comma or a semicolon in quotation marks separates nothing. Unknown preferences are
//! ignored, as section 2 requires: only a complete preference `respond-async` counts, not one within quotes or within
//! another preference.

use http::{HeaderMap, HeaderName};

static PREFER: HeaderName = HeaderName::from_static("prefer");

/// Returns whether `respond-async` is preferred (section 4.1).
pub(super) fn respond_async(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(&PREFER).iter();
    lines
        .filter_map(|line| std::str::from_utf8(line.as_bytes()).ok())
        .flat_map(|line| split(line, ','))
        .any(is_respond_async)
}

/// Returns whether this is the preference, which has no value; an empty value is the same as none (section 2). Its
/// parameters are ignored.
fn is_respond_async(preference: &str) -> bool {
    let mut parts = split(preference, ';');
    let (name, value) = pair(parts.next().unwrap_or_default());
    let is_it =
        name.eq_ignore_ascii_case("respond-async") && matches!(value, None | Some("" | "\"\""));
    is_it && parts.all(is_parameter)
}

/// `name`, `name=token`, `name="text"`, or nothing.
fn is_parameter(parameter: &str) -> bool {
    if parameter.trim().is_empty() {
        return true;
    }
    let (name, value) = pair(parameter);
    is_token(name)
        && value.is_none_or(|value| value.is_empty() || is_token(value) || is_quoted(value))
}

fn pair(text: &str) -> (&str, Option<&str>) {
    match text.split_once('=') {
        Some((name, value)) => (name.trim(), Some(value.trim())),
        None => (text.trim(), None),
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(known)
}

/// RFC 9110, section 5.6.4: one quoted string, which ends at the end of the text.
fn is_quoted(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('"') else {
        return false;
    };
    let mut bytes = inner.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return bytes.next().is_none(),
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
    false
}

/// The parts between separators outside of quotation marks.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        let separates = c == separator && !quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        separates
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn prefers(lines: &[&str]) -> bool {
        let headers = lines.iter().map(|line| {
            let value = HeaderValue::from_bytes(line.as_bytes()).unwrap();
            (PREFER.clone(), value)
        });
        respond_async(&headers.collect())
    }

    #[test]
    fn a_preference_stands_anywhere_in_the_list() {
        for lines in [
            &["respond-async"][..],
            &["Respond-Async"],
            &["wait=5, respond-async"],
            &["respond-async, wait=100"],
            &["wait=5", "respond-async"],
            &["respond-async;x=y"],
            &["respond-async; x=y ; z"],
            &["respond-async;x=\"a, b; c\""],
            &["respond-async;"],
            &["respond-async;;x"],
            &["respond-async=\"\""],
            &["respond-async="],
            &["foo=\"a \\\" , b\", respond-async"],
            &[",, respond-async ,"],
            &["é, respond-async"],
            &["\trespond-async\t"],
        ] {
            assert!(prefers(lines), "{lines:?}");
        }
        for lines in [
            &[][..],
            &[""],
            &["respond-async2"],
            &["x-respond-async"],
            &["respond async"],
            &["foo=\"bar, respond-async, baz\""],
            &["foo; respond-async"],
            &["foo=respond-async"],
            &["\"respond-async\""],
            &["respond-async=no"],
            &["respond-async;x=\"y"],
            &["respond-async;x y"],
            &["foo=\"respond-async"],
        ] {
            assert!(!prefers(lines), "{lines:?}");
        }
    }
}
