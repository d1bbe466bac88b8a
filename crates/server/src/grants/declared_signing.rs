//! The secrets with which a version signs.

use iof_egress::{KeyEncoding, KeyUse, SecretValue, SigningAlgorithm, SigningKey};
use serde::{Deserialize, Serialize};

/// A secret that signs, with the only algorithm for which it is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeclaredSigning {
    /// The name of the secret.
    pub(crate) secret: String,
    algorithm: SigningAlgorithm,
    /// The uses of the key: `sign`, `verify`.
    #[serde(rename = "use")]
    pub(super) uses: Vec<KeyUse>,
    /// The encoding of the key.
    #[serde(default, skip_serializing_if = "is_text")]
    encoding: KeyEncoding,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_text(encoding: &KeyEncoding) -> bool {
    *encoding == KeyEncoding::Text
}

impl DeclaredSigning {
    /// The commands that it grants: each is useful only with such a secret, and reaches nothing else.
    pub(super) fn commands(&self) -> impl Iterator<Item = &'static str> {
        self.uses.iter().map(|one| match one {
            KeyUse::Sign => "sign",
            KeyUse::Verify => "verify",
        })
    }

    /// Checks the rules that do not depend on its value.
    ///
    /// # Errors
    /// A sentence on what is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        let known = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let is_name = self.secret.starts_with(|c: char| c.is_ascii_uppercase())
            && self.secret.bytes().all(known);
        if !is_name {
            return Err(
                "secret: a name is capital letters, digits and underscores, and begins with a letter; write one such as \
                 GITHUB_SECRET"
                    .to_owned(),
            );
        }
        if self.uses.is_empty() {
            return Err("use: write [\"verify\"], [\"sign\"] or both".to_owned());
        }
        if self.encoding != KeyEncoding::Text && !self.algorithm.is_symmetric() {
            return Err(
                "encoding: only a key of HMAC has one; a private key is PKCS #8 in base64 or PEM"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// The key, from its decrypted value.
    pub(super) fn key(&self, value: SecretValue) -> SigningKey {
        let uses = self.uses.clone();
        SigningKey::new(&*self.secret, self.algorithm, self.encoding, uses, value)
    }
}
