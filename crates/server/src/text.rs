//! Texts as messages and answers show them.

use std::fmt::Write as _;

/// The first 100 characters of a text that a client chose.
pub(crate) fn truncate(text: &str) -> String {
    text.chars().take(100).collect()
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
