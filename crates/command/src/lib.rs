//! Commands: how a function reaches anything outside of itself.
//!
//! A command has the shape of a Unix command: arguments, environment and standard input go in; an exit status, standard
//! output and standard error come out. Functions of 2020 started real programs that way; here a name refers to a
//! [`Command`] in a [`Registry`], and a name that was not granted to the function is refused. This crate does not know
//! WebAssembly: the engine translates. The commands themselves are in `iof-commands` and `iof-infer`, so that the
//! engine builds without an HTTP client and without a jail.

mod call;
mod http;
mod registry;
mod run;

pub use call::{CallContext, Grants, Output, Refusal, Request, TIMED_OUT};
pub use http::{BodyError, HttpClient, HttpRequest, HttpResponse};
pub use registry::{Command, Registry};
pub use run::{Observer, Run};
