//! The store of iof: functions, versions, keys, and the data of functions. Everything that was acknowledged survives
//! `kill -9` and loss of power.
//!
//! A function is a row; a version is a row and an object, the module's source; compiled code is an object that can be
//! lost. Rows are in SQLite, because they must change together; objects are in files, because module sources are
//! megabytes that SQLite would copy through its log twice. One rule keeps the two in step: **an object is written
//! before the row that names it, and removed after it**. A crash in between leaves an object without a row, never a row
//! without its object, and [`Store::open`] removes such objects. Rejected: a row that says "upload in progress", which
//! needs a second commit on every upload to say that it no longer is.
//!
//! One race remains: a deletion that finds a source unused while an upload of the same bytes has written its object and
//! not yet its row. Uploads therefore share a lock, which a deletion takes exclusively to remove objects.
//!
//! The version that a function runs is a pointer (`store::rollout`), so that a rollback is as quick and as safe as a
//! rollout.
//!
//! The data of functions is rows too: the values that their guests store, ephemeral texts, the log of calls, secrets
//! (encrypted), the outbound log, recordings, and jobs; and so are the API keys of the server, and the audit log of
//! changes. A limit is checked and the change made in one transaction, so that no other change comes between.
//!
//! Layers, each of which knows only those below it: `store` is the API, one file per feature; `rows` is what a database
//! does for it; `sqlite` and `postgres` are the databases, which share the features in `sql`; `directory`, `objects` (with `seal`), `sweep` and `backup` are the
//! files; `model`, `key`, `scopes`, `secret_keys` and `secret_value` are the types that go in and out, and `error` is
//! the type of failures. Reading order: [`Store`], `model`, then a feature in `store`, `rows` and `sql`. This crate
//! knows neither HTTP nor wasm.

#![allow(
    clippy::duplicate_mod,
    reason = "the modules of `sql` are compiled once for each database, with the types and the words of its driver"
)]

mod backup;
mod clock;
mod directory;
mod error;
mod fleet_check;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod inspection;
mod key;
mod model;
mod objects;
mod postgres;
mod room;
mod rows;
mod scopes;
mod seal;
mod secret_keys;
mod secret_value;
mod settings;
mod sqlite;
mod store;
mod sweep;
mod transfer;

pub use backup::{BackupSummary, RestoreSource, back_up, back_up_as_archive, restore};
pub use directory::check_database;
pub use error::Error;
pub use fleet_check::{FleetCheck, check_fleet, migrate};
pub use inspection::{Inspection, holder, inspect};
pub use key::{Key, KeyHash, looks_like_key};
pub use model::{
    ApiKey, Author, AuthorKey, Call, Calls, Canary, CancelledJob, ChangeLimits, ChangeQuery,
    ChangeRecord, Committed, Created, Deploy, DueSchedule, EphemeralPut, EphemeralShare, Finished,
    Function, FunctionFilter, IdempotencyKey, Job, JobEnd, JobFigures, JobHead, JobKind, JobQuery,
    JobRoom, JobState, JobTerms, Lease, LoggedCall, MAX_API_KEYS, MAX_FUNCTION_NAME, MAX_KEY_LABEL,
    MAX_SECRET_NAME, MAX_SECRET_VALUE, MAX_SECRETS, NewFunction, NewJob, NewKey, NewVersion,
    OutboundKind, OutboundLine, OutboundQuery, OutboundRecord, OutboundRow, OutboundWait, Percent,
    Postponed, Recording, RecordingHead, RecordingLimits, RefusedCall, RetriedJob, Rollout, Saved,
    Schedule, ScheduledJob, SecretName, Settled, Settlement, Submitted, Summary, Surface, Taken,
    Taking, Updated, Uploaded, Usage, ValueBatch, ValueChange, ValueHead, ValueKey, ValueWrite,
    Version, VersionId, WriteFigures, is_secret_name,
};
pub use scopes::{Scope, Scopes};
pub use secret_keys::{SecretKeys, SecretKeysError};
pub use secret_value::SecretValue;
pub use settings::StoreSettings;
pub use store::Store;
#[doc(hidden)]
pub use transfer::moved_columns;
pub use transfer::{Moved, export, import};
