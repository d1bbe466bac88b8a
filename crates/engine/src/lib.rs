//! The engine of iof.
//!
//! [`Engine::compile`] turns a module's bytes into an artefact, in a child process with limits of its own; this is the
//! slow part, done once. [`Engine::load`] makes an artefact callable. [`Engine::call`] runs one export in a fresh
//! instance with the [`Limits`] of a call, and always returns an [`Outcome`]: a value or a [`Fault`], the guest's
//! output, and its core time.
//!
//! This crate knows WebAssembly and the commands that a guest may run. It knows neither HTTP nor a database.

mod abi;
mod accounting;
mod artefact;
mod blob;
mod call;
mod capability;
mod capacity;
mod compile;
mod config;
mod engine;
mod error_mapping;
mod exchange;
mod executable;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod interfaces;
pub mod json;
mod limits;
mod lines;
mod manifest;
mod memory;
mod pool;
mod proposals;
mod reuse;
mod signature;
pub mod size;
mod state;
mod tape;
mod ticker;
mod trace;
mod types;
mod value;
mod wasi;
mod watch;

pub use call::{Invocation, Outcome, SpentCpu};
pub use capability::environment::Environment;
pub use capability::log::Log;
pub use capability::storage::{
    Committed, Storage, StorageBatch, StorageWrite, Updated, ValueChange,
};
pub use capability::values::{stored_bytes, stored_key};
pub use capacity::{Bound, Capacity, HostRoom, SLOT};
pub use compile::{CompilerFigures, judge};
pub use compile::{limits::WorkerLimits, worker::run as compile_worker};
pub use config::{EngineConfig, engine_fingerprint};
pub use engine::{Compiled, Engine, Function};
pub use exchange::{Exchange, HANDLER, RESPONSE_HEADER_BYTES, RESPONSE_HEADERS, ResponseBody};
pub use limits::{CompileLimits, LimitOverrides, Limits, UnknownImports};
pub use lines::{LINE_TABLES, LineTable};
pub use manifest::{
    Abi, Allocator, BodyUse, Core, Described, Export, Kind, Manifest, Param, Primed, Signature,
    Type, UnresolvedImport, World, WorldExport,
};
pub use pool::PoolFigures;
pub use reuse::{InstancePool, Retirement, Reuse, ReuseFigures};
pub use signature::StatedSignature;
pub use tape::{
    Blob, HostCallTape, HostResponses, RecordedAdd, RecordedCommand, RecordedCommit, RecordedList,
    RecordedLoad, RecordedSave,
};
pub use trace::Trace;
pub use value::{Arg, Value};
pub use watch::{leave, watched};
