//! The rows of the store, as traits that a database implements: one per feature, using only the types of
//! [`model`](crate::model), so that nothing above them depends on the database.
//!
//! There are two databases, SQLite (`sqlite`) and PostgreSQL (`postgres`); [`Rows`] is either, and implements the traits
//! by those of the one that it is, so that methods are plain async functions: a call through one of these traits costs
//! no allocation. `dyn` was rejected, because each read of a call would allocate its future.
//!
//! The contract of every method:
//! * A change is one transaction: all of it, or none of it. When it returns `Ok`, it is on the disk (in PostgreSQL,
//!   logs and recordings may be lost with the last second before its machine fails).
//! * A change that is refused (no such function, over a limit) has changed nothing.
//! * A change may be dropped before it ends, and is then made or not made, never half. [`Store`](crate::Store) does not
//!   drop any: it runs each as a task of its own.
//! * A read sees one moment, and every change that was acknowledged before it.
//!
//! More than 400 lines: one trait for each feature, which a second database reads as a list.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use bytes::Bytes;
use uuid::Uuid;

use crate::error::Error;
use crate::key::KeyHash;
use crate::model::{
    ApiKey, Author, Calls, CancelledJob, ChangeLimits, ChangeQuery, ChangeRecord, Committed,
    Deploy, DueSchedule, EphemeralPut, Finished, Function, FunctionFilter, FunctionRow, Job,
    JobFigures, JobHead, JobQuery, JobRoom, Lease, LoggedCall, NewEphemeral, NewJob, NewKey,
    OutboundLine, OutboundQuery, OutboundRow, Percent, Postponed, Recording, RecordingHead,
    RecordingLimits, RefusedCall, Reseal, RetriedJob, Rollout, Saved, Schedule, SealedSecret,
    SecretName, Settled, Settlement, Submitted, Summary, Taken, Taking, Updated, Usage, ValueBatch,
    ValueChange, ValueHead, ValueKey, Version, VersionRow, WriteFigures,
};
use crate::{postgres, sqlite};

/// The database of a store.
#[expect(clippy::large_enum_variant, reason = "a process has one")]
pub(crate) enum Rows {
    Sqlite(sqlite::Database),
    Postgres(postgres::Database),
}

/// Defines a trait of rows, and implements it for [`Rows`].
macro_rules! rows {
    ($(#[$doc:meta])* pub(crate) trait $name:ident {
        $($(#[$method_doc:meta])* async fn $method:ident(&self $(, $arg:ident: $type:ty)* $(,)?) -> $output:ty;)*
    }) => {
        $(#[$doc])*
        pub(crate) trait $name {
            $($(#[$method_doc])* async fn $method(&self $(, $arg: $type)*) -> $output;)*
        }

        impl $name for Rows {
            $(async fn $method(&self $(, $arg: $type)*) -> $output {
                match self {
                    Self::Sqlite(rows) => rows.$method($($arg),*).await,
                    Self::Postgres(rows) => rows.within(rows.$method($($arg),*)).await,
                }
            })*
        }
    };
}

/// The database as a whole.
pub(crate) trait Database {
    /// Returns an error if reads or changes cannot be answered now.
    async fn ready(&self) -> Result<(), Error>;

    /// The changes that wait, and the commits so far.
    fn write_figures(&self) -> WriteFigures;

    /// The server's identity, which was made with its tables.
    async fn identity(&self) -> Result<String, Error>;

    /// Closes the database, after the changes that it accepted. Reads and changes then fail with [`Error::Closed`].
    async fn close(&self) -> Result<(), Error>;
}

rows! {
/// Functions.
pub(crate) trait Functions {
    /// Stores a function and its first version, whose number is 1, and returns the function's number, which was never
    /// used before. [`Error::NameTaken`].
    async fn create_function(
        &self,
        by: Author,
        function: FunctionRow,
        version: VersionRow,
    ) -> Result<i64, Error>;

    async fn function(&self, function_id: i64) -> Result<Option<Function>, Error>;

    async fn named(&self, name: &str) -> Result<Option<i64>, Error>;

    /// Up to `limit` functions of these with numbers greater than `after`, ascending.
    async fn functions(
        &self,
        which: &FunctionFilter,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Summary>, Error>;

    /// All numbers, ascending.
    async fn list(&self) -> Result<Vec<i64>, Error>;

    /// Deletes a function and all its rows except outbound records and changes; returns the digests of the sources to
    /// which its versions referred.
    async fn delete_function(
        &self,
        by: Author,
        function_id: i64,
    ) -> Result<Option<Vec<[u8; 32]>>, Error>;

    /// [`Error::NotFound`], also for the next three methods.
    async fn set_usage_key(
        &self,
        by: Author,
        function_id: i64,
        hash: Option<KeyHash>,
    ) -> Result<(), Error>;

    async fn set_admin_key(&self, by: Author, function_id: i64, hash: KeyHash)
    -> Result<(), Error>;

    async fn set_state(&self, by: Author, function_id: i64, state: String) -> Result<(), Error>;

    async fn set_callback(
        &self,
        by: Author,
        function_id: i64,
        callback: String,
    ) -> Result<(), Error>;
}
}

rows! {
/// Versions, and the sources to which they refer.
pub(crate) trait Versions {
    /// The versions of a function with these numbers, newest first, at most 1000.
    async fn versions(
        &self,
        function_id: i64,
        numbers: RangeInclusive<i64>,
    ) -> Result<Vec<Version>, Error>;

    /// The newest versions of all functions, newest first.
    async fn deploys(&self, limit: u32) -> Result<Vec<Deploy>, Error>;

    /// The digests of all sources to which versions refer.
    async fn sources(&self) -> Result<HashSet<[u8; 32]>, Error>;

    /// `true` if any version refers to this source.
    async fn refers(&self, sha256: &[u8; 32]) -> Result<bool, Error>;
}
}

rows! {
/// Rollouts: the active version and the canary.
pub(crate) trait Rollouts {
    /// Adds a version, rolls it out, and returns its number. [`Error::NotFound`].
    async fn add_version(
        &self,
        by: Author,
        function_id: i64,
        version: VersionRow,
        rollout: Rollout,
    ) -> Result<i64, Error>;

    /// [`Error::NotFound`], [`Error::NoVersion`].
    async fn activate(&self, by: Author, function_id: i64, number: i64) -> Result<(), Error>;

    /// [`Error::NotFound`], [`Error::NoVersion`], and [`active_canary`](crate::model::active_canary).
    async fn set_canary(
        &self,
        by: Author,
        function_id: i64,
        canary: Option<(i64, Percent)>,
    ) -> Result<(), Error>;
}
}

rows! {
/// Values that functions store.
pub(crate) trait Values {
    async fn load_value(&self, function_id: i64, key: &[u8; 32]) -> Result<Option<Bytes>, Error>;

    /// [`Error::NotFound`].
    async fn save_value(
        &self,
        function_id: i64,
        key: ValueKey,
        value: Bytes,
        total_limit: u64,
    ) -> Result<Saved, Error>;

    async fn remove_value(&self, function_id: i64, key: [u8; 32]) -> Result<bool, Error>;

    /// Removes a value for a person.
    async fn delete_value(
        &self,
        by: Author,
        function_id: i64,
        key: ValueKey,
    ) -> Result<bool, Error>;

    /// [`Error::NotFound`].
    async fn commit_values(
        &self,
        function_id: i64,
        batch: ValueBatch,
        total_limit: u64,
    ) -> Result<Committed, Error>;

    /// [`Error::NotFound`].
    async fn update_value(
        &self,
        function_id: i64,
        key: ValueKey,
        change: ValueChange,
        total_limit: u64,
    ) -> Result<Updated, Error>;

    /// Names that begin with `prefix` and come after `after`, in byte order.
    async fn value_names(
        &self,
        function_id: i64,
        prefix: &[u8],
        after: &[u8],
        limit: u32,
    ) -> Result<Vec<Bytes>, Error>;

    /// Values whose names begin with `prefix` and come after `after`, in byte order of their names.
    async fn value_heads(
        &self,
        function_id: i64,
        prefix: &[u8],
        after: &[u8],
        limit: u32,
    ) -> Result<Vec<ValueHead>, Error>;
}
}

rows! {
/// Ephemeral texts.
pub(crate) trait Ephemeral {
    async fn put_ephemeral(&self, new: NewEphemeral) -> Result<EphemeralPut, Error>;

    async fn ephemeral(&self, key: &str) -> Result<Option<String>, Error>;

    async fn delete_ephemeral(&self, key: String) -> Result<bool, Error>;
}
}

rows! {
/// The log of calls, and their counters.
pub(crate) trait CallLog {
    /// Counts calls, logs the newest, and keeps the `keep` newest log rows of each function named.
    async fn record_calls(&self, calls: Vec<Calls>, keep: u32) -> Result<(), Error>;

    async fn calls(
        &self,
        function_id: i64,
        newest_first: bool,
        count: u32,
    ) -> Result<Vec<LoggedCall>, Error>;

    async fn calls_after(
        &self,
        function_id: i64,
        after: i64,
        count: u32,
    ) -> Result<Vec<LoggedCall>, Error>;

    async fn usage(&self, function_id: i64) -> Result<Usage, Error>;
}
}

rows! {
/// Calls that were refused before their function ran.
pub(crate) trait RefusedCalls {
    /// Logs calls of functions that exist, and keeps the `keep` newest of each function named.
    async fn record_refused(&self, calls: Vec<RefusedCall>, keep: u32) -> Result<(), Error>;

    /// The oldest ones after a number, oldest first; without one, the newest, oldest first.
    async fn refused_calls(
        &self,
        function_id: i64,
        after: Option<i64>,
        count: u32,
    ) -> Result<Vec<LoggedCall>, Error>;
}
}

rows! {
/// Secrets, encrypted.
pub(crate) trait Secrets {
    /// [`Error::NotFound`], and [`too_many_secrets`](crate::model::too_many_secrets).
    async fn set_secret(&self, by: Author, secret: SealedSecret) -> Result<(), Error>;

    /// The secrets of a function, by name.
    async fn secrets(&self, function_id: i64) -> Result<Vec<SealedSecret>, Error>;

    async fn secret_names(&self, function_id: i64) -> Result<Vec<SecretName>, Error>;

    /// The id of a key under which some secret is encrypted; `None` if there are no secrets.
    async fn secret_key_in_use(&self) -> Result<Option<String>, Error>;

    async fn delete_secret(
        &self,
        by: Author,
        function_id: i64,
        name: String,
    ) -> Result<bool, Error>;

    /// The next secrets that are not under the key `current`, ordered by function and name.
    async fn stale_secrets(
        &self,
        current: &str,
        after: &(i64, String),
        limit: u32,
    ) -> Result<Vec<SealedSecret>, Error>;

    /// Stores the secrets that have not changed since they were read, and returns their number.
    async fn reseal_secrets(&self, batch: Vec<Reseal>) -> Result<u64, Error>;
}
}

rows! {
/// The outbound log.
pub(crate) trait Outbound {
    /// Returns `true` if more rows are left to be removed.
    async fn record_outbound(
        &self,
        rows: Vec<OutboundLine>,
        keep_rows: u64,
        keep_from: i64,
    ) -> Result<bool, Error>;

    async fn outbound(&self, query: &OutboundQuery) -> Result<Vec<OutboundRow>, Error>;
}
}

/// The audit log, which changes write themselves.
pub(crate) trait Changes {
    /// Sets how many are kept.
    fn keep_changes(&self, limits: ChangeLimits);

    /// The changes that match, the newest first.
    async fn changes(&self, query: &ChangeQuery) -> Result<Vec<ChangeRecord>, Error>;
}

rows! {
/// Recordings of calls.
pub(crate) trait Recordings {
    /// Returns `true` if more recordings are left to be removed.
    async fn put_recordings(
        &self,
        recordings: Vec<Recording>,
        keep: RecordingLimits,
    ) -> Result<bool, Error>;

    async fn recording(&self, call: Uuid) -> Result<Option<Recording>, Error>;

    /// The recordings of a function, newest first.
    async fn recordings(&self, function_id: i64, limit: u32) -> Result<Vec<RecordingHead>, Error>;
}
}

rows! {
/// Keys of the server's own API.
pub(crate) trait ApiKeys {
    /// Stores a key and returns its number. [`Error::NotFound`], and [`too_many_keys`](crate::model::too_many_keys),
    /// which does not count expired keys.
    async fn create_key(
        &self,
        by: Author,
        new: NewKey,
        hash: KeyHash,
        created_at: i64,
    ) -> Result<i64, Error>;

    /// The key with this digest, unless it has expired.
    async fn key(&self, hash: &KeyHash, now: i64) -> Result<Option<ApiKey>, Error>;

    async fn keys(&self, function_id: Option<i64>) -> Result<Vec<ApiKey>, Error>;

    async fn delete_key(&self, by: Author, id: i64) -> Result<bool, Error>;
}
}

rows! {
/// Jobs.
pub(crate) trait Jobs {
    /// [`Error::NotFound`], [`Error::NoVersion`], and [`job_exists`](crate::model::job_exists).
    async fn submit_job(
        &self,
        new: NewJob,
        most_waiting: u32,
        room: JobRoom,
    ) -> Result<Submitted, Error>;

    /// Queues jobs again whose owner is gone, ends those that wait for too long, and takes those whose turn it is: of the
    /// queue with the lowest pass first, within its limits; in a queue by priority and age.
    async fn take_jobs(&self, taking: Taking) -> Result<Taken, Error>;

    /// Renews leases, and returns those that another owner has, or that are gone with their jobs.
    async fn keep_leases(&self, leases: Vec<Lease>, lease: i64) -> Result<Vec<Lease>, Error>;

    async fn finish_job(
        &self,
        lease: Lease,
        finished: Finished,
        room: JobRoom,
    ) -> Result<bool, Error>;

    /// Queues a job again that its owner does not finish. Returns `false` if the lease is not the job's.
    async fn postpone_job(&self, lease: Lease, postponed: Postponed) -> Result<bool, Error>;

    /// Queues jobs again that were not begun, as if they had not been taken, and returns their number.
    async fn return_jobs(&self, leases: Vec<Lease>) -> Result<u64, Error>;

    /// The next time at which a job can be taken that cannot be now, in Unix milliseconds.
    async fn next_job(&self, now: i64) -> Result<Option<i64>, Error>;

    async fn cancel_job(
        &self,
        by: Author,
        function_id: i64,
        id: Uuid,
        outcome: Bytes,
    ) -> Result<CancelledJob, Error>;

    async fn retry_job(
        &self,
        by: Author,
        job: (i64, Uuid),
        as_job: Uuid,
        most_waiting: u32,
        room: JobRoom,
    ) -> Result<RetriedJob, Error>;

    /// Queues jobs again that no process runs, as a process starts: all that are leased if a database has one process; if
    /// it has many, those whose leases have ended.
    async fn requeue_running(&self, outcome: Bytes, room: JobRoom) -> Result<Taken, Error>;

    /// The number of due jobs that are before this one in its queue, up to `most`; `None` if it is not due, or does not
    /// wait.
    async fn job_position(&self, id: Uuid, most: u32) -> Result<Option<u32>, Error>;

    async fn job(&self, id: Uuid) -> Result<Option<Job>, Error>;

    async fn job_figures(&self) -> Result<JobFigures, Error>;

    /// Jobs without requests and outcomes, newest first.
    async fn jobs(&self, query: &JobQuery) -> Result<Vec<JobHead>, Error>;

    /// Removes up to `limit` jobs that were done before a time, and returns their number.
    async fn expire_jobs(&self, done_before_ms: i64, limit: u32) -> Result<u64, Error>;
}
}

rows! {
/// Schedules of active versions, which change with the pointers to these.
pub(crate) trait Schedules {
    /// Schedules that are due and not paused, the longest due first.
    async fn due_schedules(&self, now: i64, limit: u32) -> Result<Vec<DueSchedule>, Error>;

    async fn next_schedule(&self) -> Result<Option<i64>, Error>;

    /// Accepts jobs in their order until one is refused, and settles the times before that one; `None` if the schedule is
    /// not as it was read.
    async fn settle_schedule(
        &self,
        settlement: Settlement,
        most_waiting: u32,
        room: JobRoom,
    ) -> Result<Option<Settled>, Error>;

    /// The schedules of a function, by name.
    async fn schedules(&self, function_id: i64) -> Result<Vec<Schedule>, Error>;

    /// Pauses or resumes, and settles the times until `now`. Returns `false` if there is no such schedule.
    async fn pause_schedule(
        &self,
        by: Author,
        function_id: i64,
        name: String,
        paused: bool,
        now: i64,
    ) -> Result<bool, Error>;
}
}

impl Database for Rows {
    async fn ready(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite(rows) => rows.ready().await,
            Self::Postgres(rows) => rows.ready().await,
        }
    }

    fn write_figures(&self) -> WriteFigures {
        match self {
            Self::Sqlite(rows) => rows.write_figures(),
            Self::Postgres(rows) => rows.write_figures(),
        }
    }

    async fn identity(&self) -> Result<String, Error> {
        match self {
            Self::Sqlite(rows) => rows.identity().await,
            Self::Postgres(rows) => rows.within(rows.identity()).await,
        }
    }

    async fn close(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite(rows) => rows.close().await,
            Self::Postgres(rows) => rows.close().await,
        }
    }
}

impl Changes for Rows {
    fn keep_changes(&self, limits: ChangeLimits) {
        match self {
            Self::Sqlite(rows) => rows.keep_changes(limits),
            Self::Postgres(rows) => rows.keep_changes(limits),
        }
    }

    async fn changes(&self, query: &ChangeQuery) -> Result<Vec<ChangeRecord>, Error> {
        match self {
            Self::Sqlite(rows) => rows.changes(query).await,
            Self::Postgres(rows) => rows.within(rows.changes(query)).await,
        }
    }
}
