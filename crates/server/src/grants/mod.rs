//! The grants of a version: what it may use, and how much of it.
//!
//! A version declares it (`function.toml`), the operator's settings are its ceiling, and [`EffectiveGrants`] is what its calls
//! run with. Both are compared when a version is deployed, so that a mistake is found by whoever makes it, and again
//! when it is loaded, so that a ceiling that was lowered since holds for what was deployed before.

mod allowed_origins;
mod ceiling;
mod declaration;
mod declared_signing;
mod declared_test;
mod effective;
mod inspect;
mod public_key;
mod rate_limiter;

pub(crate) use ceiling::Ceiling;
pub(crate) use declaration::{Declaration, MAX_DECLARATION, Record};
pub use declared_test::DeclaredTest;
pub(crate) use effective::{CallersMay, EffectiveGrants};
pub use inspect::{AS_SHIPPED, check_declaration, declaration_notes, declared_tests};
