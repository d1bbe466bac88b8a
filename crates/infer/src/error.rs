//! The errors of this crate, by the party that has to act.

use serde::{Deserialize, Serialize};

/// The reason why there is no result. `Display` is one line, and names the argument, the setting or the
/// next step. It can be cloned because calls that wait for the same model share its failure, and
/// serialised because a failure may come from a worker process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The kind, of which each has an exit status.
    pub kind: Kind,
    message: String,
}

/// Kinds of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The arguments are wrong.
    Usage,
    /// There is no such model, or it cannot be loaded in the requested way.
    Model,
    /// The data does not match the arguments, or is not a picture.
    Input,
    /// The deadline passed.
    Time,
    /// All permits are taken, and the queue for them is full.
    Busy,
    /// Something is larger than a setting allows; the message names it.
    Limit,
    /// The model failed while it ran.
    Failed,
    /// The server failed: a file that cannot be read, a process that cannot be started.
    Host,
}

impl Error {
    /// An error of a kind.
    pub fn new(kind: Kind, message: impl std::fmt::Display) -> Error {
        Error {
            kind,
            message: one_line(&message.to_string()),
        }
    }

    pub(crate) fn usage(message: impl std::fmt::Display) -> Error {
        Error::new(Kind::Usage, message)
    }

    pub(crate) fn model(message: impl std::fmt::Display) -> Error {
        Error::new(Kind::Model, message)
    }

    pub(crate) fn input(message: impl std::fmt::Display) -> Error {
        Error::new(Kind::Input, message)
    }

    pub(crate) fn limit(message: impl std::fmt::Display) -> Error {
        Error::new(Kind::Limit, message)
    }

    pub(crate) fn failed(message: impl std::fmt::Display) -> Error {
        Error::new(Kind::Failed, message)
    }

    pub(crate) fn host(message: impl std::fmt::Display) -> Error {
        Error::new(Kind::Host, message)
    }

    /// The same error, prefixed with the step that failed.
    pub(crate) fn while_doing(self, what: impl std::fmt::Display) -> Error {
        Error::new(self.kind, format!("{what}: {}", self.message))
    }
}

/// The longest message: tract quotes whole nodes, and a guest may have written them.
const LONGEST: usize = 600;

/// A message on one line, so that stderr has one line for each failure.
fn one_line(text: &str) -> String {
    let words = text.split_whitespace();
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().filter(|c| !c.is_control()));
        if line.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|&at| line.is_char_boundary(at));
            line.truncate(end.unwrap_or_default());
            line.push('…');
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_short_and_on_one_line() {
        let error = Error::failed("a\n\tb\u{1b}[2J  c");
        assert_eq!(error.to_string(), "a b[2J c");
        let error = Error::failed("ä".repeat(5000));
        assert!(error.to_string().len() < LONGEST + 8);
    }
}
