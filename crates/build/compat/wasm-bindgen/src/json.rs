//! The JSON that this crate needs without a crate for it: texts, and arrays of numbers.

use std::fmt::{Display, Write};
use std::str::FromStr;

/// A text as JSON, in quotes.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // Writing to a String does not fail.
            c if c < ' ' => drop(write!(quoted, "\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The text that a JSON text is, if it is one alone.
pub fn unquote(json: &str) -> Option<String> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '"' | '\0'..='\x1f' => return None,
            '\\' => match chars.next()? {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => escaped(&mut chars)?,
                c @ ('"' | '\\' | '/') => c,
                _ => return None,
            },
            c => c,
        });
    }
    Some(text)
}

/// The character of an escape after `\u`: four digits, or two times four for a pair of UTF-16.
fn escaped(chars: &mut std::str::Chars<'_>) -> Option<char> {
    fn unit(chars: &mut std::str::Chars<'_>) -> Option<u16> {
        (0..4).try_fold(0, |unit, _| {
            let digit = chars.next()?.to_digit(16)?;
            Some(unit << 4 | u16::try_from(digit).ok()?)
        })
    }
    let first = unit(chars)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first.into());
    }
    let second = chars.as_str().strip_prefix("\\u")?;
    *chars = second.chars();
    let second = unit(chars)?;
    char::decode_utf16([first, second]).next()?.ok()
}

/// Returns true for a number as JSON writes it, but not for the other texts that `parse` takes (`inf`, `+1`).
pub fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && !digits.ends_with('.')
        && !(digits.starts_with('0') && digits[1..].starts_with(|c: char| c.is_ascii_digit()))
        && text.parse::<f64>().is_ok()
}

/// A JSON array of numbers.
pub fn numbers<T: FromStr>(json: &str) -> Option<Vec<T>> {
    let inner = json.trim().strip_prefix('[')?.strip_suffix(']')?.trim();
    if inner.is_empty() {
        return Some(vec![]);
    }
    inner.split(',').map(number).collect()
}

/// A JSON number.
pub fn number<T: FromStr>(json: &str) -> Option<T> {
    let json = json.trim();
    is_number(json).then(|| json.parse().ok()).flatten()
}

/// Numbers as a JSON array.
pub fn array<T: Display>(numbers: &[T]) -> String {
    let mut json = String::from("[");
    for (n, number) in numbers.iter().enumerate() {
        if n > 0 {
            json.push(',');
        }
        json.push_str(&finite(number));
    }
    json.push(']');
    json
}

/// A number as JSON; one that is not finite is `null`, as in JavaScript.
pub fn finite<T: Display>(number: &T) -> String {
    let text = number.to_string();
    if is_number(&text) {
        text
    } else {
        "null".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back() {
        for text in ["", "hello", "\"\\/\n\r\t\u{1}", "é 🦀"] {
            assert_eq!(unquote(&quote(text)).as_deref(), Some(text));
        }
        assert_eq!(
            unquote(r#""\u00e9\ud83e\udd80\/""#).as_deref(),
            Some("é🦀/")
        );
        for broken in [
            r#"""#,
            r#""a"b""#,
            r#""\""#,
            r#""\ud83e""#,
            r#""\ud83e\u0041""#,
            r#""\x""#,
            "a",
            "\"\n\"",
        ] {
            assert_eq!(unquote(broken), None, "{broken}");
        }
    }

    #[test]
    fn numbers_come_back() {
        assert_eq!(numbers::<i32>(" [1, -2,3 ] "), Some(vec![1, -2, 3]));
        assert_eq!(numbers::<f64>("[]"), Some(vec![]));
        assert_eq!(
            numbers::<u64>("[18446744073709551615]"),
            Some(vec![u64::MAX])
        );
        assert_eq!(
            array(&[1.5, 1e21, f64::NAN]),
            "[1.5,1000000000000000000000,null]"
        );
        for broken in [
            "", "1", "[1", "[1,]", "[256]", "[-1]", "[1.5]", "[+1]", "[nan]", "[01]", "[\"1\"]",
        ] {
            assert_eq!(numbers::<u8>(broken), None, "{broken}");
        }
    }
}
