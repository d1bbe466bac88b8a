//! Escaping of text from others for terminals.
//!
//! Callers, functions and upstreams choose names, messages and output. Characters that a terminal would interpret, or
//! show in another order, are shown as in a JSON string: `\u001b`. So JSON keeps its meaning, and a person sees the
//! attempt. All output of this program is escaped here ([`crate::print`], [`crate::fail`], the log for people), except
//! a function's result that goes to a file or a pipe.

use std::borrow::Cow;
use std::fmt::Write;

/// A text on one line: line breaks and tabs are escaped, too, so that it neither begins a new line nor leaves its
/// column.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escape(text, is_active)
}

/// A text of several lines.
pub(crate) fn block(text: &str) -> Cow<'_, str> {
    escape(text, |c| is_active(c) && c != '\n' && c != '\t')
}

fn escape(text: &str, escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&escaped) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !escaped(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Writing to a string does not fail.
            c => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
        }
    }
    Cow::Owned(out)
}

/// Returns whether a terminal does more with a character than show it in place: the controls of ISO 6429 (C0, DEL, C1),
/// line separators, and the controls of direction (UAX 9) and annotation, which can make a text look like another. All
/// of them are below U+10000.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_it_moves_a_cursor_or_begins_a_line() {
        for (text, escaped) in [
            ("plain, käse, ☃, \\u001b", "plain, käse, ☃, \\u001b"),
            ("\x1b[2J\x1b]0;x\x07", "\\u001b[2J\\u001b]0;x\\u0007"),
            ("a\nb\r\tc\0\x7f", "a\\nb\\r\\tc\\u0000\\u007f"),
            ("\u{9b}31m\u{85}", "\\u009b31m\\u0085"),
            ("\u{202e}evil\u{2066}\u{2028}", "\\u202eevil\\u2066\\u2028"),
            ("👩‍🚀", "👩‍🚀"),
        ] {
            assert_eq!(line(text), escaped);
        }
        assert_eq!(block("a\n\tb\r\n\x1b"), "a\n\tb\\r\n\\u001b");
    }

    /// Escaping again, or writing as JSON, gives the same text.
    #[test]
    fn json_stays_the_same() {
        let value = serde_json::json!({ "\u{9b}": "\x7f\u{202e}\x1b\n" });
        let printed = block(&value.to_string()).into_owned();
        assert!(printed.is_ascii());
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&printed).unwrap(),
            value
        );
        assert_eq!(block(&printed), printed);
    }
}
