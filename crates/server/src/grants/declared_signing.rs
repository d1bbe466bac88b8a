//! The secrets with which a version signs.

use super::public_key;
use iof_egress::{KeyEncoding, KeyUse, SecretValue, SigningAlgorithm, SigningKey};
use serde::{Deserialize, Serialize};

/// A secret that signs, or the public key of another party, with the only algorithm for which it is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeclaredSigning {
    /// The name of the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// The name by which the function refers to the public key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// A public key of another party, which is not a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
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
    /// The commands that it grants: each is useful only with such a key, and reaches nothing else.
    pub(super) fn commands(&self) -> impl Iterator<Item = &'static str> {
        self.uses.iter().map(|one| match one {
            KeyUse::Sign => "sign",
            KeyUse::Verify => "verify",
        })
    }

    /// The name by which the function refers to the key.
    pub(crate) fn name(&self) -> &str {
        self.secret
            .as_ref()
            .or(self.key.as_ref())
            .map_or("", String::as_str)
    }

    /// The field that contains its name.
    pub(super) fn field(&self) -> &'static str {
        if self.secret.is_some() {
            "secret"
        } else {
            "key"
        }
    }

    /// The name of its secret, if it is one.
    pub(crate) fn secret(&self) -> Option<&str> {
        self.secret.as_deref()
    }

    /// Checks everything that does not depend on the value of a secret.
    ///
    /// # Errors
    /// A sentence that states what is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        let public = match (&self.secret, &self.key, &self.public_key) {
            (Some(_), None, None) => None,
            (None, Some(_), Some(public)) => Some(public),
            _ => {
                return Err(
                    "it is a secret, or a public key of another party; write secret = \"NAME\", or key = \"NAME\" and public_key = \"…\""
                        .to_owned(),
                );
            }
        };
        let (field, name) = (self.field(), self.name());
        let known = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let is_name = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.bytes().all(known);
        if !is_name {
            return Err(format!(
                "{field}: a name is capital letters, digits and underscores, and begins with a letter; write one such as \
                 GITHUB_SECRET"
            ));
        }
        if let Some(public) = public {
            if self.algorithm.is_symmetric() {
                return Err(
                    "public_key: a key of HMAC is a secret that both sides share; write secret = \"NAME\", and set it by `iof secret set`"
                        .to_owned(),
                );
            }
            if self.uses != [KeyUse::Verify] {
                return Err("use: a public key only verifies; write [\"verify\"]".to_owned());
            }
            public_key::read(self.algorithm, public)
                .map_err(|problem| format!("public_key: {problem}"))?;
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

    /// The key; `value` is the decrypted value of a secret by its name.
    ///
    /// # Errors
    /// The errors of `value`.
    pub(super) fn key<E>(
        &self,
        value: impl FnOnce(&str) -> Result<SecretValue, E>,
    ) -> Result<SigningKey, E> {
        let public = self.public_key.as_deref();
        // The key was read successfully when it was declared.
        let public = public.and_then(|text| public_key::read(self.algorithm, text).ok());
        Ok(match public {
            Some(public) => SigningKey::public(self.name(), self.algorithm, public),
            None => SigningKey::new(
                self.name(),
                self.algorithm,
                self.encoding,
                self.uses.clone(),
                value(self.name())?,
            ),
        })
    }
}
