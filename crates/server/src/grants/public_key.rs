//! Public keys of other parties in a `function.toml`: `SubjectPublicKeyInfo` (RFC 5280, section 4.1) in PEM or base64,
//! as `openssl pkey -pubout` writes it; or the 32 bytes of an Ed25519 key in hexadecimal digits, as some services show
//! them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use iof_egress::SigningAlgorithm;
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

/// The longest text that is read, in bytes: a key of RSA with 8192 bits takes a fifth of it.
const LONGEST: usize = 8 << 10;
/// RFC 8410, section 3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// RFC 5480, section 2.1.1.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// RFC 3279, section 2.3.1.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

const FRAME: [&str; 2] = ["-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"];

/// The bytes of a public key, in the form that `ring` takes.
///
/// # Errors
/// A sentence that states what is wrong, without the text of the key.
pub(super) fn read(algorithm: SigningAlgorithm, text: &str) -> Result<Vec<u8>, &'static str> {
    const WRONG: &str = "not a public key: write what `openssl pkey -pubout` prints, from BEGIN PUBLIC KEY to END PUBLIC KEY";
    if text.len() > LONGEST {
        return Err(WRONG);
    }
    if text.contains("PRIVATE KEY") {
        return Err(
            "a private key: got one where everyone may read it. Make another key, and write only its public key",
        );
    }
    if algorithm == SigningAlgorithm::Ed25519
        && let Ok(key) = hex::decode(text.trim())
        && key.len() == 32
    {
        return Ok(key);
    }
    let text = text.trim();
    let text = text.strip_prefix(FRAME[0]).unwrap_or(text);
    let text = text.strip_suffix(FRAME[1]).unwrap_or(text);
    let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let der = STANDARD.decode(text).map_err(|_| WRONG)?;
    let info = SubjectPublicKeyInfoRef::try_from(der.as_slice()).map_err(|_| WRONG)?;
    let key = info.subject_public_key.as_bytes().ok_or(WRONG)?;
    let oid = info.algorithm.oid;
    let is_of_algorithm = match algorithm {
        SigningAlgorithm::Ed25519 => oid == ED25519 && key.len() == 32,
        // An uncompressed point, the only form that `ring` reads.
        SigningAlgorithm::Es256 => {
            oid == EC
                && info.algorithm.parameters_oid() == Ok(P256)
                && key.len() == 65
                && key.starts_with(&[4])
        }
        // `ring` takes keys of 2048 bits or more.
        SigningAlgorithm::Rs256 if oid == RSA && key.len() <= 256 => {
            return Err("a key of RSA that is too short: use one of 2048 bits or more");
        }
        SigningAlgorithm::Rs256 => oid == RSA,
        SigningAlgorithm::HmacSha1
        | SigningAlgorithm::HmacSha256
        | SigningAlgorithm::HmacSha512 => false,
    };
    match is_of_algorithm {
        true => Ok(key.to_vec()),
        false => Err(
            "a public key of another algorithm: es256 takes one of P-256, ed25519 one of Ed25519, rs256 one of RSA",
        ),
    }
}

/// 32 bytes in hexadecimal digits.
#[cfg(test)]
mod tests {
    use super::*;
    use SigningAlgorithm::{Ed25519, Es256, HmacSha256, Rs256};

    /// RFC 8410, section 10.1, and a key of P-256.
    const ED: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    const P256_KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==";

    #[test]
    fn keys_are_read_as_services_write_them() {
        let key = read(Ed25519, ED).unwrap();
        assert_eq!((key.len(), key[0], key[31]), (32, 0x19, 0xe1));
        let digits: String = key.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(read(Ed25519, &digits).unwrap(), key);
        assert_eq!(read(Es256, P256_KEY).unwrap().len(), 65);
    }

    #[test]
    fn what_is_not_one_is_refused_without_its_text() {
        for (algorithm, text, part) in [
            (Ed25519, "", "not a public key"),
            (Ed25519, "AAAA", "not a public key"),
            (Es256, "%%%", "not a public key"),
            (Rs256, &"A".repeat(LONGEST + 1), "not a public key"),
            (Es256, "-----BEGIN PRIVATE KEY-----\nAAAA", "a private key"),
            (Es256, ED, "of another algorithm"),
            (Ed25519, P256_KEY, "of another algorithm"),
            (Rs256, P256_KEY, "of another algorithm"),
            (HmacSha256, ED, "of another algorithm"),
        ] {
            let why = read(algorithm, text).unwrap_err();
            assert!(why.contains(part), "{algorithm:?}: {why}");
        }
    }
}
