//! The value of a secret: in the clear, and encrypted.

use std::fmt;

use zeroize::Zeroizing;

/// The function and the name to which an encrypted value is bound; it opens for no other.
pub(crate) struct SecretBinding<'a> {
    pub(crate) function_id: i64,
    pub(crate) name: &'a str,
}

impl SecretBinding<'_> {
    /// The bytes that are authenticated with the value. All parts before the name have a fixed length, so two bindings
    /// never have the same bytes.
    pub(crate) fn associated_data(&self) -> Vec<u8> {
        let mut data = b"iof secret 1\nfunction\n".to_vec();
        data.extend_from_slice(&self.function_id.to_be_bytes());
        data.extend_from_slice(self.name.as_bytes());
        data
    }
}

/// An encrypted value, as a row holds it.
pub(crate) struct SealedValue {
    pub(crate) key_id: String,
    pub(crate) nonce: [u8; 24],
    /// The ciphertext: as long as the value, and a tag of 16 bytes.
    pub(crate) bytes: Vec<u8>,
}

/// The value of a secret in the clear, overwritten when it is dropped.
///
/// There is no `Display` and no `Clone`: the value should neither slip into a message nor be copied. Share it in an
/// `Arc`.
pub struct SecretValue(Zeroizing<Vec<u8>>);

impl SecretValue {
    /// The value itself. A caller that copies it must overwrite the copy.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for SecretValue {
    fn from(value: Vec<u8>) -> Self {
        Self(Zeroizing::new(value))
    }
}

impl From<String> for SecretValue {
    fn from(value: String) -> Self {
        value.into_bytes().into()
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(…)")
    }
}
