//! Secrets that sign: the host, which holds the key, signs or verifies for a function.
//!
//! The algorithm belongs to the key and is never chosen by a caller or a function: a key that is used with two
//! algorithms can be weaker than with either (RFC 8725, section 3.1). This module is data; the command that signs does
//! the arithmetic.

use serde::{Deserialize, Serialize};

use super::SecretValue;

/// An algorithm of signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SigningAlgorithm {
    /// HMAC with SHA-1 (RFC 2104), for services that have nothing else.
    HmacSha1,
    /// HMAC with SHA-256.
    HmacSha256,
    /// HMAC with SHA-512.
    HmacSha512,
    /// Ed25519 (RFC 8032); `EdDSA` of JSON Web Tokens.
    Ed25519,
    /// ECDSA with P-256 and SHA-256, as two numbers of 32 bytes (RFC 7518, section 3.4).
    Es256,
    /// RSA with PKCS #1 v1.5 and SHA-256 (RFC 7518, section 3.3).
    Rs256,
}

impl SigningAlgorithm {
    /// Returns whether both sides hold the same key.
    #[must_use]
    pub fn is_symmetric(self) -> bool {
        matches!(self, Self::HmacSha1 | Self::HmacSha256 | Self::HmacSha512)
    }
}

/// The encoding of a symmetric key in its secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyEncoding {
    /// The bytes of the text itself.
    #[default]
    Text,
    /// Hexadecimal digits.
    Hex,
    /// Base64.
    Base64,
}

/// A use of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyUse {
    /// Making signatures.
    Sign,
    /// Verifying signatures.
    Verify,
}

/// A secret that signs. `Debug` does not show its value.
#[derive(Clone, Debug)]
pub struct SigningKey {
    /// The name of the secret.
    pub name: String,
    /// The only algorithm for which it is used.
    pub algorithm: SigningAlgorithm,
    /// The encoding of its value.
    pub encoding: KeyEncoding,
    /// The uses that its function declared.
    pub uses: Vec<KeyUse>,
    value: KeyValue,
}

/// The value of a key.
#[derive(Clone, Debug)]
enum KeyValue {
    Secret(SecretValue),
    /// The public key of another party.
    Public(Vec<u8>),
}

impl SigningKey {
    /// A key of this value.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        algorithm: SigningAlgorithm,
        encoding: KeyEncoding,
        uses: Vec<KeyUse>,
        value: SecretValue,
    ) -> SigningKey {
        SigningKey {
            name: name.into(),
            algorithm,
            encoding,
            uses,
            value: KeyValue::Secret(value),
        }
    }

    /// A public key of another party, in the bytes of its algorithm; it only verifies.
    #[must_use]
    pub fn public(
        name: impl Into<String>,
        algorithm: SigningAlgorithm,
        key: Vec<u8>,
    ) -> SigningKey {
        SigningKey {
            name: name.into(),
            algorithm,
            encoding: KeyEncoding::default(),
            uses: vec![KeyUse::Verify],
            value: KeyValue::Public(key),
        }
    }

    /// The value of a secret, for the command that signs with it; empty for a public key.
    #[must_use]
    pub fn value(&self) -> &str {
        match &self.value {
            KeyValue::Secret(value) => value.text(),
            KeyValue::Public(_) => "",
        }
    }

    /// The public key, if it is the key of another party.
    #[must_use]
    pub fn public_key(&self) -> Option<&[u8]> {
        match &self.value {
            KeyValue::Secret(_) => None,
            KeyValue::Public(key) => Some(key),
        }
    }
}
