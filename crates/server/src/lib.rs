//! The HTTP side of iof.
//!
//! [`App`] is what a request needs: engine, store, loaded functions, settings. [`router`] gives it routes, [`serve`]
//! gives it connections. `v1` is our own API, described by an OpenAPI document. `second_state` is the API of the Second State FaaS of 2020, to the byte where its clients
//! look; what a failure really was is in the headers `iof-status`, `iof-fault` and `iof-message` of every answer.

mod app;
mod auth;
mod body;
mod call;
mod charset;
mod coding;
mod connection;
mod cores;
mod functions;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod grants;
mod host;
mod journal;
mod json;
mod media_type;
mod multipart;
mod parsing;
mod records;
mod replay;
mod reply;
mod schema;
mod second_state;
mod serve;
mod settings;
mod status;
mod storage;
mod surface;
mod text;
mod tls;
mod v1;

pub use app::{App, Parts, router};
pub use cores::Cores;
pub use records::{RecordQueue, Records};
pub use serve::{Listener, serve};
pub use settings::{Auth, RecordSettings, SecondState, Secrets, Settings, StatusLine, Tls};
pub use storage::Values;
pub use tls::Https;
pub use v1::openapi;
