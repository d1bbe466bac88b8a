//! The grants and limits of a version.
//!
//! A version declares its grants (`function.toml`), the operator's settings are their ceiling, and [`EffectiveGrants`]
//! are the grants with which its calls run. Declaration and ceiling are compared when a version is deployed, so that
//! its author sees a mistake, and again when it is loaded, so that a ceiling that was lowered later also applies to
//! earlier versions.

mod allowed_origins;
mod ceiling;
mod declaration;
mod declared_jobs;
mod declared_reuse;
mod declared_schedule;
mod declared_signing;
mod declared_test;
mod effective;
mod inspect;
mod public_key;
mod rate_limiter;

pub(crate) use ceiling::Ceiling;
pub(crate) use declaration::{Declaration, MAX_DECLARATION, Record};
pub(crate) use declared_schedule::{DeclaredSchedule, MissedTimes};
pub use declared_test::DeclaredTest;
pub(crate) use effective::{CallerNamedTargets, EffectiveGrants, JobGrants};
pub use inspect::{AS_SHIPPED, check_declaration, declaration_notes, declared_tests};
