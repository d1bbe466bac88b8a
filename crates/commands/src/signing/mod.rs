//! The commands `sign` and `verify`: signatures with a secret that the function never holds.
//!
//! ```text
//! sign [--hex | --base64 | --base64url] SECRET            < data  > signature
//! verify [--hex | --base64 | --base64url] SECRET SIGNATURE < data
//! ```
//!
//! The function's version declares the secret for this use, with its algorithm ([`SigningKey`]). A signature is
//! compared in constant time, and nothing reveals by how much one is wrong. `verify` ends with [`status::DIFFERENT`]
//! for any signature that does not match, whatever its length or letters are: a malformed one reveals no more than a
//! wrong one.

mod key;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use iof_command::{CallContext, Command, Output, Request};
use iof_egress::{KeyUse, SigningAlgorithm, SigningKey};

/// The exit statuses.
pub mod status {
    /// The signature was made, or matches.
    pub const OK: i32 = 0;
    /// The signature does not match.
    pub const DIFFERENT: i32 = 1;
    /// The arguments are wrong.
    pub const USAGE: i32 = 2;
    /// The function declares no such secret for this use.
    pub const DENIED: i32 = 3;
    /// The secret is not a key of its algorithm.
    pub const KEY: i32 = 4;
}

/// The built-in command `sign`.
pub struct Sign;

/// The built-in command `verify`.
pub struct Verify;

/// The names of these commands, which a native command must not use: a function gets them by declaring a secret that
/// signs.
pub const NAMES: [&str; 2] = ["sign", "verify"];

#[async_trait]
impl Command for Sign {
    fn name(&self) -> &str {
        "sign"
    }

    fn how_to_grant(&self) -> Option<&'static str> {
        Some(
            "sign: the function declares no secret that signs. Add to function.toml: [[signing]] with secret = \"NAME\", algorithm = \"hmac-sha256\" (or another) and use = [\"sign\"].\n",
        )
    }

    async fn run(&self, call: &CallContext, request: Request) -> Output {
        let signed = sign(call, request).await;
        signed.unwrap_or_else(|failure| failure.into_output("sign"))
    }
}

#[async_trait]
impl Command for Verify {
    fn name(&self) -> &str {
        "verify"
    }

    fn how_to_grant(&self) -> Option<&'static str> {
        Some(
            "verify: the function declares no secret that verifies. Add to function.toml: [[signing]] with secret = \"NAME\", algorithm = \"hmac-sha256\" (or another) and use = [\"verify\"].\n",
        )
    }

    async fn run(&self, call: &CallContext, request: Request) -> Output {
        let verified = verify(call, request).await;
        verified.unwrap_or_else(|failure| failure.into_output("verify"))
    }
}

async fn sign(call: &CallContext, request: Request) -> Result<Output, Failure> {
    let (encoding, words) = Encoding::of(&request.args);
    let [name] = words else {
        return Err(usage("sign [--hex | --base64 | --base64url] SECRET"));
    };
    let key = declared(call, name, KeyUse::Sign)?;
    let signature = computed(key, request.stdin, key::sign).await;
    let signature = signature.map_err(|why| unusable(name, why))?;
    Ok(Output {
        status: status::OK,
        stdout: encoding.write(&signature).into(),
        ..Output::default()
    })
}

async fn verify(call: &CallContext, request: Request) -> Result<Output, Failure> {
    let (encoding, words) = Encoding::of(&request.args);
    let [name, signature] = words else {
        return Err(usage(
            "verify [--hex | --base64 | --base64url] SECRET SIGNATURE",
        ));
    };
    let key = declared(call, name, KeyUse::Verify)?;
    // A malformed signature matches nothing; the key is checked all the same.
    let signature = encoding.read(signature).unwrap_or_default();
    let verified = move |key: &SigningKey, data: &[u8]| key::verify(key, data, &signature);
    let matches = computed(key, request.stdin, verified).await;
    match matches.map_err(|why| unusable(name, why))? {
        true => Ok(Output::default()),
        false => Err(Failure {
            status: status::DIFFERENT,
            message: "the signature does not match".to_owned(),
        }),
    }
}

/// The most bytes that are signed on the calling thread.
const SMALL: usize = 64 << 10;

/// Computes with a key: on a thread that serves no connection, if it takes long.
async fn computed<T: Send + 'static>(
    key: &SigningKey,
    data: Bytes,
    compute: impl FnOnce(&SigningKey, &[u8]) -> Result<T, key::Unusable> + Send + 'static,
) -> Result<T, key::Unusable> {
    if data.len() <= SMALL && key.algorithm != SigningAlgorithm::Rs256 {
        return compute(key, &data);
    }
    let key = key.clone();
    let computed = tokio::task::spawn_blocking(move || compute(&key, &data)).await;
    computed.unwrap_or(Err(key::FAILED))
}

fn declared<'a>(
    call: &'a CallContext,
    name: &str,
    key_use: KeyUse,
) -> Result<&'a SigningKey, Failure> {
    let key = call.secrets.signing_key(name);
    key.filter(|key| key.uses.contains(&key_use)).ok_or_else(|| {
        let word = match key_use {
            KeyUse::Sign => "sign",
            KeyUse::Verify => "verify",
        };
        Failure {
            status: status::DENIED,
            message: format!(
                "the function declares no secret {} for this. Add to its function.toml: [[signing]] secret = \"…\", \
                 use = [\"{word}\"], algorithm = \"hmac-sha256\"",
                shown(name)
            ),
        }
    })
}

/// A failure: a status, and a line on stderr.
struct Failure {
    status: i32,
    message: String,
}

impl Failure {
    fn into_output(self, command: &str) -> Output {
        Output {
            status: self.status,
            stderr: format!("{command}: {}\n", self.message).into(),
            ..Output::default()
        }
    }
}

fn usage(usage: &str) -> Failure {
    Failure {
        status: status::USAGE,
        message: format!("usage: {usage}"),
    }
}

fn unusable(name: &str, why: &str) -> Failure {
    Failure {
        status: status::KEY,
        message: format!(
            "the secret {} is not a key for its algorithm: {why}",
            shown(name)
        ),
    }
}

fn shown(name: &str) -> String {
    name.chars().take(100).collect()
}

/// The encoding of a signature.
#[derive(Clone, Copy)]
enum Encoding {
    Hex,
    Base64,
    Base64Url,
}

impl Encoding {
    /// Takes the option before the other arguments.
    fn of(args: &[String]) -> (Encoding, &[String]) {
        let known = match args.first().map(String::as_str) {
            Some("--hex") => Encoding::Hex,
            Some("--base64") => Encoding::Base64,
            Some("--base64url") => Encoding::Base64Url,
            _ => return (Encoding::Hex, args),
        };
        (known, args.get(1..).unwrap_or_default())
    }

    fn write(self, bytes: &[u8]) -> String {
        match self {
            Encoding::Hex => hex::encode(bytes),
            Encoding::Base64 => STANDARD.encode(bytes),
            Encoding::Base64Url => URL_SAFE_NO_PAD.encode(bytes),
        }
    }

    fn read(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Encoding::Hex => hex::decode(text).ok(),
            Encoding::Base64 => STANDARD.decode(text).ok(),
            Encoding::Base64Url => URL_SAFE_NO_PAD.decode(text).ok(),
        }
    }
}

#[cfg(test)]
mod tests;
