//! Native programs in a jail.

mod confine;
mod feature;
mod inner;
mod jail;
mod link;
mod outer;
mod pool;
mod profile;
mod run;
mod usage;
mod warden;
mod wire;
mod worker;

pub use feature::{Feature, Finding, Report};
pub use jail::{Demand, Jail, Settings};
pub use link::StartError;
pub use pool::Program;
pub use profile::{Limits, Network, Profile, ProfileError};
pub use run::{Ended, Exit, Limit, Request, RunError};
pub use usage::Usage;
pub use warden::warden_main;
pub use worker::Worker;
