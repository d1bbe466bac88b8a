//! The two keys of a function, the admin key, which changes it, and the usage key, which calls it when it is private;
//! and the code that they share with the keys of our own API (`api_keys`).
//!
//! A key is a random UUID (122 bits), the form that the Second State API hands out; API keys have a prefix of four
//! characters that identifies them. Only its SHA-256 is stored: a copy of the database opens nothing. A slow password
//! hash was rejected, because it protects guessable secrets, which these are not, and because it would cost
//! milliseconds on every call of a private function.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

/// A key in the clear. It exists only in the answer to the request that made it; it cannot be recovered later.
#[derive(Clone)]
pub struct Key(String);

impl Key {
    /// The prefix of the keys of our own API.
    pub(crate) const API_PREFIX: &str = "iof_";

    /// A key of a function.
    pub(crate) fn random() -> Self {
        Self(Uuid::new_v4().to_string())
    }

    /// A key of our own API.
    pub(crate) fn random_of_api() -> Self {
        Self(format!("{}{}", Self::API_PREFIX, Uuid::new_v4().simple()))
    }

    /// The key as its owner types it: a lower-case UUID with hyphens; for our own API, `iof_` and 32 hexadecimal
    /// digits.
    ///
    /// There is no `Display`, so that a key cannot slip into a message by accident.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> KeyHash {
        KeyHash::of(&self.0)
    }
}

/// Returns whether a text has the shape of a key that a server makes: a UUID with hyphens, or the beginning of a key of
/// our own API. It may be a key of any function, or of another server.
#[must_use]
pub fn looks_like_key(text: &str) -> bool {
    const HYPHENATED: usize = uuid::fmt::Hyphenated::LENGTH;
    text.starts_with(Key::API_PREFIX) || (text.len() == HYPHENATED && Uuid::try_parse(text).is_ok())
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// The digest of a [`Key`]: enough to recognise it, not enough to use it.
#[derive(Clone)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    pub(crate) fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// `true` if `candidate`, exactly as a client sent it, is the key. Takes the same time wherever the two differ.
    #[must_use]
    pub fn matches(&self, candidate: &str) -> bool {
        Self::of(candidate).0.ct_eq(&self.0).into()
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_matches_only_its_key() {
        let key = Key::random();
        assert!(key.hash().matches(key.as_str()));
        assert!(!key.hash().matches(Key::random().as_str()));
        assert!(!key.hash().matches(""));
        assert!(
            !key.hash().matches(&key.as_str().to_uppercase())
                || key.as_str() == key.as_str().to_uppercase()
        );
        assert!(!key.hash().matches(&format!("{} ", key.as_str())));
    }

    #[test]
    fn a_key_is_recognised_by_its_shape() {
        let (own, of_api) = (Key::random(), Key::random_of_api());
        assert!(looks_like_key(own.as_str()) && looks_like_key(of_api.as_str()));
        assert!(looks_like_key(&own.as_str().to_uppercase()));
        for other in ["", "iof", "a token", "0123456789abcdef0123456789abcdef"] {
            assert!(!looks_like_key(other), "{other}");
        }
    }

    #[test]
    fn debug_shows_neither() {
        let key = Key::random();
        assert_eq!(format!("{key:?} {:?}", key.hash()), "Key(…) KeyHash(…)");
    }
}
