//! A rule of a schema that cannot be checked.

use super::mismatch::quoted;
use serde_json::Value as Json;

/// A keyword of a schema that cannot be checked, and the reason.
#[derive(Debug, PartialEq)]
pub(super) struct Flaw {
    /// The location of the keyword: `#` and a JSON Pointer.
    at: String,
    why: String,
}

impl Flaw {
    /// A flaw of a schema, or of one of its keywords.
    pub(super) fn new(at: &str, keyword: &str, problem: impl Into<String>) -> Self {
        let slash = if keyword.is_empty() { "" } else { "/" };
        Self {
            at: format!("#{at}{slash}{keyword}"),
            why: problem.into(),
        }
    }

    /// A flaw of a keyword, with its value.
    pub(super) fn of(at: &str, keyword: &str, problem: String, value: &Json) -> Self {
        Self::new(at, keyword, format!("{problem}: got {}", quoted(value)))
    }
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at: String = self.at.chars().take(300).collect();
        write!(f, "`{at}` {}", self.why)
    }
}
