//! Outbound policy: the rules of a function's requests, and the secrets that the host adds to them.
//!
//! Everything here is data and decisions about it: no socket, no name server, no TLS. So crates that carry a function's
//! grants (a command's context, the engine) build without an HTTP client; `iof-egress` asks this crate for every hop of
//! a request.
//!
//! | file | decides |
//! |---|---|
//! | `rule`, `path` | what a rule is, and what it allows |
//! | `headers` | which headers only the host sets, never a function or a secret |
//! | `secret` | what the host adds to a request, and how it keeps that from coming back |

pub mod headers;
mod path;
mod rule;
mod secret;

pub use rule::{HostPattern, Rule, RuleError, Rules};
pub use secret::mask::Mask;
pub use secret::stream::StreamMask;
pub use secret::{
    AwsScope, InjectedRequest, KeyEncoding, KeyUse, SecretInjection, SecretInjectionError,
    SecretInjections, SecretLocation, SecretValue, SigningAlgorithm, SigningKey, Template,
};
