//! Messages for values that do not match their schemas.

use super::program::Types;
use serde_json::Value as Json;
use std::fmt::Write as _;

/// The longest quotation of a value in a message, in bytes.
const QUOTED: usize = 300;

/// A mismatch: the location in the value, and the reason.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Mismatch {
    /// A JSON Pointer.
    pub(super) path: String,
    pub(super) why: String,
}

/// The path from the whole value to a part.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    Whole,
    Name(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl std::fmt::Display for Types {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            let before = if index == 0 { "" } else { " or " };
            write!(f, "{before}\"{name}\"")?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Name(path, name) => {
                let name = name.replace('~', "~0").replace('/', "~1");
                write!(
                    f,
                    "{path}/{}",
                    name.chars().take(QUOTED).collect::<String>()
                )
            }
            Self::Index(path, index) => write!(f, "{path}/{index}"),
        }
    }
}

/// A value as JSON, or the beginning of the JSON.
pub(super) fn quoted(value: &Json) -> String {
    let mut beginning = Excerpt(String::new());
    // An error means that the JSON is longer than the quotation.
    let _ = write!(beginning, "{value}");
    beginning.0
}

pub(super) fn quoted_text(text: &str) -> String {
    let mut beginning = Excerpt(String::new());
    let _ = write!(beginning, "{text:?}");
    beginning.0
}

/// A text that is cut off when it becomes too long.
struct Excerpt(String);

impl std::fmt::Write for Excerpt {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = QUOTED.saturating_sub(self.0.len());
        self.0.extend(text.chars().take(room));
        match self.0.len() < QUOTED {
            true => Ok(()),
            false => Err(std::fmt::Error),
        }
    }
}
