//! The engine of iof.
//!
//! [`Engine::compile`] turns a module's bytes into an artefact, in a child process with limits of its own; it is the
//! slow part, done once. [`Engine::load`] makes an artefact callable. [`Engine::call`] runs one export in a fresh
//! instance with the [`Limits`] of a call, and always comes back with an [`Outcome`]: a value or a [`Fault`], what the
//! guest printed, and the time it computed.
//!
//! This crate knows WebAssembly and the commands that a guest may run. It knows no HTTP and no database.

mod abi;
mod artefact;
mod blob;
mod call;
mod compile;
mod engine;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod host;
pub mod json;
mod limits;
mod manifest;
mod signature;
mod state;
mod tape;
mod ticker;
mod types;
mod value;
mod verdict;
mod watch;

pub use call::{Invocation, Outcome};
pub use compile::judge;
pub use compile::worker::{WorkerLimits, run as compile_worker};
pub use engine::{Compiled, Engine, EngineConfig, Function};
pub use host::log::Log;
pub use host::storage::Storage;
pub use host::wasi::Environment;
pub use limits::{CompileLimits, Limits, Narrower, UnknownImports};
pub use manifest::{
    Abi, Allocator, Core, Described, Export, Kind, Manifest, Param, Primed, Signature, Type,
    Unserved,
};
pub use signature::StatedSignature;
pub use tape::{Blob, Heard, HeardCommand, HeardList, HeardLoad, HeardSave, Tape};
pub use value::{Arg, Value};
pub use watch::{leave, watched};
