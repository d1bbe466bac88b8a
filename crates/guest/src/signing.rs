//! Signatures with secrets that the server keeps: the function passes the data to be signed, and never sees the key.
//!
//! A secret that signs is declared in `function.toml`, with the only algorithm for which it is used:
//!
//! ```toml
//! [[signing]]
//! secret = "GITHUB_SECRET"
//! algorithm = "hmac-sha256"
//! use = ["verify"]
//! ```
//!
//! ```
//! /// Takes an event of GitHub, if GitHub signed it.
//! #[iof::function]
//! fn event(request: iof::Request) -> iof::Result<String> {
//!     let signature = request.header("x-hub-signature-256").unwrap_or_default();
//!     let signature = signature.strip_prefix("sha256=").unwrap_or_default();
//!     if !iof::signing::verify("GITHUB_SECRET", request.body(), signature)? {
//!         return Err(iof::Error::new("signature", "The signature does not match.").with_status(401));
//!     }
//!     Ok(request.header("x-github-event").unwrap_or_default().to_owned())
//! }
//! ```
//!
//! Algorithms are `hmac-sha1`, `hmac-sha256`, `hmac-sha512`, `ed25519`, `es256` and `rs256`. Signatures of the first
//! three are compared in constant time. These are the commands `sign` and `verify`, which such a secret grants; in
//! tests, `iof::testing::commands` answers them.

use serde::Serialize;

use crate::{Command, CommandError, Error};

/// The encoding of a signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Hexadecimal digits, in lower case.
    #[default]
    Hex,
    /// Base64.
    Base64,
    /// Base64 for URLs, without padding, as in JSON Web Tokens.
    Base64Url,
}

/// The status of `verify` for a signature that does not match.
const DIFFERENT: i32 = 1;

impl Encoding {
    fn option(self) -> &'static str {
        match self {
            Self::Hex => "--hex",
            Self::Base64 => "--base64",
            Self::Base64Url => "--base64url",
        }
    }
}

/// The signature of `data` with a secret, in hexadecimal digits.
///
/// # Errors
/// An error if the function does not declare the secret for this use, or it is not a key of its algorithm.
pub fn sign(secret: &str, data: &[u8]) -> Result<String, CommandError> {
    sign_as(Encoding::Hex, secret, data)
}

/// The signature of `data` with a secret.
///
/// # Errors
/// The errors of [`sign`].
pub fn sign_as(encoding: Encoding, secret: &str, data: &[u8]) -> Result<String, CommandError> {
    let mut command = Command::new("sign");
    let signature = command
        .arg(encoding.option())
        .arg(secret)
        .stdin_u8vec(data)
        .run()?;
    Ok(String::from_utf8_lossy(&signature).into_owned())
}

/// Returns whether this is the signature of `data` with a secret, in hexadecimal digits.
///
/// # Errors
/// The errors of [`sign`]. A malformed signature does not match, and is not an error.
pub fn verify(secret: &str, data: &[u8], signature: &str) -> Result<bool, CommandError> {
    verify_as(Encoding::Hex, secret, data, signature)
}

/// Returns whether this is the signature of `data` with a secret.
///
/// # Errors
/// The errors of [`verify`].
pub fn verify_as(
    encoding: Encoding,
    secret: &str,
    data: &[u8],
    signature: &str,
) -> Result<bool, CommandError> {
    let mut command = Command::new("verify");
    command.arg(encoding.option()).arg(secret).arg(signature);
    match command.stdin_u8vec(data).run() {
        Ok(_) => Ok(true),
        Err(error) if error.status() == DIFFERENT => Ok(false),
        Err(error) => Err(error),
    }
}

/// A JSON Web Token of these claims (RFC 7519), signed with a secret. `algorithm` is the name of the secret's algorithm
/// in the header of the token: `HS256`, `HS512`, `EdDSA`, `ES256` or `RS256`.
///
/// # Errors
/// The errors of [`sign`], and one for claims that cannot be written as JSON.
pub fn jwt<T: Serialize + ?Sized>(
    secret: &str,
    algorithm: &str,
    claims: &T,
) -> Result<String, Error> {
    let header = serde_json::json!({ "alg": algorithm, "typ": "JWT" });
    let header = base64url(header.to_string().as_bytes());
    let claims = base64url(&serde_json::to_vec(claims)?);
    let signed = format!("{header}.{claims}");
    let signature = sign_as(Encoding::Base64Url, secret, signed.as_bytes())?;
    Ok(format!("{signed}.{signature}"))
}

/// Base64 for URLs, without padding (RFC 4648, section 5).
fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0u32, |word, at| {
            word << 8 | u32::from(chunk.get(at).copied().unwrap_or_default())
        });
        for at in 0..=chunk.len() {
            let digit = word >> (18 - 6 * at) & 63;
            text.extend(DIGITS.get(digit as usize).map(|digit| char::from(*digit)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Output, commands};

    #[test]
    fn base64_for_urls_matches_its_standard() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("\u{3ff}\u{3fe}", "z7_Pvg"),
        ] {
            assert_eq!(base64url(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_signature_that_does_not_match_is_not_an_error() {
        let host = commands(|run| match run.args.last().map(String::as_str) {
            Some("00") => Output::ok(""),
            Some("01") => Output::failed(DIFFERENT, ""),
            _ => Output::failed(3, ""),
        });
        assert!(verify("KEY", b"data", "00").unwrap());
        assert!(!verify("KEY", b"data", "01").unwrap());
        assert_eq!(verify("KEY", b"data", "02").unwrap_err().status(), 3);
        assert_eq!(host.runs()[0].args, ["--hex", "KEY", "00"]);
        assert_eq!(host.runs()[0].stdin, b"data");
    }

    #[test]
    fn a_token_is_header_claims_and_signature() {
        let _host = commands(|run| Output::ok(format!("{}!", run.stdin.len())));
        let token = jwt("KEY", "HS256", &serde_json::json!({"sub": "a"})).unwrap();
        assert_eq!(
            token,
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhIn0.52!"
        );
    }
}
