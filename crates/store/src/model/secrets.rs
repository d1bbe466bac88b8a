//! A secret of a function: a name in the clear, and an encrypted value.

use crate::error::Error;
use crate::secret_keys::SecretKeys;
use crate::secret_value::{SealedValue, SecretBinding, SecretValue};

/// The most secrets that one function has.
pub const MAX_SECRETS: usize = 100;
/// The longest name, in bytes.
pub const MAX_SECRET_NAME: usize = 64;
/// The longest value, in bytes. Keys, tokens and certificates fit; files do not belong here.
pub const MAX_SECRET_VALUE: usize = 4096;

/// A secret without its value, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretName {
    /// Its name within its function.
    pub name: String,
    /// The time at which this value was set, in Unix milliseconds. A rotation does not change it.
    pub created_at: i64,
    /// The id of the key under which it is encrypted.
    pub key_id: String,
}

/// A secret as the database holds it.
pub(crate) struct SealedSecret {
    pub(crate) function_id: i64,
    pub(crate) name: String,
    pub(crate) sealed: SealedValue,
}

impl SealedSecret {
    /// Encrypts a value under the current key.
    pub(crate) fn seal(
        keys: &SecretKeys,
        function_id: i64,
        name: String,
        value: &SecretValue,
    ) -> Result<Self, Error> {
        let binding = SecretBinding {
            function_id,
            name: &name,
        };
        let sealed = keys.seal(&binding, value)?;
        Ok(Self {
            function_id,
            name,
            sealed,
        })
    }

    /// Decrypts the value.
    pub(crate) fn open(&self, keys: &SecretKeys) -> Result<SecretValue, Error> {
        let binding = SecretBinding {
            function_id: self.function_id,
            name: &self.name,
        };
        keys.open(&binding, &self.sealed)
    }
}

/// A secret to be encrypted under another key, if it has not changed since it was read.
pub(crate) struct Reseal {
    /// The nonce of the value that was read.
    pub(crate) read: [u8; 24],
    pub(crate) secret: SealedSecret,
}

/// True for a name that a secret can have.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.len() <= MAX_SECRET_NAME
        && name
            .bytes()
            .all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'))
}

/// Refuses an invalid name or value.
pub(crate) fn check_secret(name: &str, value: &SecretValue) -> Result<(), Error> {
    // The name is not repeated in the message: people paste values into the wrong field.
    if !is_secret_name(name) {
        return Err(invalid(format!(
            "the name of the secret is not valid. Use a capital letter and up to {} more capital letters, digits and underscores, such as API_TOKEN",
            MAX_SECRET_NAME - 1
        )));
    }
    match value.expose().len() {
        0 => Err(invalid(format!(
            "the value of the secret {name} is empty. Delete the secret instead"
        ))),
        1..=MAX_SECRET_VALUE => Ok(()),
        length => Err(invalid(format!(
            "the value of the secret {name} is too long: got {length} bytes. Use at most {MAX_SECRET_VALUE}"
        ))),
    }
}

/// The refusal of a further secret.
pub(crate) fn too_many_secrets(function_id: i64) -> Error {
    invalid(format!(
        "function {function_id} has {MAX_SECRETS} secrets already, the most that there can be. Delete one first"
    ))
}

fn invalid(what: String) -> Error {
    Error::Invalid { what }
}
