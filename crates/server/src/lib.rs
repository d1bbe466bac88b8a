//! The HTTP side of iof.
//!
//! [`App`] is what a request needs: engine, store, loaded functions, settings. [`router`] gives it routes, [`serve`]
//! gives it connections. `second_state` is the API of the Second State FaaS of 2020, to the byte where its clients
//! look; what a failure really was is in the headers `iof-status`, `iof-fault` and `iof-message` of every answer.

mod app;
mod auth;
mod body;
mod functions;
mod gate;
mod reply;
mod second_state;
mod serve;
mod settings;
mod storage;

pub use app::{App, router};
pub use serve::serve;
pub use settings::{Auth, Settings};
pub use storage::Values;
