//! A call of a function, from a reference to the function to its end. Every API, jobs and replays use this module.
//!
//! | file | step |
//! |---|---|
//! | `prepare` | find the function, authorise the caller, count the call, set its deadline |
//! | `execute` | wait for permits, run the engine |
//! | `exchange` | wait for permits and run the engine for functions that answer HTTP requests, whose bodies stream |
//! | `observe` | tell the observers how a call ended |
//! | `start` | the beginning of a call that may be handed back before it |
//! | `refused` | log a call that was refused before it ran |
//!
//! A surface parses the client's request, and renders the [`Outcome`](iof_engine::Outcome) or the fault.

mod ended;
mod exchange;
mod execute;
mod observe;
mod prepare;
mod refused;
mod start;

pub(crate) use crate::call_log::CallerKind;
pub(crate) use ended::EndedCall;
pub(crate) use exchange::{ExchangeTasks, RequestStream, exchange};
pub(crate) use execute::{CallRequest, execute};
pub(crate) use prepare::{Credentials, FunctionRef, Origin, PreparedCall, StatedTypes, read_body};
pub(crate) use refused::{called_by, log_refused};
pub(crate) use start::CallStart;
