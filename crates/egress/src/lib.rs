//! Every byte that leaves because of a function: one client, one policy, one log.

mod admit;
mod class;
mod error;
mod path;
mod rule;

pub use admit::admit;
pub use class::Class;
pub use error::{Error, Kind};
pub use rule::{Rule, RuleError, Rules};
