//! Signatures with a key: `ring` does the arithmetic.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use iof_egress::{KeyEncoding, SigningAlgorithm, SigningKey};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519,
    EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
    RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
};

/// The reason why a secret is not a key, as a sentence. It never repeats the secret.
pub(super) type Unusable = &'static str;

/// Signs.
pub(super) fn sign(key: &SigningKey, data: &[u8]) -> Result<Vec<u8>, Unusable> {
    let random = SystemRandom::new();
    match key.algorithm {
        SigningAlgorithm::Ed25519 => Ok(ed25519(key)?.sign(data).as_ref().to_vec()),
        SigningAlgorithm::Es256 => {
            let signature = es256(key, &random)?.sign(&random, data);
            Ok(signature.map_err(|_| FAILED)?.as_ref().to_vec())
        }
        SigningAlgorithm::Rs256 => {
            let pair = rs256(key)?;
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &random, data, &mut signature)
                .map_err(|_| FAILED)?;
            Ok(signature)
        }
        SigningAlgorithm::HmacSha1
        | SigningAlgorithm::HmacSha256
        | SigningAlgorithm::HmacSha512 => Ok(hmac::sign(&hmac_key(key)?, data).as_ref().to_vec()),
    }
}

/// Verifies a signature, in constant time for a symmetric key.
pub(super) fn verify(key: &SigningKey, data: &[u8], signature: &[u8]) -> Result<bool, Unusable> {
    if let Some(public) = key.public_key() {
        return Ok(by_public_key(key.algorithm, public, data, signature));
    }
    Ok(match key.algorithm {
        SigningAlgorithm::Ed25519 => {
            let public = match hex::decode(key.value()) {
                // The other side's public key, which is not secret.
                Ok(public) if public.len() == 32 => public,
                _ => ed25519(key)?.public_key().as_ref().to_vec(),
            };
            let public = UnparsedPublicKey::new(&ED25519, public);
            public.verify(data, signature).is_ok()
        }
        SigningAlgorithm::Es256 => {
            let pair = es256(key, &SystemRandom::new())?;
            let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key());
            public.verify(data, signature).is_ok()
        }
        SigningAlgorithm::Rs256 => {
            let pair = rs256(key)?;
            let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public());
            public.verify(data, signature).is_ok()
        }
        SigningAlgorithm::HmacSha1
        | SigningAlgorithm::HmacSha256
        | SigningAlgorithm::HmacSha512 => hmac::verify(&hmac_key(key)?, data, signature).is_ok(),
    })
}

/// Verifies a signature with the public key of another party. Services write signatures of P-256 in two formats: two
/// numbers of 32 bytes, as JSON Web Tokens have them, and their DER (RFC 3279, section 2.2.3), which is longer.
fn by_public_key(
    algorithm: SigningAlgorithm,
    public: &[u8],
    data: &[u8],
    signature: &[u8],
) -> bool {
    let algorithm: &dyn VerificationAlgorithm = match algorithm {
        SigningAlgorithm::Ed25519 => &ED25519,
        SigningAlgorithm::Es256 if signature.len() == 64 => &ECDSA_P256_SHA256_FIXED,
        SigningAlgorithm::Es256 => &ECDSA_P256_SHA256_ASN1,
        SigningAlgorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        // A public key never has one of these algorithms.
        SigningAlgorithm::HmacSha1
        | SigningAlgorithm::HmacSha256
        | SigningAlgorithm::HmacSha512 => return false,
    };
    let public = UnparsedPublicKey::new(algorithm, public);
    public.verify(data, signature).is_ok()
}

pub(super) const FAILED: Unusable = "the signature could not be made";
const NOT_PKCS8: Unusable = "it is not a private key in PKCS #8. Make one with `openssl genpkey`, and set the lines between BEGIN and END";

fn hmac_key(key: &SigningKey) -> Result<hmac::Key, Unusable> {
    let algorithm = match key.algorithm {
        SigningAlgorithm::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        SigningAlgorithm::HmacSha512 => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    };
    let bytes = match key.encoding {
        KeyEncoding::Text => key.value().as_bytes().to_vec(),
        KeyEncoding::Hex => hex::decode(key.value()).map_err(|_| "it is not hexadecimal")?,
        KeyEncoding::Base64 => STANDARD
            .decode(key.value())
            .map_err(|_| "it is not base64")?,
    };
    Ok(hmac::Key::new(algorithm, &bytes))
}

fn ed25519(key: &SigningKey) -> Result<Ed25519KeyPair, Unusable> {
    // OpenSSL leaves the public key out, which follows from the private one.
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8(key)?).map_err(|_| NOT_PKCS8)
}

fn es256(key: &SigningKey, random: &SystemRandom) -> Result<EcdsaKeyPair, Unusable> {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8(key)?, random)
        .map_err(|_| NOT_PKCS8)
}

fn rs256(key: &SigningKey) -> Result<RsaKeyPair, Unusable> {
    RsaKeyPair::from_pkcs8(&pkcs8(key)?).map_err(|_| NOT_PKCS8)
}

/// The bytes of a private key. A secret has no line breaks, so its PEM is on one line: as in files of service accounts,
/// with `\n` as two letters, or without its frame.
fn pkcs8(key: &SigningKey) -> Result<Vec<u8>, Unusable> {
    let text = key.value().replace("\\n", "");
    let text = text
        .trim()
        .trim_start_matches("-----BEGIN PRIVATE KEY-----")
        .trim_end_matches("-----END PRIVATE KEY-----");
    let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(text).map_err(|_| NOT_PKCS8)
}
