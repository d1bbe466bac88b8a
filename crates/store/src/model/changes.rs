//! The audit log: who changed what, when, and through which surface.

use serde_json::Value;

use crate::error::Error;

/// The most changes that one query reads: a page of the API, and one more, which tells whether others follow.
const MAX_PAGE: u32 = 1001;

/// The sender of a change: a surface of the server, and the key that was sent to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The surface that took the change.
    pub surface: Surface,
    /// The key that was sent.
    pub key: AuthorKey,
}

impl Author {
    /// This program itself.
    pub const PROGRAM: Self = Self {
        surface: Surface::Program,
        key: AuthorKey::None,
    };
}

/// A surface that takes changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// The API of 2020.
    Api,
    /// `/v1`.
    V1,
    /// The console.
    Console,
    /// No surface: this program, on its own.
    Program,
}

impl Surface {
    /// Its name, as it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::V1 => "v1",
            Self::Console => "console",
            Self::Program => "program",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Api, Self::V1, Self::Console, Self::Program]
            .into_iter()
            .find(|surface| surface.as_str() == text)
    }
}

/// The key of an author, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthorKey {
    /// No key.
    None,
    /// A key of the server, by its place in the settings, from 1 on.
    Server(i64),
    /// A key that the server made, by its number and its label.
    Made(i64, String),
    /// The admin key of the function with this number.
    Function(i64),
}

impl AuthorKey {
    /// The name of its kind, as it is stored.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Server(_) => "server",
            Self::Made(..) => "made",
            Self::Function(_) => "function",
        }
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> Option<i64> {
        match self {
            Self::None => None,
            Self::Server(id) | Self::Made(id, _) | Self::Function(id) => Some(*id),
        }
    }

    /// Its label.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        match self {
            Self::Made(_, label) => Some(label),
            _ => None,
        }
    }

    pub(crate) fn parse(kind: &str, id: Option<i64>, label: Option<String>) -> Option<Self> {
        match (kind, id) {
            ("none", None) => Some(Self::None),
            ("server", Some(place)) => Some(Self::Server(place)),
            ("made", Some(id)) => Some(Self::Made(id, label.unwrap_or_default())),
            ("function", Some(id)) => Some(Self::Function(id)),
            _ => None,
        }
    }
}

/// A change, on its way into the record.
pub(crate) struct NewRecord {
    pub(crate) by: Author,
    /// The subject and the verb: `version.deploy`.
    pub(crate) action: &'static str,
    /// The function that changed; `None` if it is of no one function.
    pub(crate) function_id: Option<i64>,
    /// The name of the function, if it is gone by now.
    pub(crate) function_name: Option<String>,
    /// The parts that changed, as a JSON object: numbers, names and sizes, never a value that a person chose to keep secret.
    pub(crate) details: Value,
}

/// A change in the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRecord {
    /// Its number. Ascending, never used again.
    pub id: i64,
    /// The time at which it was made, in Unix milliseconds.
    pub made_at: i64,
    /// The author of the change.
    pub by: Author,
    /// The subject and the verb: `version.deploy`.
    pub action: String,
    /// The function that changed; `None` if it is of no one function.
    pub function_id: Option<i64>,
    /// The name that the function had.
    pub function_name: Option<String>,
    /// The parts that changed, as the text of a JSON object.
    pub details: String,
}

/// The changes that a reader asks for, the newest first.
#[derive(Debug, Clone, Default)]
pub struct ChangeQuery {
    /// Only those of this function.
    pub function_id: Option<i64>,
    /// Only those that were made at this time or later, in Unix milliseconds.
    pub since: Option<i64>,
    /// Only those with smaller numbers.
    pub before: Option<i64>,
    /// The most of them: 1 to 1001.
    pub limit: u32,
}

impl ChangeQuery {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if (1..=MAX_PAGE).contains(&self.limit) {
            return Ok(());
        }
        Err(Error::Invalid {
            what: format!(
                "the limit of changes is out of range: got {}. Use 1 to {MAX_PAGE}",
                self.limit
            ),
        })
    }
}

/// The number of changes that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeLimits {
    /// Changes of one function, the newest; 0 is none.
    pub function_rows: u32,
    /// Changes of all functions and of the server together, the newest; 0 is none.
    pub rows: u32,
}

impl Default for ChangeLimits {
    fn default() -> Self {
        Self {
            function_rows: 1_000,
            rows: 100_000,
        }
    }
}
