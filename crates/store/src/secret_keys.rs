//! The keys under which secrets are encrypted, and the data to which encryption binds a secret.
//!
//! The keys come from outside (a file, a secret manager) and never enter the data directory: a copy of the database, or
//! a backup of it, reveals only names. Keeping a key beside the database, like the artefact key, was rejected for that
//! reason: artefacts must be distinguishable from forgeries, secrets must be unreadable.
//!
//! The cipher is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha), because its nonce of 24 bytes can be drawn at random for
//! every write, forever. With 12 bytes (AES-GCM, ChaCha20-Poly1305) writes under each key would have to be counted, and
//! a database restored from a backup would count anew and repeat a nonce, which reveals both values.
//!
//! The function and the name are authenticated with the value (associated data), so a row copied over another row does
//! not open. A row that is reset to an earlier value of its own is not detected.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};
use rustix::rand::GetRandomFlags;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::secret_value::{SealedValue, SecretBinding, SecretValue};

/// The keys under which secrets are encrypted: the current one, which encrypts, and earlier ones, which still decrypt.
///
/// The id of a key is the first 8 hexadecimal digits of its SHA-256. The bytes are overwritten on drop.
pub struct SecretKeys {
    current: SecretKey,
    earlier: Vec<SecretKey>,
}

struct SecretKey {
    id: String,
    /// Boxed, so that moving the key leaves no copy behind.
    bytes: Box<Zeroizing<[u8; 32]>>,
}

/// The reason why a text is not a list of keys. No message repeats the text: it may contain a key with one letter
/// wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretKeysError {
    /// No line has a key.
    #[error(
        "there is no key. Write 32 random bytes in base64 or hex as the first line, such as `openssl rand -base64 32` prints"
    )]
    Empty,

    /// A line is not a key.
    #[error(
        "line {line} is not a key. Write 32 random bytes in base64 or hex, such as `openssl rand -base64 32` prints"
    )]
    NotAKey {
        /// Counted from 1.
        line: usize,
    },

    /// Two lines have the same key, or two keys with the same id.
    #[error("line {line} repeats the key {id} of line {first}. Remove one of them")]
    Twice {
        /// Counted from 1.
        line: usize,
        /// The first line with that key, counted from 1.
        first: usize,
        /// The key's id.
        id: String,
    },
}

impl SecretKeys {
    /// Reads one key per line, in base64 (either alphabet, padded or not) or hexadecimal; the first is the current one.
    /// Empty lines and lines that begin with `#` are skipped. The caller overwrites `text`.
    ///
    /// # Errors
    /// [`SecretKeysError`], naming the line.
    pub fn parse(text: &str) -> Result<Self, SecretKeysError> {
        let mut keys: Vec<(usize, SecretKey)> = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let key = SecretKey::parse(text).ok_or(SecretKeysError::NotAKey { line })?;
            if let Some((first, _)) = keys.iter().find(|(_, other)| other.id == key.id) {
                return Err(SecretKeysError::Twice {
                    line,
                    first: *first,
                    id: key.id,
                });
            }
            keys.push((line, key));
        }
        let mut keys = keys.into_iter().map(|(_, key)| key);
        Ok(Self {
            current: keys.next().ok_or(SecretKeysError::Empty)?,
            earlier: keys.collect(),
        })
    }

    /// The id of the key under which new secrets are encrypted.
    #[must_use]
    pub fn current_id(&self) -> &str {
        &self.current.id
    }

    /// Returns `true` if one of the keys has this id.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.current.id == id || self.earlier.iter().any(|key| key.id == id)
    }

    /// Encrypts a value for one function and name, under the current key.
    pub(crate) fn seal(
        &self,
        binding: &SecretBinding<'_>,
        value: &SecretValue,
    ) -> Result<SealedValue, Error> {
        let mut nonce = [0; 24];
        // getrandom(2) fills up to 256 bytes whole, or fails.
        rustix::rand::getrandom(&mut nonce, GetRandomFlags::empty())
            .map_err(|errno| Error::Unavailable(std::io::Error::from(errno).into()))?;
        let payload = Payload {
            msg: value.expose(),
            aad: &binding.associated_data(),
        };
        let bytes = self
            .current
            .cipher()
            .encrypt((&nonce).into(), payload)
            .map_err(|_| Error::Unavailable("a secret could not be encrypted".into()))?;
        Ok(SealedValue {
            key_id: self.current.id.clone(),
            nonce,
            bytes,
        })
    }

    /// Decrypts a value that [`SecretKeys::seal`] encrypted for the same function and name, under any of the keys.
    pub(crate) fn open(
        &self,
        binding: &SecretBinding<'_>,
        sealed: &SealedValue,
    ) -> Result<SecretValue, Error> {
        let key = std::iter::once(&self.current)
            .chain(&self.earlier)
            .find(|key| key.id == sealed.key_id)
            .ok_or_else(|| Error::MissingKey {
                key_id: sealed.key_id.clone(),
            })?;
        let payload = Payload {
            msg: &sealed.bytes,
            aad: &binding.associated_data(),
        };
        key.cipher()
            .decrypt((&sealed.nonce).into(), payload)
            .map(SecretValue::from)
            .map_err(|_| Error::Damaged {
                what: format!("the secret {} of function {}", binding.name, binding.function_id),
                detail: format!(
                    "its row was changed or moved: it cannot be decrypted with its key {}. Set it again, or restore the database from a backup",
                    sealed.key_id
                ),
            })
    }
}

impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKeys(…)")
    }
}

impl SecretKey {
    fn parse(text: &str) -> Option<Self> {
        /// 32 bytes are 43 letters and a padding in base64, and 64 digits in hexadecimal: the two cannot be confused.
        const HEX: usize = 64;
        let mut bytes = Box::new(Zeroizing::new([0; 32]));
        if text.len() == HEX {
            for (pair, byte) in text.as_bytes().chunks_exact(2).zip(bytes.iter_mut()) {
                let digit = |letter: u8| char::from(letter).to_digit(16);
                *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
            }
        } else {
            let alphabet = if text.contains(['-', '_']) {
                &alphabet::URL_SAFE
            } else {
                &alphabet::STANDARD
            };
            let config = GeneralPurposeConfig::new()
                .with_decode_padding_mode(DecodePaddingMode::Indifferent);
            let length = GeneralPurpose::new(alphabet, config)
                .decode_slice(text, &mut bytes[..])
                .ok()?;
            if length != bytes.len() {
                return None;
            }
        }
        let mut id = hex::encode(Sha256::digest(&bytes[..]));
        id.truncate(8);
        Some(Self { id, bytes })
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        let bytes: &[u8; 32] = &self.bytes;
        XChaCha20Poly1305::new(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO_TO_31: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn bound(function_id: i64, name: &str) -> SecretBinding<'_> {
        SecretBinding { function_id, name }
    }

    #[test]
    fn a_key_is_the_same_in_every_notation() {
        for text in [
            ZERO_TO_31,
            &ZERO_TO_31.to_uppercase(),
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
            "\n# of May\r\n  AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\r\n\n",
        ] {
            // printf of the bytes | sha256sum
            assert_eq!(SecretKeys::parse(text).unwrap().current_id(), "630dcd29");
        }
        let all_ones = "ff".repeat(32);
        let id = SecretKeys::parse(&all_ones)
            .unwrap()
            .current_id()
            .to_owned();
        for letters in ["/", "_"] {
            let text = format!("{}8=", letters.repeat(42));
            assert_eq!(SecretKeys::parse(&text).unwrap().current_id(), id);
        }
    }

    #[test]
    fn an_invalid_key_is_refused_with_its_line_and_without_its_text() {
        let short = &ZERO_TO_31[2..];
        let long = format!("{ZERO_TO_31}00");
        let not_hex = ZERO_TO_31.replace('f', "g");
        let not_ascii = "é".repeat(32);
        for wrong in [
            short,
            &long,
            &not_hex,
            &not_ascii,
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==", // 31 bytes
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g", // 33 bytes
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=", // bits beyond the last byte
            "correct horse battery staple",
        ] {
            let text = format!("{ZERO_TO_31}\n\n{wrong}");
            let error = SecretKeys::parse(&text).unwrap_err();
            assert_eq!(error, SecretKeysError::NotAKey { line: 3 }, "{wrong}");
            assert!(!error.to_string().contains(wrong) && error.to_string().contains("line 3"));
        }
        for empty in ["", "\n \n", "# soon"] {
            assert_eq!(
                SecretKeys::parse(empty).unwrap_err(),
                SecretKeysError::Empty
            );
        }
        let again = format!(
            "{}\n{ZERO_TO_31}\n{}",
            "11".repeat(32),
            ZERO_TO_31.to_uppercase()
        );
        assert_eq!(
            SecretKeys::parse(&again).unwrap_err().to_string(),
            "line 3 repeats the key 630dcd29 of line 2. Remove one of them"
        );
    }

    #[test]
    fn a_value_opens_only_for_its_own_name_and_unchanged() {
        let keys = SecretKeys::parse(ZERO_TO_31).unwrap();
        let value = SecretValue::from("hunter2".to_owned());
        let sealed = || keys.seal(&bound(7, "TOKEN"), &value).unwrap();
        let opened = |binding: &SecretBinding<'_>, sealed: &SealedValue| {
            keys.open(binding, sealed)
                .map(|value| value.expose().to_vec())
        };
        assert_eq!(opened(&bound(7, "TOKEN"), &sealed()).unwrap(), b"hunter2");
        for elsewhere in [
            bound(8, "TOKEN"),
            bound(7, "TOKENS"),
            bound(7, "TOKE"),
            bound(7, ""),
        ] {
            assert_eq!(opened(&elsewhere, &sealed()).unwrap_err().code(), "damaged");
        }
        for bit in 0..8 * sealed().bytes.len() {
            let mut changed = sealed();
            changed.bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                opened(&bound(7, "TOKEN"), &changed).unwrap_err().code(),
                "damaged"
            );
        }
        for bit in 0..8 * 24 {
            let mut changed = sealed();
            changed.nonce[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                opened(&bound(7, "TOKEN"), &changed).unwrap_err().code(),
                "damaged"
            );
        }
        for length in 0..sealed().bytes.len() {
            let mut cut = sealed();
            cut.bytes.truncate(length);
            assert_eq!(
                opened(&bound(7, "TOKEN"), &cut).unwrap_err().code(),
                "damaged"
            );
        }
        assert_ne!(sealed().nonce, sealed().nonce);
        assert_ne!(sealed().bytes, sealed().bytes);
    }

    /// The test vector of draft-irtf-cfrg-xchacha-03, appendix A.3.1.
    #[test]
    fn the_cipher_matches_the_test_vector_of_the_draft() {
        let key: Vec<String> = (0x80..=0x9f)
            .map(|byte: u8| format!("{byte:02x}"))
            .collect();
        let key = SecretKey::parse(&key.concat()).unwrap();
        let mut nonce = [0; 24];
        nonce
            .iter_mut()
            .zip(0x40..)
            .for_each(|(byte, value)| *byte = value);
        let payload = Payload {
            msg: b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
            aad: &[0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7],
        };
        let sealed = hex::encode(key.cipher().encrypt((&nonce).into(), payload).unwrap());
        assert!(
            sealed.starts_with("bd6d179d3e83d43b9576579493c0e939"),
            "{sealed}"
        );
        assert!(
            sealed.ends_with("c0875924c1c7987947deafd8780acf49"),
            "{sealed}"
        );
    }

    #[test]
    fn debug_shows_nothing() {
        let keys = SecretKeys::parse(ZERO_TO_31).unwrap();
        let value = SecretValue::from("hunter2".to_owned());
        assert_eq!(
            format!("{keys:?} {value:?}"),
            "SecretKeys(…) SecretValue(…)"
        );
    }
}
