//! A call of a function, from a reference to the function to its end. Every API, jobs and replays come through here.
//!
//! | file | step |
//! |---|---|
//! | `prepare` | find the function, authorise the caller, count the call, set its deadline |
//! | `execute` | wait for permits, run the engine |
//! | `observe` | tell those who keep what a call did |
//! | `refused` | log a call that did not come to run |
//!
//! A surface parses what a client sent, and renders the [`Outcome`](iof_engine::Outcome) or the fault.

mod ended;
mod execute;
mod observe;
mod prepare;
mod refused;

pub(crate) use ended::EndedCall;
pub(crate) use execute::{CallRequest, execute};
pub(crate) use prepare::{Credentials, FunctionRef, Origin, Prepared, StatedTypes, read_body};
pub(crate) use refused::{called_by, log_refused};
