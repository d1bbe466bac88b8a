//! Functions, versions and keys, and what functions keep, so that whatever was acknowledged survives `kill -9` and
//! loss of power.
//!
//! A function is a row; a version is a row and an object, the module's source; compiled code is an object that can be
//! lost. Rows live in SQLite, because they must change together; objects live in files, because module sources are
//! megabytes that SQLite would copy through its log twice. That leaves one rule to keep the two in step: **an object is
//! written before the row that names it, and removed after it**. A crash in between leaves an object without a row,
//! never a row without its object, and [`Store::open`] removes such objects. The alternative, a row that says "upload
//! under way", needs a second commit on every upload to say that it no longer is.
//!
//! The one race left is a deletion that finds a source unused while an upload of the same bytes has written its object
//! and not yet its row. Uploads therefore share a lock, which a deletion's removal of objects takes exclusively.
//!
//! What a function runs is a pointer to a version (`store::rollout`), so that going back is as quick and as safe as
//! going on.
//!
//! What functions keep is rows too: the values that their guests store, texts that anyone keeps for a while, the log of
//! calls, secrets (encrypted), the audit log, calls that can be run again, and calls that are run later; and so are the
//! keys of the server's own API. A limit is checked and kept in one transaction that no other can slip into.
//!
//! Layers, each of which knows those below it and no other: `store` is the API, a file a feature; `rows` says what a
//! database does for it, and `sqlite` is that database; `directory`, `objects` (with `seal`), `sweep` and `backup` are the files;
//! `model`, `key`, `scopes`, `secret_keys` and `secret_value` are the shapes that go in and out, and `error` is why
//! they do not. Reading order: [`Store`], `model`, then a feature in `store`, `rows` and `sqlite`. This crate knows
//! neither HTTP nor wasm.

mod backup;
mod clock;
mod directory;
mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod inspection;
mod key;
mod lock;
mod model;
mod objects;
mod room;
mod rows;
mod scopes;
mod seal;
mod secret_keys;
mod secret_value;
mod sqlite;
mod store;
mod sweep;

pub use backup::{BackupSummary, RestoreFrom, back_up, back_up_as_archive, restore};
pub use error::Error;
pub use inspection::{Inspection, holder, inspect};
pub use key::{Key, KeyHash, looks_like_key};
pub use model::{
    ApiKey, AuditKind, AuditLine, AuditQuery, AuditRecord, AuditRow, Call, Calls, Canary,
    Committed, Created, EphemeralPut, EphemeralShare, Finished, Function, FunctionFilter, Job,
    JobRoom, JobState, LoggedCall, MAX_API_KEYS, MAX_FUNCTION_NAME, MAX_KEY_LABEL, MAX_SECRET_NAME,
    MAX_SECRET_VALUE, MAX_SECRETS, NewFunction, NewJob, NewKey, NewVersion, Percent, Recording,
    RecordingHead, RecordingsKept, RefusedCall, Rollout, Saved, SecretName, Submitted, Summary,
    Updated, Uploaded, Usage, ValueBatch, ValueChange, ValueKey, ValueWrite, Version, VersionId,
    is_secret_name,
};
pub use scopes::{Scope, Scopes};
pub use secret_keys::{SecretKeys, SecretKeysError};
pub use secret_value::SecretValue;
pub use store::Store;
