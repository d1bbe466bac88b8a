//! A key of the server's own API.

use crate::error::Error;
use crate::scopes::Scopes;

/// The most API keys of a server. An installation that needs more has users, whom another system should manage.
pub const MAX_API_KEYS: usize = 1000;
/// The longest label, in characters.
pub const MAX_KEY_LABEL: usize = 100;

/// A key to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// The label by which people identify it; need not be unique. Up to [`MAX_KEY_LABEL`] characters.
    pub label: String,
    /// Its scopes. At least one.
    pub scopes: Scopes,
    /// The only function for which it may be used; `None` for all functions, and for what concerns none.
    pub function_id: Option<i64>,
    /// The time at which it expires, in Unix milliseconds; `None`: when it is deleted.
    pub expires_at: Option<i64>,
}

/// A key as the store keeps it; never the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its number. Ascending, never used again.
    pub id: i64,
    /// The label by which people identify it.
    pub label: String,
    /// Its scopes.
    pub scopes: Scopes,
    /// The only function for which it may be used; `None` for all functions, and for what concerns none.
    pub function_id: Option<i64>,
    /// The time at which it was created, in Unix milliseconds.
    pub created_at: i64,
    /// The time at which it expires, in Unix milliseconds; `None`: when it is deleted.
    pub expires_at: Option<i64>,
}

/// Refuses a key that cannot be made.
pub(crate) fn check_key(new: &NewKey, now: i64) -> Result<(), Error> {
    let length = new.label.chars().count();
    if length > MAX_KEY_LABEL {
        return Err(invalid(format!(
            "the label of the key is too long: got {length} characters. Use at most {MAX_KEY_LABEL}"
        )));
    }
    if new.scopes.is_empty() {
        return Err(invalid(
            "the key has no scopes. Give it deploy, call, read or admin".into(),
        ));
    }
    if new.expires_at.is_some_and(|end| end <= now) {
        return Err(invalid(
            "the key would have expired already. Choose an expiry in the future".into(),
        ));
    }
    Ok(())
}

/// The refusal of a further key.
pub(crate) fn too_many_keys() -> Error {
    invalid(format!(
        "there are {MAX_API_KEYS} keys already, the most that there can be. Delete one first"
    ))
}

fn invalid(what: String) -> Error {
    Error::Invalid { what }
}
