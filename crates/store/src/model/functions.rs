//! The types of functions.

use std::fmt;

use super::rollout::{Canary, Percent};
use super::versions::{NewVersion, Version, VersionId};
use crate::error::Error;
use crate::key::{Key, KeyHash};

/// The longest name, in bytes: that of a label of a host name (RFC 1035, 2.3.4).
pub const MAX_FUNCTION_NAME: usize = 63;

/// A function to be created, with its first version.
#[derive(Debug, Clone)]
pub struct NewFunction {
    /// A name beside its number: a lower-case letter and up to 62 lower-case letters, digits and hyphens, of which a
    /// hyphen is not the last. It never changes.
    pub name: Option<String>,
    /// Free text.
    pub description: String,
    /// `true` if callers need a usage key.
    pub private: bool,
    /// The first version.
    pub version: NewVersion,
}

/// The answer to a creation. Its keys exist in the clear only here.
#[derive(Debug, Clone)]
pub struct Created {
    /// The function's number. Ascending, never used again.
    pub function_id: i64,
    /// Its first version.
    pub version: VersionId,
    /// The number of that version in its function.
    pub number: i64,
    /// The key that changes and deletes the function.
    pub admin_key: Key,
    /// The key that calls the function; `None` when the function is public.
    pub usage_key: Option<Key>,
}

/// Everything that a call of a function needs, read at one moment by one query.
#[derive(Clone)]
pub struct Function {
    /// The function's number.
    pub function_id: i64,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Free text.
    pub description: String,
    /// The state that the Second State API keeps for it; `{}` at first. Any text.
    pub state: String,
    /// The name of the function's own storage, which its guests see as `storage_key`: 32 hexadecimal digits.
    pub storage_key: String,
    /// The stored callback, JSON text; `{}` at first.
    pub callback: String,
    /// The digest of the usage key; `None` if the function is public.
    pub usage_key_hash: Option<KeyHash>,
    /// The digest of the admin key.
    pub admin_key_hash: KeyHash,
    /// The time at which it was created, in Unix milliseconds.
    pub created_at: i64,
    /// The active version.
    pub version: Version,
    /// The version that runs a share of the calls instead.
    pub canary: Option<Canary>,
}

/// Omits the data of the function's owner: state, callback and storage key do not belong in a log.
impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function")
            .field("function_id", &self.function_id)
            .field("name", &self.name)
            .field("description", &self.description)
            .field("private", &self.usage_key_hash.is_some())
            .field("version", &self.version)
            .field("canary", &self.canary)
            .finish_non_exhaustive()
    }
}

/// The functions that a list shows; the default: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FunctionFilter {
    /// A part of their names.
    pub name_has: Option<String>,
    /// `true` for those that only holders of a key may call, `false` for all others.
    pub private: Option<bool>,
}

/// A function as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The function's number.
    pub function_id: i64,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Free text.
    pub description: String,
    /// `true` if callers need a usage key.
    pub private: bool,
    /// The time at which it was created, in Unix milliseconds.
    pub created_at: i64,
    /// The number of the active version.
    pub version: i64,
    /// The number of its versions.
    pub versions: u64,
    /// The number of the version that runs a share of the calls instead, and that share.
    pub canary: Option<(i64, Percent)>,
    /// The number of all calls ever.
    pub invocations: u64,
}

/// A function to be stored.
pub(crate) struct FunctionRow {
    pub(crate) name: Option<String>,
    pub(crate) description: String,
    pub(crate) storage_key: String,
    pub(crate) usage_key: Option<KeyHash>,
    pub(crate) admin_key: KeyHash,
}

/// Refuses a name that a function cannot have.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let well_formed = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !name.ends_with('-');
    if well_formed && name.len() <= MAX_FUNCTION_NAME {
        return Ok(());
    }
    Err(Error::Invalid {
        what: format!(
            "the name of the function is not valid. Use a lower-case letter and up to {} more lower-case letters, digits and hyphens, the last of them not a hyphen, such as send-email",
            MAX_FUNCTION_NAME - 1
        ),
    })
}
