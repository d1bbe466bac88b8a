//! JSON as JavaScript reads and writes it.
//!
//! No white space, every number a double (`25.0` is `25`, `12345678901234567890` is `12345678901234567000`, `1e400` is
//! infinite and written as `null`), the last of two equal keys, array indices before other keys (ECMA-262,
//! OrdinaryOwnPropertyKeys and Number::toString).

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt::Write;

/// A value of JavaScript.
pub(super) enum Js {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Array(Vec<Js>),
    /// In JavaScript's order, each key once.
    Object(Vec<(String, Js)>),
}

impl Js {
    /// `JSON.stringify`
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    /// A text without its quotes; anything else as JSON.
    pub(super) fn bare(self) -> String {
        match self {
            Self::Text(text) => text,
            other => other.text(),
        }
    }

    /// Takes the field of one of these names out of an object.
    pub(super) fn take(&mut self, names: [&str; 2]) -> Option<Self> {
        let Self::Object(fields) = self else {
            return None;
        };
        let at = fields
            .iter()
            .position(|(name, _)| names.contains(&name.as_str()))?;
        Some(fields.remove(at).1)
    }

    fn write(&self, text: &mut String) {
        match self {
            Self::Null => text.push_str("null"),
            Self::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
            // JavaScript writes what JSON cannot say as null, and no sign before a zero.
            Self::Number(value) if !value.is_finite() => text.push_str("null"),
            Self::Number(value) => text.push_str(ryu_js::Buffer::new().format_finite(*value + 0.0)),
            Self::Text(value) => quote(value, text),
            Self::Array(values) => {
                text.push('[');
                for (at, value) in values.iter().enumerate() {
                    if at > 0 {
                        text.push(',');
                    }
                    value.write(text);
                }
                text.push(']');
            }
            Self::Object(fields) => {
                text.push('{');
                for (at, (name, value)) in fields.iter().enumerate() {
                    if at > 0 {
                        text.push(',');
                    }
                    quote(name, text);
                    text.push(':');
                    value.write(text);
                }
                text.push('}');
            }
        }
    }
}

/// `JSON.parse(body)`; `None` if it is not JSON.
pub(super) fn parse(body: &[u8]) -> Option<Js> {
    // Most texts are none, and can be told by their first byte.
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace())?;
    if !matches!(
        first,
        b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n'
    ) {
        return None;
    }
    match serde_json::from_slice(body) {
        Ok(json) => Some(json),
        Err(error) if error.to_string().starts_with("number out of range") => {
            let bounded = without_infinite(std::str::from_utf8(body).ok()?)?;
            serde_json::from_str(&bounded).ok()
        }
        Err(_) => None,
    }
}

/// Numbers that no double can hold, as `null`: JavaScript reads them as infinite and writes that. `None` if there are
/// none.
fn without_infinite(text: &str) -> Option<String> {
    let (mut bounded, mut found) = (String::with_capacity(text.len()), false);
    let (mut rest, mut quoted) = (text, false);
    while let Some(first) = rest.chars().next() {
        let is_number = !quoted && matches!(first, '-' | '0'..='9');
        let count = if is_number {
            rest.find(|c: char| !matches!(c, '-' | '+' | '.' | 'e' | 'E' | '0'..='9'))
                .unwrap_or(rest.len())
        } else if quoted && first == '\\' {
            1 + rest.chars().nth(1).map_or(0, char::len_utf8)
        } else {
            first.len_utf8()
        };
        quoted ^= first == '"';
        let (piece, after) = rest.split_at(count);
        if is_number && piece.parse::<f64>().is_ok_and(f64::is_infinite) {
            bounded.push_str("null");
            found = true;
        } else {
            bounded.push_str(piece);
        }
        rest = after;
    }
    found.then_some(bounded)
}

/// A text as JavaScript writes it.
pub(super) fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    quote(value, &mut text);
    text
}

fn quote(value: &str, text: &mut String) {
    text.push('"');
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c if c < ' ' => {
                // Writing to a string does not fail.
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
}

/// Keys that are array indices come first, by number; the others as they came.
pub(super) fn order(mut fields: Vec<(String, Js)>) -> Vec<(String, Js)> {
    fields.sort_by_key(|(name, _)| index(name).map_or((true, 0), |index| (false, index)));
    fields
}

/// A canonical array index: `0` to `4294967294`, no leading zero.
fn index(name: &str) -> Option<u32> {
    let canonical =
        name == "0" || (!name.starts_with('0') && name.bytes().all(|b| b.is_ascii_digit()));
    canonical
        .then(|| name.parse().ok())
        .flatten()
        .filter(|index| *index != u32::MAX)
}

impl<'de> Deserialize<'de> for Js {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsVisitor)
    }
}

struct JsVisitor;

impl<'de> Visitor<'de> for JsVisitor {
    type Value = Js;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Js, E> {
        Ok(Js::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Js, E> {
        Ok(Js::Bool(value))
    }

    // Every number of JavaScript is a double; the nearest one is what `as` takes.
    fn visit_i64<E>(self, value: i64) -> Result<Js, E> {
        Ok(Js::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Js, E> {
        Ok(Js::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Js, E> {
        Ok(Js::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Js, E> {
        Ok(Js::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Js, E> {
        Ok(Js::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Js, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Js::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Js, A::Error> {
        let mut fields: Vec<(String, Js)> = Vec::new();
        let mut places = std::collections::HashMap::new();
        while let Some((name, value)) = map.next_entry::<String, Js>()? {
            match places.get(&name).and_then(|at: &usize| fields.get_mut(*at)) {
                Some((_, earlier)) => *earlier = value,
                None => {
                    places.insert(name.clone(), fields.len());
                    fields.push((name, value));
                }
            }
        }
        Ok(Js::Object(order(fields)))
    }
}
